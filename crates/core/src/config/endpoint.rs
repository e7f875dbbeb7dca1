//! How DSM is named: the one rule for every front.

use std::path::Path;

use ureq::http::uri::Authority;

use super::problem;
use crate::Error;

/// Checks that `endpoint` is `https://host[:port]`: DSM's clients refuse plain http, and a path or trailing slash would break every
/// request.
///
/// # Errors
/// What is wrong with it, and the mend.
pub fn check_endpoint(endpoint: &str) -> Result<(), (&'static str, &'static str)> {
    let Some(host) = endpoint.strip_prefix("https://") else {
        return Err(("does not begin with https://", "DSM is reached over TLS only: write https://host[:port]"));
    };
    if host.ends_with('/') {
        return Err(("ends with a slash", "remove the trailing slash"));
    }
    let whole = host.parse::<Authority>().is_ok_and(|authority| {
        let name = authority.host();
        // A port that is no number is no port to the parser.
        !name.is_empty() && !host.contains('@') && (name == host || authority.port_u16().is_some_and(|port| port > 0))
    });
    if whole { Ok(()) } else { Err(("is not https://host[:port]", "give the host and, if needed, the port, and nothing else")) }
}

pub(super) fn check(endpoint: &str, file: &Path) -> Result<(), Error> {
    check_endpoint(endpoint).map_err(|(what, mend)| problem(file, "api_endpoint", &format!("`{endpoint}` {what}"), mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_perhaps_a_port() {
        for good in ["https://dsm", "https://dsm.example:4433", "https://10.0.0.1", "https://[::1]:443"] {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in [
            "https://",
            "https://:443",
            "https://dsm:99999",
            "https://dsm:",
            "https://dsm:0",
            "https://dsm:x",
            "https://a@dsm",
            "https://d sm",
        ] {
            assert_eq!(check_endpoint(bad).unwrap_err().0, "is not https://host[:port]", "{bad}");
        }
        for (bad, what) in
            [("http://dsm", "does not begin with https://"), ("https://dsm/", "ends with a slash"), ("https://d/x", "is not")]
        {
            assert!(check_endpoint(bad).unwrap_err().0.starts_with(what), "{bad}");
        }
    }
}
