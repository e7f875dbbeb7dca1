//! Attestation: what an AWS Nitro enclave says about itself, and how it is believed.
//!
//! [`Document`] is an attestation document as the Nitro Secure Module signs it; [`Verifier`] decides, rule by rule, whether it is
//! believed, under pinned [`Roots`] and at a time that the caller gives; [`Document::content`] lets whoever accepts one accept it once.
//! [`nsm`] is the enclave's side: the device that signs. [`csr`] carries a document to a certificate authority inside a certificate
//! signing request, and [`binding`] ties the two together.
//!
//! The crate does no I/O but that of the device, reads no clock, and trusts no input: sizes are capped before anything is parsed, and
//! each refusal says which rule and what was seen.
#![forbid(unsafe_code)]

pub mod binding;
mod chain;
pub mod csr;
mod document;
mod envelope;
mod error;
pub mod nsm;
mod roots;
mod verifier;

pub use document::Document;
pub use error::Error;
pub use roots::Roots;
pub use verifier::Verifier;
