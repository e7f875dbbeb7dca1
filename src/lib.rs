//! `libdsma.so`: keys that live in DSM, used at the speed of the primitive through PKCS#11 and a small C API.
//!
//! The crate is a cdylib alone. Raw pointers become types in [`pkcs11::ffi`] and [`capi::ffi`]; everything behind those doors is
//! safe code, and [`fork`] registers the fork handlers.
#![deny(unsafe_code)]

mod capi;
mod fork;
mod pkcs11;
