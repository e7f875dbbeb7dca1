//! The attestation document: its fields, read under AWS's syntactic rules.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use ciborium::Value;

use crate::Error;
use crate::envelope::{Envelope, one_item};

/// The one digest that the NSM uses.
const DIGEST: &str = "SHA384";
/// PCR lengths that AWS's rules allow: SHA-256, SHA-384, SHA-512.
const PCR_LENGTHS: [usize; 3] = [32, 48, 64];
const MAX_PCRS: usize = 32;
/// Of each certificate and of `public_key`, `user_data` and `nonce`. AWS's rules name 512 for the latter two in one place and 1024 in
/// another; the wider one is read.
const MAX_BYTES: usize = 1024;
/// Map, then arrays and maps of byte strings.
const MAX_DEPTH: usize = 8;

/// What an NSM says about its enclave. [`Document::parse`] gives what the bytes claim; [`crate::Verifier::verify`] what is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The NSM: `i-<instance>-enc<enclave>`.
    pub module_id: String,
    /// The digest of the PCRs: `SHA384`.
    pub digest: String,
    /// When it was signed, in milliseconds since 1970.
    pub timestamp_millis: u64,
    /// Platform configuration registers by index, each 48 bytes (real ones list 0 to 15; what is not used is all zero).
    pub pcrs: BTreeMap<u32, Vec<u8>>,
    /// The certificate of the key that signed it, DER.
    pub certificate: Vec<u8>,
    /// The issuers, DER, root first.
    pub cabundle: Vec<Vec<u8>>,
    /// A key of the enclave, as the enclave gave it.
    pub public_key: Option<Vec<u8>>,
    /// Data of the enclave; see [`crate::binding`].
    pub user_data: Option<Vec<u8>>,
    /// A nonce, as the enclave gave it.
    pub nonce: Option<Vec<u8>>,
    /// SHA-256 of the signed bytes: what tells this document from every other. The bytes around them are no help against replay, since
    /// anybody can rewrite a tag, a CBOR length and an ECDSA signature.
    pub content: [u8; 32],
}

impl Document {
    /// Reads a document, tagged or not, without believing it: the form is checked, nothing else.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Envelope`], [`Error::Field`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_payload(Envelope::open(bytes)?.payload())
    }

    /// Reads the signed map. Definite and indefinite lengths both occur; optional fields may be null or absent. Fields that AWS may add
    /// one day are passed over; a field that occurs twice is refused.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, Error> {
        let item = one_item(payload, MAX_DEPTH).map_err(|problem| Error::Envelope { problem: format!("the payload: {problem}") })?;
        let Value::Map(entries) = item else {
            return Err(Error::Envelope { problem: "the payload is no map".to_owned() });
        };
        let mut fields = Fields::new(entries)?;
        let mut content = [0; 32];
        content.copy_from_slice(digest(&SHA256, payload).as_ref());
        let document = Self {
            module_id: fields.text("module_id")?,
            digest: fields.text("digest")?,
            timestamp_millis: fields.timestamp()?,
            pcrs: fields.pcrs()?,
            certificate: fields.bytes("certificate")?,
            cabundle: fields.cabundle()?,
            public_key: fields.optional("public_key", 1)?,
            user_data: fields.optional("user_data", 0)?,
            nonce: fields.optional("nonce", 0)?,
            content,
        };
        if document.digest != DIGEST {
            return Err(broken("digest", format!("{:?}, and only {DIGEST} is known", document.digest)));
        }
        Ok(document)
    }

    /// The first of PCR0, PCR1 and PCR2 that measures nothing, and how: `all zero`, as the hypervisor reports a debug-mode enclave, or
    /// `missing`.
    #[must_use]
    pub fn unmeasured(&self) -> Option<(u32, &'static str)> {
        (0..3).find_map(|index| match self.pcrs.get(&index) {
            None => Some((index, "missing")),
            Some(value) if value.iter().all(|byte| *byte == 0) => Some((index, "all zero")),
            Some(_) => None,
        })
    }
}

/// The map's entries, taken out one by one.
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn new(entries: Vec<(Value, Value)>) -> Result<Self, Error> {
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let Value::Text(key) = key else {
                return Err(Error::Envelope { problem: "the payload has a key that is no text".to_owned() });
            };
            if let Some(twice) = fields.insert(key.clone(), value).map(|_| key) {
                return Err(Error::Envelope { problem: format!("the payload has {twice:?} twice") });
            }
        }
        Ok(Self(fields))
    }

    fn required(&mut self, field: &'static str) -> Result<Value, Error> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Err(broken(field, "missing")),
            Some(value) => Ok(value),
        }
    }

    fn text(&mut self, field: &'static str) -> Result<String, Error> {
        match self.required(field)? {
            Value::Text(text) if text.is_empty() => Err(broken(field, "empty")),
            Value::Text(text) => Ok(text),
            _ => Err(broken(field, "no text")),
        }
    }

    fn timestamp(&mut self) -> Result<u64, Error> {
        const FIELD: &str = "timestamp";
        match self.required(FIELD)?.into_integer().ok().and_then(|number| u64::try_from(number).ok()) {
            None => Err(broken(FIELD, "no unsigned number")),
            Some(0) => Err(broken(FIELD, "zero")),
            Some(millis) => Ok(millis),
        }
    }

    fn pcrs(&mut self) -> Result<BTreeMap<u32, Vec<u8>>, Error> {
        const FIELD: &str = "pcrs";
        let Value::Map(entries) = self.required(FIELD)? else {
            return Err(broken(FIELD, "no map"));
        };
        if entries.is_empty() || entries.len() > MAX_PCRS {
            return Err(broken(FIELD, format!("a map of {} entries, and 1 to {MAX_PCRS} are allowed", entries.len())));
        }
        let mut pcrs = BTreeMap::new();
        for (index, value) in entries {
            let index = index.into_integer().ok().and_then(|number| u32::try_from(number).ok());
            let index = index.filter(|index| (*index as usize) < MAX_PCRS);
            let index = index.ok_or_else(|| broken(FIELD, format!("a map with a key that is no number below {MAX_PCRS}")))?;
            let value = value.into_bytes().map_err(|_| broken(FIELD, format!("a map whose entry {index} is no byte string")))?;
            if !PCR_LENGTHS.contains(&value.len()) {
                return Err(broken(FIELD, format!("a map whose entry {index} has {} bytes, and 32, 48 or 64 are allowed", value.len())));
            }
            if pcrs.insert(index, value).is_some() {
                return Err(broken(FIELD, format!("a map with entry {index} twice")));
            }
        }
        Ok(pcrs)
    }

    fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, Error> {
        sized(field, self.required(field)?, 1)
    }

    fn cabundle(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        const FIELD: &str = "cabundle";
        match self.required(FIELD)? {
            Value::Array(entries) if entries.is_empty() => Err(broken(FIELD, "empty")),
            Value::Array(entries) => entries.into_iter().map(|entry| sized(FIELD, entry, 1)).collect(),
            _ => Err(broken(FIELD, "no array")),
        }
    }

    /// The real NSM writes null for a field that the enclave did not give, against the letter of AWS's text.
    fn optional(&mut self, field: &'static str, min: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => sized(field, value, min).map(Some),
        }
    }
}

fn sized(field: &'static str, value: Value, min: usize) -> Result<Vec<u8>, Error> {
    let bytes = value.into_bytes().map_err(|_| broken(field, "no byte string"))?;
    if (min..=MAX_BYTES).contains(&bytes.len()) {
        return Ok(bytes);
    }
    Err(broken(field, format!("a byte string of {} bytes, and {min} to {MAX_BYTES} are allowed", bytes.len())))
}

fn broken(field: &'static str, problem: impl Into<String>) -> Error {
    Error::Field { field, problem: problem.into() }
}
