//! Request and response bodies: streamed where they pass through, in one wiped buffer where we look inside.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Bytes;
use hyper::body::{Body as _, Incoming};
use zeroize::Zeroizing;

/// A body of either direction.
pub(crate) type Body = Either<Full<Bytes>, Incoming>;

/// Largest body of a request that is served locally: DSM's own limit. What is larger belongs to DSM's stream interface.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// How much of a body over the limit is read all the same.
const DRAIN_LIMIT: usize = 16 << 20;

/// A client that sends a body more slowly than this holds memory for nothing.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is larger than the limit.
    #[error("the body is too large")]
    TooLarge,
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The peer broke off.
    #[error("the body broke off")]
    Broken,
}

/// Reads the whole body of a request or an answer, of at most `limit` bytes. The buffer is overwritten when its last owner lets go.
pub(crate) async fn read(headers: &HeaderMap, mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let all = async {
        let outcome = collect(&mut body, limit).await;
        // A client that sends before it reads would see a broken pipe in place of the refusal; one that asks first has sent nothing.
        if outcome == Err(BodyError::TooLarge) && !headers.contains_key(EXPECT) {
            drain(&mut body).await;
        }
        outcome
    };
    tokio::time::timeout(BODY_TIMEOUT, all).await.map_err(|_| BodyError::TooSlow)?
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower().try_into().unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        if length > bytes.capacity() {
            // Vec's own growth would leave an unwiped copy behind.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two().min(limit)));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Bytes::from_owner(bytes))
}

async fn drain(body: &mut Incoming) {
    let mut left = DRAIN_LIMIT;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// A body that is there already.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A refusal or failure as DSM writes them: status and plain text.
pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Response<Body> {
    let mut response = reply(status, Bytes::from(message.into()), HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A success in JSON.
pub(crate) fn json(bytes: impl Into<Bytes>) -> Response<Body> {
    reply(StatusCode::OK, bytes.into(), HeaderValue::from_static("application/json"))
}

fn reply(status: StatusCode, bytes: Bytes, content_type: HeaderValue) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(http::header::CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let mut response = Response::new(full(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
