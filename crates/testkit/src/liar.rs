//! A TLS proxy before a real DSM that changes chosen replies on their way back: what a client makes of a DSM that lies.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::Stack;

/// A reply of DSM, to be changed.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, without those of the connection.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Vec<u8>,
    /// So many bytes more of white space, at the end of the body.
    pub padding: u64,
    /// Whether the length of the body is announced, or seen at its end alone.
    pub announced: bool,
}

/// A change of a reply.
type Lie = Box<dyn FnOnce(&mut Answer) + Send>;

/// The proxy. It speaks the truth where nothing else was asked for. Dropping it ends its connections.
pub struct Liar {
    endpoint: String,
    tls: TempDir,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// `host:port` of the real DSM.
    target: String,
    pending: Mutex<VecDeque<(String, Lie)>>,
}

impl Liar {
    /// Starts on a free port before this DSM.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn before(stack: &Stack) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate for localhost");
        let tls = tempfile::Builder::new().prefix("liar.").tempdir().expect("a temporary directory");
        std::fs::write(tls.path().join("certificate.pem"), made.cert.pem()).expect("the certificate is written");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a certificate and its key");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(stack.ca_file()).expect("the CA's certificate")).expect("a root");
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(client).https_only().enable_http1().build();
        let target = stack.endpoint().trim_start_matches("https://").to_owned();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let shared = Arc::new(Shared { client, target, pending: Mutex::default() });
        let listener = runtime.block_on(TcpListener::bind("localhost:0")).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        runtime.spawn(accept(listener, TlsAcceptor::from(Arc::new(server)), Arc::clone(&shared)));
        Self { endpoint: format!("https://localhost:{port}"), tls, shared, _runtime: runtime }
    }

    /// Its URL, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// The certificate to trust, PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.tls.path().join("certificate.pem")
    }

    /// Changes the next reply to `request`, which is a method, a blank and a path without query. Several changes for one kind of request
    /// are for one reply each, in their order.
    pub fn lie(&self, request: &str, lie: impl FnOnce(&mut Answer) + Send + 'static) {
        self.shared.pending().push_back((request.to_owned(), Box::new(lie)));
    }

    /// How many of the changes have not been made yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.pending().len()
    }

    /// From now on it speaks the truth.
    pub fn repent(&self) {
        self.shared.pending().clear();
    }
}

impl Answer {
    /// Sets the member at this path (`/plain`, `/0/kid`) of a JSON body.
    ///
    /// # Panics
    /// Where there is no object or array that could hold it.
    pub fn set(&mut self, path: &str, value: Value) {
        self.change(path, |parent, name| match parent {
            Value::Object(members) => drop(members.insert(name.to_owned(), value)),
            Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
            other => panic!("no member {name} of {other}"),
        });
    }

    /// Takes a member out of a JSON body.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn remove(&mut self, path: &str) {
        self.change(path, |parent, name| {
            let gone = parent.as_object_mut().and_then(|members| members.remove(name));
            assert!(gone.is_some(), "no member {name} of {parent}");
        });
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON: {e}"))
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Value, &str)) {
        let mut json = self.json();
        let (parent, name) = path.rsplit_once('/').expect("a path that begins with a slash");
        change(json.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent:?}")), name);
        self.body = json.to_string().into_bytes();
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, VecDeque<(String, Lie)>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a request on, and its reply back.
    async fn relay(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Box<dyn std::error::Error + Send + Sync>> {
        let (mut head, body) = request.into_parts();
        let name = format!("{} {}", head.method, head.uri.path());
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("https://{}{path}", self.target).parse()?;
        head.headers.remove(HOST);
        strip(&mut head.headers);
        let body = body.collect().await?.to_bytes();
        let (head, body) = self.client.request(Request::from_parts(head, Full::new(body))).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut answer = Answer { status: head.status.as_u16(), headers: head.headers, body: body.into(), padding: 0, announced: true };
        strip(&mut answer.headers);
        let lie = {
            let mut pending = self.pending();
            let at = pending.iter().position(|(request, _)| *request == name);
            at.and_then(|at| pending.remove(at))
        };
        if let Some((_, lie)) = lie {
            lie(&mut answer);
        }
        let mut response = Response::new(Padded::of(&mut answer).boxed_unsync());
        *response.status_mut() = StatusCode::from_u16(answer.status)?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(serve(tcp, acceptor.clone(), Arc::clone(&shared)));
    }
}

/// Until either side ends the connection: clients may go at any time.
async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(tls) = acceptor.accept(tcp).await else { return };
    let service = service_fn(|request| shared.relay(request));
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
}

/// What belongs to one connection, and follows from the body.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

/// A body, and white space made as it is sent.
struct Padded {
    body: Bytes,
    padding: u64,
    announced: bool,
}

impl Padded {
    fn of(answer: &mut Answer) -> Self {
        Self { body: std::mem::take(&mut answer.body).into(), padding: answer.padding, announced: answer.announced }
    }
}

impl Body for Padded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static BLANKS: [u8; 64 << 10] = [b' '; 64 << 10];
        if !self.body.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.body)))));
        }
        let piece = usize::try_from(self.padding).unwrap_or(usize::MAX).min(BLANKS.len());
        self.padding -= piece as u64;
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(Bytes::from_static(&BLANKS[..piece])))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced { SizeHint::with_exact(self.body.len() as u64 + self.padding) } else { SizeHint::default() }
    }
}
