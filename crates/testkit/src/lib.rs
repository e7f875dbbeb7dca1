//! Starts the real programs for tests, the tour and the benchmarks: no mocks.
//!
//! [`Stack`] is dsma-local on free ports with a state directory of its own, [`Host`] is enclave-host in front of it, and
//! [`library`] is the path of `libdsma.so`. The programs are built once per process in the profile of whoever asks. Everything that
//! was started ends with its handle, also when a test panics or its runner is killed. This is a test crate: what goes wrong panics
//! with the program's own output in the message.
#![forbid(unsafe_code)]

mod authority;
mod dsm;
mod host;
mod liar;
mod ports;
mod process;
mod programs;
mod stack;

pub use authority::{Authority, Identity};
pub use dsm::{Credential, Dsm, Reply};
pub use host::Host;
pub use liar::{Answer, Liar};
pub use ports::free_port;
pub use process::Process;
pub use programs::{library, target_dir};
pub use rcgen;
pub use stack::Stack;
