//! What a sequence is made of.

use cryptoki_sys::*;
use proptest::prelude::*;

/// The kinds of operations, which do not disturb each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Encrypt,
    Decrypt,
    Digest,
    Sign,
    Verify,
    SignRecover,
    VerifyRecover,
    VerifySignature,
}

pub(super) const KINDS: [Kind; 8] =
    [Kind::Encrypt, Kind::Decrypt, Kind::Digest, Kind::Sign, Kind::Verify, Kind::SignRecover, Kind::VerifyRecover, Kind::VerifySignature];

/// Operations of many messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    Encrypt,
    Decrypt,
    Sign,
    Verify,
}

pub(super) const MESSAGES: [Messages; 4] = [Messages::Encrypt, Messages::Decrypt, Messages::Sign, Messages::Verify];

/// Functions that feed two operations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dual {
    DigestEncrypt,
    DecryptDigest,
    SignEncrypt,
    DecryptVerify,
}

/// Where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    Enough,
    Query,
    Short,
}

/// What is wrong with a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// NULL with a length.
    Data,
    /// A parameter of another length than the mechanism's.
    Parameter,
    /// No place for what comes out, or for its length; a signature of an impossible length.
    Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Aes,
    Mac,
    RsaPrivate,
    RsaPublic,
}

/// One call. A key is counted among those of the kind that the call needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Init(Kind, usize),
    /// A mechanism that there is not: nothing is begun.
    BadInit(Kind),
    Cancel(Kind),
    /// C_SessionCancel with the flags of these kinds.
    SessionCancel(u16),
    Whole(Kind, Buffer),
    Update(Kind, Buffer),
    Final(Kind, Buffer),
    /// NULL with a length.
    BadUpdate(Kind),
    /// Lengths that no memory has.
    HugeUpdate(Kind),
    Both(Dual, Buffer),
    DigestKey(usize),
    /// C_GetOperationState, for the next C_SetOperationState in whatever session.
    Save,
    Restore,
    StartMessages(Messages, usize),
    CancelMessages(Messages),
    Message(Messages, Buffer),
    Begin(Messages),
    Next(Messages, Buffer, bool),
    BadNext(Messages, Fault, bool),
    EndMessages(Messages),
    FindInit,
    FindNext,
    FindFinal,
    Login,
    Logout,
    Open,
    Close,
    CloseAll,
    Create(KeyKind, bool),
    Copy(usize),
    Destroy(usize),
    /// C_GetAttributeValue.
    Look(usize),
}

/// Kinds that a sequence dwells on, so that its calls meet: two of operations and a function that feeds both, and one of messages.
const TOGETHER: [(&[Kind], Dual); 6] = [
    (&[Kind::Encrypt, Kind::Digest], Dual::DigestEncrypt),
    (&[Kind::Decrypt, Kind::Digest], Dual::DecryptDigest),
    (&[Kind::Encrypt, Kind::Sign], Dual::SignEncrypt),
    (&[Kind::Decrypt, Kind::Verify], Dual::DecryptVerify),
    (&[Kind::Digest, Kind::VerifySignature], Dual::DigestEncrypt),
    (&[Kind::SignRecover, Kind::VerifyRecover, Kind::Digest], Dual::DecryptVerify),
];

/// Which of the two sessions makes the call, and the call.
pub(super) fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    (prop::sample::select(TOGETHER.to_vec()), prop::sample::select(MESSAGES.to_vec())).prop_flat_map(|((kinds, dual), kind)| {
        let session = prop_oneof![3 => Just(0), 1 => Just(1)];
        // Now and then one of any kind.
        let step = prop_oneof![
            12 => operation(kinds, dual),
            1 => operation(&KINDS, dual),
            6 => messages(vec![kind]),
            1 => messages(MESSAGES.to_vec()),
            4 => objects(),
        ];
        prop::collection::vec((session, step), 1..80)
    })
}

fn buffer() -> impl Strategy<Value = Buffer> {
    prop::sample::select(vec![Buffer::Enough, Buffer::Enough, Buffer::Query, Buffer::Short])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![Fault::Data, Fault::Parameter, Fault::Place])
}

fn key() -> impl Strategy<Value = usize> {
    0..6_usize
}

fn operation(kinds: &[Kind], dual: Dual) -> impl Strategy<Value = Step> + use<> {
    let in_parts: Vec<Kind> = kinds.iter().copied().filter(|kind| !matches!(kind, Kind::SignRecover | Kind::VerifyRecover)).collect();
    let kinds = kinds.to_vec();
    let kind = move || prop::sample::select(kinds.clone());
    let in_parts = move || prop::sample::select(in_parts.clone());
    prop_oneof![
        8 => (kind(), key()).prop_map(|(kind, key)| Step::Init(kind, key)),
        1 => kind().prop_map(Step::BadInit),
        1 => kind().prop_map(Step::Cancel),
        1 => any::<u16>().prop_map(Step::SessionCancel),
        4 => (kind(), buffer()).prop_map(|(kind, buffer)| Step::Whole(kind, buffer)),
        5 => (in_parts(), buffer()).prop_map(|(kind, buffer)| Step::Update(kind, buffer)),
        3 => (in_parts(), buffer()).prop_map(|(kind, buffer)| Step::Final(kind, buffer)),
        1 => in_parts().prop_map(Step::BadUpdate),
        1 => in_parts().prop_map(Step::HugeUpdate),
        3 => buffer().prop_map(move |buffer| Step::Both(dual, buffer)),
        1 => key().prop_map(Step::DigestKey),
        3 => Just(Step::Save),
        2 => Just(Step::Restore),
    ]
}

fn messages(kinds: Vec<Messages>) -> impl Strategy<Value = Step> {
    let kind = move || prop::sample::select(kinds.clone());
    prop_oneof![
        5 => (kind(), key()).prop_map(|(kind, key)| Step::StartMessages(kind, key)),
        1 => kind().prop_map(Step::CancelMessages),
        4 => (kind(), buffer()).prop_map(|(kind, buffer)| Step::Message(kind, buffer)),
        4 => kind().prop_map(Step::Begin),
        6 => (kind(), buffer(), any::<bool>()).prop_map(|(kind, buffer, last)| Step::Next(kind, buffer, last)),
        2 => (kind(), fault(), any::<bool>()).prop_map(|(kind, fault, last)| Step::BadNext(kind, fault, last)),
        1 => kind().prop_map(Step::EndMessages),
    ]
}

fn objects() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![KeyKind::Aes, KeyKind::Mac, KeyKind::RsaPrivate, KeyKind::RsaPublic]);
    prop_oneof![
        6 => Just(Step::FindInit),
        8 => Just(Step::FindNext),
        2 => Just(Step::FindFinal),
        6 => Just(Step::Login),
        2 => Just(Step::Logout),
        6 => Just(Step::Open),
        2 => Just(Step::Close),
        1 => Just(Step::CloseAll),
        6 => (kind, any::<bool>()).prop_map(|(kind, private)| Step::Create(kind, private)),
        4 => key().prop_map(Step::Copy),
        4 => key().prop_map(Step::Destroy),
        4 => key().prop_map(Step::Look),
    ]
}

impl Kind {
    /// The keys that its mechanism works with; none for a digest.
    pub(super) const fn key(self) -> Option<KeyKind> {
        match self {
            Self::Encrypt | Self::Decrypt => Some(KeyKind::Aes),
            Self::Digest => None,
            Self::Sign | Self::Verify | Self::VerifySignature => Some(KeyKind::Mac),
            Self::SignRecover => Some(KeyKind::RsaPrivate),
            Self::VerifyRecover => Some(KeyKind::RsaPublic),
        }
    }

    /// The flag of C_SessionCancel.
    pub(super) const fn flag(self) -> CK_FLAGS {
        match self {
            Self::Encrypt => CKF_ENCRYPT,
            Self::Decrypt => CKF_DECRYPT,
            Self::Digest => CKF_DIGEST,
            Self::Sign => CKF_SIGN,
            Self::Verify | Self::VerifySignature => CKF_VERIFY,
            Self::SignRecover => CKF_SIGN_RECOVER,
            Self::VerifyRecover => CKF_VERIFY_RECOVER,
        }
    }
}

impl Messages {
    pub(super) const fn key(self) -> KeyKind {
        match self {
            Self::Encrypt | Self::Decrypt => KeyKind::Aes,
            Self::Sign | Self::Verify => KeyKind::Mac,
        }
    }

    pub(super) const fn flag(self) -> CK_FLAGS {
        match self {
            Self::Encrypt => CKF_MESSAGE_ENCRYPT,
            Self::Decrypt => CKF_MESSAGE_DECRYPT,
            Self::Sign => CKF_MESSAGE_SIGN,
            Self::Verify => CKF_MESSAGE_VERIFY,
        }
    }
}
