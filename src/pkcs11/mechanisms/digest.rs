//! The hashes inside mechanism numbers: one row a hash.

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;

/// The numbers that name a hash, alone or with something that uses it.
struct Row {
    hash: Hash,
    digest: CK_MECHANISM_TYPE,
    mgf: CK_RSA_PKCS_MGF_TYPE,
    rsa_pkcs: CK_MECHANISM_TYPE,
    rsa_pss: CK_MECHANISM_TYPE,
    ecdsa: CK_MECHANISM_TYPE,
    hmac: CK_MECHANISM_TYPE,
    hmac_general: CK_MECHANISM_TYPE,
    hmac_key: CK_KEY_TYPE,
    ml_dsa: CK_MECHANISM_TYPE,
    /// The KDFs of ANSI X9.63 and of NIST SP 800-56C.
    x9_63: CK_EC_KDF_TYPE,
    single_step: CK_EC_KDF_TYPE,
    key_derivation: CK_MECHANISM_TYPE,
}

/// A number that the standard does not have: no mechanism is found by it.
const NONE: CK_ULONG = CK_UNAVAILABLE_INFORMATION;

#[rustfmt::skip]
const ROWS: [Row; 9] = [
    row(Hash::Sha1, CKM_SHA_1, CKG_MGF1_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1,
        (CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC), NONE, (CKD_SHA1_KDF, CKD_SHA1_KDF_SP800), CKM_SHA1_KEY_DERIVATION),
    row(Hash::Sha224, CKM_SHA224, CKG_MGF1_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224,
        (CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC), CKM_HASH_ML_DSA_SHA224, (CKD_SHA224_KDF, CKD_SHA224_KDF_SP800), CKM_SHA224_KEY_DERIVATION),
    row(Hash::Sha256, CKM_SHA256, CKG_MGF1_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256,
        (CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC), CKM_HASH_ML_DSA_SHA256, (CKD_SHA256_KDF, CKD_SHA256_KDF_SP800), CKM_SHA256_KEY_DERIVATION),
    row(Hash::Sha384, CKM_SHA384, CKG_MGF1_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384,
        (CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC), CKM_HASH_ML_DSA_SHA384, (CKD_SHA384_KDF, CKD_SHA384_KDF_SP800), CKM_SHA384_KEY_DERIVATION),
    row(Hash::Sha512, CKM_SHA512, CKG_MGF1_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512,
        (CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC), CKM_HASH_ML_DSA_SHA512, (CKD_SHA512_KDF, CKD_SHA512_KDF_SP800), CKM_SHA512_KEY_DERIVATION),
    row(Hash::Sha3_224, CKM_SHA3_224, CKG_MGF1_SHA3_224, CKM_SHA3_224_RSA_PKCS, CKM_SHA3_224_RSA_PKCS_PSS, CKM_ECDSA_SHA3_224,
        (CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKK_SHA3_224_HMAC), CKM_HASH_ML_DSA_SHA3_224, (CKD_SHA3_224_KDF, CKD_SHA3_224_KDF_SP800), CKM_SHA3_224_KEY_DERIVATION),
    row(Hash::Sha3_256, CKM_SHA3_256, CKG_MGF1_SHA3_256, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS, CKM_ECDSA_SHA3_256,
        (CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC), CKM_HASH_ML_DSA_SHA3_256, (CKD_SHA3_256_KDF, CKD_SHA3_256_KDF_SP800), CKM_SHA3_256_KEY_DERIVATION),
    row(Hash::Sha3_384, CKM_SHA3_384, CKG_MGF1_SHA3_384, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_384_RSA_PKCS_PSS, CKM_ECDSA_SHA3_384,
        (CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKK_SHA3_384_HMAC), CKM_HASH_ML_DSA_SHA3_384, (CKD_SHA3_384_KDF, CKD_SHA3_384_KDF_SP800), CKM_SHA3_384_KEY_DERIVATION),
    row(Hash::Sha3_512, CKM_SHA3_512, CKG_MGF1_SHA3_512, CKM_SHA3_512_RSA_PKCS, CKM_SHA3_512_RSA_PKCS_PSS, CKM_ECDSA_SHA3_512,
        (CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKK_SHA3_512_HMAC), CKM_HASH_ML_DSA_SHA3_512, (CKD_SHA3_512_KDF, CKD_SHA3_512_KDF_SP800), CKM_SHA3_512_KEY_DERIVATION),
];

#[allow(clippy::too_many_arguments, reason = "a row of a table")]
const fn row(
    hash: Hash,
    digest: CK_MECHANISM_TYPE,
    mgf: CK_RSA_PKCS_MGF_TYPE,
    rsa_pkcs: CK_MECHANISM_TYPE,
    rsa_pss: CK_MECHANISM_TYPE,
    ecdsa: CK_MECHANISM_TYPE,
    (hmac, hmac_general, hmac_key): (CK_MECHANISM_TYPE, CK_MECHANISM_TYPE, CK_KEY_TYPE),
    ml_dsa: CK_MECHANISM_TYPE,
    (x9_63, single_step): (CK_EC_KDF_TYPE, CK_EC_KDF_TYPE),
    key_derivation: CK_MECHANISM_TYPE,
) -> Row {
    Row { hash, digest, mgf, rsa_pkcs, rsa_pss, ecdsa, hmac, hmac_general, hmac_key, ml_dsa, x9_63, single_step, key_derivation }
}

fn find(number: CK_ULONG, column: impl Fn(&Row) -> CK_ULONG) -> Option<Hash> {
    const TABLE: &[Row] = &ROWS;
    TABLE.iter().find(|row| number != NONE && column(row) == number).map(|row| row.hash)
}

/// Hash of a digest mechanism; the same numbers name hashes in the parameters of others.
pub(super) fn of_digest(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.digest)
}

/// The digest mechanism of a hash.
pub(super) fn number(hash: Hash) -> CK_MECHANISM_TYPE {
    const TABLE: &[Row] = &ROWS;
    TABLE.iter().find(|row| row.hash == hash).map_or(NONE, |row| row.digest)
}

/// Hash of a mask generation function.
pub(super) fn of_mgf(mgf: CK_RSA_PKCS_MGF_TYPE) -> Option<Hash> {
    find(mgf, |row| row.mgf)
}

/// Hash that `CKM_ECDSA_SHAx` applies; none for `CKM_ECDSA`.
pub(super) fn of_ecdsa(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.ecdsa)
}

/// Hash that `CKM_SHAx_RSA_PKCS` applies.
pub(super) fn of_rsa_pkcs(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.rsa_pkcs)
}

/// Hash that `CKM_SHAx_RSA_PKCS_PSS` applies.
pub(super) fn of_rsa_pss(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.rsa_pss)
}

/// Hash of `CKM_SHAx_HMAC`.
pub(super) fn of_hmac(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.hmac)
}

/// Hash of `CKM_SHAx_HMAC_GENERAL`.
pub(super) fn of_hmac_general(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.hmac_general)
}

/// Type of the keys that are for `CKM_SHAx_HMAC` and its `_GENERAL` form alone.
pub(super) fn hmac_key(kind: CK_MECHANISM_TYPE) -> Option<CK_KEY_TYPE> {
    const TABLE: &[Row] = &ROWS;
    TABLE.iter().find(|row| row.hmac == kind || row.hmac_general == kind).map(|row| row.hmac_key)
}

/// Hash of `CKM_HASH_ML_DSA_SHAx`; none for `CKM_ML_DSA`.
pub(super) fn of_ml_dsa(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.ml_dsa)
}

/// Hash of an ANSI X9.63 key derivation function.
pub(super) fn of_x9_63(kdf: CK_EC_KDF_TYPE) -> Option<Hash> {
    find(kdf, |row| row.x9_63)
}

/// Hash of a key derivation function of NIST SP 800-56C in one step.
pub(super) fn of_single_step(kdf: CK_EC_KDF_TYPE) -> Option<Hash> {
    find(kdf, |row| row.single_step)
}

/// Hash of `CKM_SHAx_KEY_DERIVATION`.
pub(super) fn of_key_derivation(kind: CK_MECHANISM_TYPE) -> Option<Hash> {
    find(kind, |row| row.key_derivation)
}
