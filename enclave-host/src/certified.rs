//! The certificate of our own identity, kept fresh in the background, so that no request waits for it.

use std::time::Duration;

use dsma_core::Accelerator;

/// Asks again no later than this: a clock that was set shows then.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Renews whenever it is time; the engine logs what comes of it, and the old certificate serves until DSM has taken the new one. Ends at
/// once for an identity without a certificate.
pub(crate) async fn keep_fresh(accelerator: Accelerator) {
    loop {
        let engine = accelerator.clone();
        // It waits for the node agent and for DSM.
        let Ok(Some(wait)) = tokio::task::spawn_blocking(move || engine.dsm().keep_certified()).await else { return };
        tokio::time::sleep(spread(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))).await;
    }
}

/// Up to a tenth later: instances that were started together do not all come at once.
fn spread(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they do.
    let _ = dsma_crypto::random::fill(&mut byte);
    wait + wait / 10 * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_at_most() {
        let wait = Duration::from_secs(600);
        for _ in 0..100 {
            assert!((wait..=wait + wait / 10).contains(&spread(wait)));
        }
    }
}
