//! The engine: resolve a key, check the grant, run locally or forward.
//!
//! [`Accelerator`] is the whole of it for a front. It starts no thread and needs no runtime: what blocks, blocks the caller, and
//! [`Flight`] can be awaited by a caller that has a runtime. Everything is `Send + Sync`.
#![deny(unsafe_code)]

mod accelerator;
mod cache;
mod clock;
mod config;
mod dsm;
mod error;
mod flight;
pub mod gate;
mod identity;
mod net;
mod roots;
#[allow(unsafe_code)]
mod secret;
pub mod telemetry;
mod wiped;

pub use accelerator::{
    Accelerator, Change, KeyFrom, Lead, Parts, Peer, Resolution, Snapshot, Sobjects, Stats, allows_cipher, allows_signature,
    dsm_takes_parts, dsm_wraps,
};
pub use cache::{CachedKey, KeyRef};
pub use clock::Moment;
pub use config::{
    ApiKey, Attested, CertificateFiles, Config, DEFAULT_DOMAIN, Identity, LogConfig, LoginMode, MechanismFilter, PointEncoding,
    check_endpoint,
};
pub use dsm::{Dsm, MOST_FORWARDED, Reply};
pub use error::Error;
pub use flight::Flight;
pub use identity::NodeAgentUrl;
pub use roots::{roots_of, system_roots};
pub use secret::SecretBytes;

/// A wait for a key that somebody else is fetching.
pub type KeyFlight = Flight<std::sync::Arc<CachedKey>>;
