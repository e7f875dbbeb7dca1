//! One run of the same question at a time: whoever asks while it runs gets the same answer.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Questions under way, by key.
pub(super) struct SingleFlight<K, V>(Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>);

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> SingleFlight<K, V> {
    /// The answer to `key`: of the run under way, else of a new one. A run goes on when its askers go away, because others may have
    /// joined. `None` where it panicked.
    pub(super) async fn run(&self, key: K, question: impl Future<Output = V> + Send + 'static) -> Option<V> {
        let mut answer = {
            let mut running = self.0.lock();
            match running.get(&key) {
                Some(answer) => answer.clone(),
                None => {
                    let (sender, answer) = watch::channel(None);
                    running.insert(key.clone(), answer.clone());
                    let landing = Landing { running: Arc::clone(&self.0), key };
                    tokio::spawn(async move {
                        let value = question.await;
                        // Whoever comes from now on asks anew.
                        drop(landing);
                        sender.send_replace(Some(value));
                    });
                    answer
                }
            }
        };
        answer.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Ends the run, also when it panics.
struct Landing<K: Eq + Hash, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test]
    async fn many_ask_one_runs() {
        let flights = Arc::new(SingleFlight::<u8, usize>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let mut askers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (flights, runs, gate) = (Arc::clone(&flights), Arc::clone(&runs), Arc::clone(&gate));
            askers.spawn(async move {
                let question = async move {
                    let _open = gate.acquire().await;
                    runs.fetch_add(1, SeqCst) + 1
                };
                flights.run(7, question).await
            });
        }
        tokio::task::yield_now().await;
        gate.add_permits(1);
        assert_eq!(askers.join_all().await, vec![Some(1); 100]);
        assert_eq!(flights.run(7, async { 9 }).await, Some(9));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_leaves_nothing_behind() {
        let flights = SingleFlight::<u8, ()>::default();
        assert_eq!(flights.run(1, async { panic!("on purpose") }).await, None);
        assert_eq!(flights.run(1, async {}).await, Some(()));
    }
}
