//! The C API: one file per C noun, and [`ffi`], where pointers become types and the exported shells stand.
//!
//! `include/dsma.h` is generated from these files (`make header`): doc comments of `dsma_*` items are the header's text, and their
//! names are spelled as C sees them. The nouns below are safe code; they know nothing of pointers that a caller gave.

mod cipher;
mod client;
mod error;
#[allow(unsafe_code)]
mod ffi;
mod hash;
mod key;
mod signature;
