//! `dsma_result` and `dsma_error`: a stable number for programs, one sentence for people.
#![expect(non_camel_case_types, reason = "the header's names")]

use std::ffi::{CStr, CString};
use std::fmt;

use dsma_api::text;
use dsma_core::Error;
use dsma_crypto::Error as CryptoError;

/// What a call came to. The numbers never change: 100 to 199 the arguments, 200 to 299 the configuration and the process, 300 to
/// 399 DSM, 400 to 499 the cryptography, 900 the library itself. Treat a number that you do not know as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum dsma_result {
    /// Done.
    DSMA_OK = 0,

    /// A pointer that must not be NULL is NULL.
    DSMA_ERROR_NULL_ARGUMENT = 101,
    /// A value that this function does not know or cannot use: a kid that is no UUID, an unknown mode, text that is not UTF-8.
    DSMA_ERROR_INVALID_ARGUMENT = 102,
    /// The output buffer is too small; its length argument now says what is needed. Nothing was consumed.
    DSMA_ERROR_BUFFER_TOO_SMALL = 103,

    /// The configuration is missing or malformed. The message names the file, the key and the mend.
    DSMA_ERROR_CONFIG = 201,
    /// The system refused something that the library needs.
    DSMA_ERROR_SYSTEM = 202,

    /// DSM did not answer: endpoint, network, CA file, or DSM is down.
    DSMA_ERROR_UNREACHABLE = 301,
    /// DSM does not accept the credential of the configuration (401).
    DSMA_ERROR_CREDENTIAL = 302,
    /// The application or the key may not do this: permission, key operations, disabled, not active, deactivated (403).
    DSMA_ERROR_NOT_ALLOWED = 303,
    /// No such key, or not visible to this application (404).
    DSMA_ERROR_NOT_FOUND = 304,
    /// DSM refused the request for another reason (other 4xx).
    DSMA_ERROR_REFUSED = 305,
    /// DSM failed (5xx), or its reply made no sense.
    DSMA_ERROR_DSM = 306,

    /// A tag or a padding does not hold: wrong key, wrong parameters, or changed data.
    DSMA_ERROR_AUTHENTICATION = 401,
    /// The signature does not belong to these data and this key.
    DSMA_ERROR_SIGNATURE_INVALID = 402,
    /// The IV's length does not fit the mode.
    DSMA_ERROR_IV_LENGTH = 403,
    /// The tag's length does not fit the mode.
    DSMA_ERROR_TAG_LENGTH = 404,
    /// The input's length does not fit the mode or the key.
    DSMA_ERROR_INPUT_LENGTH = 405,
    /// The operation does not exist for this kind of key.
    DSMA_ERROR_UNSUPPORTED = 406,
    /// The key's material cannot be used.
    DSMA_ERROR_KEY = 407,

    /// A fault of the library.
    DSMA_ERROR_INTERNAL = 900,
}

/// Why a call failed, in one sentence that ends with what to do about it. Never holds a secret.
///
/// A failing call stores a new one where its `error` argument points; free it with dsma_error_free.
pub(crate) struct dsma_error {
    message: CString,
}

impl dsma_error {
    pub(super) fn message(&self) -> &CStr {
        &self.message
    }
}

impl From<&Failure> for dsma_error {
    /// A NUL within the text (a name may hold anything) ends it.
    fn from(failure: &Failure) -> Self {
        let mut text = failure.to_string();
        text.truncate(text.find('\0').unwrap_or(text.len()));
        Self { message: CString::new(text).unwrap_or_default() }
    }
}

/// A failed call, before the door: it becomes a number, and a text only for a caller who asks.
#[derive(Debug)]
pub(super) enum Failure {
    /// This argument is NULL.
    Null(&'static str),
    /// This argument cannot be used.
    Argument { name: &'static str, problem: &'static str },
    /// The output needs this many bytes.
    TooSmall { needed: usize },
    /// The system refused this to the library.
    System { what: &'static str, cause: std::io::Error, mend: &'static str },
    /// The signature does not hold.
    SignatureInvalid { key: String },
    /// The engine or DSM said no, where known about this key.
    Engine { key: Option<String>, error: Error },
    /// A panic was caught at the door.
    Panic,
}

impl Failure {
    pub(super) fn code(&self) -> dsma_result {
        use dsma_result::*;
        match self {
            Self::Null(_) => DSMA_ERROR_NULL_ARGUMENT,
            Self::Argument { .. } => DSMA_ERROR_INVALID_ARGUMENT,
            Self::TooSmall { .. } => DSMA_ERROR_BUFFER_TOO_SMALL,
            Self::System { .. } => DSMA_ERROR_SYSTEM,
            Self::SignatureInvalid { .. } => DSMA_ERROR_SIGNATURE_INVALID,
            Self::Panic => DSMA_ERROR_INTERNAL,
            Self::Engine { error, .. } => match error {
                Error::Config { .. } => DSMA_ERROR_CONFIG,
                Error::Unreachable { .. } | Error::Abandoned | Error::Certificate { outage: true, .. } => DSMA_ERROR_UNREACHABLE,
                Error::Certificate { .. } => DSMA_ERROR_CREDENTIAL,
                Error::Approval { .. } => DSMA_ERROR_NOT_ALLOWED,
                Error::BadReply { .. } => DSMA_ERROR_DSM,
                Error::Unsupported { .. } => DSMA_ERROR_UNSUPPORTED,
                // A forwarded decryption fails in DSM's words.
                Error::Api(refusal) if refusal.message == text::DECRYPT_FAILED => DSMA_ERROR_AUTHENTICATION,
                Error::Api(refusal) => match refusal.status {
                    401 => DSMA_ERROR_CREDENTIAL,
                    403 => DSMA_ERROR_NOT_ALLOWED,
                    404 => DSMA_ERROR_NOT_FOUND,
                    413 => DSMA_ERROR_INPUT_LENGTH,
                    400..=499 => DSMA_ERROR_REFUSED,
                    _ => DSMA_ERROR_DSM,
                },
                Error::Crypto(error) => crypto_code(*error),
                _ => DSMA_ERROR_INTERNAL,
            },
        }
    }

    /// What the reader can do about it, where the sentence of the cause does not say so already.
    fn mend(&self) -> Option<&'static str> {
        use dsma_result::*;
        if matches!(self, Self::Engine { error: Error::Certificate { .. } | Error::Approval { .. }, .. }) {
            return None;
        }
        Some(match self.code() {
            DSMA_ERROR_REFUSED => "change what the sentence of DSM names, in the call or in DSM",
            DSMA_ERROR_DSM if matches!(self, Self::Engine { error: Error::Api(_), .. }) => {
                "try again, and look at DSM's own log if it stays"
            }
            DSMA_ERROR_CREDENTIAL => "check api_key in the configuration, or the certificate and app_id where it logs in with one",
            DSMA_ERROR_NOT_ALLOWED => "in DSM, check the application's permissions in the key's group, the key's operations, and its state",
            DSMA_ERROR_NOT_FOUND => "check the name or kid, and that the application is a member of the key's group",
            DSMA_ERROR_AUTHENTICATION => "check that key, IV, AAD and tag are those of the encryption and that the data are complete",
            DSMA_ERROR_UNSUPPORTED => "check that the mode or scheme fits the key's type",
            DSMA_ERROR_KEY => "check the key in DSM",
            _ => return None,
        })
    }
}

fn crypto_code(error: CryptoError) -> dsma_result {
    use dsma_result::*;
    match error {
        CryptoError::Malformed | CryptoError::KeySize => DSMA_ERROR_KEY,
        CryptoError::IvLength => DSMA_ERROR_IV_LENGTH,
        CryptoError::TagLength => DSMA_ERROR_TAG_LENGTH,
        CryptoError::InputLength | CryptoError::TooLong => DSMA_ERROR_INPUT_LENGTH,
        CryptoError::OutputTooSmall { .. } => DSMA_ERROR_BUFFER_TOO_SMALL,
        CryptoError::Authentication => DSMA_ERROR_AUTHENTICATION,
        CryptoError::Unsupported => DSMA_ERROR_UNSUPPORTED,
        _ => DSMA_ERROR_INTERNAL,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(name) => return write!(f, "{name} is NULL; give a valid pointer"),
            Self::Argument { name, problem } => return write!(f, "{name} {problem}"),
            Self::TooSmall { needed } => return write!(f, "the output buffer is too small; give at least {needed} bytes"),
            Self::System { what, cause, mend } => return write!(f, "{what}: {cause}; {mend}"),
            Self::Panic => return f.write_str("the library failed in an unexpected way; please report it with the standard error output"),
            Self::SignatureInvalid { key } => {
                return write!(f, "{key}: the signature does not hold; check that key, scheme, hash and data are those of the signer");
            }
            Self::Engine { key, error } => {
                if let Some(key) = key {
                    write!(f, "{key}: ")?;
                }
                write!(f, "{error}")?;
            }
        }
        self.mend().map_or(Ok(()), |mend| write!(f, "; {mend}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Crypto(CryptoError::OutputTooSmall { needed }) => Self::TooSmall { needed },
            error => Self::Engine { key: None, error },
        }
    }
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use dsma_api::ApiError;

    use super::*;

    #[test]
    fn a_refusal_names_the_key_and_the_mend() {
        let failure = Failure::Engine { key: Some("key \"a\"".into()), error: ApiError::forbidden("Sobject is disabled").into() };
        assert_eq!(failure.code(), dsma_result::DSMA_ERROR_NOT_ALLOWED);
        let text = failure.to_string();
        assert!(text.starts_with("key \"a\": Sobject is disabled; in DSM, check"), "{text}");
    }

    #[test]
    fn a_nul_ends_the_text() {
        let failure = Failure::SignatureInvalid { key: "key \"a\0b\"".into() };
        assert_eq!(dsma_error::from(&failure).message().to_bytes(), b"key \"a");
    }

    #[test]
    fn a_short_buffer_is_not_an_engine_failure() {
        let failure = Failure::from(CryptoError::OutputTooSmall { needed: 256 });
        assert!(matches!(failure, Failure::TooSmall { needed: 256 }));
        assert_eq!(failure.code() as u32, 103);
    }
}
