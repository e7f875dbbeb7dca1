//! The hashes inside mechanism numbers.

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;

/// Hash of a digest mechanism; the same numbers name hashes in PSS and OAEP parameters.
pub(super) const fn of_digest(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    Some(match kind {
        CKM_SHA_1 => Hash::Sha1,
        CKM_SHA224 => Hash::Sha224,
        CKM_SHA256 => Hash::Sha256,
        CKM_SHA384 => Hash::Sha384,
        CKM_SHA512 => Hash::Sha512,
        _ => return None,
    })
}

/// Hash of a mask generation function.
pub(super) const fn of_mgf(mgf: CK_RSA_PKCS_MGF_TYPE) -> Option<Hash> {
    Some(match mgf {
        CKG_MGF1_SHA1 => Hash::Sha1,
        CKG_MGF1_SHA224 => Hash::Sha224,
        CKG_MGF1_SHA256 => Hash::Sha256,
        CKG_MGF1_SHA384 => Hash::Sha384,
        CKG_MGF1_SHA512 => Hash::Sha512,
        _ => return None,
    })
}

/// Hash that `CKM_ECDSA_SHAx` applies; none for `CKM_ECDSA`.
pub(super) const fn of_ecdsa(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    Some(match kind {
        CKM_ECDSA_SHA1 => Hash::Sha1,
        CKM_ECDSA_SHA224 => Hash::Sha224,
        CKM_ECDSA_SHA256 => Hash::Sha256,
        CKM_ECDSA_SHA384 => Hash::Sha384,
        CKM_ECDSA_SHA512 => Hash::Sha512,
        _ => return None,
    })
}

/// Hash that `CKM_SHAx_RSA_PKCS` applies.
pub(super) const fn of_rsa_pkcs(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    Some(match kind {
        CKM_SHA1_RSA_PKCS => Hash::Sha1,
        CKM_SHA224_RSA_PKCS => Hash::Sha224,
        CKM_SHA256_RSA_PKCS => Hash::Sha256,
        CKM_SHA384_RSA_PKCS => Hash::Sha384,
        CKM_SHA512_RSA_PKCS => Hash::Sha512,
        _ => return None,
    })
}

/// Hash that `CKM_SHAx_RSA_PKCS_PSS` applies.
pub(super) const fn of_rsa_pss(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    Some(match kind {
        CKM_SHA1_RSA_PKCS_PSS => Hash::Sha1,
        CKM_SHA224_RSA_PKCS_PSS => Hash::Sha224,
        CKM_SHA256_RSA_PKCS_PSS => Hash::Sha256,
        CKM_SHA384_RSA_PKCS_PSS => Hash::Sha384,
        CKM_SHA512_RSA_PKCS_PSS => Hash::Sha512,
        _ => return None,
    })
}
