//! Where the node agent is.

use std::fmt;

use ureq::http::uri::Authority;

/// Scheme, host and port of a node agent, which speaks plain http on the enclave's own host.
///
/// As in the vendor's client the path is thrown away: every call has a path of its own. Missing slashes after `http:` are forgiven
/// (the vendor's manual has `http:/<host>:9092/v1/`), and so is a missing scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAgentUrl(String);

impl NodeAgentUrl {
    /// Takes a URL as an operator writes it.
    ///
    /// # Errors
    /// What is wrong with it, to be read after the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let rest = match text.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest.trim_start_matches('/'),
            _ if text.contains("://") => return Err("does not begin with http://: the node agent speaks plain http"),
            // The host itself, as `host:port`.
            _ => text,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("holds a user name: the node agent asks for none");
        }
        match authority.parse::<Authority>() {
            // A port that is no port is parsed as none.
            Ok(parsed) if !parsed.host().is_empty() && (parsed.port_u16().is_some() || !has_port(authority)) => {
                Ok(Self(format!("http://{authority}")))
            }
            _ => Err("names no host"),
        }
    }

    /// `http://host[:port]`.
    pub(crate) fn base(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeAgentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether something follows the host: the colons of an IPv6 address stand in brackets.
fn has_port(authority: &str) -> bool {
    authority.rsplit(']').next().is_some_and(|tail| tail.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_operators() {
        for (given, base) in [
            ("http://10.0.0.5:9092/v1/", "http://10.0.0.5:9092"),
            ("http://10.0.0.5:9092", "http://10.0.0.5:9092"),
            ("http:/10.0.0.5:9092/v1/", "http://10.0.0.5:9092"),
            ("http:10.0.0.5:9092", "http://10.0.0.5:9092"),
            ("HTTP://agent.example/elsewhere?x#y", "http://agent.example"),
            ("agent.example:9092/v1", "http://agent.example:9092"),
            (" http://[::1]:9092/ ", "http://[::1]:9092"),
            ("http://[::1]", "http://[::1]"),
        ] {
            assert_eq!(NodeAgentUrl::parse(given).unwrap().base(), base, "{given}");
        }
        for (given, words) in [
            ("https://10.0.0.5:9092", "plain http"),
            ("ftp://10.0.0.5", "plain http"),
            ("", "no host"),
            ("http://", "no host"),
            ("http:///", "no host"),
            ("http://host:port", "no host"),
            ("http://host:99999", "no host"),
            ("http://user:secret@host:9092", "user name"),
            ("http://ho st", "no host"),
        ] {
            assert!(NodeAgentUrl::parse(given).unwrap_err().contains(words), "{given}");
        }
    }
}
