//! The listener: TLS, HTTP/1.1 and HTTP/2, and the limits that keep one client from taking the service away from the others.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::body::{Body, text};
use crate::routes::route;
use crate::service::Service;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of a request may come before somebody wants them: a head in HTTP/1.1, a stream's window in HTTP/2, whose protocol does
/// not allow much less. Times the connections or the requests in flight, it is what strangers can take.
const REQUEST_MEMORY: usize = 64 << 10;
/// The same for all streams of a connection in HTTP/2: several, so that one that waits does not stop the others.
const CONNECTION_MEMORY: usize = 16 * REQUEST_MEMORY;
/// Most bytes of an answer that go out at a time.
const PIECE: usize = 16 << 10;
/// How often an HTTP/2 client must show that it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Requests under way when the stop signal comes get this long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed `accept`, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much at the same time, and for how long without a sign of life.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    /// A connection on which nothing moves is asked to end after this time, at most twice as long, and closed after as much again.
    pub(crate) idle: Duration,
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
        http: http(limits.idle),
        service,
        in_flight: Semaphore::new(limits.in_flight),
        idle: limits.idle,
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

fn http(idle: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    // Until a request's head is complete. hyper counts from the end of the request before, so it is also how long a connection may rest.
    http.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(REQUEST_MEMORY);
    let mut http2 = http.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(256).keep_alive_interval(PING_INTERVAL);
    // What is read stays here until somebody wants it.
    http2.initial_connection_window_size(CONNECTION_MEMORY as u32).initial_stream_window_size(REQUEST_MEMORY as u32);
    http
}

struct Server {
    acceptor: TlsAcceptor,
    http: auto::Builder<TokioExecutor>,
    service: Arc<Service>,
    in_flight: Semaphore,
    idle: Duration,
    stop: watch::Receiver<bool>,
}

impl Server {
    async fn converse(self: Arc<Self>, stream: TcpStream) {
        // Small answers must not wait for the next packet.
        let _ = stream.set_nodelay(true);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await else { return };
        let activity = Arc::new(Activity::default());
        let answer = service_fn(|request: Request<Incoming>| {
            let (server, at_work) = (Arc::clone(&self), AtWork::begin(&activity));
            async move {
                let response = match server.in_flight.try_acquire() {
                    Ok(_place) => route(&server.service, request).await,
                    Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "Too many requests at the same time; try again in a second"),
                };
                Ok::<_, Infallible>(response.map(|body| Watched::new(body, Arc::clone(&at_work.0))))
            }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), answer));
        let mut stop = self.stop.clone();
        let mut ending = *stop.borrow_and_update();
        if ending {
            connection.as_mut().graceful_shutdown();
        }
        let mut seen = activity.moves();
        loop {
            tokio::select! {
                // A connection that breaks is the client's affair.
                _ = connection.as_mut() => return,
                _ = stop.changed(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(self.idle) => {
                    let moves = activity.moves();
                    if moves == seen && !activity.is_at_work() {
                        if ending {
                            // It had as long to end by itself: the client does not read what it asked for.
                            return;
                        }
                        ending = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    seen = moves;
                }
            }
        }
    }
}

/// What happens on one connection.
#[derive(Default)]
struct Activity {
    /// Requests that came and pieces of answers that went, so far.
    moves: AtomicUsize,
    /// Requests that have no answer yet.
    at_work: AtomicUsize,
}

impl Activity {
    fn moves(&self) -> usize {
        self.moves.load(Ordering::Relaxed)
    }

    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > 0
    }
}

/// A request that has no answer yet.
struct AtWork(Arc<Activity>);

impl AtWork {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.moves.fetch_add(1, Ordering::Relaxed);
        activity.at_work.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body in pieces that count as activity: hyper takes one when the client has room for it. In one piece, who reads slowly
/// would look like who does not read.
struct Watched {
    body: Body,
    /// What is left of the frame that came last.
    rest: Bytes,
    activity: Arc<Activity>,
}

impl Watched {
    fn new(body: Body, activity: Arc<Activity>) -> Self {
        Self { body, rest: Bytes::new(), activity }
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = <Body as hyper::body::Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = if self.rest.is_empty() { ready!(Pin::new(&mut self.body).poll_frame(context)) } else { None };
        self.activity.moves.fetch_add(1, Ordering::Relaxed);
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => self.rest = data,
            Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None if self.rest.is_empty() => return Poll::Ready(None),
            None => {}
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Body as _;

    use super::*;
    use crate::body::full;

    #[test]
    fn an_answer_goes_out_in_pieces_that_each_count() {
        let content: Vec<u8> = (0..=2 * PIECE).map(|place| place as u8).collect();
        let activity = Arc::<Activity>::default();
        let mut body = Watched::new(full(content.clone()), Arc::clone(&activity));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut sent = Vec::new();
        for length in [PIECE, PIECE, 1] {
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some((content.len() - sent.len()) as u64));
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else { panic!("a piece") };
            let piece = frame.into_data().unwrap();
            assert_eq!(piece.len(), length);
            sent.extend_from_slice(&piece);
        }
        assert_eq!(sent, content);
        assert!(body.is_end_stream());
        assert_eq!(activity.moves(), 3);
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut context), Poll::Ready(None)));
    }
}
