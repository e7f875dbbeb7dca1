//! Who the service is to DSM: attested where `NITRO_ENABLED` says so, else what `IDENTITY` says, else an API key.

use dsma_core::{ApiKey, Attested, CertificateFiles, Identity, NodeAgentUrl};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::ConfigError;

/// Reads the identity's own variables. Those of another identity are left alone: an environment may serve several starts.
///
/// # Errors
/// The first variable that cannot be used.
pub(super) fn choose(nitro: bool, variable: &impl Fn(&str) -> Option<String>) -> Result<Identity, ConfigError> {
    match (nitro, variable("IDENTITY").as_deref()) {
        (true, None | Some("attested")) | (false, Some("attested")) => attested(variable),
        (true, Some(other)) => {
            let problem = format!("`{other}` contradicts NITRO_ENABLED=true");
            Err(ConfigError::new("IDENTITY", problem, "leave it out, or set NITRO_ENABLED to false"))
        }
        (false, None | Some("api_key")) => api_key(variable("FORTANIX_API_KEY").map(Zeroizing::new)),
        (false, Some("certificate")) => certificate(variable),
        (false, Some(other)) => {
            let problem = format!("`{other}` is no identity");
            Err(ConfigError::new("IDENTITY", problem, "set it to api_key, attested or certificate, or leave it out"))
        }
    }
}

/// Whether `DSMA_APP_ID` names an app that we are not: an API key is somebody else's.
pub(super) fn is_another_app(identity: &Identity, variable: &impl Fn(&str) -> Option<String>) -> bool {
    matches!(identity, Identity::ApiKey(_)) && variable("DSMA_APP_ID").is_some()
}

fn attested(variable: &impl Fn(&str) -> Option<String>) -> Result<Identity, ConfigError> {
    const APP: &str = "set it to the id of the app in DSM that trusts the CCM zone CA";
    const AGENT: &str = "set it to the URL of the node agent, for example http://10.0.0.5:9092";
    let app_id = app_id(variable)?.ok_or_else(|| ConfigError::new("DSMA_APP_ID", "is not set", APP))?;
    let url = variable("NODE_AGENT").ok_or_else(|| ConfigError::new("NODE_AGENT", "is not set", AGENT))?;
    let node_agent = NodeAgentUrl::parse(&url).map_err(|what| ConfigError::new("NODE_AGENT", format!("`{url}` {what}"), AGENT))?;
    Ok(Identity::Attested(Attested::new(app_id, node_agent)))
}

fn certificate(variable: &impl Fn(&str) -> Option<String>) -> Result<Identity, ConfigError> {
    let file = |name: &'static str, mend| match variable(name) {
        Some(path) => Ok(path.into()),
        None => Err(ConfigError::new(name, "is not set", mend)),
    };
    Ok(Identity::Certificate(CertificateFiles {
        cert_file: file("DSMA_CERT_FILE", "give the PEM file with the app's certificate and its chain")?,
        key_file: file("DSMA_KEY_FILE", "give the PEM file with the certificate's private key")?,
        app_id: app_id(variable)?,
    }))
}

fn app_id(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Uuid>, ConfigError> {
    let parse = |text: String| {
        let wrong = |_| ConfigError::new("DSMA_APP_ID", format!("`{text}` is not the id of an app"), "copy the app's UUID from DSM");
        text.trim().parse().map_err(wrong)
    };
    variable("DSMA_APP_ID").map(parse).transpose()
}

fn api_key(text: Option<Zeroizing<String>>) -> Result<Identity, ConfigError> {
    const MEND: &str = "set it to the API key of an app that may export the keys, or to file:///path of a file that holds it";
    let text = text.ok_or_else(|| ConfigError::new("FORTANIX_API_KEY", "is not set", MEND))?;
    // The engine's text names the shape that is wrong and never the key.
    ApiKey::parse(&text).map(Identity::ApiKey).map_err(|error| match error {
        dsma_core::Error::Config { problem, file, .. } if text.starts_with("file://") => {
            ConfigError::new("FORTANIX_API_KEY", format!("{}: {problem}", file.display()), MEND)
        }
        dsma_core::Error::Config { problem, .. } => ConfigError::new("FORTANIX_API_KEY", problem.to_string(), MEND),
        other => ConfigError::new("FORTANIX_API_KEY", other.to_string(), MEND),
    })
}
