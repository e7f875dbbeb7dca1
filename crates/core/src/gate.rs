//! The fork gate: no lock is held by another thread at the moment of a fork.
//!
//! Every front enters the gate for the length of a call and everything that takes a lock (ours, aws-lc's, the HTTP pool's) runs
//! inside. Only what may block for long runs [`outside`]: socket calls, name resolution, waiting for a [`crate::Flight`]. The atfork
//! prepare handler closes the gate and waits until it is empty; parent and child open it again. So the child's copy of every lock
//! is free, and its sessions, keys and running operations can be used.
//!
//! Waiting is done by looking again: a fork and most calls before it last well under a few milliseconds, and a lock here would be one more
//! lock to survive the fork. Some calls last for seconds (an RSA key pair is made, a key is made of a password), so that whoever waits soon
//! sleeps between two looks. A program that never forks pays two uncontended atomic additions per call.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Enters the gate; waits while a fork is being made. Re-entrant: the outermost [`Pass`] of a thread counts.
#[must_use]
pub fn enter() -> Pass {
    let mut thread = THREAD.get();
    if thread.depth == 0 {
        if thread.shard == UNASSIGNED {
            thread.shard = NEXT_SHARD.fetch_add(1, SeqCst) % SHARDS.len();
        }
        admit(thread.shard);
    }
    thread.depth += 1;
    THREAD.set(thread);
    Pass { _not_send: PhantomData }
}

/// Runs `io` outside the gate, so that a fork does not wait for it. Whatever `io` does, it must not take a lock that the child needs.
pub fn outside<R>(io: impl FnOnce() -> R) -> R {
    let thread = THREAD.get();
    if thread.depth == 0 {
        return io();
    }
    let _reentry = Reentry::leave(thread);
    io()
}

/// How many forks lie between this process and the one that loaded the library. What belongs to an older generation (connections,
/// flights) belongs to another process.
#[must_use]
pub fn generation() -> u64 {
    GENERATION.load(SeqCst)
}

/// For the atfork prepare handler: lets nobody in and waits until nobody but the forking thread is inside.
pub fn close() {
    CLOSED.fetch_add(1, SeqCst);
    let own = usize::from(THREAD.get().depth > 0);
    spin_until(|| SHARDS.iter().map(|shard| shard.0.load(SeqCst)).sum::<usize>() == own);
}

/// For the atfork parent handler.
pub fn open_parent() {
    CLOSED.fetch_sub(1, SeqCst);
}

/// For the atfork child handler. The child has one thread, so other threads' attempts to fork are forgotten.
pub fn open_child() {
    GENERATION.fetch_add(1, SeqCst);
    CLOSED.store(0, SeqCst);
}

/// A thread's presence in the gate, ended by dropping it on the same thread.
#[derive(Debug)]
pub struct Pass {
    _not_send: PhantomData<*const ()>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut thread = THREAD.get();
        thread.depth -= 1;
        THREAD.set(thread);
        if thread.depth == 0 {
            SHARDS[thread.shard].0.fetch_sub(1, SeqCst);
        }
    }
}

/// Comes back into the gate when dropped, also when the I/O panics.
struct Reentry {
    thread: Thread,
}

impl Reentry {
    fn leave(thread: Thread) -> Self {
        THREAD.set(Thread { depth: 0, ..thread });
        SHARDS[thread.shard].0.fetch_sub(1, SeqCst);
        Self { thread }
    }
}

impl Drop for Reentry {
    fn drop(&mut self) {
        admit(self.thread.shard);
        THREAD.set(self.thread);
    }
}

/// The pair of `fetch_add` then `load` here, and of `fetch_add` then `load` in [`close`], are sequentially consistent: at least one
/// of the two sides sees the other.
fn admit(shard: usize) {
    loop {
        SHARDS[shard].0.fetch_add(1, SeqCst);
        if CLOSED.load(SeqCst) == 0 {
            return;
        }
        SHARDS[shard].0.fetch_sub(1, SeqCst);
        spin_until(|| CLOSED.load(SeqCst) == 0);
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no event to wait for without a lock")]
fn spin_until(done: impl Fn() -> bool) {
    let mut turns = 0_u32;
    while !done() {
        turns = turns.saturating_add(1);
        match turns {
            0..64 => std::hint::spin_loop(),
            64..1024 => std::thread::yield_now(),
            // Nobody can wake us: that would take a lock. No call of an application is as short as this.
            _ => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}

/// Counters on cache lines of their own, so that threads do not slow each other down.
#[repr(align(128))]
struct Shard(AtomicUsize);

/// No destructor: calls may come from exit handlers, when thread-locals with destructors are gone.
#[derive(Clone, Copy)]
struct Thread {
    shard: usize,
    depth: usize,
}

const UNASSIGNED: usize = usize::MAX;

thread_local! {
    static THREAD: Cell<Thread> = const { Cell::new(Thread { shard: UNASSIGNED, depth: 0 }) };
}

static SHARDS: [Shard; 16] = [const { Shard(AtomicUsize::new(0)) }; 16];
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicUsize = AtomicUsize::new(0);
static GENERATION: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    /// One test, because the gate is one per process.
    #[test]
    fn nobody_is_inside_while_it_is_closed() {
        let inside = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(SeqCst) {
                        let _outer = enter();
                        let _inner = enter();
                        inside.fetch_add(1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                        outside(std::thread::yield_now);
                        inside.fetch_add(1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                    }
                });
            }
            for round in 0..200 {
                close();
                for _ in 0..100 {
                    assert_eq!(inside.load(SeqCst), 0);
                }
                open_parent();
                // A thread that forks from within a call must not wait for itself.
                if round % 10 == 0 {
                    let _own = enter();
                    close();
                    open_parent();
                }
            }
            stop.store(true, SeqCst);
        });
        let before = generation();
        close();
        open_child();
        assert_eq!(generation(), before + 1);
        drop(enter());
        assert_eq!(SHARDS.iter().map(|s| s.0.load(SeqCst)).sum::<usize>(), 0);
    }
}
