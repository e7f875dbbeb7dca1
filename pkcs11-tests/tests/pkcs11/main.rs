//! PKCS#11 as an application sees it: through `dlopen` of `libdsma.so`, against a real dsma-local.
//!
//! The trap numbers in test names are those of the list of facts that modules most often get wrong. Oracles are not ours: the
//! `openssl` program, OpenSC, published vectors, and DSM's audit log.

mod always_authenticate;
mod arguments;
mod attested;
mod authenticated_wrapping;
mod batches;
mod cancelling;
mod certificates;
mod client;
mod contexts;
mod data_objects;
mod derivation;
mod digests;
mod dual;
mod encryption;
mod forks;
mod general;
mod in_dsm;
mod isolated;
mod keys;
mod lies;
mod macs;
mod mechanism_table;
mod message_parts;
mod messages;
mod module;
mod objects;
mod openssl;
mod outage;
mod parameters;
mod parts_in_dsm;
mod processes;
mod programs;
mod recovery;
mod sequences;
mod session_objects;
mod sessions;
mod signing;
mod slots;
mod symbols;
mod templates;
mod token_objects;
mod tokens;
mod traps;
mod unique_ids;
mod unloading;
mod wrapping;
mod wycheproof;
