//! Local operations on parsed keys: AES, RSA, elliptic curves, authentication codes, digests, random numbers. No I/O, no clock, no policy.
//!
//! A [`Key`] is parsed once and then used by any number of threads through a shared reference; what costs time at parsing (an RSA
//! consistency check is 220 microseconds) is never paid per call. Every primitive is aws-lc's: nothing here computes on its own. All
//! `unsafe` of the crate lies in the room `aws_lc`; everything outside it is safe code that chooses and checks.
#![deny(unsafe_code)]

mod aes;
#[allow(unsafe_code)]
mod aws_lc;
pub mod digest;
mod ec;
mod error;
mod key;
mod mac;
mod params;
mod parts;
pub mod random;
mod rsa;
mod stream;

pub use aes::AesKey;
pub use aws_lc::Buffers;
pub use ec::{Curve, EcPrivateKey, EcPublicKey};
pub use error::Error;
pub use key::Key;
pub use mac::{HmacKey, Mac, MacScheme, MacStream};
pub use params::{CipherParams, Encoding, Message, SignatureScheme};
pub use parts::CipherParts;
pub use rsa::{RsaPrivateKey, RsaPublicKey};
pub use stream::CipherStream;

#[cfg(test)]
mod tests;
