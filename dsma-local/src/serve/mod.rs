//! The listeners: TCP on localhost, TLS, HTTP/1.1 and HTTP/2, and a stop that lets running requests finish.

mod ports;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::ports::Socket;
pub(crate) use self::ports::{Listeners, Ports, Service};
use crate::dsm::{self, Dsm};
use crate::error::Error;

/// A peer that says nothing must not hold a connection for ever.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long a connection may stay without a request. Clients keep theirs for some seconds to a minute.
const HEADER_TIME: Duration = Duration::from_secs(120);
/// What running requests get after a signal. The slowest is the generation of a large RSA key.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The client at the other end of a connection, as a request extension.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// The service that it is connected to.
    pub(crate) service: Service,
    /// The certificates that it presented, leaf first: it holds the leaf's private key, and nothing else about them was looked at.
    /// Empty where it presented none, or was not asked.
    pub(crate) certificates: Arc<[CertificateDer<'static>]>,
}

/// What a service answers, and how it is reached.
pub(crate) struct Served {
    pub(crate) service: Service,
    /// Plain HTTP where absent.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) router: Router,
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

/// Serves until `stop`, then lets running requests finish and writes what is still in memory. Each listener has an entry in `served`.
pub(crate) async fn run(listeners: Listeners, served: &[Served], dsm: Arc<Dsm>, mut stop: Stop) {
    let connections = GracefulShutdown::new();
    // Dropped at the stop: a handshake under way is not worth waiting for.
    let (open, closing) = watch::channel(());
    let housekeeping = tokio::spawn(dsm::housekeeping(Arc::clone(&dsm)));
    let (sender, mut accepted) = mpsc::channel(1);
    let mut acceptors = JoinSet::new();
    for socket in listeners.into_sockets() {
        acceptors.spawn(accept(socket, sender.clone()));
    }
    let mut stopped = pin!(stop.wait());
    loop {
        let (service, tcp, peer) = tokio::select! {
            Some(accepted) = accepted.recv() => accepted,
            () = &mut stopped => break,
        };
        if let Some(served) = served.iter().find(|served| served.service == service) {
            let peer = Peer { address: peer.ip(), service, certificates: Arc::default() };
            let connection = Connection { tcp, peer, watcher: connections.watcher(), closing: closing.clone() };
            tokio::spawn(connection.serve(served.tls.clone(), served.router.clone()));
        }
    }
    tracing::info!("stopping: running requests have {} s", DRAIN_TIME.as_secs());
    acceptors.shutdown().await;
    drop(open);
    if timeout(DRAIN_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish");
    }
    housekeeping.abort();
    dsm.close();
}

/// Hands over each connection, until nobody takes them any more.
async fn accept(socket: Socket, connections: mpsc::Sender<(Service, TcpStream, SocketAddr)>) {
    loop {
        match socket.accept().await {
            Ok((tcp, peer)) => {
                if connections.send((socket.service, tcp, peer)).await.is_err() {
                    return;
                }
            }
            // Out of descriptors, most of all: the others must go on, and the loop must not spin.
            Err(error) => {
                tracing::warn!("a connection cannot be accepted: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One client.
struct Connection {
    tcp: TcpStream,
    peer: Peer,
    /// Tells HTTP to finish at the stop, and the stop when it has.
    watcher: Watcher,
    closing: watch::Receiver<()>,
}

impl Connection {
    /// TLS, where there is any, then HTTP/1.1 or HTTP/2 as the client chose, until either side has enough.
    async fn serve(mut self, tls: Option<Arc<ServerConfig>>, router: Router) {
        // Answers are small and whole: waiting to fill a segment only costs time.
        let _ = self.tcp.set_nodelay(true);
        let address = self.peer.address;
        let Some(tls) = tls else {
            return answer(self.tcp, self.peer, router, self.watcher).await;
        };
        let handshake = timeout(HANDSHAKE_TIME, TlsAcceptor::from(tls).accept(self.tcp));
        let stream = tokio::select! {
            _ = self.closing.changed() => return,
            done = handshake => match done {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!("TLS handshake with {address} failed: {error}"),
                Err(_) => return tracing::debug!("TLS handshake with {address} took too long"),
            },
        };
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default().iter().cloned().collect();
        answer(stream, Peer { certificates, ..self.peer }, router, self.watcher).await;
    }
}

/// HTTP over an open stream.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, router: Router, watcher: Watcher) {
    let address = peer.address;
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.call(request)
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    http.http2().timer(TokioTimer::new());
    let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("connection with {address} ended: {error}");
    }
}
