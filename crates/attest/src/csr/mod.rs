//! Certificate signing requests (PKCS#10, RFC 2986) that carry an attestation document in the attribute of the vendor's published client.
//!
//! [`build`] is the enclave's side, [`Csr`] the certificate authority's.

mod build;
mod key;
mod parse;

use x509_cert::der::oid::ObjectIdentifier;

pub use build::{CsrRequest, build};
pub use key::KeyPair;
pub use parse::Csr;

/// The attribute: a SET of one OCTET STRING, whose content is the document as the NSM gave it.
const ATTESTATION_NITRO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.49690.2.2.6");
/// `extensionRequest` (RFC 2985, section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// `id-at-commonName`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// `ecdsa-with-SHA256` (RFC 5758).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
