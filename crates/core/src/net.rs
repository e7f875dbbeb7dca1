//! What HTTP clients in somebody else's process need: no thread, and nothing long inside the fork gate.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::gate;

/// The name that we give ourselves.
pub(crate) const USER_AGENT: &str = concat!("dsma/", env!("CARGO_PKG_VERSION"));

/// The default resolver starts a thread to keep its timeout; this one never does (NSS forbids threads). What bounds it is the
/// system resolver's own timeout.
#[derive(Debug)]
pub(crate) struct CallerThreadResolver;

impl Resolver for CallerThreadResolver {
    fn resolve(&self, uri: &Uri, _: &ureq::config::Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(ureq::Error::HostNotFound);
        };
        let host = DefaultResolver::host_and_port(scheme, authority).ok_or(ureq::Error::HostNotFound)?;
        let mut found = self.empty();
        for address in gate::outside(|| host.to_socket_addrs())?.take(16) {
            found.push(address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

/// Does the inner connector's socket calls outside the fork gate. TLS above it and the pool run inside, so their locks are free at
/// a fork.
#[derive(Debug)]
pub(crate) struct Gated<T>(pub(crate) T);

impl<In: Transport, C: Connector<In>> Connector<In> for Gated<C> {
    type Out = Gated<C::Out>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(gate::outside(|| self.0.connect(details, chained))?.map(Gated))
    }
}

impl<T: Transport> Transport for Gated<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        gate::outside(|| self.0.transmit_output(amount, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        gate::outside(|| self.0.await_input(timeout))
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Why there is no answer: one line, without the URI, whose query may name keys.
pub(crate) fn reason(error: &ureq::Error) -> Arc<str> {
    match error {
        ureq::Error::Timeout(what) => format!("no answer in time ({what})").into(),
        error => error.to_string().replace('\n', " ").into(),
    }
}

/// Lets time pass where nobody says when there is something to do.
#[expect(clippy::disallowed_methods, reason = "there is no event to wait for: the other side does not say when it will be ready")]
pub(crate) fn pause(wait: Duration) {
    gate::outside(|| std::thread::sleep(wait));
}
