//! HTTPS to one endpoint: pooled connections, our own CA, finite timeouts, no thread, nothing shared across a fork.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::RootCertStore;
use ureq::Agent;
use ureq::unversioned::transport::{Connector, TcpConnector};

use super::Reply;
use super::tls::{TlsConnector, watch_sending};
use crate::identity::ClientCertificate;
use crate::net::{CallerThreadResolver, Gated, USER_AGENT, reason};
use crate::roots::{roots_of, system_roots};
use crate::wiped::WipedBuffer;
use crate::{Config, Error, gate};

/// Largest reply that is read: a full page of sobjects fits many times.
const REPLY_LIMIT: u64 = 64 << 20;

pub(super) struct Transport {
    endpoint: Arc<str>,
    connect_timeout: Duration,
    request_timeout: Duration,
    /// The CA file's certificates; the system's roots where there is none.
    roots: Option<RootCertStore>,
    current: Mutex<Current>,
}

/// A pool of connections that present one certificate, or none. Cheap to clone.
#[derive(Clone)]
pub(super) struct Channel {
    agent: Agent,
    certificate: Option<Arc<ClientCertificate>>,
}

/// A request as it is sent, each time anew.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) method: &'a str,
    /// Begins with a slash.
    pub(super) path: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) body: Option<&'a [u8]>,
}

/// What requests go over.
#[derive(Default)]
struct Current {
    certificate: Option<Arc<ClientCertificate>>,
    /// The connections, with the fork generation that they belong to.
    agent: Option<(u64, Agent)>,
}

/// Why an exchange has no reply.
pub(super) struct Failure {
    pub(super) reason: Arc<str>,
    /// Whether DSM may have got the request and done it.
    pub(super) may_be_done: bool,
    /// Whether DSM did it, and said more than anybody reads.
    pub(super) too_long: bool,
}

impl Failure {
    /// Where no request was sent.
    pub(super) const fn unsent(reason: Arc<str>) -> Self {
        Self { reason, may_be_done: false, too_long: false }
    }
}

impl Current {
    /// The connections of this process, else the certificate for new ones.
    fn usable(&self, generation: u64) -> Result<Channel, Option<Arc<ClientCertificate>>> {
        let certificate = self.certificate.clone();
        match &self.agent {
            Some((owner, agent)) if *owner == generation => Ok(Channel { agent: agent.clone(), certificate }),
            _ => Err(certificate),
        }
    }
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let roots = match &config.ca_certs_file {
            Some(file) => Some(read_roots(file)?),
            None => None,
        };
        Ok(Self {
            endpoint: config.api_endpoint.as_str().into(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            roots,
            current: Mutex::default(),
        })
    }

    pub(super) const fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    pub(super) fn unreachable(&self, reason: &Arc<str>) -> Error {
        Error::Unreachable { endpoint: Arc::clone(&self.endpoint), reason: Arc::clone(reason) }
    }

    /// This process's connections. After a fork the parent's are forgotten, not dropped: closing them would say goodbye on the
    /// parent's wire.
    pub(super) fn channel(&self) -> Result<Channel, Arc<str>> {
        let generation = gate::generation();
        let certificate = match self.current.lock().usable(generation) {
            Ok(channel) => return Ok(channel),
            Err(certificate) => certificate,
        };
        // Reads the system's roots from the disk: nobody waits for a lock meanwhile.
        let channel = self.open(certificate)?;
        let mut current = self.current.lock();
        // Another caller may have come first, and a new certificate too.
        if let Ok(first) = current.usable(generation) {
            return Ok(first);
        }
        if let Some(inherited) = current.agent.replace((generation, channel.agent.clone())) {
            std::mem::forget(inherited);
        }
        Ok(channel)
    }

    /// Connections of their own, which nothing uses yet.
    pub(super) fn open(&self, certificate: Option<Arc<ClientCertificate>>) -> Result<Channel, Arc<str>> {
        let roots = self.roots.clone().unwrap_or_else(system_roots);
        let tls = TlsConnector::new(roots, certificate.as_deref()).map_err(|error| error.to_string())?;
        let config = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(self.connect_timeout))
            .user_agent(USER_AGENT)
            .build();
        let agent = Agent::with_parts(config, Gated(TcpConnector::default()).chain(tls), CallerThreadResolver);
        Ok(Channel { agent, certificate })
    }

    /// From now on requests go over these connections. Those under way end on the old ones, which then close.
    pub(super) fn switch(&self, channel: Channel) {
        let mut current = self.current.lock();
        current.certificate = channel.certificate;
        if let Some((owner, old)) = current.agent.replace((gate::generation(), channel.agent))
            && owner != gate::generation()
        {
            std::mem::forget(old);
        }
    }

    /// Presents this certificate from now on; does nothing where it is presented already.
    pub(super) fn present(&self, certificate: &Arc<ClientCertificate>) -> Result<(), Arc<str>> {
        if self.current.lock().certificate.as_ref().is_some_and(|current| Arc::ptr_eq(current, certificate)) {
            return Ok(());
        }
        self.switch(self.open(Some(Arc::clone(certificate)))?);
        Ok(())
    }

    /// One request and its reply within the smaller of `within` and the configured limit.
    pub(super) fn exchange(&self, channel: &Channel, outgoing: Outgoing<'_>, within: Duration) -> Result<Reply, Failure> {
        let (reply, sent) = watch_sending(|| self.attempt(channel, outgoing, within));
        reply.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(limit) => {
                Failure { reason: format!("a body of more than {limit} bytes").into(), may_be_done: true, too_long: true }
            }
            error => Failure { reason: reason(&error), may_be_done: sent, too_long: false },
        })
    }

    fn attempt(&self, channel: &Channel, outgoing: Outgoing<'_>, within: Duration) -> Result<Reply, ureq::Error> {
        let Outgoing { method, path, authorization, body } = outgoing;
        let log_path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        tracing::info!(target: "dsma::dsm", "OUTBOUND REQ {method} {log_path}");
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.endpoint)).header("accept", "application/json");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let limit = within.min(self.request_timeout).max(Duration::from_millis(1));
        let reply = if matches!(method, "GET" | "DELETE") {
            channel.run(request.body(())?, limit)
        } else {
            // An empty body is sent as such: DSM's void operations are POSTs with `Content-Length: 0`.
            channel.run(request.header("content-type", "application/json").body(body.unwrap_or_default())?, limit)
        };
        let mut reply = reply?;
        let request_id = reply.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let status = reply.status().as_u16();
        tracing::info!(target: "dsma::dsm", "INBOUND RESP X-Request-ID: {} Status: {}", request_id.as_deref().unwrap_or("-"), reply.status());
        let announced = reply.body().content_length().unwrap_or(0);
        if announced > REPLY_LIMIT {
            return Err(ureq::Error::BodyExceedsLimit(REPLY_LIMIT));
        }
        // One more, to see the end without growing.
        let mut body = WipedBuffer::with_room(announced as usize + 1);
        body.fill_from(&mut reply.body_mut().with_config().limit(REPLY_LIMIT).reader())?;
        Ok(Reply { status, body: body.into_bytes(), request_id })
    }
}

impl Channel {
    fn run(
        &self,
        request: ureq::http::Request<impl ureq::AsSendBody>,
        limit: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(Some(limit)).build())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn read_roots(file: &std::path::Path) -> Result<RootCertStore, Error> {
    roots_of(file).map_err(|what| Error::Config {
        file: Arc::new(file.to_path_buf()),
        key: "ca_certs_file".into(),
        problem: what.into(),
        mend: "give a readable file with one or more CA certificates in PEM".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the exchange of a creation with this endpoint fails with.
    fn failure(endpoint: &str) -> Failure {
        let transport = Transport::new(&Config { api_endpoint: endpoint.into(), ..Config::default() }).unwrap();
        let channel = transport.open(None).unwrap_or_else(|reason| panic!("{reason}"));
        let creation = Outgoing { method: "POST", path: "/crypto/v1/keys", authorization: None, body: Some(b"{}") };
        let outcome = transport.exchange(&channel, creation, Duration::from_secs(60));
        outcome.expect_err("nobody answers there")
    }

    #[test]
    fn a_name_that_nobody_has_has_got_no_request() {
        let failure = failure("https://dsm.invalid");
        assert!(!failure.may_be_done, "{}", failure.reason);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the other side of the connection works while the test does")]
    fn a_handshake_that_breaks_off_has_brought_no_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let other = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let failure = failure(&endpoint);
        other.join().unwrap();
        assert!(!failure.may_be_done, "{}", failure.reason);
    }

    /// dsma-local answers an announcement of more than 64 MiB at once, and reads no further.
    #[test]
    fn a_refusal_that_comes_while_the_body_is_sent_is_read() {
        let stack = dsma_testkit::Stack::start();
        let config = Config { api_endpoint: stack.endpoint(), ca_certs_file: Some(stack.ca_file()), ..Config::default() };
        let transport = Transport::new(&config).unwrap();
        let channel = transport.open(None).unwrap_or_else(|reason| panic!("{reason}"));
        let body = vec![b' '; 65 << 20];
        for _ in 0..3 {
            let outgoing = Outgoing { method: "POST", path: "/crypto/v1/encrypt", authorization: None, body: Some(&body) };
            let reply = transport.exchange(&channel, outgoing, Duration::from_secs(60));
            let reply = reply.unwrap_or_else(|failure| panic!("{}", failure.reason));
            assert_eq!((reply.status, reply.body.as_slice()), (413, dsma_api::text::TOO_LARGE.as_bytes()));
        }
        // That connection is not used again.
        let outgoing = Outgoing { method: "GET", path: "/sys/v1/version", authorization: None, body: None };
        let reply = transport.exchange(&channel, outgoing, Duration::from_secs(60));
        assert_eq!(reply.unwrap_or_else(|failure| panic!("{}", failure.reason)).status, 200);
    }
}
