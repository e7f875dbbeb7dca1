//! `POST /accelerator/v1/keys/clear`: forget cached keys now, for instance after a revocation that must not wait for the TTL.
//!
//! The published guide gives the path only. The body is `["<kid>",..]`, `{"kids":[..]}` or `{"key_ids":[..]}`; an empty body or list
//! means every key. The answer is `{"cleared":n}`. Whoever may log in to DSM may clear: the cost is one export more.

use std::sync::Arc;

use dsma_api::text as texts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use uuid::Uuid;

use super::{passthrough, read};
use crate::body::{BODY_LIMIT, Body, json, text};
use crate::callers::Unvouched;
use crate::service::Service;

/// A member that is not known is refused: a slip in its name would clear every key.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Keys {
    List(Vec<Uuid>),
    #[serde(rename_all = "snake_case")]
    Named {
        #[serde(alias = "key_ids")]
        kids: Option<Vec<Uuid>>,
    },
}

pub(super) async fn answer(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let Some(credential) = service.callers.credential(request.headers()) else {
        return text(StatusCode::UNAUTHORIZED, texts::NO_CREDENTIALS);
    };
    match service.callers.vouch(&credential).await {
        Ok(()) => {}
        Err(Unvouched::Refused(refusal)) => return text(refusal.status, String::from_utf8_lossy(&refusal.body)),
        Err(Unvouched::Unreachable(error)) => return passthrough::unreachable(&error),
    }
    let (head, body) = request.into_parts();
    let (_room, body) = match read(service, &head, body, BODY_LIMIT).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let Some(kids) = parse(&body) else {
        return text(
            StatusCode::BAD_REQUEST,
            r#"Invalid body: expected ["<key id>",..], {"kids":[..]} or {"key_ids":[..]}, or none for every key"#,
        );
    };
    let cleared = service.clear((!kids.is_empty()).then_some(&kids));
    tracing::info!(target: "dsma", "cleared {cleared} keys from the cache on request");
    json(format!(r#"{{"cleared":{cleared}}}"#))
}

fn parse(body: &[u8]) -> Option<Vec<Uuid>> {
    if body.trim_ascii().is_empty() {
        return Some(Vec::new());
    }
    match serde_json::from_slice(body).ok()? {
        Keys::List(kids) | Keys::Named { kids: Some(kids) } => Some(kids),
        Keys::Named { kids: None } => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_and_nothing_else() {
        let kid = Uuid::from_u128(9);
        for body in [format!(r#"["{kid}"]"#), format!(r#"{{"kids":["{kid}"]}}"#), format!(r#"{{"key_ids":["{kid}"]}}"#)] {
            assert_eq!(parse(body.as_bytes()), Some(vec![kid]), "{body}");
        }
        for all in ["", " ", "[]", "{}", r#"{"kids":[]}"#] {
            assert_eq!(parse(all.as_bytes()), Some(vec![]), "{all}");
        }
        for bad in ["x", "7", r#"["payroll"]"#, r#"{"kids":"all"}"#, r#"{"kid":["x"]}"#, r#"{"keys":[]}"#, r#"{"kids":[],"all":1}"#] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
