//! Whether an RSA key's own policy is known to allow a padding. Where it is not, DSM is asked, and says so in its own words.

use dsma_api::{Mgf, Oaep, Pss, RsaEncryptionPadding, RsaOptions, RsaSignaturePadding, Sobject};
use dsma_crypto::{CipherParams, Key, SignatureScheme};

use super::forward::wire_hash;
use crate::CachedKey;

/// Whether the key's own policy is known to allow this cipher. What is not known to be allowed is DSM's to judge.
#[must_use]
pub fn allows_cipher(sobject: &Sobject, params: &CipherParams<'_>) -> bool {
    let padding = match params {
        CipherParams::RsaPkcs1 => RsaEncryptionPadding::Pkcs1V15 {},
        CipherParams::RsaRaw => RsaEncryptionPadding::RawDecrypt {},
        CipherParams::RsaOaep { mgf1, .. } => RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(wire_hash(*mgf1)) }),
        _ => return true,
    };
    sobject.rsa.as_ref().is_some_and(|policy| policy.allows_encryption(padding))
}

/// Whether the key's own policy is known to allow this signature. What is not known to be allowed is DSM's to judge.
#[must_use]
pub fn allows_signature(sobject: &Sobject, scheme: &SignatureScheme) -> bool {
    let padding = match scheme {
        SignatureScheme::RsaPkcs1 { .. } | SignatureScheme::RsaPkcs1Raw => RsaSignaturePadding::Pkcs1V15 {},
        SignatureScheme::RsaPss { mgf1, .. } => RsaSignaturePadding::Pss(Pss { mgf: Mgf::mgf1(wire_hash(*mgf1)) }),
        SignatureScheme::RsaRaw => return sobject.rsa.as_ref().is_some_and(RsaOptions::allows_unpadded_signature),
        SignatureScheme::Ecdsa { .. } | SignatureScheme::EdDsa => return true,
    };
    sobject.rsa.as_ref().is_some_and(|policy| policy.allows_signature(padding))
}

impl CachedKey {
    /// The prepared key, where it may be used so on this side.
    pub(super) fn local_for_cipher(&self, params: &CipherParams<'_>) -> Option<&Key> {
        self.local().filter(|_| allows_cipher(self.sobject(), params))
    }

    /// The prepared key, where it may make or check such a signature on this side.
    pub(super) fn local_for_signature(&self, scheme: &SignatureScheme) -> Option<&Key> {
        self.local().filter(|_| allows_signature(self.sobject(), scheme))
    }
}
