//! Every function with the kinds of its arguments.

use cryptoki_sys::*;

use super::ground::running::{self, NOTHING, Running};
use super::ground::{Bytes, Role};

/// A function of the tables.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Where its pointer stands in the newest table.
    pub(super) offset: usize,
    /// What must be running before the call.
    pub(super) running: Running,
    pub(super) arguments: &'static [Argument],
    /// The answer to good arguments; none where they would end what the test stands on.
    pub(super) good: Option<CK_RV>,
    /// The function answers this, whatever it is given.
    pub(super) always: bool,
}

/// An argument, which may be two or three of C's, with the answers to what is not the same everywhere.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    Session,
    Slot,
    /// Flags, types, counts: a number that stands for nothing in memory.
    Number(CK_ULONG),
    /// A mechanism; the answers to NULL and to a parameter that it does not have.
    Mechanism {
        kind: CK_MECHANISM_TYPE,
        null: CK_RV,
        parameter: CK_RV,
    },
    /// A handle of an object, and the answer to one that there is not.
    Object(Role, CK_RV),
    /// A pointer and a length, and the answer to a length of 0.
    Input(Bytes, CK_RV),
    /// A buffer and a place for its length; the answer to a buffer of no bytes.
    Output {
        short: CK_RV,
    },
    /// Where one value goes.
    Place,
    /// An array of attributes with its count; the answer to none. Those that make something refuse bad values.
    Template {
        of: Attributes,
        empty: CK_RV,
        makes: bool,
    },
    /// An array with its count.
    List,
    /// Must be NULL.
    Reserved,
    /// May be NULL, or anything else that is valid.
    Optional,
    /// The parameter of a message, and its length.
    Parameter,
    /// The parameter of a message that has none.
    NoParameter,
}

/// Good templates.
#[derive(Clone, Copy)]
pub(super) enum Attributes {
    Label,
    Class,
    Aes,
    AesOfLength,
    Generic,
    GenericOfLength,
    Curve,
    None,
}

use Argument::*;

const fn plain(kind: CK_MECHANISM_TYPE) -> Argument {
    Mechanism { kind, null: CKR_ARGUMENTS_BAD, parameter: CKR_MECHANISM_PARAM_INVALID }
}

/// Where NULL cancels.
const fn cancels(kind: CK_MECHANISM_TYPE) -> Argument {
    Mechanism { kind, null: CKR_OK, parameter: CKR_MECHANISM_PARAM_INVALID }
}

/// Where the parameter does not count: each message has its own.
const fn for_messages(kind: CK_MECHANISM_TYPE) -> Argument {
    Mechanism { kind, null: CKR_OK, parameter: CKR_OK }
}

const fn key(role: Role) -> Argument {
    Object(role, CKR_KEY_HANDLE_INVALID)
}

const fn makes(of: Attributes, empty: CK_RV) -> Argument {
    Template { of, empty, makes: true }
}

const BLOCK: Argument = Input(Bytes::Block, CKR_OK);
const OUTPUT: Argument = Output { short: CKR_BUFFER_TOO_SMALL };
/// The output of what has nothing to give.
const NO_OUTPUT: Argument = Output { short: CKR_OK };

impl Row {
    /// A search, and operations of many messages, are not ended by bad arguments; a message that has been begun is.
    pub(super) const GOES_ON: Running =
        running::FIND | running::MESSAGE_ENCRYPT | running::MESSAGE_DECRYPT | running::MESSAGE_SIGN | running::MESSAGE_VERIFY;

    /// Whether it may be called before C_Initialize.
    pub(super) fn is_for_any_time(&self) -> bool {
        ["C_Initialize", "C_GetFunctionList", "C_GetInterfaceList", "C_GetInterface"].contains(&self.name)
    }
}

/// `NAME: what runs, [arguments] = answer to good ones;`, where `always` says that there is no other answer.
macro_rules! rows {
    ($($name:ident: $running:expr, [$($argument:expr),* $(,)?] = $good:expr $(, $always:ident)?;)+) => {
        /// The newest table, which holds the older ones.
        pub(super) const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            offset: std::mem::offset_of!(CK_FUNCTION_LIST_3_2, $name),
            running: $running,
            arguments: &[$($argument),*],
            good: $good,
            always: rows!(@always $($always)?),
        }),+];
    };
    (@always) => { false };
    (@always always) => { true };
}

rows! {
    C_Initialize: NOTHING, [Optional] = Some(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    C_Finalize: NOTHING, [Reserved] = None;
    C_GetInfo: NOTHING, [Place] = Some(CKR_OK);
    C_GetFunctionList: NOTHING, [Place] = Some(CKR_OK);
    C_GetInterfaceList: NOTHING, [List] = Some(CKR_OK);
    C_GetInterface: NOTHING, [Optional, Optional, Place, Number(0)] = Some(CKR_OK);

    C_GetSlotList: NOTHING, [Number(1), List] = Some(CKR_OK);
    C_GetSlotInfo: NOTHING, [Slot, Place] = Some(CKR_OK);
    C_GetTokenInfo: NOTHING, [Slot, Place] = Some(CKR_OK);
    C_GetMechanismList: NOTHING, [Slot, List] = Some(CKR_OK);
    C_GetMechanismInfo: NOTHING, [Slot, Number(CKM_AES_GCM), Place] = Some(CKR_OK);
    C_InitToken: NOTHING, [Slot, Input(Bytes::Pin, CKR_FUNCTION_NOT_SUPPORTED), Optional] = Some(CKR_FUNCTION_NOT_SUPPORTED);
    C_InitPIN: NOTHING, [Session, Input(Bytes::Pin, CKR_FUNCTION_NOT_SUPPORTED)] = Some(CKR_FUNCTION_NOT_SUPPORTED);
    C_SetPIN: NOTHING, [Session, Input(Bytes::Pin, CKR_FUNCTION_NOT_SUPPORTED), Input(Bytes::Pin, CKR_FUNCTION_NOT_SUPPORTED)]
        = Some(CKR_FUNCTION_NOT_SUPPORTED);
    C_WaitForSlotEvent: NOTHING, [Number(CKF_DONT_BLOCK), Place, Reserved] = Some(CKR_NO_EVENT);

    C_OpenSession: NOTHING, [Slot, Number(CKF_SERIAL_SESSION), Optional, Optional, Place] = Some(CKR_OK);
    C_CloseSession: NOTHING, [Session] = Some(CKR_OK);
    C_CloseAllSessions: NOTHING, [Slot] = None;
    C_GetSessionInfo: NOTHING, [Session, Place] = Some(CKR_OK);
    C_GetOperationState: running::DIGEST, [Session, OUTPUT] = Some(CKR_OK);
    C_SetOperationState: NOTHING, [Session, Input(Bytes::State, CKR_SAVED_STATE_INVALID), Number(0), Number(0)] = Some(CKR_OK);
    C_Login: NOTHING, [Session, Number(CKU_USER), Input(Bytes::Pin, CKR_USER_ALREADY_LOGGED_IN)] = Some(CKR_USER_ALREADY_LOGGED_IN);
    C_Logout: NOTHING, [Session] = None;
    C_LoginUser: NOTHING, [Session, Number(CKU_USER), Input(Bytes::Pin, CKR_USER_ALREADY_LOGGED_IN),
        Input(Bytes::Pin, CKR_USER_ALREADY_LOGGED_IN)] = Some(CKR_USER_ALREADY_LOGGED_IN);
    C_SessionCancel: NOTHING, [Session, Number(0)] = Some(CKR_OK);
    C_GetSessionValidationFlags: NOTHING, [Session, Number(CKS_LAST_VALIDATION_OK), Place] = Some(CKR_OK);

    C_CreateObject: NOTHING, [Session, makes(Attributes::Aes, CKR_TEMPLATE_INCOMPLETE), Place] = Some(CKR_OK);
    C_CopyObject: NOTHING, [Session, Object(Role::Aes, CKR_OBJECT_HANDLE_INVALID), makes(Attributes::Label, CKR_OK), Place] = Some(CKR_OK);
    C_DestroyObject: NOTHING, [Session, Object(Role::Passing, CKR_OBJECT_HANDLE_INVALID)] = Some(CKR_OK);
    C_GetObjectSize: NOTHING, [Session, Object(Role::Aes, CKR_OBJECT_HANDLE_INVALID), Place] = Some(CKR_OK);
    C_GetAttributeValue: NOTHING, [Session, Object(Role::Aes, CKR_OBJECT_HANDLE_INVALID),
        Template { of: Attributes::Class, empty: CKR_OK, makes: false }] = Some(CKR_OK);
    C_SetAttributeValue: NOTHING, [Session, Object(Role::Aes, CKR_OBJECT_HANDLE_INVALID), makes(Attributes::Label, CKR_OK)] = Some(CKR_OK);
    C_FindObjectsInit: NOTHING, [Session, Template { of: Attributes::Class, empty: CKR_OK, makes: false }] = Some(CKR_OK);
    C_FindObjects: running::FIND, [Session, Place, Number(1), Place] = Some(CKR_OK);
    C_FindObjectsFinal: running::FIND, [Session] = Some(CKR_OK);

    C_EncryptInit: NOTHING, [Session, cancels(CKM_AES_ECB), key(Role::Aes)] = Some(CKR_OK);
    C_Encrypt: running::ENCRYPT, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_EncryptUpdate: running::ENCRYPT, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_EncryptFinal: running::ENCRYPT, [Session, NO_OUTPUT] = Some(CKR_OK);
    C_DecryptInit: NOTHING, [Session, cancels(CKM_AES_ECB), key(Role::Aes)] = Some(CKR_OK);
    C_Decrypt: running::DECRYPT, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_DecryptUpdate: running::DECRYPT, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_DecryptFinal: running::DECRYPT, [Session, NO_OUTPUT] = Some(CKR_OK);
    C_DigestInit: NOTHING, [Session, cancels(CKM_SHA256)] = Some(CKR_OK);
    C_Digest: running::DIGEST, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_DigestUpdate: running::DIGEST, [Session, BLOCK] = Some(CKR_OK);
    C_DigestKey: running::DIGEST, [Session, key(Role::Mac)] = Some(CKR_OK);
    C_DigestFinal: running::DIGEST, [Session, OUTPUT] = Some(CKR_OK);
    C_SignInit: NOTHING, [Session, cancels(CKM_SHA256_HMAC), key(Role::Mac)] = Some(CKR_OK);
    C_Sign: running::SIGN, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_SignUpdate: running::SIGN, [Session, BLOCK] = Some(CKR_OK);
    C_SignFinal: running::SIGN, [Session, OUTPUT] = Some(CKR_OK);
    C_SignRecoverInit: NOTHING, [Session, cancels(CKM_RSA_PKCS), key(Role::RsaPrivate)] = Some(CKR_OK);
    C_SignRecover: running::SIGN_RECOVER, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_VerifyInit: NOTHING, [Session, cancels(CKM_SHA256_HMAC), key(Role::Mac)] = Some(CKR_OK);
    C_Verify: running::VERIFY, [Session, Input(Bytes::Block, CKR_SIGNATURE_INVALID), Input(Bytes::Code, CKR_SIGNATURE_LEN_RANGE)]
        = Some(CKR_OK);
    C_VerifyUpdate: running::VERIFY, [Session, BLOCK] = Some(CKR_OK);
    C_VerifyFinal: running::VERIFY, [Session, Input(Bytes::CodeOfNothing, CKR_SIGNATURE_LEN_RANGE)] = Some(CKR_OK);
    C_VerifyRecoverInit: NOTHING, [Session, cancels(CKM_RSA_PKCS), key(Role::RsaPublic)] = Some(CKR_OK);
    C_VerifyRecover: running::VERIFY_RECOVER, [Session, Input(Bytes::Signature, CKR_SIGNATURE_LEN_RANGE), OUTPUT] = Some(CKR_OK);
    C_VerifySignatureInit: NOTHING, [Session, cancels(CKM_SHA256_HMAC), key(Role::Mac), Input(Bytes::Code, CKR_SIGNATURE_LEN_RANGE)]
        = Some(CKR_OK);
    C_VerifySignature: running::VERIFY_SIGNATURE, [Session, Input(Bytes::Block, CKR_SIGNATURE_INVALID)] = Some(CKR_OK);
    C_VerifySignatureUpdate: running::VERIFY_SIGNATURE, [Session, BLOCK] = Some(CKR_OK);
    C_VerifySignatureFinal: running::VERIFY_SIGNATURE, [Session] = Some(CKR_SIGNATURE_INVALID);

    C_DigestEncryptUpdate: running::ENCRYPT_AND_DIGEST, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_DecryptDigestUpdate: running::DECRYPT_AND_DIGEST, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_SignEncryptUpdate: running::ENCRYPT_AND_SIGN, [Session, BLOCK, OUTPUT] = Some(CKR_OK);
    C_DecryptVerifyUpdate: running::DECRYPT_AND_VERIFY, [Session, BLOCK, OUTPUT] = Some(CKR_OK);

    C_GenerateKey: NOTHING, [Session, plain(CKM_AES_KEY_GEN), makes(Attributes::AesOfLength, CKR_TEMPLATE_INCOMPLETE), Place] = Some(CKR_OK);
    C_GenerateKeyPair: NOTHING, [Session, plain(CKM_EC_KEY_PAIR_GEN), makes(Attributes::Curve, CKR_TEMPLATE_INCOMPLETE),
        makes(Attributes::None, CKR_OK), Place, Place] = Some(CKR_OK);
    C_WrapKey: NOTHING, [Session, plain(CKM_AES_KEY_WRAP), Object(Role::Aes, CKR_WRAPPING_KEY_HANDLE_INVALID), key(Role::Mac), OUTPUT]
        = Some(CKR_OK);
    C_UnwrapKey: NOTHING, [Session, plain(CKM_AES_KEY_WRAP), Object(Role::Aes, CKR_UNWRAPPING_KEY_HANDLE_INVALID),
        Input(Bytes::Wrapped, CKR_WRAPPED_KEY_LEN_RANGE), makes(Attributes::Generic, CKR_TEMPLATE_INCOMPLETE), Place] = Some(CKR_OK);
    C_DeriveKey: NOTHING, [Session, plain(CKM_HKDF_DERIVE), key(Role::Mac),
        makes(Attributes::GenericOfLength, CKR_TEMPLATE_INCOMPLETE), Place] = Some(CKR_OK);
    C_EncapsulateKey: NOTHING, [Session, plain(CKM_ML_KEM), key(Role::KemPublic), makes(Attributes::Generic, CKR_OK), OUTPUT, Place]
        = Some(CKR_OK);
    C_DecapsulateKey: NOTHING, [Session, plain(CKM_ML_KEM), key(Role::KemPrivate), makes(Attributes::Generic, CKR_OK),
        Input(Bytes::Encapsulated, CKR_WRAPPED_KEY_LEN_RANGE), Place] = Some(CKR_OK);

    C_SeedRandom: NOTHING, [Session, Input(Bytes::Block, CKR_RANDOM_SEED_NOT_SUPPORTED)] = Some(CKR_RANDOM_SEED_NOT_SUPPORTED);
    C_GenerateRandom: NOTHING, [Session, Input(Bytes::Room, CKR_OK)] = Some(CKR_OK);
    C_GetFunctionStatus: NOTHING, [Session] = Some(CKR_FUNCTION_NOT_PARALLEL), always;
    C_CancelFunction: NOTHING, [Session] = Some(CKR_FUNCTION_NOT_PARALLEL), always;

    C_MessageEncryptInit: NOTHING, [Session, for_messages(CKM_AES_GCM), key(Role::Aes)] = Some(CKR_OK);
    C_EncryptMessage: running::MESSAGE_ENCRYPT, [Session, Parameter, BLOCK, BLOCK, OUTPUT] = Some(CKR_OK);
    C_EncryptMessageBegin: running::MESSAGE_ENCRYPT, [Session, Parameter, BLOCK] = Some(CKR_OK);
    C_EncryptMessageNext: running::BEGUN_ENCRYPT, [Session, Parameter, BLOCK, OUTPUT, Number(0)] = Some(CKR_OK);
    C_MessageEncryptFinal: running::MESSAGE_ENCRYPT, [Session] = Some(CKR_OK);
    C_MessageDecryptInit: NOTHING, [Session, for_messages(CKM_AES_GCM), key(Role::Aes)] = Some(CKR_OK);
    C_DecryptMessage: running::MESSAGE_DECRYPT, [Session, Parameter, Input(Bytes::Block, CKR_AEAD_DECRYPT_FAILED),
        Input(Bytes::Block, CKR_AEAD_DECRYPT_FAILED), OUTPUT]
        = Some(CKR_AEAD_DECRYPT_FAILED);
    C_DecryptMessageBegin: running::MESSAGE_DECRYPT, [Session, Parameter, BLOCK] = Some(CKR_OK);
    C_DecryptMessageNext: running::BEGUN_DECRYPT, [Session, Parameter, BLOCK, OUTPUT, Number(0)] = Some(CKR_OK);
    C_MessageDecryptFinal: running::MESSAGE_DECRYPT, [Session] = Some(CKR_OK);
    C_MessageSignInit: NOTHING, [Session, cancels(CKM_SHA256_HMAC), key(Role::Mac)] = Some(CKR_OK);
    C_SignMessage: running::MESSAGE_SIGN, [Session, NoParameter, BLOCK, OUTPUT] = Some(CKR_OK);
    C_SignMessageBegin: running::MESSAGE_SIGN, [Session, NoParameter] = Some(CKR_OK);
    C_SignMessageNext: running::BEGUN_SIGN, [Session, NoParameter, BLOCK, OUTPUT] = Some(CKR_OK);
    C_MessageSignFinal: running::MESSAGE_SIGN, [Session] = Some(CKR_OK);
    C_MessageVerifyInit: NOTHING, [Session, cancels(CKM_SHA256_HMAC), key(Role::Mac)] = Some(CKR_OK);
    C_VerifyMessage: running::MESSAGE_VERIFY, [Session, NoParameter, Input(Bytes::Block, CKR_SIGNATURE_INVALID),
        Input(Bytes::Code, CKR_SIGNATURE_LEN_RANGE)] = Some(CKR_OK);
    C_VerifyMessageBegin: running::MESSAGE_VERIFY, [Session, NoParameter] = Some(CKR_OK);
    C_VerifyMessageNext: running::BEGUN_VERIFY, [Session, NoParameter, Input(Bytes::Block, CKR_SIGNATURE_INVALID),
        Input(Bytes::Code, CKR_SIGNATURE_LEN_RANGE)] = Some(CKR_OK);
    C_MessageVerifyFinal: running::MESSAGE_VERIFY, [Session] = Some(CKR_OK);

    C_AsyncComplete: NOTHING, [Session, Optional, Optional] = Some(CKR_FUNCTION_NOT_SUPPORTED), always;
    C_AsyncGetID: NOTHING, [Session, Optional, Optional] = Some(CKR_FUNCTION_NOT_SUPPORTED), always;
    C_AsyncJoin: NOTHING, [Session, Optional, Number(0), Optional, Number(0)] = Some(CKR_FUNCTION_NOT_SUPPORTED), always;
    C_WrapKeyAuthenticated: NOTHING, [Session, plain(CKM_AES_GCM), Object(Role::Aes, CKR_WRAPPING_KEY_HANDLE_INVALID), key(Role::Mac),
        BLOCK, OUTPUT] = Some(CKR_OK);
    C_UnwrapKeyAuthenticated: NOTHING, [Session, plain(CKM_AES_GCM), Object(Role::Aes, CKR_UNWRAPPING_KEY_HANDLE_INVALID),
        Input(Bytes::Sealed, CKR_WRAPPED_KEY_LEN_RANGE), makes(Attributes::Generic, CKR_TEMPLATE_INCOMPLETE),
        Input(Bytes::Block, CKR_WRAPPED_KEY_INVALID), Place] = Some(CKR_OK);
}
