//! Why a document, a request or the device was refused.

use std::time::Duration;

use thiserror::Error;

/// The crate's one error: each variant is a rule, and holds what was seen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is longer than anything of its kind can be. Nothing of it was parsed.
    #[error("{what} has {length} bytes, and at most {limit} are read: this is no {what}")]
    TooLarge {
        /// What it should be.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The cap in bytes.
        limit: usize,
    },
    /// The bytes are no COSE_Sign1 of the form that the NSM writes (RFC 9052, section 4.2).
    #[error("the document is no COSE_Sign1 signed with ES384: {problem}")]
    Envelope {
        /// What is wrong.
        problem: String,
    },
    /// A field of the document breaks AWS's syntactic rules.
    #[error("the document's field {field} is {problem}")]
    Field {
        /// Its name in the document.
        field: &'static str,
        /// What was seen and what is allowed.
        problem: String,
    },
    /// A certificate of the document does not parse, or is of a kind that the NSM does not use.
    #[error("{certificate} is not usable: {problem}")]
    Certificate {
        /// Which one: its place in the document and, where it parses, its name.
        certificate: String,
        /// What is wrong.
        problem: String,
    },
    /// The chain begins with a root that nobody pinned.
    #[error(
        "the chain begins with {root} (SHA-256 {fingerprint}), which is none of the {pinned} trusted roots; where it is the root of \
         another partition or of an emulated NSM that you trust, add it"
    )]
    UnknownRoot {
        /// Its subject.
        root: String,
        /// SHA-256 of its DER encoding, hexadecimal.
        fingerprint: String,
        /// How many roots are pinned.
        pinned: usize,
    },
    /// A certificate is not issued by the one before it.
    #[error("{certificate} is not issued by the certificate before it: {problem}")]
    ChainOrder {
        /// The certificate below.
        certificate: String,
        /// What was seen.
        problem: String,
    },
    /// A certificate's time is over, or has not come.
    #[error(
        "{certificate} is valid from {not_before} to {not_after}, and it is {now}: {}",
        if *.expired { "it has expired; ask the NSM for a new document" } else { "check the clocks of both machines" }
    )]
    Validity {
        /// Which one.
        certificate: String,
        /// RFC 3339.
        not_before: String,
        /// RFC 3339.
        not_after: String,
        /// The time that was asked for, RFC 3339.
        now: String,
        /// Over, or else not yet.
        expired: bool,
    },
    /// A CA certificate has more CAs below it than it allows (RFC 5280, section 4.2.1.9).
    #[error("{certificate} allows {allowed} CA certificates below it, and has {seen}")]
    PathLength {
        /// Which one.
        certificate: String,
        /// Its path length constraint.
        allowed: u8,
        /// What the chain has.
        seen: usize,
    },
    /// A certificate is used for what it is not for (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
    #[error("{certificate} may not be used for this: {problem}")]
    KeyUsage {
        /// Which one.
        certificate: String,
        /// What it lacks.
        problem: &'static str,
    },
    /// The chain's signatures or extensions do not hold.
    #[error("the certificate chain does not hold: {problem}")]
    Path {
        /// As webpki names it.
        problem: String,
    },
    /// The document is not signed by the key in its certificate.
    #[error("the document's signature does not fit its content and certificate: it was altered, or signed by another key")]
    Signature,
    /// The document is older than accepted.
    #[error(
        "the document was signed {} s ago ({signed_at}), and at most {} s are accepted: ask the NSM for a new one",
        age.as_secs(), limit.as_secs()
    )]
    TooOld {
        /// When, RFC 3339.
        signed_at: String,
        /// How long ago.
        age: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The document comes from the future.
    #[error(
        "the document is dated {} s ahead ({signed_at}), and at most {} s are accepted: check the clocks of both machines",
        ahead.as_secs(), limit.as_secs()
    )]
    Ahead {
        /// When, RFC 3339.
        signed_at: String,
        /// How far.
        ahead: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The document was used before. Whoever accepts documents remembers them, by [`crate::Document::content`].
    #[error("this document was presented before: each is accepted once; ask the NSM for a new one")]
    Replayed,
    /// The enclave runs in debug mode: anybody on its host can read its console and its memory says nothing about the image.
    #[error("PCR{pcr} is {seen}: the enclave runs in debug mode, which proves nothing about its image; start it without --debug-mode")]
    DebugMode {
        /// The first of PCR0, PCR1 and PCR2 that shows it.
        pcr: u32,
        /// `all zero` or `missing`.
        seen: &'static str,
    },
    /// The document was made for another key.
    #[error("the document does not belong to this key: {problem}")]
    Binding {
        /// What was seen.
        problem: String,
    },
    /// The bytes are no certificate signing request that can be served.
    #[error("the certificate signing request is not usable: {problem}")]
    Csr {
        /// What is wrong.
        problem: String,
    },
    /// The request is not signed with the key that it asks a certificate for.
    #[error("the certificate signing request's own signature does not fit its key and content: it was altered, or signed with another key")]
    CsrSignature,
    /// A root certificate cannot be pinned.
    #[error("the root certificate is not usable: {problem}")]
    RootFile {
        /// What is wrong.
        problem: String,
    },
    /// There is no `/dev/nsm`.
    #[error(
        "/dev/nsm cannot be opened: {source}; attested identity needs a Nitro enclave, or, without one, the emulated device: start this \
         program with `dsma-local with-nsm -- COMMAND`"
    )]
    NoDevice {
        /// The system's answer.
        source: std::io::Error,
    },
    /// The device refused a request.
    #[error("the NSM refused {request}: {code}")]
    Device {
        /// What was asked.
        request: &'static str,
        /// Its error code.
        code: String,
    },
    /// A key pair could not be made or used.
    #[error("the key pair cannot be used: {problem}")]
    Key {
        /// What failed.
        problem: &'static str,
    },
}

impl Error {
    /// The broken rule in a word or two, for programs and logs. These names stay as they are.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "size",
            Self::Envelope { .. } => "envelope",
            Self::Field { .. } => "syntax",
            Self::Certificate { .. } => "certificate",
            Self::UnknownRoot { .. } => "root",
            Self::ChainOrder { .. } => "chain order",
            Self::Validity { .. } => "validity",
            Self::PathLength { .. } => "path length",
            Self::KeyUsage { .. } => "key usage",
            Self::Path { .. } => "chain",
            Self::Signature => "signature",
            Self::TooOld { .. } | Self::Ahead { .. } => "freshness",
            Self::Replayed => "replay",
            Self::DebugMode { .. } => "debug mode",
            Self::Binding { .. } => "binding",
            Self::Csr { .. } => "request",
            Self::CsrSignature => "request signature",
            Self::RootFile { .. } => "root file",
            Self::NoDevice { .. } | Self::Device { .. } => "device",
            Self::Key { .. } => "key",
        }
    }
}
