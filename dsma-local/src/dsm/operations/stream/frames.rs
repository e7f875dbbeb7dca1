//! The frames of a stream: maps with one member, in CBOR.
//!
//! Binary is a byte string; base64 in a text string is taken as well, and a kid in either form. Members that are null count as absent.

use std::io::Read;

use base64_simd::STANDARD;
use ciborium::Value;
use dsma_api::{ApiError, Blob};
use serde_json::Value as Json;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A frame of a request.
pub(super) enum In {
    /// As JSON, binary in base64, so that it reads as other requests do.
    Init(Json),
    Ad(Vec<u8>),
    Plain(Zeroizing<Vec<u8>>),
    Cipher(Vec<u8>),
    Final {
        tag: Option<Blob>,
    },
}

/// A frame of an answer.
pub(super) enum Out {
    Init { kid: Option<Uuid>, iv: Option<Blob> },
    Plain(Zeroizing<Vec<u8>>),
    Cipher(Vec<u8>),
    Final { tag: Option<Blob> },
    Error(ApiError),
}

impl In {
    /// The next frame.
    pub(super) fn read(from: impl Read) -> Result<Self, ApiError> {
        let malformed = || ApiError::bad_request("Invalid stream: a frame in CBOR is expected, a map with one member");
        let Ok(Value::Map(members)) = ciborium::from_reader::<Value, _>(from) else {
            return Err(malformed());
        };
        let mut members = members.into_iter().filter(|(_, value)| !value.is_null());
        let (Some((Value::Text(name), value)), None) = (members.next(), members.next()) else {
            return Err(malformed());
        };
        match name.as_str() {
            "init" => Ok(Self::Init(to_json(value).ok_or_else(malformed)?)),
            "ad" => Ok(Self::Ad(bytes(value)?)),
            "plain" => Ok(Self::Plain(Zeroizing::new(bytes(value)?))),
            "cipher" => Ok(Self::Cipher(bytes(value)?)),
            "final" => {
                let Value::Map(members) = value else { return Err(malformed()) };
                let tag = members.into_iter().find(|(name, value)| name.as_text() == Some("tag") && !value.is_null());
                Ok(Self::Final { tag: tag.map(|(_, tag)| bytes(tag)).transpose()?.map(Blob) })
            }
            other => Err(ApiError::bad_request(format!("Invalid stream: unknown frame `{}`", other.escape_debug()))),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Ad(_) => "ad",
            Self::Plain(_) => "plain",
            Self::Cipher(_) => "cipher",
            Self::Final { .. } => "final",
        }
    }
}

impl Out {
    /// The frame as CBOR.
    pub(super) fn encode(&self) -> Result<Vec<u8>, ApiError> {
        let binary = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let blob = |name, blob: &Option<Blob>| blob.as_ref().map(|blob| member(name, binary(blob.as_ref())));
        let frame = match self {
            Self::Init { kid, iv } => {
                let kid = kid.map(|kid| member("kid", Value::Text(kid.to_string())));
                member("init", Value::Map(kid.into_iter().chain(blob("iv", iv)).collect()))
            }
            Self::Plain(text) => member("plain", binary(text)),
            Self::Cipher(text) => member("cipher", binary(text)),
            Self::Final { tag } => member("final", Value::Map(blob("tag", tag).into_iter().collect())),
            Self::Error(error) => {
                let message = Value::Text(error.message.clone().into_owned());
                member("error", Value::Map(vec![member("status", error.status.into()), member("message", message)]))
            }
        };
        let mut encoded = Vec::new();
        ciborium::into_writer(&Value::Map(vec![frame]), &mut encoded).map_err(|error| {
            tracing::error!("a frame cannot be written: {error}");
            ApiError::new(500, "Internal error")
        })?;
        Ok(encoded)
    }
}

fn member(name: &str, value: Value) -> (Value, Value) {
    (Value::Text(name.into()), value)
}

fn bytes(value: Value) -> Result<Vec<u8>, ApiError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Text(text) => STANDARD.decode_to_vec(text).map_err(|_| ApiError::bad_request("Invalid stream: a text string is no base64")),
        _ => Err(ApiError::bad_request("Invalid stream: a byte string is expected")),
    }
}

/// `None` for what JSON does not have.
fn to_json(value: Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Integer(number) => i64::try_from(number).ok()?.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => STANDARD.encode_to_string(bytes).into(),
        Value::Array(items) => items.into_iter().map(to_json).collect::<Option<_>>()?,
        Value::Map(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let name = name.into_text().ok()?;
                let value = match value {
                    Value::Bytes(id) if name == "kid" => Uuid::from_slice(&id).ok()?.to_string().into(),
                    value => to_json(value)?,
                };
                Some((name, value))
            });
            Json::Object(members.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
