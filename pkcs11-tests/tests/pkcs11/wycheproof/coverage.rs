//! Which sets of vectors each mechanism is tried with, and why some have none.

use std::collections::BTreeSet;
use std::ptr::null_mut;

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::call;

/// Mechanisms and the sets that are run through them here.
const WITH_VECTORS: &[(&[CK_MECHANISM_TYPE], &str)] = &[
    (&[CKM_AES_GCM], "aes_gcm: in one call, in parts, as messages"),
    (&[CKM_AES_CCM], "aes_ccm: the same"),
    (&[CKM_CHACHA20_POLY1305], "chacha20_poly1305: the same"),
    (&[CKM_AES_CBC_PAD], "aes_cbc_pkcs5: in one call and in parts"),
    (&[CKM_AES_KEY_WRAP], "aes_wrap"),
    (&[CKM_AES_KEY_WRAP_KWP], "aes_kwp"),
    (&[CKM_AES_CMAC, CKM_AES_CMAC_GENERAL], "aes_cmac"),
    (&[CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL], "hmac_sha1"),
    (&[CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL], "hmac_sha224"),
    (&[CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL], "hmac_sha256"),
    (&[CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL], "hmac_sha384"),
    (&[CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL], "hmac_sha512"),
    (&[CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL], "hmac_sha3_224"),
    (&[CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL], "hmac_sha3_256"),
    (&[CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL], "hmac_sha3_384"),
    (&[CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL], "hmac_sha3_512"),
    (&[CKM_ECDSA], "ecdsa_*_p1363, with the digest made first"),
    (&[CKM_ECDSA_SHA256, CKM_ECDSA_SHA384, CKM_ECDSA_SHA512], "ecdsa_secp{256r1,384r1,521r1,256k1}_sha*_p1363"),
    (&[CKM_ECDSA_SHA3_256, CKM_ECDSA_SHA3_384, CKM_ECDSA_SHA3_512], "ecdsa_secp{256r1,384r1,521r1,256k1}_sha3_*"),
    (&[CKM_EDDSA], "ed25519"),
    (&[CKM_ECDH1_DERIVE], "ecdh_secp{256r1,384r1,521r1}_ecpoint, ecdh_secp256k1, x25519"),
    (&[CKM_RSA_PKCS], "rsa_pkcs1_{2048,3072,4096}: decryption"),
    (&[CKM_RSA_PKCS_OAEP], "rsa_oaep_*"),
    (&[CKM_SHA1_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS], "rsa_pss_*"),
    (&[CKM_SHA224_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA384_RSA_PKCS, CKM_SHA512_RSA_PKCS], "rsa_signature_*_sha*"),
    (&[CKM_SHA3_224_RSA_PKCS, CKM_SHA3_256_RSA_PKCS, CKM_SHA3_384_RSA_PKCS, CKM_SHA3_512_RSA_PKCS], "rsa_signature_*_sha3_*"),
    (&[CKM_HKDF_DERIVE], "hkdf_sha{1,256,384,512}"),
    (&[CKM_PKCS5_PBKD2], "pbkdf2_hmacsha{1,224,256,384,512}"),
    (&[CKM_ML_DSA], "mldsa_{44,65,87}_{verify,sign_seed,sign_noseed}"),
    (&[CKM_ML_KEM], "mlkem_{512,768,1024}{,_encaps,_keygen_seed,_semi_expanded_decaps}"),
];

/// Mechanisms without vectors, and the reason.
const WITHOUT: &[(&[CK_MECHANISM_TYPE], &str)] = &[
    (
        &[
            CKM_RSA_PKCS_KEY_PAIR_GEN,
            CKM_EC_KEY_PAIR_GEN,
            CKM_EC_EDWARDS_KEY_PAIR_GEN,
            CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
            CKM_ML_DSA_KEY_PAIR_GEN,
            CKM_ML_KEM_KEY_PAIR_GEN,
            CKM_AES_KEY_GEN,
            CKM_CHACHA20_KEY_GEN,
            CKM_DES2_KEY_GEN,
            CKM_DES3_KEY_GEN,
            CKM_GENERIC_SECRET_KEY_GEN,
            CKM_HKDF_KEY_GEN,
            CKM_SHA_1_KEY_GEN,
            CKM_SHA224_KEY_GEN,
            CKM_SHA256_KEY_GEN,
            CKM_SHA384_KEY_GEN,
            CKM_SHA512_KEY_GEN,
            CKM_SHA3_224_KEY_GEN,
            CKM_SHA3_256_KEY_GEN,
            CKM_SHA3_384_KEY_GEN,
            CKM_SHA3_512_KEY_GEN,
        ],
        "what they make is random",
    ),
    (
        &[CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384, CKM_SHA512, CKM_SHA3_224, CKM_SHA3_256, CKM_SHA3_384, CKM_SHA3_512],
        "no set is about hashes alone; they are under HMAC, ECDSA and RSA here, and FIPS 180-4 and OpenSSL judge them in `digests`",
    ),
    (
        &[CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CTR, CKM_AES_CFB128, CKM_AES_CFB8, CKM_AES_CFB1, CKM_AES_OFB],
        "no set: modes without authentication; OpenSSL judges them in `encryption`",
    ),
    (
        &[CKM_DES3_ECB, CKM_DES3_CBC, CKM_DES3_CBC_PAD, CKM_DES3_CMAC, CKM_DES3_CMAC_GENERAL],
        "no set of triple DES; OpenSSL judges it in `encryption` and `macs`",
    ),
    (&[CKM_RSA_X_509], "no set: no padding; `recovery` and `signing` judge it"),
    (&[CKM_RSA_PKCS_PSS], "no set of digests; the same code as with a hash"),
    (&[CKM_RSA_AES_KEY_WRAP], "no set; its two parts, OAEP and KWP, have theirs"),
    (&[CKM_SHA1_RSA_PKCS], "the set of SHA-1 is left out of the published crate's list of signatures to verify"),
    (
        &[
            CKM_SHA224_RSA_PKCS_PSS,
            CKM_SHA3_224_RSA_PKCS_PSS,
            CKM_SHA3_256_RSA_PKCS_PSS,
            CKM_SHA3_384_RSA_PKCS_PSS,
            CKM_SHA3_512_RSA_PKCS_PSS,
        ],
        "no set with these hashes",
    ),
    (&[CKM_ECDSA_SHA1, CKM_ECDSA_SHA224, CKM_ECDSA_SHA3_224], "sets with these hashes only on curves that are not here"),
    (
        &[
            CKM_HASH_ML_DSA_SHA224,
            CKM_HASH_ML_DSA_SHA256,
            CKM_HASH_ML_DSA_SHA384,
            CKM_HASH_ML_DSA_SHA512,
            CKM_HASH_ML_DSA_SHA3_224,
            CKM_HASH_ML_DSA_SHA3_256,
            CKM_HASH_ML_DSA_SHA3_384,
            CKM_HASH_ML_DSA_SHA3_512,
        ],
        "no set of pre-hashed signatures; another implementation judges them in `signing`",
    ),
    (&[CKM_HASH_ML_DSA], "no set of pre-hashed signatures; the mechanisms that hash judge it in `contexts`"),
    (
        &[CKM_SP800_108_COUNTER_KDF, CKM_SP800_108_FEEDBACK_KDF, CKM_SP800_108_DOUBLE_PIPELINE_KDF],
        "no set; OpenSSL and vectors of NIST judge them in `derivation::sp800_108`",
    ),
    (&[CKM_ECDH1_COFACTOR_DERIVE], "the cofactor is 1 on every curve here, so that it does what CKM_ECDH1_DERIVE does"),
    (&[CKM_HKDF_DATA], "the bytes of CKM_HKDF_DERIVE, shown as data"),
    (
        &[CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_CBC_ENCRYPT_DATA, CKM_DES3_ECB_ENCRYPT_DATA, CKM_DES3_CBC_ENCRYPT_DATA],
        "no set; OpenSSL judges them in `derivation::simple`",
    ),
    (
        &[
            CKM_SHA1_KEY_DERIVATION,
            CKM_SHA224_KEY_DERIVATION,
            CKM_SHA256_KEY_DERIVATION,
            CKM_SHA384_KEY_DERIVATION,
            CKM_SHA512_KEY_DERIVATION,
            CKM_SHA3_224_KEY_DERIVATION,
            CKM_SHA3_256_KEY_DERIVATION,
            CKM_SHA3_384_KEY_DERIVATION,
            CKM_SHA3_512_KEY_DERIVATION,
        ],
        "no set; OpenSSL's digests judge them in `derivation::simple`",
    ),
    (
        &[
            CKM_CONCATENATE_BASE_AND_KEY,
            CKM_CONCATENATE_BASE_AND_DATA,
            CKM_CONCATENATE_DATA_AND_BASE,
            CKM_XOR_BASE_AND_DATA,
            CKM_EXTRACT_KEY_FROM_KEY,
        ],
        "no set; the standard's own examples judge them in `derivation::simple`",
    ),
    (&[CKM_PUB_KEY_FROM_PRIV_KEY], "no set; DSM tells the public key in `derivation::simple`"),
    (&[FF1], "every vector has a tweak, which this mechanism takes from the key's format; the cipher itself is tried with them below it"),
];

const FF1: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED | 0x4453_4d01;

#[test]
fn every_mechanism_has_vectors_or_a_reason() {
    let module = &shared().module;
    let mut count = 0;
    assert_eq!(call!(module, C_GetMechanismList(0, null_mut(), &raw mut count)), CKR_OK);
    let mut kinds = vec![0; count as usize];
    assert_eq!(call!(module, C_GetMechanismList(0, kinds.as_mut_ptr(), &raw mut count)), CKR_OK);
    let offered: BTreeSet<_> = kinds.into_iter().collect();
    let listed: Vec<_> = WITH_VECTORS.iter().chain(WITHOUT).flat_map(|(kinds, why)| kinds.iter().map(move |kind| (*kind, *why))).collect();
    let unknown: Vec<_> =
        offered.iter().filter(|kind| listed.iter().all(|(listed, _)| listed != *kind)).map(|kind| format!("{kind:#x}")).collect();
    assert!(unknown.is_empty(), "neither vectors nor a reason: {unknown:?}");
    for (kind, why) in &listed {
        assert!(offered.contains(kind), "{kind:#x} is not offered: {why}");
        assert_eq!(listed.iter().filter(|(other, _)| other == kind).count(), 1, "{kind:#x} stands twice");
        assert!(!why.is_empty());
    }
}
