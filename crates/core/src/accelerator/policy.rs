//! Whether an RSA key's own policy is known to allow a padding. Where it is not, DSM is asked, and says so in its own words.

use dsma_api::{Mgf, Oaep, Pss, RsaEncryptionPadding, RsaSignaturePadding};
use dsma_crypto::{CipherParams, Key, SignatureScheme};

use super::forward::wire_hash;
use crate::CachedKey;

impl CachedKey {
    /// The prepared key, where it may be used so on this side.
    pub(super) fn local_for_cipher(&self, params: &CipherParams<'_>) -> Option<&Key> {
        let padding = match params {
            CipherParams::RsaPkcs1 => RsaEncryptionPadding::Pkcs1V15 {},
            CipherParams::RsaOaep { mgf1, .. } => RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(wire_hash(*mgf1)) }),
            _ => return self.local(),
        };
        let policy = self.sobject().rsa.as_ref()?;
        self.local().filter(|_| policy.allows_encryption(padding))
    }

    /// The prepared key, where it may make or check such a signature on this side.
    pub(super) fn local_for_signature(&self, scheme: &SignatureScheme) -> Option<&Key> {
        let padding = match scheme {
            SignatureScheme::RsaPkcs1 { .. } | SignatureScheme::RsaPkcs1Raw => RsaSignaturePadding::Pkcs1V15 {},
            SignatureScheme::RsaPss { mgf1, .. } => RsaSignaturePadding::Pss(Pss { mgf: Mgf::mgf1(wire_hash(*mgf1)) }),
            SignatureScheme::Ecdsa { .. } | SignatureScheme::EdDsa => return self.local(),
        };
        let policy = self.sobject().rsa.as_ref()?;
        self.local().filter(|_| policy.allows_signature(padding))
    }
}
