//! The C API as a caller of `libdsma.so` sees it: through `dlopen` and the committed header, against a real dsma-local.
//!
//! The oracles are not ours: published vectors, the `openssl` program, and DSM's audit log.

mod api;
mod cache;
mod forwarding;
mod header;
mod invariants;
mod lies;
mod misuse;
mod openssl;
mod processes;
mod round_trips;
mod signatures;
mod stack;
