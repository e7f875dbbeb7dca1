//! Attestation documents in the form of the real module's newer ones: untagged COSE_Sign1, ES384, a map of indefinite length whose keys
//! stand in AWS's order and whose empty fields are null.

use ciborium::Value;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::chain::Chain;
use crate::error::Error;

/// `{1: -35}`: ES384 (RFC 9053).
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// What is signed.
pub(super) struct Payload {
    pub(super) module_id: String,
    pub(super) timestamp_millis: u64,
    pub(super) pcrs: Vec<(u16, Vec<u8>)>,
    pub(super) certificate: Vec<u8>,
    pub(super) cabundle: Vec<Vec<u8>>,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
}

impl Payload {
    /// The signed document.
    pub(super) fn sign(&self, chain: &Chain) -> Result<Vec<u8>, Error> {
        let payload = encoded(self)?;
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        // RFC 9052, section 4.4: context, protected header, no additional data, payload.
        let signed = [Value::from("Signature1"), bytes(&PROTECTED), bytes(&[]), bytes(&payload)];
        let signature = chain.sign(&encoded(&signed)?)?;
        encoded(&[bytes(&PROTECTED), Value::Map(Vec::new()), bytes(&payload), bytes(&signature)])
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = |bytes: &Option<Vec<u8>>| bytes.clone().map_or(Value::Null, Value::Bytes);
        let pcrs = self.pcrs.iter().map(|(index, value)| (Value::from(*index), Value::Bytes(value.clone()))).collect();
        // Without a length the encoder writes an indefinite one.
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("module_id", &self.module_id)?;
        map.serialize_entry("digest", "SHA384")?;
        map.serialize_entry("timestamp", &self.timestamp_millis)?;
        map.serialize_entry("pcrs", &Value::Map(pcrs))?;
        map.serialize_entry("certificate", &Value::Bytes(self.certificate.clone()))?;
        map.serialize_entry("cabundle", &Value::Array(self.cabundle.iter().cloned().map(Value::Bytes).collect()))?;
        map.serialize_entry("public_key", &optional(&self.public_key))?;
        map.serialize_entry("user_data", &optional(&self.user_data))?;
        map.serialize_entry("nonce", &optional(&self.nonce))?;
        map.end()
    }
}

/// CBOR.
pub(super) fn encoded(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|_| Error::Signing)?;
    Ok(bytes)
}
