//! Binary on the wire: standard base64 with padding, in plain JSON strings.

use std::fmt;

use base64_simd::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Bytes that may be shown: ciphertext, signatures, public keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

/// Bytes that must not be shown: key material and plaintext. Zeroized on drop; `Debug` prints the length only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBlob(pub Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({})", STANDARD.encode_to_string(&self.0))
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode_to_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64).map(Self)
    }
}

impl From<Vec<u8>> for SecretBlob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<&[u8]> for SecretBlob {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl AsRef<[u8]> for SecretBlob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBlob({} bytes)", self.0.len())
    }
}

impl Serialize for SecretBlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(STANDARD.encode_to_string(&*self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for SecretBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64).map(|bytes| Self(Zeroizing::new(bytes)))
    }
}

/// Decodes from the parser's own buffer, so that no second copy of the text is made.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard base64 with padding")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        // The text itself stays out of the message: it may be key material.
        STANDARD.decode_to_vec(text).map_err(|_| E::custom("invalid base64: standard alphabet with padding expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_required_and_the_text_is_not_echoed() {
        for bad in ["\"Zg\"", "\"Zm9v_-==\"", "\"Z m9v\"", "12"] {
            let error = serde_json::from_str::<SecretBlob>(bad).unwrap_err().to_string();
            assert!(!error.contains("Zm9v"), "{error}");
        }
        assert_eq!(serde_json::from_str::<Blob>("\"Zg==\"").unwrap().0, b"f");
        assert_eq!(serde_json::to_string(&Blob(b"f".to_vec())).unwrap(), "\"Zg==\"");
    }

    #[test]
    fn debug_of_a_secret_shows_its_length_only() {
        assert_eq!(format!("{:?}", SecretBlob::from(vec![1, 2, 3])), "SecretBlob(3 bytes)");
    }
}
