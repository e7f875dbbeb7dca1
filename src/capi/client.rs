//! `dsma_client`: one configuration, one credential, one key cache.
#![expect(non_camel_case_types, reason = "the header's names")]

use std::path::Path;
use std::sync::Arc;

use dsma_core::{Accelerator, Config, telemetry};
use uuid::Uuid;

use super::error::Failure;
use crate::fork;

/// A configuration with its credential, its DSM session and its key cache. Opaque, reference counted, safe to use from any number
/// of threads at once, and usable on both sides of a fork.
pub(crate) struct dsma_client {
    accelerator: Accelerator,
}

/// Counters of a client since it was opened, as dsma_client_stats tells them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct dsma_stats {
    /// Keys fetched from DSM, refreshes included.
    pub(super) exports: u64,
    /// Uses of a key that the cache held.
    pub(super) hits: u64,
    /// Operations that DSM did, because it does not let the key out.
    pub(super) forwards: u64,
    /// Operations done with an older copy of the key because DSM could not be reached.
    pub(super) served_in_outage: u64,
    /// Keys in the cache now.
    pub(super) cached_keys: u64,
    /// For later versions; zero.
    pub(super) reserved: [u64; 3],
}

impl dsma_client {
    /// The network is not touched. `None` searches as the PKCS#11 front does.
    pub(super) fn open(config: Option<&Path>) -> Result<Arc<Self>, Failure> {
        fork::install().map_err(|code| Failure::System {
            what: "the fork handlers cannot be registered",
            cause: std::io::Error::from_raw_os_error(code),
            mend: "free memory and open the client again",
        })?;
        let config = Config::load(config)?;
        telemetry::init(&config.log).map_err(|cause| Failure::System {
            what: "the log file of the configuration cannot be opened",
            cause,
            mend: "correct [log] file, or the permissions of its directory",
        })?;
        Ok(Arc::new(Self { accelerator: Accelerator::open(config)? }))
    }

    pub(super) fn login(&self) -> Result<(), Failure> {
        self.accelerator.login()?;
        Ok(())
    }

    /// Drops the cached keys of these kids, or all; returns how many there were.
    pub(super) fn clear(&self, kids: Option<&[Uuid]>) -> usize {
        self.accelerator.clear(kids)
    }

    pub(super) fn stats(&self) -> dsma_stats {
        let stats = self.accelerator.stats();
        dsma_stats {
            exports: stats.exports,
            hits: stats.hits,
            forwards: stats.forwards,
            served_in_outage: stats.served_in_outage,
            cached_keys: stats.cached_keys,
            reserved: [0; 3],
        }
    }

    pub(super) fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }
}
