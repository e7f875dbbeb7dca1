//! The listener: TLS, HTTP/1.1 and HTTP/2, and the limits that keep one client from taking the service away from the others.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::body::text;
use crate::routes::route;
use crate::service::Service;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Until a request's head is complete. hyper counts from the end of the request before, so it is also how long an HTTP/1.1 connection
/// may be idle; a handshake costs as much as ten requests, so not too short.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an HTTP/2 client must show that it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// After so long without a request an HTTP/2 connection is closed; at most twice as long, because that is also how often it is looked.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Requests under way when the stop signal comes get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed `accept`, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much at the same time.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
}

/// Binds `port` on every address; 0 takes a free port.
pub(crate) fn bind(port: u16) -> io::Result<std::net::TcpListener> {
    // On Linux the IPv6 wildcard takes IPv4 as well; a machine without IPv6 has the other.
    let bound = std::net::TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let listener = match bound {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse && error.kind() != io::ErrorKind::PermissionDenied => {
            std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `stop` says so, then lets the requests under way end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    service: Arc<Service>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let server = Arc::new(Server {
        acceptor: TlsAcceptor::from(tls),
        http: http(),
        service,
        in_flight: Semaphore::new(limits.in_flight),
        stop: stop.clone(),
    });
    let open = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &open) => match accepted {
                Ok((stream, place)) => {
                    let server = Arc::clone(&server);
                    connections.spawn(async move {
                        server.converse(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "dsma", "a connection could not be accepted: {error}; raise the limit on open files if this goes on");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!(target: "dsma", "stopped with {} connections still at work", connections.len());
    }
}

/// The next connection, once there is room for it; until then clients wait in the kernel's queue.
async fn accept(listener: &TcpListener, open: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(open).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(256).keep_alive_interval(PING_INTERVAL);
    http
}

struct Server {
    acceptor: TlsAcceptor,
    http: auto::Builder<TokioExecutor>,
    service: Arc<Service>,
    in_flight: Semaphore,
    stop: watch::Receiver<bool>,
}

impl Server {
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        // Small answers must not wait for the next packet.
        let _ = stream.set_nodelay(true);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await else { return };
        let activity = Activity::default();
        let answer = service_fn(|request: Request<Incoming>| {
            let (server, at_work) = (Arc::clone(&self), activity.begin());
            async move {
                let _at_work = at_work;
                let response = match server.in_flight.try_acquire() {
                    Ok(_place) => route(&server.service, request).await,
                    Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "Too many requests at the same time; try again in a second"),
                };
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), answer));
        let mut stop = self.stop.clone();
        let mut stopping = *stop.borrow_and_update();
        if stopping {
            connection.as_mut().graceful_shutdown();
        }
        let mut seen = activity.count();
        loop {
            tokio::select! {
                // A connection that breaks is the client's affair.
                _ = connection.as_mut() => return,
                _ = stop.changed(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(IDLE_TIMEOUT), if !stopping => {
                    if activity.is_idle() && activity.count() == seen {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    seen = activity.count();
                }
            }
        }
    }
}

/// Requests of one connection: how many so far, and how many at the moment.
#[derive(Default)]
struct Activity {
    begun: AtomicUsize,
    at_work: Arc<AtomicUsize>,
}

struct AtWork(Arc<AtomicUsize>);

impl Activity {
    fn begin(&self) -> AtWork {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.at_work))
    }

    fn count(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) == 0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
