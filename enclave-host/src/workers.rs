//! Where blocking and costly work runs, so that it does not delay the 10-microsecond encrypts on the runtime's own threads.
//!
//! RSA private operations (0.4 to 7 ms) get as many threads as there are cores; exports, which wait for DSM, have a bound of their
//! own, so that a slow DSM cannot take the threads of the former.

use std::sync::Arc;

use dsma_core::{CachedKey, Error, Lead};
use tokio::sync::Semaphore;

/// Exports at the same time; more wait.
const EXPORTS: usize = 32;
/// Beside the two bounded kinds: name resolution of the HTTP client, and the login.
const SPARE_THREADS: usize = 16;

/// The bounds.
pub(crate) struct Workers {
    costly: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

impl Workers {
    /// How many threads the runtime's blocking pool needs.
    pub(crate) fn threads() -> usize {
        cores() + EXPORTS + SPARE_THREADS
    }

    pub(crate) fn new() -> Self {
        Self::with(cores())
    }

    fn with(costly: usize) -> Self {
        Self { costly: Arc::new(Semaphore::new(costly)), exports: Arc::new(Semaphore::new(EXPORTS)) }
    }

    /// Runs an operation that keeps a core busy. `None` where it panicked. Its turn lasts as long as the work, also where the request
    /// that wanted it is gone.
    pub(crate) async fn run<T: Send + 'static>(&self, operation: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // The semaphore is never closed.
        let turn = Arc::clone(&self.costly).acquire_owned().await.ok()?;
        let work = move || {
            let _turn = turn;
            operation()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Runs the one export of a key in the background. It goes on when the caller who caused it goes away: others may wait for it.
    pub(crate) fn export(&self, lead: Lead) {
        let exports = Arc::clone(&self.exports);
        tokio::spawn(async move {
            let Ok(turn) = exports.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                log_failure(lead.run());
            });
        });
    }
}

/// Whoever waits for the key gets the same error; the log tells the operator what our own identity may not do.
fn log_failure(outcome: Result<Arc<CachedKey>, Error>) {
    if let Err(error) = outcome {
        tracing::warn!(target: "dsma::cache", "a key could not be exported: {error}");
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_keeps_its_turn_when_nobody_wants_it_any_more() {
        let workers = Arc::new(Workers::with(1));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go_on, gate) = mpsc::channel::<()>();
        let request = tokio::spawn({
            let workers = Arc::clone(&workers);
            async move {
                let work = move || {
                    let _ = begun.send(());
                    gate.recv()
                };
                workers.run(work).await
            }
        });
        has_begun.await.unwrap();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert_eq!(workers.costly.available_permits(), 0);
        go_on.send(()).unwrap();
        assert_eq!(workers.run(|| 7).await, Some(7));
    }
}
