//! One answer for many who wait: on a thread, or in a runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{Error, gate};

/// A wait for an answer that somebody else is fetching. Await it, or [`Flight::wait`] on this thread.
#[derive(Debug)]
pub struct Flight<T> {
    shared: Arc<Shared<T>>,
}

/// The other end: whoever holds it owes the answer. Dropping it unfulfilled answers [`Error::Abandoned`].
#[derive(Debug)]
pub(crate) struct Promise<T: Clone> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    landed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    answer: Option<Result<T, Error>>,
    wakers: Vec<Waker>,
}

impl<T: Clone> Flight<T> {
    /// A promise and the first wait for it.
    pub(crate) fn start() -> (Promise<T>, Self) {
        let shared = Arc::new(Shared { state: Mutex::new(State { answer: None, wakers: Vec::new() }), landed: Condvar::new() });
        (Promise { shared: Arc::clone(&shared) }, Self { shared })
    }

    /// Blocks this thread until the answer is there. A fork does not wait for it.
    pub fn wait(self) -> Result<T, Error> {
        gate::outside(|| {
            let mut state = self.shared.lock();
            loop {
                if let Some(answer) = &state.answer {
                    return answer.clone();
                }
                state = self.shared.landed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        })
    }
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Clone> Future for Flight<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        if let Some(answer) = &state.answer {
            return Poll::Ready(answer.clone());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<T: Clone> Promise<T> {
    /// Another wait for the same answer.
    pub(crate) fn flight(&self) -> Flight<T> {
        Flight { shared: Arc::clone(&self.shared) }
    }

    /// Answers all who wait.
    pub(crate) fn fulfil(self, answer: Result<T, Error>) {
        self.shared.land(answer);
    }
}

impl<T: Clone> Drop for Promise<T> {
    fn drop(&mut self) {
        self.shared.land(Err(Error::Abandoned));
    }
}

impl<T> Shared<T> {
    /// The first answer stands.
    fn land(&self, answer: Result<T, Error>) {
        let wakers = {
            let mut state = self.lock();
            if state.answer.is_some() {
                return;
            }
            state.answer = Some(answer);
            std::mem::take(&mut state.wakers)
        };
        self.landed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may start threads")]
    fn all_who_wait_get_the_one_answer() {
        let (promise, first) = Flight::start();
        let waiters: Vec<_> = (0..8).map(|_| promise.flight()).map(|flight| std::thread::spawn(move || flight.wait())).collect();
        promise.fulfil(Ok(7));
        assert!(waiters.into_iter().all(|waiter| matches!(waiter.join(), Ok(Ok(7)))));
        assert!(matches!(first.wait(), Ok(7)));
    }

    #[test]
    fn a_dropped_promise_is_an_answer_too() {
        let (promise, flight) = Flight::<u8>::start();
        drop(promise);
        assert!(matches!(flight.wait(), Err(Error::Abandoned)));
    }
}
