//! A refusal on the wire: a status and a plain-text body.

use std::borrow::Cow;
use std::fmt;

/// Status and text of a refusal. DSM's errors are plain text, not JSON; clients compare some of them word by word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// What a person reads: never a secret, never empty.
    pub message: Cow<'static, str>,
}

/// Texts that clients compare, or that more than one room says.
pub mod text {
    /// 401: clients log in again on it.
    pub const NO_SESSION: &str = "Session does not exist";
    /// 401: no usable `Authorization` header.
    pub const NO_CREDENTIALS: &str = "Missing or malformed credentials";
    /// 401: the API key or password does not hold.
    pub const BAD_CREDENTIALS: &str = "Invalid credentials";
    /// 403: clients compare the whole string.
    pub const NEEDS_APPROVAL: &str = "This operation requires approval";
    /// 404: unknown, or not visible to the caller.
    pub const NO_SOBJECT: &str = "Sobject does not exist";
    /// 403: the app is a member of the key's group, without the permission.
    pub const NO_PERMISSION: &str = "App does not have permission to perform this operation";
    /// 403: `enabled` is false.
    pub const DISABLED: &str = "Sobject is disabled";
    /// 403: before its activation date.
    pub const NOT_ACTIVE: &str = "Sobject is not yet active";
    /// 403: past its deactivation date, or revoked.
    pub const DEACTIVATED: &str = "Sobject is deactivated";
    /// 403: revoked as compromised.
    pub const COMPROMISED: &str = "Sobject is compromised";
    /// 403: no material is left.
    pub const DESTROYED: &str = "Sobject is destroyed";
    /// 400: an AEAD tag that does not hold, or padding that does not decode: one text, no oracle.
    pub const DECRYPT_FAILED: &str = "Decryption failed";
    /// 413: the body is over the limit.
    pub const TOO_LARGE: &str = "Request body is too large";
}

impl ApiError {
    /// A refusal with this status and text.
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    /// 401.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, message)
    }

    /// 409.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl std::error::Error for ApiError {}
