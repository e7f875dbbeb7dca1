//! PKCS#11 as an application sees it: through `dlopen` of `libdsma.so`, against a real dsma-local.
//!
//! The trap numbers in test names are those of the list of facts that modules most often get wrong. Oracles are not ours: the
//! `openssl` program, OpenSC, and DSM's audit log. Traps 13 and 21 to 23 are about functions that this version does not have.

mod attested;
mod cancelling;
mod client;
mod digests;
mod encryption;
mod general;
mod isolated;
mod keys;
mod macs;
mod module;
mod objects;
mod openssl;
mod outage;
mod processes;
mod programs;
mod session_objects;
mod sessions;
mod signing;
mod slots;
mod symbols;
mod token_objects;
