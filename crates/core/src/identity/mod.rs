//! Who we are to DSM: an API key, or a certificate of ours, and how it stays fresh.

mod attested;
mod certificate;
mod certified;
mod files;
mod node_agent;
mod node_agent_url;

pub(crate) use self::certificate::ClientCertificate;
pub(crate) use self::certified::{Certified, Duty};
pub use self::node_agent_url::NodeAgentUrl;
use crate::{ApiKey, config};

/// What logins are made with.
#[derive(Debug)]
pub(crate) enum Identity {
    /// Nothing: nobody has logged in.
    Nobody,
    /// An API key.
    ApiKey(ApiKey),
    /// A certificate.
    Certified(Box<Certified>),
}

impl Identity {
    /// Reads no file and asks nobody: that is left to the first login.
    pub(crate) fn new(identity: &config::Identity) -> Self {
        match identity {
            config::Identity::AtLogin => Self::Nobody,
            config::Identity::ApiKey(key) => Self::ApiKey(key.clone()),
            config::Identity::Certificate(files) => Self::Certified(Box::new(Certified::in_files(files.clone()))),
            config::Identity::Attested(attested) => Self::Certified(Box::new(Certified::attested(attested.clone()))),
        }
    }
}
