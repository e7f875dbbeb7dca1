//! Bodies of `/crypto/v1/{encrypt,decrypt,sign,verify,digest}` and their modes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{Blob, ObjectType, SecretBlob, SobjectDescriptor};

/// Body of `POST /crypto/v1/encrypt` (without `key` in the path-style spelling).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The key's type.
    pub alg: ObjectType,
    /// The plaintext.
    pub plain: SecretBlob,
    /// Required for symmetric keys; RSA falls back to the key's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// Made at random where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// Additional authenticated data (GCM, CCM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
    /// Tag length in bits; required for GCM and CCM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_len: Option<usize>,
    /// RSA-OAEP label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Blob>,
}

/// Answer of encrypt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncryptResponse {
    /// The key that was used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The ciphertext, without tag.
    pub cipher: Blob,
    /// The IV that was used, where the mode has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// The tag of an authenticated mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
}

/// Body of `POST /crypto/v1/decrypt`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The key's type; taken from the key where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<ObjectType>,
    /// The ciphertext, without tag.
    pub cipher: Blob,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CryptMode>,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iv: Option<Blob>,
    /// As at encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Blob>,
    /// The tag of an authenticated mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Blob>,
    /// Tokenization: answer with masked plaintext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked: Option<bool>,
    /// RSA-OAEP label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Blob>,
}

/// Answer of decrypt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecryptResponse {
    /// The key that was used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The plaintext.
    pub plain: SecretBlob,
}

/// Body of `POST /crypto/v1/sign`: exactly one of `hash` and `data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The digest of `hash`, or the one to apply to `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_alg: Option<HashAlgorithm>,
    /// A digest made by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Blob>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Blob>,
    /// RSA padding, PKCS #1 v1.5 where absent; or the variant of ML-DSA, the pure one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SignatureMode>,
    /// RFC 6979 signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deterministic_signature: Option<bool>,
    /// ML-DSA context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Blob>,
}

/// Answer of sign. ECDSA signatures are `SEQUENCE { r, s }` in DER.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignResponse {
    /// The key that was used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// The signature.
    pub signature: Blob,
}

/// Body of `POST /crypto/v1/verify`: exactly one of `hash` and `data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// The key; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SobjectDescriptor>,
    /// The digest of `hash`, or the one to apply to `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_alg: Option<HashAlgorithm>,
    /// A digest made by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Blob>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Blob>,
    /// RSA padding, PKCS #1 v1.5 where absent; or the variant of ML-DSA, the pure one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SignatureMode>,
    /// The signature.
    pub signature: Blob,
    /// ML-DSA context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Blob>,
}

/// Answer of verify: a bad signature is `200` with `false`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyResponse {
    /// The key that was used; absent for transient keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<Uuid>,
    /// Whether the signature holds.
    pub result: bool,
}

/// Body of `POST /crypto/v1/digest`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DigestRequest {
    /// The digest.
    pub alg: HashAlgorithm,
    /// The message.
    pub data: Blob,
}

/// Answer of digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DigestResponse {
    /// The digest.
    pub digest: Blob,
}

/// One item of `/crypto/v1/keys/batch/{encrypt,decrypt}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchItem<R> {
    /// The key.
    pub kid: Uuid,
    /// The request without `key`.
    pub request: R,
}

/// One answer of `/crypto/v1/keys/batch/*`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchReply<R> {
    /// The status that a single call would have had.
    pub status: u16,
    /// The answer of a call that succeeded.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub body: Option<R>,
    /// The text of a call that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Declares an enum of wire names whose spelling is matched without regard to case.
macro_rules! wire_names {
    ($(#[$meta:meta])* $Name:ident, $expecting:literal { $($Variant:ident = $name:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Name { $(#[doc = concat!("`", $name, "`")] $Variant),+ }

        impl $Name {
            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }

            /// The value with this wire name, in any case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($name) $(|| name.eq_ignore_ascii_case($alias))* { return Some(Self::$Variant); })+
                None
            }
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }

        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(self.name()) }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format_args!("unknown {} `{name}`", $expecting)))
            }
        }
    };
}

wire_names! {
    /// Symmetric cipher mode.
    CipherMode, "cipher mode" {
        Ecb = "ECB", Cbc = "CBC", CbcNoPad = "CBCNOPAD", Cfb = "CFB", Ofb = "OFB", Ctr = "CTR", Gcm = "GCM", Ccm = "CCM",
        Kw = "KW", Kwp = "KWP", Ff1 = "FF1" | "FPE",
    }
}

wire_names! {
    /// Digest.
    HashAlgorithm, "digest algorithm" {
        Sha1 = "SHA1", Sha224 = "SHA224", Sha256 = "SHA256", Sha384 = "SHA384", Sha512 = "SHA512",
        Sha3_224 = "SHA3_224", Sha3_256 = "SHA3_256", Sha3_384 = "SHA3_384", Sha3_512 = "SHA3_512",
        Blake2b256 = "BLAKE2B256", Blake2b384 = "BLAKE2B384", Blake2b512 = "BLAKE2B512", Blake2s256 = "BLAKE2S256",
        Ripemd160 = "RIPEMD160", Ssl3 = "SSL3", Streebog256 = "STREEBOG256", Streebog512 = "STREEBOG512",
    }
}

/// `mode` of encrypt and decrypt: a cipher mode or an RSA padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptMode {
    /// For symmetric keys.
    Symmetric(CipherMode),
    /// For RSA keys.
    Rsa(RsaEncryptionPadding),
}

/// RSA encryption padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RsaEncryptionPadding {
    /// RSAES-OAEP; the label's hash is the MGF's.
    #[serde(rename = "OAEP")]
    Oaep(Oaep),
    /// RSAES-PKCS1-v1_5.
    #[serde(rename = "PKCS1_V15")]
    Pkcs1V15 {},
    /// No padding.
    #[serde(rename = "RAW_DECRYPT")]
    RawDecrypt {},
}

/// RSA signature padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RsaSignaturePadding {
    /// RSASSA-PSS; the salt is as long as the hash.
    #[serde(rename = "PSS")]
    Pss(Pss),
    /// RSASSA-PKCS1-v1_5.
    #[serde(rename = "PKCS1_V15")]
    Pkcs1V15 {},
}

/// `mode` of sign and verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SignatureMode {
    /// For RSA keys.
    Rsa(RsaSignaturePadding),
    /// For ML-DSA keys.
    MlDsa(MlDsaMode),
}

/// Told apart by `variant`, so that a mistake is named and not merely "no variant".
impl<'de> Deserialize<'de> for SignatureMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mode = serde_json::Value::deserialize(deserializer)?;
        let read = if mode.get("variant").is_some() {
            MlDsaMode::deserialize(mode).map(Self::MlDsa)
        } else {
            RsaSignaturePadding::deserialize(mode).map(Self::Rsa)
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// How ML-DSA takes the message (FIPS 204, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "variant", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MlDsaMode {
    /// As it is.
    Pure,
    /// As a digest.
    PreHash,
    /// As its representative, which the caller computed with the public key.
    ExternalMu,
}

/// Parameters of OAEP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oaep {
    /// Mask generation.
    pub mgf: Mgf,
}

/// Parameters of PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pss {
    /// Mask generation.
    pub mgf: Mgf,
}

/// Mask generation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mgf {
    /// MGF1 of RFC 8017.
    #[serde(rename = "mgf1")]
    Mgf1(Mgf1),
}

/// Parameters of MGF1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mgf1 {
    /// Its digest.
    pub hash: HashAlgorithm,
}

impl Mgf {
    /// MGF1 with this digest.
    #[must_use]
    pub const fn mgf1(hash: HashAlgorithm) -> Self {
        Self::Mgf1(Mgf1 { hash })
    }

    /// The digest.
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        let Self::Mgf1(Mgf1 { hash }) = self;
        hash
    }
}

impl CryptMode {
    /// The legacy spellings of RSA paddings, still sent by the Python and Java clients.
    fn from_name(name: &str) -> Option<Self> {
        let oaep = |hash| Some(Self::Rsa(RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(hash) })));
        match name {
            "PKCS1_V15" => Some(Self::Rsa(RsaEncryptionPadding::Pkcs1V15 {})),
            "RAW_DECRYPT" => Some(Self::Rsa(RsaEncryptionPadding::RawDecrypt {})),
            "OAEP_MGF1_SHA1" => oaep(HashAlgorithm::Sha1),
            "OAEP_MGF1_SHA256" => oaep(HashAlgorithm::Sha256),
            "OAEP_MGF1_SHA384" => oaep(HashAlgorithm::Sha384),
            "OAEP_MGF1_SHA512" => oaep(HashAlgorithm::Sha512),
            _ => CipherMode::from_name(name).map(Self::Symmetric),
        }
    }
}

impl Serialize for CryptMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Symmetric(mode) => mode.serialize(serializer),
            Self::Rsa(padding) => padding.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CryptMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelling {
            Name(String),
            Padding(RsaEncryptionPadding),
        }
        match Spelling::deserialize(deserializer).map_err(|_| serde::de::Error::custom("invalid mode"))? {
            Spelling::Padding(padding) => Ok(Self::Rsa(padding)),
            Spelling::Name(name) => Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format_args!("unknown mode `{name}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_object_and_legacy_spelling() {
        let oaep256 = CryptMode::Rsa(RsaEncryptionPadding::Oaep(Oaep { mgf: Mgf::mgf1(HashAlgorithm::Sha256) }));
        for (text, mode) in [
            (r#""GCM""#, CryptMode::Symmetric(CipherMode::Gcm)),
            (r#""FPE""#, CryptMode::Symmetric(CipherMode::Ff1)),
            (r#""PKCS1_V15""#, CryptMode::Rsa(RsaEncryptionPadding::Pkcs1V15 {})),
            (r#"{"PKCS1_V15":{}}"#, CryptMode::Rsa(RsaEncryptionPadding::Pkcs1V15 {})),
            (r#""OAEP_MGF1_SHA256""#, oaep256),
            (r#"{"OAEP":{"mgf":{"mgf1":{"hash":"SHA256"}}}}"#, oaep256),
        ] {
            assert_eq!(serde_json::from_str::<CryptMode>(text).unwrap(), mode, "{text}");
        }
        assert!(serde_json::from_str::<CryptMode>(r#""XTS""#).is_err());
        assert_eq!(serde_json::to_string(&oaep256).unwrap(), r#"{"OAEP":{"mgf":{"mgf1":{"hash":"SHA256"}}}}"#);
    }

    #[test]
    fn null_is_absent() {
        let text = r#"{"key":null,"alg":"AES","plain":"Zg==","mode":"CBC","iv":null,"ad":null,"tag_len":null,"label":null}"#;
        let request: EncryptRequest = serde_json::from_str(text).unwrap();
        assert!(request.iv.is_none() && request.key.is_none());
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"alg":"AES","plain":"Zg==","mode":"CBC"}"#);
    }
}
