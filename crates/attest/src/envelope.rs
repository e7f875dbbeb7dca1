//! The COSE_Sign1 around a document (RFC 9052, section 4.2): opened, and its signature checked.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use ciborium::Value;
use coset::{Algorithm, AsCborValue, CoseSign1, Header, iana};

use crate::Error;

/// AWS: the payload has at most 16384 bytes. Tag, headers, lengths and signature need 109 more.
const MAX_DOCUMENT: usize = 16384 + 128;
const MAX_PAYLOAD: usize = 16384;
/// r and s of P-384, each 48 bytes (RFC 9053, section 2.1).
const SIGNATURE: usize = 96;
/// CBOR tag of COSE_Sign1. AWS's text allows it; the NSM does not write it.
const TAG: u64 = 18;
/// Tag, array and headers; whatever nests deeper is no envelope.
const MAX_DEPTH: usize = 8;

/// A document's envelope, whose signature is not yet checked.
pub(crate) struct Envelope {
    sign1: CoseSign1,
    payload: Vec<u8>,
}

impl Envelope {
    /// Takes tagged and untagged ones. The protected header must be exactly `{1: -35}` (ES384) and the unprotected one empty, so that
    /// nothing that is not understood is passed over.
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_DOCUMENT {
            return Err(Error::TooLarge { what: "attestation document", length: bytes.len(), limit: MAX_DOCUMENT });
        }
        let value = match one_item(bytes, MAX_DEPTH).map_err(|problem| malformed(problem.as_str()))? {
            Value::Tag(TAG, inner) => *inner,
            Value::Tag(tag, _) => return Err(malformed(format!("CBOR tag {tag} where {TAG} or none is expected"))),
            untagged => untagged,
        };
        let mut sign1 = CoseSign1::from_cbor_value(value).map_err(|error| malformed(error.to_string()))?;
        let expected = Header { alg: Some(Algorithm::Assigned(iana::Algorithm::ES384)), ..Header::default() };
        if sign1.protected.header != expected {
            let seen = &sign1.protected.header.alg;
            return Err(malformed(format!(
                "the protected header must be algorithm ES384 (-35) and nothing else; its algorithm is {seen:?}"
            )));
        }
        if !sign1.unprotected.is_empty() {
            return Err(malformed("the unprotected header is not empty"));
        }
        if sign1.signature.len() != SIGNATURE {
            return Err(malformed(format!("the signature has {} bytes, and ES384 has {SIGNATURE}", sign1.signature.len())));
        }
        match sign1.payload.take() {
            Some(payload) if payload.is_empty() => Err(malformed("the payload is empty")),
            Some(payload) if payload.len() > MAX_PAYLOAD => {
                Err(Error::TooLarge { what: "payload of an attestation document", length: payload.len(), limit: MAX_PAYLOAD })
            }
            Some(payload) => Ok(Self { sign1, payload }),
            None => Err(malformed("the payload is detached")),
        }
    }

    /// The signed bytes: the document's map.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature with a P-384 key, given as an uncompressed point.
    pub(crate) fn verify(&self, point: &[u8]) -> Result<(), Error> {
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
        // No additional data: the NSM signs none.
        let signed = coset::sig_structure_data(coset::SignatureContext::CoseSign1, self.sign1.protected.clone(), None, &[], &self.payload);
        key.verify(&signed, &self.sign1.signature).map_err(|_| Error::Signature)
    }
}

/// The one CBOR item that `bytes` hold: nothing may follow it. The error says what was seen.
pub(crate) fn one_item(bytes: &[u8], max_depth: usize) -> Result<Value, String> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, max_depth).map_err(|error| match error {
        ciborium::de::Error::Io(_) => "the CBOR breaks off".to_owned(),
        ciborium::de::Error::Syntax(offset) => format!("byte {offset} is no CBOR"),
        ciborium::de::Error::Semantic(_, problem) => format!("the CBOR is malformed: {problem}"),
        ciborium::de::Error::RecursionLimitExceeded => "the CBOR is nested too deep".to_owned(),
    })?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes follow the CBOR item", rest.len())) }
}

fn malformed(problem: impl Into<String>) -> Error {
    Error::Envelope { problem: problem.into() }
}
