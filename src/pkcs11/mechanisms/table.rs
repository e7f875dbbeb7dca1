//! The one table of mechanisms: what there is, for which keys, in which functions, with which parameter, and where it runs.
//!
//! Plain data over the standard's numbers and nothing else, because two programs read this file: the library, which takes a mechanism
//! only where a row offers it, and `cargo xtask`, which writes `docs/mechanisms.md` from it.

use cryptoki_sys::*;

/// A mechanism that this library has.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// Its `CKM_` number.
    pub(crate) kind: CK_MECHANISM_TYPE,
    /// Its name in the standard.
    pub(crate) name: &'static str,
    /// The keys that it works with.
    pub(crate) key: KeyFamily,
    /// The functions that take it, as `CKF_` flags.
    pub(crate) functions: CK_FLAGS,
    /// Its parameter, as a reader of the standard knows it.
    #[allow(dead_code, reason = "for docs/mechanisms.md")]
    pub(crate) parameter: &'static str,
    /// Where it runs.
    #[allow(dead_code, reason = "for docs/mechanisms.md")]
    pub(crate) place: Place,
    /// Functions that run elsewhere, as `CKF_` flags.
    #[allow(dead_code, reason = "for docs/mechanisms.md")]
    pub(crate) elsewhere: &'static [(CK_FLAGS, Place)],
    /// What a key that stays in DSM can do less.
    #[allow(dead_code, reason = "for docs/mechanisms.md")]
    pub(crate) limits: &'static str,
}

/// The keys that a mechanism works with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFamily {
    /// No key, as in a digest.
    None,
    /// CKK_AES.
    Aes,
    /// CKK_CHACHA20.
    ChaCha20,
    /// CKK_DES2 and CKK_DES3.
    Des3,
    /// CKK_GENERIC_SECRET and CKK_HKDF: bytes.
    Generic,
    /// CKK_GENERIC_SECRET and the HMAC type of the mechanism's own hash.
    Hmac,
    /// CKK_RSA.
    Rsa,
    /// CKK_EC.
    Ec,
    /// CKK_EC_EDWARDS.
    Edwards,
    /// CKK_EC_MONTGOMERY.
    Montgomery,
    /// CKK_EC or CKK_EC_MONTGOMERY.
    Agreement,
    /// CKK_ML_DSA.
    MlDsa,
    /// CKK_ML_KEM.
    MlKem,
    /// Any secret key.
    Secret,
    /// Any private key.
    Private,
}

/// Where a mechanism runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In this process, without a key.
    Here,
    /// In this process where DSM lets the key be exported, and for public and session keys; in DSM otherwise.
    HereOrDsm,
    /// In this process alone: DSM does not have it, so a key that stays there cannot use it.
    HereOnly,
}

const SIGNING: CK_FLAGS = CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;
const ENCRYPTION: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const RECOVERY: CK_FLAGS = CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER;
const WRAPPING: CK_FLAGS = CKF_WRAP | CKF_UNWRAP;
const MESSAGES: CK_FLAGS = CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT;

/// Format-preserving encryption, as `include/dsma_pkcs11.h` declares it: the vendor's range, "DSM", 1.
pub(crate) const CKM_DSMA_FF1: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED | 0x4453_4d01;

/// One row; the name comes from the number's own. After the place stand the functions that run elsewhere, and DSM's limits.
macro_rules! rows {
    ($($kind:ident: $key:ident, $functions:expr, $parameter:expr, $place:ident $(, but $some:expr => $other:ident)* $(, $limits:literal)?;)+) => {
        /// All mechanisms.
        pub(crate) const TABLE: &[Entry] = &[$(Entry {
            kind: $kind,
            name: stringify!($kind),
            key: KeyFamily::$key,
            functions: $functions,
            parameter: $parameter,
            place: Place::$place,
            elsewhere: &[$(($some, Place::$other)),*],
            limits: concat!($($limits)?),
        }),+];
    };
}

rows! {
    CKM_RSA_PKCS_KEY_PAIR_GEN: Rsa, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_EC_KEY_PAIR_GEN: Ec, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_EC_EDWARDS_KEY_PAIR_GEN: Edwards, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_EC_MONTGOMERY_KEY_PAIR_GEN: Montgomery, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_ML_DSA_KEY_PAIR_GEN: MlDsa, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_ML_KEM_KEY_PAIR_GEN: MlKem, CKF_GENERATE_KEY_PAIR, "", HereOrDsm;
    CKM_AES_KEY_GEN: Aes, CKF_GENERATE, "", HereOrDsm;
    CKM_CHACHA20_KEY_GEN: ChaCha20, CKF_GENERATE, "", HereOnly;
    CKM_DES2_KEY_GEN: Des3, CKF_GENERATE, "", HereOrDsm;
    CKM_DES3_KEY_GEN: Des3, CKF_GENERATE, "", HereOrDsm;
    CKM_GENERIC_SECRET_KEY_GEN: Generic, CKF_GENERATE, "", HereOrDsm;
    CKM_HKDF_KEY_GEN: Generic, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA_1_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA224_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA256_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA384_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA512_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA3_224_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA3_256_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA3_384_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;
    CKM_SHA3_512_KEY_GEN: Hmac, CKF_GENERATE, "", HereOrDsm;

    CKM_RSA_PKCS: Rsa, SIGNING | ENCRYPTION | RECOVERY | WRAPPING, "", HereOrDsm, but CKF_VERIFY_RECOVER => HereOnly, "signs a DigestInfo of SHA-1 or SHA-2";
    CKM_RSA_X_509: Rsa, SIGNING | ENCRYPTION | RECOVERY, "", HereOrDsm, but SIGNING | RECOVERY => HereOnly;
    CKM_RSA_PKCS_OAEP: Rsa, ENCRYPTION | WRAPPING, "CK_RSA_PKCS_OAEP_PARAMS", HereOrDsm, "one hash for both; no label around a key";
    CKM_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA1_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA224_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA256_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA384_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA512_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA3_224_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA3_256_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA3_384_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA3_512_RSA_PKCS: Rsa, SIGNING, "", HereOrDsm;
    CKM_SHA1_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA224_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA256_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA384_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA512_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA3_224_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA3_256_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA3_384_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";
    CKM_SHA3_512_RSA_PKCS_PSS: Rsa, SIGNING, "CK_RSA_PKCS_PSS_PARAMS", HereOrDsm, "one hash for both, and a salt of its length";

    CKM_RSA_AES_KEY_WRAP: Rsa, WRAPPING, "CK_RSA_AES_KEY_WRAP_PARAMS", HereOrDsm, "one hash for both in OAEP; no label";

    CKM_ECDSA: Ec, SIGNING, "", HereOrDsm, "a digest as long as one of SHA-1 or SHA-2";
    CKM_ECDSA_SHA1: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA224: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA256: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA384: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA512: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA3_224: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA3_256: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA3_384: Ec, SIGNING, "", HereOrDsm;
    CKM_ECDSA_SHA3_512: Ec, SIGNING, "", HereOrDsm;

    CKM_EDDSA: Edwards, SIGNING, "none, or CK_EDDSA_PARAMS", HereOrDsm, "neither a context nor a digest";
    CKM_ECDH1_DERIVE: Agreement, CKF_DERIVE, "CK_ECDH1_DERIVE_PARAMS", HereOrDsm, "agrees; a function of X9.63 or SP 800-56C runs here";
    CKM_ECDH1_COFACTOR_DERIVE: Ec, CKF_DERIVE, "CK_ECDH1_DERIVE_PARAMS", HereOrDsm, "agrees; a function of X9.63 or SP 800-56C runs here";

    CKM_ML_DSA: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA: MlDsa, SIGNING, "CK_HASH_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA224: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA256: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA384: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA512: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA3_224: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA3_256: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA3_384: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_HASH_ML_DSA_SHA3_512: MlDsa, SIGNING, "none, or CK_SIGN_ADDITIONAL_CONTEXT", HereOrDsm;
    CKM_ML_KEM: MlKem, CKF_ENCAPSULATE | CKF_DECAPSULATE, "", HereOrDsm;

    CKM_AES_ECB: Aes, ENCRYPTION, "", HereOrDsm;
    CKM_AES_CBC: Aes, ENCRYPTION, "IV of 16 bytes", HereOrDsm;
    CKM_AES_CBC_PAD: Aes, ENCRYPTION | WRAPPING, "IV of 16 bytes", HereOrDsm;
    CKM_AES_CTR: Aes, ENCRYPTION, "CK_AES_CTR_PARAMS", HereOrDsm;
    CKM_AES_CFB128: Aes, ENCRYPTION, "IV of 16 bytes", HereOrDsm;
    CKM_AES_CFB8: Aes, ENCRYPTION, "IV of 16 bytes", HereOnly;
    CKM_AES_CFB1: Aes, ENCRYPTION, "IV of 16 bytes", HereOnly;
    CKM_AES_OFB: Aes, ENCRYPTION, "IV of 16 bytes", HereOrDsm;
    CKM_AES_GCM: Aes, ENCRYPTION | WRAPPING | MESSAGES, "CK_GCM_PARAMS", HereOrDsm;
    CKM_AES_CCM: Aes, ENCRYPTION | WRAPPING | MESSAGES, "CK_CCM_PARAMS", HereOrDsm;
    CKM_AES_KEY_WRAP: Aes, ENCRYPTION | WRAPPING, "none, or the IV of RFC 3394", HereOrDsm;
    CKM_AES_KEY_WRAP_KWP: Aes, ENCRYPTION | WRAPPING, "none, or the IV of RFC 5649", HereOrDsm;
    CKM_AES_CMAC: Aes, SIGNING, "", HereOrDsm;
    CKM_AES_CMAC_GENERAL: Aes, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_CHACHA20_POLY1305: ChaCha20, ENCRYPTION | MESSAGES, "CK_SALSA20_CHACHA20_POLY1305_PARAMS", HereOnly;
    CKM_DES3_ECB: Des3, ENCRYPTION, "", HereOrDsm;
    CKM_DES3_CBC: Des3, ENCRYPTION, "IV of 8 bytes", HereOrDsm;
    CKM_DES3_CBC_PAD: Des3, ENCRYPTION, "IV of 8 bytes", HereOrDsm;
    CKM_DES3_CMAC: Des3, SIGNING, "", HereOrDsm;
    CKM_DES3_CMAC_GENERAL: Des3, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;

    CKM_DSMA_FF1: Aes, ENCRYPTION, "none, or CK_ULONG with CKF_DSMA_MASKED", HereOrDsm, "none; here: the basic form without a Luhn digit";

    CKM_PKCS5_PBKD2: Secret, CKF_GENERATE, "CK_PKCS5_PBKD2_PARAMS2", HereOnly;
    CKM_HKDF_DERIVE: Secret, CKF_DERIVE, "CK_HKDF_PARAMS", HereOrDsm, "both steps together";
    CKM_HKDF_DATA: Secret, CKF_DERIVE, "CK_HKDF_PARAMS", HereOrDsm, "both steps together";
    CKM_SP800_108_COUNTER_KDF: Secret, CKF_DERIVE, "CK_SP800_108_KDF_PARAMS", HereOnly;
    CKM_SP800_108_FEEDBACK_KDF: Secret, CKF_DERIVE, "CK_SP800_108_FEEDBACK_KDF_PARAMS", HereOnly;
    CKM_SP800_108_DOUBLE_PIPELINE_KDF: Secret, CKF_DERIVE, "CK_SP800_108_KDF_PARAMS", HereOnly;
    CKM_AES_ECB_ENCRYPT_DATA: Aes, CKF_DERIVE, "CK_KEY_DERIVATION_STRING_DATA", HereOnly;
    CKM_AES_CBC_ENCRYPT_DATA: Aes, CKF_DERIVE, "CK_AES_CBC_ENCRYPT_DATA_PARAMS", HereOnly;
    CKM_DES3_ECB_ENCRYPT_DATA: Des3, CKF_DERIVE, "CK_KEY_DERIVATION_STRING_DATA", HereOnly;
    CKM_DES3_CBC_ENCRYPT_DATA: Des3, CKF_DERIVE, "CK_DES_CBC_ENCRYPT_DATA_PARAMS", HereOnly;
    CKM_CONCATENATE_BASE_AND_KEY: Secret, CKF_DERIVE, "CK_OBJECT_HANDLE", HereOnly;
    CKM_CONCATENATE_BASE_AND_DATA: Secret, CKF_DERIVE, "CK_KEY_DERIVATION_STRING_DATA", HereOnly;
    CKM_CONCATENATE_DATA_AND_BASE: Secret, CKF_DERIVE, "CK_KEY_DERIVATION_STRING_DATA", HereOnly;
    CKM_XOR_BASE_AND_DATA: Secret, CKF_DERIVE, "CK_KEY_DERIVATION_STRING_DATA", HereOnly;
    CKM_EXTRACT_KEY_FROM_KEY: Secret, CKF_DERIVE, "CK_EXTRACT_PARAMS", HereOnly;
    CKM_SHA1_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA224_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA256_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA384_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA512_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA3_224_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA3_256_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA3_384_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_SHA3_512_KEY_DERIVATION: Secret, CKF_DERIVE, "", HereOnly;
    CKM_PUB_KEY_FROM_PRIV_KEY: Private, CKF_DERIVE, "", Here;

    CKM_SHA_1_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA224_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA256_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA384_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA512_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA3_224_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA3_256_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA3_384_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA3_512_HMAC: Hmac, SIGNING, "", HereOrDsm;
    CKM_SHA_1_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA224_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA256_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA384_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA512_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA3_224_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA3_256_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA3_384_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;
    CKM_SHA3_512_HMAC_GENERAL: Hmac, SIGNING, "CK_MAC_GENERAL_PARAMS", HereOrDsm;

    CKM_SHA_1: None, CKF_DIGEST, "", Here;
    CKM_SHA224: None, CKF_DIGEST, "", Here;
    CKM_SHA256: None, CKF_DIGEST, "", Here;
    CKM_SHA384: None, CKF_DIGEST, "", Here;
    CKM_SHA512: None, CKF_DIGEST, "", Here;
    CKM_SHA3_224: None, CKF_DIGEST, "", Here;
    CKM_SHA3_256: None, CKF_DIGEST, "", Here;
    CKM_SHA3_384: None, CKF_DIGEST, "", Here;
    CKM_SHA3_512: None, CKF_DIGEST, "", Here;
}

impl KeyFamily {
    /// Smallest and largest key size, in the unit that the standard gives to the family's mechanisms (bytes for AES, ChaCha20 and HMAC,
    /// bytes of the public key for ML-DSA and ML-KEM, bits for the others; triple DES has one size), and the flags about curves.
    pub(crate) const fn sizes(self) -> (CK_ULONG, CK_ULONG, CK_FLAGS) {
        match self {
            Self::None | Self::Des3 | Self::Private => (0, 0, 0),
            Self::Aes => (16, 32, 0),
            Self::ChaCha20 => (32, 32, 0),
            Self::Generic | Self::Secret => (8, 8192, 0),
            Self::Hmac => (1, 1024, 0),
            Self::Rsa => (1024, 8192, 0),
            Self::Ec => (256, 521, CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS),
            Self::Agreement => (255, 521, CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS),
            // Of the smallest and the largest parameter set (FIPS 204, table 2; FIPS 203, table 3).
            Self::MlDsa => (1312, 2592, 0),
            Self::MlKem => (800, 1568, 0),
            Self::Edwards | Self::Montgomery => (255, 255, CKF_EC_F_P | CKF_EC_OID | CKF_EC_CURVENAME),
        }
    }
}
