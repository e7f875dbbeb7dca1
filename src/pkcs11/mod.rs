//! PKCS#11 (2.40, 3.0, 3.2): a file per chapter of the standard.
//!
//! A call goes [`ffi`] (pointers become types) -> [`entry`] (initialised? fork gate, panic barrier) -> its chapter, which answers a
//! [`Result`] that [`error`] turns into a `CKR_` code. Chapters hold no lock while the engine may do I/O: an operation is taken out
//! of its session for the length of a call ([`operation`]), so that a fork finds every lock free and a slow DSM blocks one session.
//! Source: OASIS PKCS#11 3.2; section numbers in comments are those of its "Functions" chapter.

mod attributes;
mod batch;
mod conformance;
mod consent;
mod der;
mod derivation;
mod digest;
mod dual;
mod encapsulation;
mod encryption;
mod entry;
mod error;
mod ffi;
mod general;
mod in_dsm;
mod index;
mod kept;
mod key_use;
mod keygen;
mod mechanisms;
mod message_encryption;
mod message_signing;
mod nonces;
mod objects;
mod operation;
mod parts_in_dsm;
mod random;
mod recovery;
mod session_table;
mod sessions;
mod signing;
mod slots;
mod sync;
mod token;
mod verify_signature;
mod wrapping;

use error::{Error, Result};
