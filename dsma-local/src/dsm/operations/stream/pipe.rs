//! Between the connection, which is async, and the thread that works on a stream, which blocks.

use std::convert::Infallible;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use dsma_api::{ApiError, text};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::frames::{In, Out};

/// Longest frame, a little more than the largest text in one.
const FRAME_LIMIT: usize = (16 << 20) + 4096;
/// How long either side may stay silent.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// What waits on either side: pieces of the request as the connection gives them, frames of the answer.
const WAITING: usize = 16;
/// After the stream has ended, so much of the request is still read, so that the client reads the end of the answer and not a broken pipe.
const DRAIN_LIMIT: usize = 64 << 20;

/// The request's body, as a blocking reader.
pub(super) struct Incoming {
    pieces: Receiver<Bytes>,
    current: Bytes,
    /// Bytes that the present frame may still have.
    left: usize,
}

impl Incoming {
    /// Begins to read. A body that ends early or stays silent just ends.
    pub(super) fn of(body: Body) -> Self {
        let (sender, pieces) = channel(WAITING);
        tokio::spawn(forward(body, sender));
        Self { pieces, current: Bytes::new(), left: 0 }
    }

    /// The next frame.
    pub(super) fn frame(&mut self) -> Result<In, ApiError> {
        self.left = FRAME_LIMIT;
        if self.more() == 0 {
            return Err(ApiError::bad_request("Invalid stream: it ended without a frame `final`"));
        }
        let frame = In::read(&mut *self);
        if self.left == 0 { Err(ApiError::new(413, text::TOO_LARGE)) } else { frame }
    }

    /// Bytes that are there; 0 at the end.
    fn more(&mut self) -> usize {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => break,
            }
        }
        self.current.len()
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.more().min(buffer.len()).min(self.left);
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        self.left -= length;
        Ok(length)
    }
}

async fn forward(mut body: Body, sender: Sender<Bytes>) {
    let mut ignored = 0;
    while let Ok(Some(Ok(frame))) = timeout(IDLE_TIME, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        if sender.is_closed() {
            ignored += data.len();
            if ignored > DRAIN_LIMIT {
                return;
            }
        } else {
            // Closed in the meantime: then it is ignored, too.
            let _ = sender.send(data).await;
        }
    }
}

/// The way of frames to the client.
pub(super) struct Outgoing(Sender<Bytes>);

impl Outgoing {
    /// Sends a frame; waits for a client that reads slowly, but not for ever.
    pub(super) fn send(&self, frame: &Out) -> Result<(), ApiError> {
        let sent = Handle::current().block_on(timeout(IDLE_TIME, self.0.send(frame.encode()?.into())));
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(ApiError::new(408, "The answer was not read")) }
    }
}

/// The answer's body.
pub(super) struct Answer(Receiver<Bytes>);

/// Both ends of an answer.
pub(super) fn outgoing() -> (Outgoing, Answer) {
    let (sender, receiver) = channel(WAITING);
    (Outgoing(sender), Answer(receiver))
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
