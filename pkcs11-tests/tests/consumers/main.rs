//! The programs that people load the library into, each started for real, on keys in a real dsma-local.
//!
//! One file a consumer. What is proved is the consumer's own job: a page is served, a login succeeds, a signature verifies elsewhere.
//! The table in `docs/compatibility.md` says which versions were seen. `pkcs11-tool` and OpenSSL's engine on the command line are tested in
//! `tests/pkcs11/programs.rs`.

mod desk;
mod engine;
mod gnutls;
mod java;
mod node;
mod nss;
mod python;
mod ssh;
mod web_servers;
