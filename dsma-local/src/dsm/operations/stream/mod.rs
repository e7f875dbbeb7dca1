//! `POST /crypto/v1/stream/{encrypt,decrypt}`: one request for a message of any length, read and answered at the same time.
//!
//! Both bodies are CBOR sequences (RFC 8742) of frames: `init`, `ad`..., `plain` or `cipher`..., `final` comes in; `init`, the other text,
//! `final` goes out. What is wrong with `init` is an ordinary refusal; what goes wrong later is a last frame, `error`. Each stream works on
//! a blocking thread of its own, with a few frames waiting on either side; so many at the same time, and 503 beyond. While it lasts, it asks again each second whether the caller may
//! still use the key.

mod frames;
mod pipe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use dsma_api::{ApiError, Blob, CipherMode, CryptMode, ObjectType, Operation, SobjectDescriptor};
use dsma_crypto::{Buffers, CipherStream, Key};
use serde::Deserialize;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use self::frames::{In, Out};
use self::pipe::{Incoming, Outgoing};
use super::modes::{check_alg, symmetric};
use super::params::{Parameters, none_given};
use super::{log, refused};
use crate::dsm::Dsm;
use crate::dsm::call::Call;
use crate::dsm::reply::refusal;
use crate::dsm::sobjects::{Opened, find, open};

/// Longest additional data, all frames together.
const AD_LIMIT: usize = 1 << 20;
/// How long a stream may go on before it is asked again whether it may.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// `POST /crypto/v1/stream/encrypt`.
pub(in crate::dsm) async fn stream_encrypt(State(dsm): State<Arc<Dsm>>, request: Request) -> Response {
    serve(dsm, request, Operation::Encrypt).await
}

/// `POST /crypto/v1/stream/decrypt`.
pub(in crate::dsm) async fn stream_decrypt(State(dsm): State<Arc<Dsm>>, request: Request) -> Response {
    serve(dsm, request, Operation::Decrypt).await
}

async fn serve(dsm: Arc<Dsm>, request: Request, operation: Operation) -> Response {
    let (parts, body) = request.into_parts();
    let call = match Call::without_body(dsm, &parts) {
        Ok(call) => call,
        Err(error) => return refusal(&error),
    };
    // Before anything is read: a client that is slow, or many of them, must not take the threads that serve everybody else.
    let Ok(place) = Arc::clone(&call.dsm.streams).try_acquire_owned() else {
        return refusal(&ApiError::new(503, "Too many streams are open at the same time: try again later, or use encrypt and decrypt"));
    };
    let incoming = Incoming::of(body);
    let (outgoing, answer) = pipe::outgoing();
    let (begun, beginning) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        run(&call, operation, incoming, outgoing, begun);
        drop(place);
    });
    match beginning.await {
        Ok(Ok(())) => {
            let mut response = Response::new(Body::new(answer));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/cbor-seq"));
            response
        }
        Ok(Err(error)) => refusal(&error),
        // The thread ended without a word: it panicked, and the panic is in the log.
        Err(_) => refusal(&ApiError::new(500, "Internal error")),
    }
}

/// One stream, from its first frame to its last. `begun` tells what became of `init`.
fn run(call: &Call, operation: Operation, mut incoming: Incoming, outgoing: Outgoing, begun: oneshot::Sender<Result<(), ApiError>>) {
    let (mut message, init) = match begin(call, operation, &mut incoming) {
        Ok(begun) => begun,
        Err(error) => {
            let _ = begun.send(Err(error));
            return;
        }
    };
    if begun.send(Ok(())).is_err() || outgoing.send(&init).is_err() {
        return;
    }
    if let Err(error) = message.go_on(call, &mut incoming, &outgoing) {
        // Who has gone away is not told.
        let _ = outgoing.send(&Out::Error(error));
    }
}

/// The fields of `init`.
#[derive(Deserialize)]
struct Init {
    key: Option<SobjectDescriptor>,
    alg: Option<ObjectType>,
    mode: Option<CryptMode>,
    iv: Option<Blob>,
    tag_len: Option<usize>,
}

fn begin(call: &Call, operation: Operation, incoming: &mut Incoming) -> Result<(Message, Out), ApiError> {
    let caller = call.caller()?;
    let In::Init(init) = incoming.frame()? else {
        return Err(ApiError::bad_request("Invalid stream: the first frame must be `init`"));
    };
    let init: Init = serde_json::from_value(init).map_err(|error| ApiError::bad_request(format!("Invalid frame `init`: {error}")))?;
    let descriptor = init.key.ok_or_else(|| ApiError::bad_request("Missing field `key`"))?;
    let Opened { row, key } = open(call, &caller, &descriptor, operation)?;
    check_alg(init.alg, &row.sobject)?;
    let mode = symmetric(init.mode, &row.sobject)?;
    if matches!(mode, CipherMode::Ccm | CipherMode::Kw | CipherMode::Kwp) {
        return Err(ApiError::bad_request(format!("Mode {mode} is not possible in a stream")));
    }
    let cipher = Parameters::symmetric(row.sobject.obj_type, mode);
    let encrypt = operation == Operation::Encrypt;
    let (iv, tag_len) = if encrypt {
        (cipher.iv_for_encryption(init.iv.as_ref())?, cipher.tag_bytes(init.tag_len)?)
    } else {
        none_given(&[("tag_len", init.tag_len.is_some())])?;
        // The tag comes at the end.
        let tag = Blob::default();
        cipher.check_decryption(init.iv.as_ref(), (mode == CipherMode::Gcm).then_some(&tag))?;
        (init.iv, 0)
    };
    let shown_iv = iv.clone().filter(|_| encrypt);
    let message = Message { key, cipher, iv, encrypt, tag_len, ad: Vec::new(), stream: None, descriptor, asked: Instant::now() };
    // With a wrong IV it is refused now, before the status is sent.
    message.start()?;
    log(call, &caller, if encrypt { "Encrypted with" } else { "Decrypted with" }, &row)?;
    Ok((message, Out::Init { kid: row.sobject.kid, iv: shown_iv }))
}

/// A message on its way.
struct Message {
    key: Key,
    cipher: Parameters,
    iv: Option<Blob>,
    encrypt: bool,
    tag_len: usize,
    ad: Vec<u8>,
    /// From the first text on: the additional data must be whole by then.
    stream: Option<CipherStream>,
    descriptor: SobjectDescriptor,
    /// When it was asked whether the caller may use the key.
    asked: Instant,
}

impl Message {
    fn start(&self) -> Result<CipherStream, ApiError> {
        let ad = Blob(self.ad.clone());
        let params = self.cipher.with(self.iv.as_ref(), (!self.ad.is_empty()).then_some(&ad), None)?;
        let started = if self.encrypt { self.key.start_encrypt(&params) } else { self.key.start_decrypt(&params) };
        started.map_err(refused)
    }

    /// All frames after `init`.
    fn go_on(&mut self, call: &Call, incoming: &mut Incoming, outgoing: &Outgoing) -> Result<(), ApiError> {
        let mut answered = false;
        loop {
            let frame = incoming.frame()?;
            self.ask_again(call)?;
            match frame {
                In::Ad(ad) if self.stream.is_none() && self.ad.len() + ad.len() <= AD_LIMIT => self.ad.extend_from_slice(&ad),
                In::Ad(_) if self.stream.is_none() => return Err(ApiError::new(413, "Additional data is too large")),
                In::Plain(text) if self.encrypt => answered |= self.update(&text, outgoing)?,
                In::Cipher(text) if !self.encrypt => answered |= self.update(&text, outgoing)?,
                In::Final { tag } => {
                    let (text, tag) = self.finish(tag)?;
                    if !text.is_empty() || !answered {
                        outgoing.send(&self.text(text))?;
                    }
                    return outgoing.send(&Out::Final { tag });
                }
                frame => return Err(ApiError::bad_request(format!("Invalid stream: frame `{}` is not expected here", frame.name()))),
            }
        }
    }

    /// Refuses to go on with a key that was taken away, or for a caller that was.
    fn ask_again(&mut self, call: &Call) -> Result<(), ApiError> {
        if self.asked.elapsed() < ASK_AGAIN {
            return Ok(());
        }
        let operation = if self.encrypt { Operation::Encrypt } else { Operation::Decrypt };
        find(call, &call.caller()?, &self.descriptor, operation)?;
        self.asked = Instant::now();
        Ok(())
    }

    /// Whether there was something to answer.
    fn update(&mut self, text: &[u8], outgoing: &Outgoing) -> Result<bool, ApiError> {
        let mut output = Zeroizing::new(vec![0; text.len() + 16]);
        let mut stream = self.stream.take().map_or_else(|| self.start(), Ok)?;
        let length = stream.update(Buffers::new(text, &mut output)).map_err(refused)?;
        self.stream = Some(stream);
        output.truncate(length);
        if length > 0 {
            outgoing.send(&self.text(output))?;
        }
        Ok(length > 0)
    }

    fn finish(&mut self, given: Option<Blob>) -> Result<(Zeroizing<Vec<u8>>, Option<Blob>), ApiError> {
        let stream = self.stream.take().map_or_else(|| self.start(), Ok)?;
        let mut output = Zeroizing::new(vec![0; stream.pending_len()]);
        let mut made = vec![0; self.tag_len];
        let length = if self.encrypt {
            none_given(&[("tag", given.is_some())])?;
            stream.finish_encrypt(&mut output, &mut made).map_err(refused)?
        } else {
            self.cipher.check_decryption(self.iv.as_ref(), given.as_ref())?;
            stream.finish_decrypt(&mut output, given.unwrap_or_default().as_ref()).map_err(refused)?
        };
        output.truncate(length);
        Ok((output, (!made.is_empty()).then_some(Blob(made))))
    }

    fn text(&self, text: Zeroizing<Vec<u8>>) -> Out {
        if self.encrypt { Out::Cipher(text.to_vec()) } else { Out::Plain(text) }
    }
}
