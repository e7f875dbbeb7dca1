//! Clients that ask and do not read: their places go to others.
#![forbid(unsafe_code)]

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{address, base64, client_config, exportable_aes, gcm};
use dsma_testkit::{Host, Stack};
use http::Request;
use http_body_util::{Either, Empty, Full};
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Much longer than `IDLE_TIMEOUT` here; without an end to such connections it is never enough.
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(host: &Host, protocol: &[u8]) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address(host)).await.unwrap();
    let tls = TlsConnector::from(Arc::new(client_config(&host.ca_file(), &[protocol])));
    tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
}

#[tokio::test]
async fn a_client_of_http_1_that_never_reads_loses_its_connection() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[("IDLE_TIMEOUT", "1")]);
    let mut connection = connect(&host, b"http/1.1").await;
    let ask = async {
        // The service takes no more once its answers find no room, and so in the end the client cannot send.
        while connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, ask).await.expect("the service closes it");
}

#[tokio::test]
async fn a_client_of_http_2_that_gives_no_window_loses_its_connection() {
    let stack = Stack::start();
    // Between the handshake and the request the client is idle too.
    let host = Host::start(&stack, &[("IDLE_TIMEOUT", "8"), ("MAX_CONNECTIONS", "1")]);
    let io = TokioIo::new(connect(&host, b"h2").await);
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    // The client answers pings, reads heads, and has no room for a byte of an answer.
    let (mut requests, connection) = client.initial_stream_window_size(0).handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("{}/", host.endpoint())).body(Empty::<Bytes>::new()).unwrap();
    let response = requests.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let _ended = tokio::time::timeout(PATIENCE, connection).await.expect("the service closes it").unwrap();
    // Its place is free again.
    let client = host.client(&stack);
    tokio::task::spawn_blocking(move || client.request("GET", "/", None).success()).await.unwrap();
}

/// A body of which one piece comes, and never the rest. Tells when the piece went out.
struct Stalled(Option<Bytes>, Option<oneshot::Sender<()>>);

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(piece) = self.0.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(went) = self.1.take() {
            went.send(()).unwrap();
        }
        Poll::Pending
    }
}

/// A DSM that keeps its connections and answers nothing, until this is dropped.
struct Silent(String);

impl Silent {
    fn make(stack: &Stack) -> Self {
        let silent = Self(stack.pid().unwrap().to_string());
        assert!(Command::new("kill").args(["-STOP", &silent.0]).status().unwrap().success());
        silent
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0]).status();
    }
}

#[tokio::test]
async fn bodies_that_nobody_reads_yet_do_not_stop_the_others_on_its_connection() {
    let stack = Stack::start();
    let host = Host::start(&stack, &[]);
    let dsm = stack.dsm();
    let kid = exportable_aes(&dsm);
    let newcomer = dsm.new_app("newcomer", &[(&dsm.default_group(), &["ENCRYPT"])]);
    let mut encrypt = gcm(&kid);
    encrypt["plain"] = base64(&[7; 16 << 10]).into();
    host.client(&stack).request("POST", "/crypto/v1/encrypt", Some(encrypt.clone())).success();
    let _silent = Silent::make(&stack);

    let io = TokioIo::new(connect(&host, b"h2").await);
    let (mut requests, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = |api_key: &str, body| {
        let request = Request::post(format!("{}/crypto/v1/encrypt", host.endpoint())).header("authorization", format!("Basic {api_key}"));
        request.body(body).unwrap()
    };
    // The service does not read these before DSM has told who it is. Each is most of what a stream may send.
    for _ in 0..2 {
        let (went, has_gone) = oneshot::channel();
        let stalled = Stalled(Some(Bytes::from(vec![b' '; 60 << 10])), Some(went));
        tokio::spawn(requests.send_request(request(&newcomer, Either::Left(stalled))));
        tokio::time::timeout(PATIENCE, has_gone).await.expect("the piece goes out").unwrap();
    }
    let other = requests.send_request(request(&stack.api_key(), Either::Right(Full::new(Bytes::from(encrypt.to_string())))));
    let answer = tokio::time::timeout(PATIENCE, other).await.expect("it does not wait for them").unwrap();
    assert_eq!(answer.status(), 200);
}
