//! Clients that ask and do not read: their places go to others.
#![forbid(unsafe_code)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{address, client_config};
use dsma_testkit::{Host, Stack};
use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
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
    let host = Host::start(&stack, &[("IDLE_TIMEOUT", "1"), ("MAX_CONNECTIONS", "1")]);
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
