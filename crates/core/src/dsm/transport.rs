//! HTTPS to one endpoint: pooled connections, our own CA, finite timeouts, no thread, nothing shared across a fork.

use std::fmt;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport as UreqTransport,
};
use zeroize::Zeroizing;

use super::Reply;
use crate::{Config, Error, gate};

/// Largest reply that is read: a full page of sobjects fits many times.
const REPLY_LIMIT: u64 = 64 << 20;

pub(super) struct Transport {
    endpoint: Arc<str>,
    connect_timeout: Duration,
    request_timeout: Duration,
    /// The CA file's certificates; the system's roots where there is none.
    roots: Option<Arc<Vec<Certificate<'static>>>>,
    /// The connections, with the fork generation that they belong to.
    agent: Mutex<Option<(u64, Agent)>>,
}

impl Transport {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let roots = match &config.ca_certs_file {
            Some(file) => Some(Arc::new(read_roots(file)?)),
            None => None,
        };
        Ok(Self {
            endpoint: config.api_endpoint.as_str().into(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            roots,
            agent: Mutex::default(),
        })
    }

    pub(super) const fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    pub(super) fn unreachable(&self, reason: &Arc<str>) -> Error {
        Error::Unreachable { endpoint: Arc::clone(&self.endpoint), reason: Arc::clone(reason) }
    }

    /// One request and its reply within the smaller of `within` and the configured limit. The error says why there is none.
    pub(super) fn exchange(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        body: Option<&[u8]>,
        within: Duration,
    ) -> Result<Reply, Arc<str>> {
        let log_path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        tracing::info!(target: "dsma::dsm", "OUTBOUND REQ {method} {log_path}");
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("authorization", authorization)
            .header("accept", "application/json");
        let limit = within.min(self.request_timeout).max(Duration::from_millis(1));
        let reply = if matches!(method, "GET" | "DELETE") {
            request.body(()).map_err(ureq::Error::from).and_then(|request| self.run(request, limit))
        } else {
            // An empty body is sent as such: DSM's void operations are POSTs with `Content-Length: 0`.
            let request = request.header("content-type", "application/json").body(body.unwrap_or_default());
            request.map_err(ureq::Error::from).and_then(|request| self.run(request, limit))
        };
        let mut reply = reply.map_err(|error| reason(&error))?;
        let request_id = reply.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let status = reply.status().as_u16();
        tracing::info!(target: "dsma::dsm", "INBOUND RESP X-Request-ID: {} Status: {}", request_id.as_deref().unwrap_or("-"), reply.status());
        let body = reply.body_mut().with_config().limit(REPLY_LIMIT).read_to_vec().map_err(|error| reason(&error))?;
        Ok(Reply { status, body: Zeroizing::new(body), request_id })
    }

    fn run(
        &self,
        request: ureq::http::Request<impl ureq::AsSendBody>,
        limit: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let agent = self.agent();
        agent.run(agent.configure_request(request).timeout_global(Some(limit)).build())
    }

    /// This process's connections. After a fork the parent's are forgotten, not dropped: closing them would say goodbye on the
    /// parent's wire.
    fn agent(&self) -> Agent {
        let generation = gate::generation();
        let mut slot = self.agent.lock();
        if let Some((owner, agent)) = &*slot
            && *owner == generation
        {
            return agent.clone();
        }
        let agent = self.connect_agent();
        if let Some(inherited) = slot.replace((generation, agent.clone())) {
            std::mem::forget(inherited);
        }
        agent
    }

    fn connect_agent(&self) -> Agent {
        let roots = self.roots.clone().unwrap_or_else(|| Arc::new(system_roots()));
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(self.connect_timeout))
            .user_agent(concat!("dsma/", env!("CARGO_PKG_VERSION")))
            .build();
        Agent::with_parts(config, Gated(TcpConnector::default()).chain(RustlsConnector::default()), CallerThreadResolver)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// The default resolver starts a thread to keep its timeout; this one never does (NSS forbids threads). What bounds it is the
/// system resolver's own timeout.
#[derive(Debug)]
struct CallerThreadResolver;

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
struct Gated<T>(T);

impl<In: UreqTransport, C: Connector<In>> Connector<In> for Gated<C> {
    type Out = Gated<C::Out>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(gate::outside(|| self.0.connect(details, chained))?.map(Gated))
    }
}

impl<T: UreqTransport> UreqTransport for Gated<T> {
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

fn read_roots(file: &std::path::Path) -> Result<Vec<Certificate<'static>>, Error> {
    let problem = |what: String| Error::Config {
        file: Arc::new(file.to_path_buf()),
        key: "ca_certs_file".into(),
        problem: what.into(),
        mend: "give a readable file with one or more CA certificates in PEM".into(),
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| problem(error.to_string()))?
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    if certificates.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(certificates)
}

/// A root that cannot be read is left out: a connection that needs it will say so.
fn system_roots() -> Vec<Certificate<'static>> {
    rustls_native_certs::load_native_certs().certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
}

/// One line, without the URI, whose query may name keys.
fn reason(error: &ureq::Error) -> Arc<str> {
    match error {
        ureq::Error::Timeout(what) => format!("no answer in time ({what})").into(),
        error => error.to_string().replace('\n', " ").into(),
    }
}
