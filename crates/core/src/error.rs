//! What can go wrong in the engine.

use std::path::PathBuf;
use std::sync::Arc;

use dsma_api::ApiError;

/// An error of the engine. Cheap to clone, because all who wait for one export get the same answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// DSM refused, or [`dsma_api::authorize`] did in DSM's words, or the request was not sent because DSM takes none so large (413).
    #[error("{}", .0.message)]
    Api(ApiError),

    /// DSM could not be reached, or did not answer in time.
    #[error("DSM at {endpoint} cannot be reached: {reason}; check the endpoint, the network and the CA file, then try again")]
    Unreachable {
        /// The endpoint that was tried.
        endpoint: Arc<str>,
        /// What happened last.
        reason: Arc<str>,
    },

    /// The configuration cannot be used.
    #[error("{}: {key}: {problem}; {mend}", .file.display())]
    Config {
        /// The file, or the environment.
        file: Arc<PathBuf>,
        /// The key or variable.
        key: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
        /// What to do.
        mend: Arc<str>,
    },

    /// Our own certificate cannot be had, or not be used.
    #[error("{subject}: {problem}; {mend}")]
    Certificate {
        /// The node agent, the file, the device.
        subject: Arc<str>,
        /// What happened.
        problem: Arc<str>,
        /// What to do.
        mend: Arc<str>,
        /// Whether nobody answered, in contrast to a refusal.
        outage: bool,
    },

    /// A quorum policy guards the key, and those who must approve have not.
    #[error("sobject {kid} needs approval: {problem}; have it approved in DSM, then try again")]
    Approval {
        /// The key.
        kid: uuid::Uuid,
        /// The approval request, and who must approve or has denied.
        problem: Arc<str>,
    },

    /// The local operation failed.
    #[error(transparent)]
    Crypto(#[from] dsma_crypto::Error),

    /// DSM's reply does not hold what the protocol promises.
    #[error("DSM at {endpoint} sent an unusable reply: {reason}; check that the endpoint is a DSM of a supported version")]
    BadReply {
        /// The endpoint.
        endpoint: Arc<str>,
        /// What was wrong, without any content of the reply.
        reason: Arc<str>,
    },

    /// Neither the local engine nor DSM offers this.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },

    /// Whoever was fetching the key gave up without an answer.
    #[error("the key was not fetched because the caller that was fetching it was cancelled; try again")]
    Abandoned,
}

impl Error {
    /// The HTTP status that tells a client the same.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Api(refusal) => refusal.status,
            Self::Unreachable { .. } | Self::Certificate { .. } | Self::Abandoned => 503,
            Self::BadReply { .. } => 502,
            Self::Approval { .. } => 403,
            Self::Crypto(dsma_crypto::Error::Internal) | Self::Config { .. } => 500,
            Self::Crypto(_) | Self::Unsupported { .. } => 400,
        }
    }

    /// Whether DSM gave no answer at all, so that old knowledge may serve on where policy lets it.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Abandoned | Self::Certificate { outage: true, .. })
            || matches!(self, Self::Api(refusal) if refusal.status >= 500)
    }
}

impl From<ApiError> for Error {
    fn from(refusal: ApiError) -> Self {
        Self::Api(refusal)
    }
}
