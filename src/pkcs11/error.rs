//! What a function answers: one table from our errors to `CKR_` codes, and one from the engine's errors to ours.

use cryptoki_sys::*;
use dsma_core::Error as Engine;
use dsma_crypto::Error as Crypto;

/// Result of a chapter's function.
pub(super) type Result<T = ()> = std::result::Result<T, Error>;

/// Declares the errors with their codes.
macro_rules! errors {
    ($($(#[$meta:meta])* $Variant:ident = $code:ident,)+) => {
        /// Why a function did not succeed: one variant per `CKR_` code that this library answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "the standard's names")]
        pub(crate) enum Error { $($(#[$meta])* $Variant),+ }

        impl Error {
            /// The code that the caller sees.
            pub(super) const fn code(self) -> CK_RV {
                match self { $(Self::$Variant => $code),+ }
            }
        }
    };
}

errors! {
    /// A pointer or a length that cannot be.
    ArgumentsBad = CKR_ARGUMENTS_BAD,
    /// A wrong tag, where the standard names it so: in the functions for messages alone.
    AeadDecryptFailed = CKR_AEAD_DECRYPT_FAILED,
    ActionProhibited = CKR_ACTION_PROHIBITED,
    AttributeReadOnly = CKR_ATTRIBUTE_READ_ONLY,
    AttributeSensitive = CKR_ATTRIBUTE_SENSITIVE,
    AttributeTypeInvalid = CKR_ATTRIBUTE_TYPE_INVALID,
    AttributeValueInvalid = CKR_ATTRIBUTE_VALUE_INVALID,
    BufferTooSmall = CKR_BUFFER_TOO_SMALL,
    CantLock = CKR_CANT_LOCK,
    NotInitialized = CKR_CRYPTOKI_NOT_INITIALIZED,
    AlreadyInitialized = CKR_CRYPTOKI_ALREADY_INITIALIZED,
    CurveNotSupported = CKR_CURVE_NOT_SUPPORTED,
    DataInvalid = CKR_DATA_INVALID,
    DataLenRange = CKR_DATA_LEN_RANGE,
    /// DSM cannot be reached, or answers what it should not.
    DeviceError = CKR_DEVICE_ERROR,
    /// Session objects take no more memory than the configuration lets them.
    DeviceMemory = CKR_DEVICE_MEMORY,
    EncryptedDataInvalid = CKR_ENCRYPTED_DATA_INVALID,
    EncryptedDataLenRange = CKR_ENCRYPTED_DATA_LEN_RANGE,
    FunctionFailed = CKR_FUNCTION_FAILED,
    FunctionNotParallel = CKR_FUNCTION_NOT_PARALLEL,
    FunctionNotSupported = CKR_FUNCTION_NOT_SUPPORTED,
    /// A panic behind the barrier, or an error without a better name.
    GeneralError = CKR_GENERAL_ERROR,
    HostMemory = CKR_HOST_MEMORY,
    KeyExhausted = CKR_KEY_EXHAUSTED,
    KeyFunctionNotPermitted = CKR_KEY_FUNCTION_NOT_PERMITTED,
    KeyHandleInvalid = CKR_KEY_HANDLE_INVALID,
    KeyIndigestible = CKR_KEY_INDIGESTIBLE,
    KeyNotNeeded = CKR_KEY_NOT_NEEDED,
    KeyNotWrappable = CKR_KEY_NOT_WRAPPABLE,
    KeySizeRange = CKR_KEY_SIZE_RANGE,
    KeyTypeInconsistent = CKR_KEY_TYPE_INCONSISTENT,
    KeyUnextractable = CKR_KEY_UNEXTRACTABLE,
    MechanismInvalid = CKR_MECHANISM_INVALID,
    MechanismParamInvalid = CKR_MECHANISM_PARAM_INVALID,
    ObjectHandleInvalid = CKR_OBJECT_HANDLE_INVALID,
    OperationActive = CKR_OPERATION_ACTIVE,
    OperationNotInitialized = CKR_OPERATION_NOT_INITIALIZED,
    NoEvent = CKR_NO_EVENT,
    PinIncorrect = CKR_PIN_INCORRECT,
    PinLenRange = CKR_PIN_LEN_RANGE,
    RandomSeedNotSupported = CKR_RANDOM_SEED_NOT_SUPPORTED,
    SavedStateInvalid = CKR_SAVED_STATE_INVALID,
    SessionAsyncNotSupported = CKR_SESSION_ASYNC_NOT_SUPPORTED,
    SessionExists = CKR_SESSION_EXISTS,
    SessionHandleInvalid = CKR_SESSION_HANDLE_INVALID,
    SessionParallelNotSupported = CKR_SESSION_PARALLEL_NOT_SUPPORTED,
    SessionReadOnly = CKR_SESSION_READ_ONLY,
    SessionReadOnlyExists = CKR_SESSION_READ_ONLY_EXISTS,
    SessionReadWriteSoExists = CKR_SESSION_READ_WRITE_SO_EXISTS,
    SignatureInvalid = CKR_SIGNATURE_INVALID,
    SignatureLenRange = CKR_SIGNATURE_LEN_RANGE,
    StateUnsaveable = CKR_STATE_UNSAVEABLE,
    SlotIdInvalid = CKR_SLOT_ID_INVALID,
    TemplateIncomplete = CKR_TEMPLATE_INCOMPLETE,
    TemplateInconsistent = CKR_TEMPLATE_INCONSISTENT,
    /// DSM does not let this app make objects.
    TokenWriteProtected = CKR_TOKEN_WRITE_PROTECTED,
    UserAlreadyLoggedIn = CKR_USER_ALREADY_LOGGED_IN,
    UserAnotherAlreadyLoggedIn = CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    UserNotLoggedIn = CKR_USER_NOT_LOGGED_IN,
    UserPinNotInitialized = CKR_USER_PIN_NOT_INITIALIZED,
    UserTypeInvalid = CKR_USER_TYPE_INVALID,
    UnwrappingKeyHandleInvalid = CKR_UNWRAPPING_KEY_HANDLE_INVALID,
    UnwrappingKeyTypeInconsistent = CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
    WrappedKeyInvalid = CKR_WRAPPED_KEY_INVALID,
    WrappedKeyLenRange = CKR_WRAPPED_KEY_LEN_RANGE,
    WrappingKeyHandleInvalid = CKR_WRAPPING_KEY_HANDLE_INVALID,
    WrappingKeyTypeInconsistent = CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
}

/// Which kind of input was at fault, where the engine says only that it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// The input is data to protect.
    Protect,
    /// The input is ciphertext.
    Decrypt,
    /// As [`During::Protect`], by a function that itself names the mechanism.
    Wrapping,
    /// As [`During::Decrypt`], by a function that itself names the mechanism.
    Unwrapping,
    /// The input is a key to derive from, and how.
    Deriving,
    /// No input: a listing.
    Listing,
    /// The input is a credential.
    Login,
    /// The input describes an object that is to be made.
    Creating,
    /// The input is a change of an object, or its end.
    Changing,
}

impl Error {
    /// The engine's error as a caller of PKCS#11 should see it. The code says little, so the sentence goes to the log.
    pub(super) fn from_engine(error: &Engine, during: During) -> Self {
        let mapped = match error {
            Engine::Crypto(error) => Self::from_crypto(*error, during),
            Engine::Config { .. } => Self::FunctionFailed,
            Engine::Unsupported { .. } => Self::from_crypto(Crypto::Unsupported, during),
            Engine::Approval { .. } => Self::KeyFunctionNotPermitted,
            Engine::Api(refusal) => match (refusal.status, during) {
                (400 | 401 | 403 | 404, During::Login) => Self::PinIncorrect,
                (400 | 413, During::Creating | During::Changing | During::Deriving) => Self::TemplateInconsistent,
                (403, During::Creating) => Self::TokenWriteProtected,
                (403, During::Changing) => Self::ActionProhibited,
                (404, During::Changing) => Self::ObjectHandleInvalid,
                (401, _) => Self::UserNotLoggedIn,
                (_, During::Login | During::Listing | During::Creating | During::Changing) => Self::DeviceError,
                (403, _) => Self::KeyFunctionNotPermitted,
                (404, _) => Self::KeyHandleInvalid,
                (400, During::Protect | During::Wrapping) => Self::DataInvalid,
                (400, During::Decrypt | During::Unwrapping) => Self::EncryptedDataInvalid,
                (413, During::Protect | During::Wrapping) => Self::DataLenRange,
                (413, During::Decrypt | During::Unwrapping) => Self::EncryptedDataLenRange,
                _ => Self::DeviceError,
            },
            _ => Self::DeviceError,
        };
        tracing::warn!(code = mapped.code(), "{error}");
        mapped
    }

    /// An error of a local operation.
    pub(super) fn from_crypto(error: Crypto, during: During) -> Self {
        match (error, during) {
            (Crypto::IvLength | Crypto::TagLength, _) => Self::MechanismParamInvalid,
            (Crypto::InputLength | Crypto::TooLong, During::Decrypt | During::Unwrapping) => Self::EncryptedDataLenRange,
            (Crypto::InputLength | Crypto::TooLong, During::Deriving) => Self::KeySizeRange,
            (Crypto::InputLength | Crypto::TooLong, _) => Self::DataLenRange,
            (Crypto::Authentication | Crypto::Malformed, During::Decrypt | During::Unwrapping) => Self::EncryptedDataInvalid,
            (Crypto::Malformed, During::Deriving) => Self::MechanismParamInvalid,
            (Crypto::Malformed, _) => Self::DataInvalid,
            (Crypto::KeySize, _) => Self::KeySizeRange,
            // Functions that work on data are called when the mechanism has been taken already.
            (Crypto::Unsupported, During::Protect | During::Decrypt) => Self::FunctionFailed,
            (Crypto::Unsupported, _) => Self::MechanismInvalid,
            (Crypto::OutputTooSmall { .. }, _) => Self::BufferTooSmall,
            _ => Self::FunctionFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_named_by_what_the_caller_gave() {
        let refusal = |status| Engine::Api(dsma_api::ApiError::new(status, "no"));
        for (status, during, expected) in [
            (401, During::Login, CKR_PIN_INCORRECT),
            (401, During::Protect, CKR_USER_NOT_LOGGED_IN),
            (403, During::Protect, CKR_KEY_FUNCTION_NOT_PERMITTED),
            (404, During::Decrypt, CKR_KEY_HANDLE_INVALID),
            (400, During::Decrypt, CKR_ENCRYPTED_DATA_INVALID),
            (503, During::Login, CKR_DEVICE_ERROR),
            (404, During::Listing, CKR_DEVICE_ERROR),
        ] {
            assert_eq!(Error::from_engine(&refusal(status), during).code(), expected, "{status}");
        }
    }
}
