//! Local operations on parsed keys: AES, ChaCha20-Poly1305, triple DES, RSA, elliptic curves, post-quantum schemes, authentication codes, digests, key
//! derivation, format-preserving encryption, random numbers. No I/O, no clock, no policy.
//!
//! A [`Key`] is parsed once and then used by any number of threads through a shared reference; what costs time at parsing (an RSA
//! consistency check is 220 microseconds) is never paid per call. Keys that neither encrypt nor sign in its way (X25519, ML-DSA,
//! ML-KEM) have functions of their own. Every primitive is aws-lc's, or RustCrypto's where it has none: nothing here computes on its own.
//! All `unsafe` of the crate lies in the room `aws_lc`; everything outside it is safe code that chooses and checks.
#![deny(unsafe_code)]

mod aes;
#[allow(unsafe_code)]
mod aws_lc;
mod block;
mod chacha20;
mod des3;
pub mod digest;
mod ec;
mod ed25519;
mod error;
mod ff1;
pub mod kdf;
mod key;
mod mac;
mod ml_dsa;
mod ml_kem;
mod params;
mod parts;
pub mod random;
mod rare_hash;
mod rfc6979;
mod rfc8410;
mod rsa;
mod stream;
mod x25519;

pub use aes::AesKey;
pub use aws_lc::Buffers;
pub use chacha20::ChaCha20Key;
pub use des3::Des3Key;
pub use ec::{Curve, EcPrivateKey, EcPublicKey};
pub use ed25519::{Ed25519PrivateKey, Ed25519PublicKey};
pub use error::Error;
pub use ff1::Ff1;
pub use key::Key;
pub use mac::{HmacKey, Mac, MacScheme, MacStream};
pub use ml_dsa::{MlDsaPrivateKey, MlDsaPublicKey, MlDsaSet};
pub use ml_kem::{MlKemPrivateKey, MlKemPublicKey, MlKemSet};
pub use params::{CipherParams, Encoding, Message, SignatureScheme};
pub use parts::CipherParts;
pub use rsa::{RsaPrivateKey, RsaPublicKey};
pub use stream::CipherStream;
pub use x25519::{X25519PrivateKey, X25519PublicKey};

#[cfg(test)]
mod tests;
