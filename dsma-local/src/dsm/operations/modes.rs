//! From the wire's modes and digests to those of `dsma_crypto`, and what a key's policy says to them.

use dsma_api::{ApiError, CipherMode, CryptMode, HashAlgorithm, Mgf, Oaep, ObjectType, RsaEncryptionPadding, RsaSignaturePadding, Sobject};
use dsma_crypto::digest::Hash;
use serde_json::Value;

use super::params::unsupported;

/// The digest of OAEP where neither the request nor the key's policy names one.
const DEFAULT_OAEP: HashAlgorithm = HashAlgorithm::Sha256;

/// The digest of this name. Not each of them is possible in each operation.
pub(in crate::dsm) const fn hash(alg: HashAlgorithm) -> Hash {
    match alg {
        HashAlgorithm::Sha1 => Hash::Sha1,
        HashAlgorithm::Sha224 => Hash::Sha224,
        HashAlgorithm::Sha256 => Hash::Sha256,
        HashAlgorithm::Sha384 => Hash::Sha384,
        HashAlgorithm::Sha512 => Hash::Sha512,
        HashAlgorithm::Sha3_224 => Hash::Sha3_224,
        HashAlgorithm::Sha3_256 => Hash::Sha3_256,
        HashAlgorithm::Sha3_384 => Hash::Sha3_384,
        HashAlgorithm::Sha3_512 => Hash::Sha3_512,
        HashAlgorithm::Blake2b256 => Hash::Blake2b256,
        HashAlgorithm::Blake2b384 => Hash::Blake2b384,
        HashAlgorithm::Blake2b512 => Hash::Blake2b512,
        HashAlgorithm::Blake2s256 => Hash::Blake2s256,
        HashAlgorithm::Ripemd160 => Hash::Ripemd160,
        HashAlgorithm::Ssl3 => Hash::Md5Sha1,
        HashAlgorithm::Streebog256 => Hash::Streebog256,
        HashAlgorithm::Streebog512 => Hash::Streebog512,
    }
}

/// Refuses an `alg` that is not the key's type.
pub(super) fn check_alg(alg: Option<ObjectType>, sobject: &Sobject) -> Result<(), ApiError> {
    match alg {
        Some(ObjectType::Other) => Err(ApiError::bad_request("Unknown algorithm")),
        Some(alg) if alg != sobject.obj_type => Err(ApiError::bad_request("alg does not match the type of the sobject")),
        _ => Ok(()),
    }
}

/// The mode for a symmetric key. FF1 is none that encrypts bytes: see `tokens.rs`.
pub(super) fn symmetric(mode: Option<CryptMode>, sobject: &Sobject) -> Result<CipherMode, ApiError> {
    use CipherMode::{Cbc, CbcNoPad, Ecb, Ff1};
    let mode = match mode {
        Some(CryptMode::Symmetric(mode)) => mode,
        Some(CryptMode::Rsa(_)) => return Err(ApiError::bad_request("Invalid mode for a symmetric key")),
        None => return Err(ApiError::bad_request("Missing field `mode`")),
    };
    match (sobject.obj_type, mode) {
        (ObjectType::Aes, Ff1) => Err(ApiError::bad_request("Mode FF1 is for encrypt and decrypt alone")),
        (ObjectType::Aes, _) if sobject.fpe.is_some() => {
            Err(ApiError::bad_request(format!("Mode {mode} is not possible with this key: it is for tokenization, in mode FF1")))
        }
        (ObjectType::Aes, _) | (ObjectType::Des3, Ecb | Cbc | CbcNoPad) => Ok(mode),
        (ObjectType::Des3, _) => Err(unsupported(mode)),
        _ => Err(ApiError::bad_request("This type of sobject does not encrypt")),
    }
}

/// The padding for an RSA key: the request's where the key's policy allows it, else the first of the policy.
pub(super) fn encryption_padding(mode: Option<CryptMode>, sobject: &Sobject) -> Result<RsaEncryptionPadding, ApiError> {
    let policy = sobject.rsa.as_ref().map(|rsa| rsa.encryption_policy.as_slice()).unwrap_or_default();
    let padding = match mode {
        Some(CryptMode::Rsa(padding)) => padding,
        Some(CryptMode::Symmetric(_)) => return Err(ApiError::bad_request("Invalid mode for an RSA key")),
        None => default_encryption_padding(policy),
    };
    let allowed = |entry: &Value| match padding {
        RsaEncryptionPadding::Oaep(Oaep { mgf }) => allows(entry, "OAEP", Some(mgf)),
        RsaEncryptionPadding::Pkcs1V15 {} => allows(entry, "PKCS1_V15", None),
        RsaEncryptionPadding::RawDecrypt {} => allows(entry, "RAW_DECRYPT", None),
    };
    if policy.iter().any(allowed) { Ok(padding) } else { Err(against_policy()) }
}

/// The padding of an RSA signature; PKCS #1 v1.5 where the request names none.
pub(super) fn signature_padding(mode: Option<RsaSignaturePadding>, sobject: &Sobject) -> Result<RsaSignaturePadding, ApiError> {
    let policy = sobject.rsa.as_ref().map(|rsa| rsa.signature_policy.as_slice()).unwrap_or_default();
    let padding = mode.unwrap_or(RsaSignaturePadding::Pkcs1V15 {});
    let allowed = |entry: &Value| match padding {
        RsaSignaturePadding::Pss(pss) => allows(entry, "PSS", Some(pss.mgf)),
        RsaSignaturePadding::Pkcs1V15 {} => allows(entry, "PKCS1_V15", None),
    };
    if policy.iter().any(allowed) { Ok(padding) } else { Err(against_policy()) }
}

/// Whether one entry of a policy allows a padding. What an entry leaves out, it leaves open.
fn allows(entry: &Value, name: &str, mgf: Option<Mgf>) -> bool {
    let Some(padding) = entry.get("padding").filter(|padding| !padding.is_null()) else {
        return true;
    };
    let Some(parameters) = padding.get(name) else {
        return false;
    };
    match (policy_hash(parameters), mgf) {
        (Some(wanted), Some(mgf)) => wanted == mgf.hash(),
        _ => true,
    }
}

fn default_encryption_padding(policy: &[Value]) -> RsaEncryptionPadding {
    let padding = policy.first().and_then(|entry| entry.get("padding"));
    if padding.is_some_and(|padding| padding.get("PKCS1_V15").is_some()) {
        return RsaEncryptionPadding::Pkcs1V15 {};
    }
    if padding.is_some_and(|padding| padding.get("RAW_DECRYPT").is_some()) {
        return RsaEncryptionPadding::RawDecrypt {};
    }
    let hash = padding.and_then(|padding| padding.get("OAEP")).and_then(policy_hash).unwrap_or(DEFAULT_OAEP);
    RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(hash) })
}

/// `{"mgf":{"mgf1":{"hash":"SHA256"}}}`, where the policy names one.
fn policy_hash(parameters: &Value) -> Option<HashAlgorithm> {
    HashAlgorithm::from_name(parameters.pointer("/mgf/mgf1/hash")?.as_str()?)
}

fn against_policy() -> ApiError {
    ApiError::forbidden("The policy of the sobject does not allow this padding")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies() {
        let sha1 = Some(Mgf::mgf1(HashAlgorithm::Sha1));
        for (entry, name, mgf, expected) in [
            (json!({}), "PKCS1_V15", None, true),
            (json!({"padding": null}), "OAEP", sha1, true),
            (json!({"padding": {"OAEP": {}}}), "OAEP", sha1, true),
            (json!({"padding": {"OAEP": {"mgf": null}}}), "OAEP", sha1, true),
            (json!({"padding": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA1"}}}}}), "OAEP", sha1, true),
            (json!({"padding": {"OAEP": {"mgf": {"mgf1": {"hash": "SHA256"}}}}}), "OAEP", sha1, false),
            (json!({"padding": {"OAEP": {}}}), "PKCS1_V15", None, false),
        ] {
            assert_eq!(allows(&entry, name, mgf), expected, "{entry} {name}");
        }
        assert_eq!(default_encryption_padding(&[json!({"padding": {"PKCS1_V15": {}}})]), RsaEncryptionPadding::Pkcs1V15 {});
    }
}
