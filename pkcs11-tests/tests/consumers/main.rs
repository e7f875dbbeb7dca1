//! The programs that people load the library into, each started for real, on keys in a real dsma-local.
//!
//! One file a consumer. What is proved is the consumer's own job: a page is served, a login succeeds, a signature verifies elsewhere.
//! The table in `docs/compatibility.md` says which versions were seen. `pkcs11-tool` is tested in `tests/pkcs11/programs.rs`, Debian 13's
//! programs by `debian13/run`.

mod desk;
mod engine;
mod gnutls;
mod java;
mod node;
mod nss;
mod python;
mod ssh;
mod web_servers;
