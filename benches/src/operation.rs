//! What is measured: the rows, and the data that every column gets.

/// An operation, on a key that has been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// RSA-2048, PKCS#1 v1.5 with SHA-256 over a short message.
    RsaSign,
    /// ECDSA on P-256 over a ready digest (SoftHSM2 2.6 hashes nothing there), r and s side by side where the column can choose.
    EcdsaSign,
    /// AES-256-GCM over 1 KiB, 12-byte IV, 16-byte tag.
    GcmEncrypt,
    /// The same with a key that DSM keeps to itself.
    Forwarded,
}

impl Operation {
    pub(crate) const ALL: [Self; 4] = [Self::RsaSign, Self::EcdsaSign, Self::GcmEncrypt, Self::Forwarded];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RsaSign => "RSA-2048 PKCS#1 SHA-256 sign",
            Self::EcdsaSign => "ECDSA P-256 sign",
            Self::GcmEncrypt => "AES-256-GCM encrypt 1 KiB",
            Self::Forwarded => "AES-256-GCM encrypt 1 KiB, forwarded to DSM",
        }
    }

    /// Name of the key: in dsma-local and in SoftHSM2.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::RsaSign => "bench rsa",
            Self::EcdsaSign => "bench ec",
            Self::GcmEncrypt => "bench aes",
            Self::Forwarded => "bench aes kept",
        }
    }

    /// Whether `--only TEXT` names this one.
    pub(crate) fn matches(self, text: &str) -> bool {
        self.name().to_lowercase().contains(&text.to_lowercase())
    }
}

/// What RSA signs.
pub(crate) const MESSAGE: [u8; 64] = [0x5a; 64];
/// What ECDSA signs.
pub(crate) const DIGEST: [u8; 32] = [0xa5; 32];
/// What AES encrypts.
pub(crate) const PLAIN: [u8; 1024] = [0x42; 1024];

/// IVs that never repeat within a worker.
pub(crate) struct Ivs(u64);

impl Ivs {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) fn next(&mut self) -> [u8; 12] {
        self.0 += 1;
        let mut iv = [0; 12];
        iv[4..].copy_from_slice(&self.0.to_be_bytes());
        iv
    }
}
