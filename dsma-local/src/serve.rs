//! The listener: TCP on localhost, TLS, HTTP/1.1 and HTTP/2, and a stop that lets running requests finish.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::dsm::{self, Dsm};
use crate::error::Error;

/// A peer that says nothing must not hold a connection for ever.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may stay without a request. Clients keep theirs for some seconds to a minute.
const HEADER_TIME: Duration = Duration::from_secs(120);
/// What running requests get after a signal. The slowest is the generation of a large RSA key.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How often a free port is looked for that is free on both loopback addresses.
const PORT_TRIES: usize = 16;

/// The address of a client, as a request extension.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The sockets of the service: both loopback addresses, one port.
pub(crate) struct Listeners {
    v4: TcpListener,
    /// Absent where the machine has no IPv6.
    v6: Option<TcpListener>,
    port: u16,
}

/// A stop signal: SIGTERM or SIGINT.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes over both signals from now on.
    pub(crate) fn on_signals() -> Result<Self, Error> {
        let take = |kind| signal(kind).map_err(|source| Error::Runtime { source });
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Listeners {
    /// Binds `port` (0: a free one) on 127.0.0.1 and, where there is one, ::1.
    pub(crate) async fn bind(port: u16) -> Result<Self, Error> {
        let tries = if port == 0 { PORT_TRIES } else { 1 };
        let mut last = None;
        for _ in 0..tries {
            match Self::try_bind(port).await {
                Ok(listeners) => return Ok(listeners),
                Err(error) => last = Some(error),
            }
        }
        let source = last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into());
        Err(Error::Bind { port, source })
    }

    async fn try_bind(port: u16) -> io::Result<Self> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = v4.local_addr()?.port();
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => Some(listener),
            // Somebody else answers on the other address of `localhost`: a client could reach the wrong server.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => None,
        };
        Ok(Self { v4, v6, port })
    }

    /// The URL that clients use.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.v6 {
            None => self.v4.accept().await,
            Some(v6) => tokio::select! {
                connection = self.v4.accept() => connection,
                connection = v6.accept() => connection,
            },
        }
    }
}

/// Serves until `stop`, then lets running requests finish and writes what is still in memory.
pub(crate) async fn run(listeners: Listeners, tls: Arc<ServerConfig>, dsm: Arc<Dsm>, mut stop: Stop) {
    let acceptor = TlsAcceptor::from(tls);
    let router = dsm::router(Arc::clone(&dsm));
    let connections = GracefulShutdown::new();
    // Dropped at the stop: a handshake under way is not worth waiting for.
    let (open, closing) = watch::channel(());
    let housekeeping = tokio::spawn(dsm::housekeeping(Arc::clone(&dsm)));
    let mut stopped = pin!(stop.wait());
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            () = &mut stopped => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let connection = Connection { tcp, peer, watcher: connections.watcher(), closing: closing.clone() };
                tokio::spawn(connection.serve(acceptor.clone(), router.clone()));
            }
            // Out of descriptors, most of all: the others must go on, and the loop must not spin.
            Err(error) => {
                tracing::warn!("a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    tracing::info!("stopping: running requests have {} s", DRAIN_TIME.as_secs());
    drop((listeners, open));
    if timeout(DRAIN_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish");
    }
    housekeeping.abort();
    dsm.close();
}

/// One client.
struct Connection {
    tcp: TcpStream,
    peer: SocketAddr,
    /// Tells HTTP to finish at the stop, and the stop when it has.
    watcher: Watcher,
    closing: watch::Receiver<()>,
}

impl Connection {
    /// TLS, then HTTP/1.1 or HTTP/2 as the client chose, until either side has enough.
    async fn serve(mut self, acceptor: TlsAcceptor, router: Router) {
        let peer = self.peer;
        // Answers are small and whole: waiting to fill a segment only costs time.
        let _ = self.tcp.set_nodelay(true);
        let handshake = timeout(HANDSHAKE_TIME, acceptor.accept(self.tcp));
        let stream = tokio::select! {
            _ = self.closing.changed() => return,
            done = handshake => match done {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!("TLS handshake with {peer} failed: {error}"),
                Err(_) => return tracing::debug!("TLS handshake with {peer} took too long"),
            },
        };
        let service = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            service.call(request)
        });
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
        http.http2().timer(TokioTimer::new());
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!("connection with {peer} ended: {error}");
        }
    }
}
