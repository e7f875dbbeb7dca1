//! What the agent answers where it has no answer of CCM's.

use dsma_api::ApiError;
use thiserror::Error;

use crate::error::Error;

/// Why there is neither a certificate nor a decision.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    /// The request is malformed.
    #[error("{0}")]
    Request(ApiError),
    /// The request for a certificate is too long.
    #[error("the certificate signing request has {length} bytes, and at most {limit} are read")]
    TooLarge {
        /// Bytes that came.
        length: usize,
        /// Bytes that are read.
        limit: usize,
    },
    /// The path names no task.
    #[error("the task id in the path is no UUID")]
    BadTask,
    /// For other machines.
    #[error("this endpoint serves SGX enclaves, and this node is none of theirs: use /v1/certificate/issue")]
    SgxOnly,
    /// 404.
    #[error("no such endpoint: the node agent serves /v1/certificate/issue, /v1/certificate/result/TASK and /v1/sys/version")]
    NoEndpoint,
    /// 405.
    #[error("this method is not allowed here")]
    NoMethod,
    /// CCM is not there.
    #[error("CCM at {endpoint} does not answer: {problem}; is dsma-local running?")]
    Unreachable {
        /// Its URL.
        endpoint: String,
        /// What the client met.
        problem: String,
    },
    /// CCM says no.
    #[error("CCM refused: {message}")]
    Refused {
        /// As over HTTP.
        status: u16,
        /// CCM's code.
        code: String,
        /// CCM's words.
        message: String,
    },
    /// CCM's answer is none.
    #[error("CCM's answer cannot be read: {problem}")]
    Answer {
        /// What is wrong with it.
        problem: String,
    },
    /// The node's key and certificate cannot be kept or used.
    #[error("the node's identity cannot be used: {0}")]
    Identity(#[from] Error),
}

impl AgentError {
    /// The HTTP status.
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::Request(error) => error.status,
            Self::TooLarge { .. } => 413,
            Self::BadTask => 400,
            Self::SgxOnly => 501,
            Self::NoEndpoint => 404,
            Self::NoMethod => 405,
            // The enclave's doing, or nobody's.
            Self::Refused { status: 404, .. } => 404,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Answer { .. } => 502,
            Self::Identity(_) => 500,
        }
    }

    /// Whether CCM does not know the node (any more).
    pub(super) fn is_not_enrolled(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "NODE_NOT_ENROLLED")
    }
}

impl From<ApiError> for AgentError {
    fn from(error: ApiError) -> Self {
        Self::Request(error)
    }
}
