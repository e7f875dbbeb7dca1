//! The place in a session where one running operation lives.

use std::sync::Mutex;

use dsma_core::gate;

use super::sync::lock;
use super::{Error, Result};

/// One operation of a kind in a session: nothing, waiting for the next call, or out with a call.
///
/// The lock is held to take an operation out and to put it back, never while it runs: running may mean I/O. Whoever asks for an
/// operation that is out is told that there is none; the standard asks callers not to use one session from two threads at a time.
pub(super) struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Idle,
    Waiting(T),
    /// Out with a call that belongs to this fork generation. A child forgets what a thread that it does not have took out.
    Out {
        generation: u64,
    },
}

impl<T> Slot<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(State::Idle))
    }

    /// Starts an operation; `make` runs only if none is active, and the active one goes on untouched (trap 8).
    pub(super) fn start(&self, make: impl FnOnce() -> Result<T>) -> Result {
        if self.is_active() {
            return Err(Error::OperationActive);
        }
        let operation = make()?;
        let mut state = lock(&self.0);
        if state.is_active() {
            return Err(Error::OperationActive);
        }
        *state = State::Waiting(operation);
        Ok(())
    }

    /// As [`Slot::start`], where what `make` makes is good only in the `epoch` that it was made in: where another one has begun meanwhile,
    /// it is made again. Whoever begins an epoch cancels the operations of the last one afterwards, so that none is left over.
    pub(super) fn start_in(&self, epoch: impl Fn() -> u64, make: impl Fn() -> Result<T>) -> Result {
        loop {
            if self.is_active() {
                return Err(Error::OperationActive);
            }
            let begun = epoch();
            let operation = make()?;
            let mut state = lock(&self.0);
            if state.is_active() {
                return Err(Error::OperationActive);
            }
            if epoch() == begun {
                *state = State::Waiting(operation);
                return Ok(());
            }
        }
    }

    /// Takes the operation out for one call. It ends with that call unless [`Taken::keep`] puts it back.
    pub(super) fn take(&self) -> Result<Taken<'_, T>> {
        let mut state = lock(&self.0);
        match std::mem::replace(&mut *state, State::Out { generation: gate::generation() }) {
            State::Waiting(operation) => Ok(Taken { slot: self, operation: Some(operation) }),
            idle_or_out => {
                *state = idle_or_out;
                Err(Error::OperationNotInitialized)
            }
        }
    }

    /// Ends the operation, if there is one.
    pub(super) fn cancel(&self) {
        let ended = std::mem::replace(&mut *lock(&self.0), State::Idle);
        drop(ended);
    }

    /// Ends the operation if `condition` holds for it, or if it is out and nobody can tell.
    pub(super) fn cancel_if(&self, condition: impl FnOnce(&T) -> bool) {
        let mut state = lock(&self.0);
        if !matches!(&*state, State::Waiting(operation) if !condition(operation)) {
            *state = State::Idle;
        }
    }

    /// Runs `look` on the operation that waits, if one does: under the lock, so that it must be short.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        match &mut *lock(&self.0) {
            State::Waiting(operation) => Some(look(operation)),
            _ => None,
        }
    }

    /// Whether there is one.
    pub(super) fn is_active(&self) -> bool {
        lock(&self.0).is_active()
    }
}

impl<T> State<T> {
    fn is_active(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Waiting(_) => true,
            Self::Out { generation } => *generation == gate::generation(),
        }
    }
}

/// An operation out of its slot. Dropping it ends the operation: that is what an error, and a panic, should do (trap 3).
pub(super) struct Taken<'s, T> {
    slot: &'s Slot<T>,
    operation: Option<T>,
}

impl<T> Taken<'_, T> {
    /// The operation itself.
    pub(super) fn get(&mut self) -> Result<&mut T> {
        self.operation.as_mut().ok_or(Error::OperationNotInitialized)
    }

    /// Puts it back: the operation goes on with the next call.
    pub(super) fn keep(mut self) {
        if let Some(operation) = self.operation.take() {
            let mut state = lock(&self.slot.0);
            // Cancelled meanwhile by another thread: stay cancelled.
            if matches!(*state, State::Out { .. }) {
                *state = State::Waiting(operation);
            }
            drop(state);
            std::mem::forget(self);
        }
    }

    /// Ends the operation and hands it over for its last step.
    pub(super) fn end(mut self) -> Result<T> {
        self.operation.take().ok_or(Error::OperationNotInitialized)
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.slot.0);
        if matches!(*state, State::Out { .. }) {
            *state = State::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_operation_ends_unless_it_is_kept() {
        let slot = Slot::new();
        assert_eq!(slot.take().err(), Some(Error::OperationNotInitialized));
        slot.start(|| Ok(1)).unwrap();
        assert_eq!(slot.start(|| Ok(2)), Err(Error::OperationActive));
        let mut taken = slot.take().unwrap();
        assert_eq!(*taken.get().unwrap(), 1);
        assert_eq!(slot.take().err(), Some(Error::OperationNotInitialized));
        assert_eq!(slot.start(|| Ok(3)), Err(Error::OperationActive));
        taken.keep();
        assert_eq!(slot.take().unwrap().end(), Ok(1));
        assert_eq!(slot.take().err(), Some(Error::OperationNotInitialized));
        slot.start(|| Ok(4)).unwrap();
    }

    #[test]
    fn a_cancelled_operation_does_not_come_back() {
        let slot = Slot::new();
        slot.start(|| Ok(1)).unwrap();
        let taken = slot.take().unwrap();
        slot.cancel();
        taken.keep();
        assert_eq!(slot.take().err(), Some(Error::OperationNotInitialized));
    }

    #[test]
    fn an_operation_of_another_epoch_is_made_again_or_not_at_all() {
        let (slot, epoch) = (Slot::new(), Cell::new(0));
        // The epoch ends while the operation is made.
        let make = || Ok(epoch.replace(1));
        slot.start_in(|| epoch.get(), make).unwrap();
        assert_eq!(slot.take().unwrap().end(), Ok(1));
        // What it works on is gone in the next one.
        epoch.set(0);
        let make = || if epoch.replace(1) == 0 { Ok(7) } else { Err(Error::KeyHandleInvalid) };
        assert_eq!(slot.start_in(|| epoch.get(), make), Err(Error::KeyHandleInvalid));
        assert!(!slot.is_active());
    }

    #[test]
    fn a_panic_ends_the_operation() {
        let slot = Slot::new();
        slot.start(|| Ok(1)).unwrap();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _taken = slot.take().unwrap();
            panic!("on purpose");
        }));
        assert!(unwound.is_err());
        slot.start(|| Ok(2)).unwrap();
    }
}
