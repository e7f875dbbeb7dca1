//! Ports for servers that are told where to listen.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// Four ports side by side that nobody else takes who asks here, not even while nothing listens on them: who listens on the fifth has
/// them. They lie below the ports that dsma-local finds by itself and those of outgoing connections.
pub(crate) struct Ports {
    pub(crate) base: u16,
    taken: TcpListener,
}

const FIRST: u16 = 7000;
const GROUPS: u16 = 280;

impl Ports {
    /// Those that nobody has, in some order. A program that did not ask here may listen on some of them.
    pub(crate) fn free() -> impl Iterator<Item = Self> {
        let start = (RandomState::new().hash_one(()) % u64::from(GROUPS)) as u16;
        (0..GROUPS).filter_map(move |number| {
            let base = FIRST + (start + number) % GROUPS * 5;
            let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, base + 4)).ok()?;
            Some(Self { base, taken })
        })
    }
}

/// A port that is this process's as long as it lives.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn free_port() -> u16 {
    let is_free = |ports: &Ports| TcpListener::bind((Ipv4Addr::LOCALHOST, ports.base)).is_ok();
    let Ports { base, taken } = Ports::free().find(is_free).expect("a free port");
    std::mem::forget(taken);
    base
}
