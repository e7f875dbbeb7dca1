//! Encrypt, decrypt, sign, verify: done here where the caller may, passed on where not.
//!
//! The rule: a local answer is given only for an operation that was carried out. Whatever is refused, unknown or malformed is passed
//! on with the caller's own credential, so that status and text are DSM's, and a caller without the right learns nothing from us.

use std::sync::Arc;

use dsma_api::{KeyFacts, Operation, SobjectDescriptor, Time, authorize};
use dsma_core::{CachedKey, KeyRef, Resolution};
use http::header::ACCEPT_ENCODING;
use http::{Request, Response, StatusCode, request};
use http_body_util::Either;
use hyper::body::{Body as _, Bytes, Incoming};
use serde::Deserialize;
use uuid::Uuid;

use super::{passthrough, read};
use crate::body::{self, BODY_LIMIT, Body, full, json, text};
use crate::callers::{Caller, Credential, Era, Scheme, Withheld, is_named};
use crate::local::{LocalRequest, Outcome};
use crate::service::Service;

/// Largest answer of DSM that is searched for the kid: the largest request, in base64.
const ANSWER_LIMIT: usize = 2 * BODY_LIMIT;

/// Who asks for what.
struct Asked {
    credential: Credential,
    caller: Arc<Caller>,
    operation: Operation,
    /// The key, where the path names it.
    kid: Option<Uuid>,
}

/// Why a request is not answered here.
enum Detour {
    /// Not ours to do.
    PassOn,
    /// DSM has not told whether this caller may use this key: if it does it, it has.
    Learn(SobjectDescriptor),
    /// The caller may not, as far as we know. DSM says so, or knows better.
    Refused,
    /// A final answer.
    Answer(Response<Body>),
}

pub(super) async fn serve(service: &Arc<Service>, request: Request<Incoming>, operation: Operation, kid: Option<Uuid>) -> Response<Body> {
    let credential = service.callers.credential(request.headers()).filter(|credential| is_served(service, credential));
    let Some(credential) = credential else { return passthrough::relay(service, request).await };
    // Before the body is read: a stranger does not get any memory.
    let caller = match service.callers.identify(&credential).await {
        Ok(caller) => caller,
        Err(Withheld::Unreachable(error)) => return passthrough::unreachable(&error),
        Err(_) => return passthrough::relay(service, request).await,
    };
    let (head, body) = request.into_parts();
    let (_room, body) = match read(service, &head, body, BODY_LIMIT).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let asked = Asked { credential, caller, operation, kid };
    match attempt(service, &asked, &body).await {
        Ok(answer) => json(answer),
        Err(Detour::Answer(response)) => response,
        Err(detour) => pass_on(service, &asked, head, body, &detour).await,
    }
}

fn is_served(service: &Service, credential: &Credential) -> bool {
    service.caching && (service.bearer || credential.scheme() == Scheme::Basic)
}

/// The natural way: which key, may they, where is it, do it.
async fn attempt(service: &Arc<Service>, asked: &Asked, body: &[u8]) -> Result<Bytes, Detour> {
    let Asked { credential, caller, operation, kid } = asked;
    let request = LocalRequest::parse(*operation, body).ok_or(Detour::PassOn)?;
    let named = match (kid, request.key()) {
        (Some(kid), None) => SobjectDescriptor::Kid(*kid),
        (None, Some(key @ (SobjectDescriptor::Kid(_) | SobjectDescriptor::Name(_)))) => key.clone(),
        _ => return Err(Detour::PassOn),
    };
    let kid = match service.callers.authorize(caller, credential, &named, *operation).await {
        Ok(kid) => kid,
        Err(Withheld::Untold) => return Err(Detour::Learn(named)),
        Err(Withheld::Refused) => return Err(Detour::Refused),
        Err(Withheld::Unreachable(error)) => return Err(Detour::Answer(passthrough::unreachable(&error))),
    };
    let key = find(service, kid).await?;
    // The description in the cache may be newer than the grant, and dates pass.
    authorize(*operation, caller.permissions(key.sobject().group_id), &KeyFacts::from(&**key.sobject()), Time::now())
        .map_err(|_| Detour::Refused)?;
    let done = if request.is_costly(&key) {
        service.workers.run(move || request.run(&key)).await.ok_or(Detour::PassOn)?
    } else {
        request.run(&key)
    };
    done.map_err(|outcome| match outcome {
        Outcome::PassOn => Detour::PassOn,
        Outcome::Failed(error) => {
            Detour::Answer(text(StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.message))
        }
    })
}

/// The key from the cache. On a miss one caller's request exports it, on a blocking thread; all who come meanwhile wait here.
async fn find(service: &Service, kid: Uuid) -> Result<Arc<CachedKey>, Detour> {
    let flight = match service.accelerator.resolve(&KeyRef::Kid(kid)) {
        Resolution::Hit(key) => return Ok(key),
        Resolution::Stale(key, lead) => {
            service.workers.export(lead);
            return Ok(key);
        }
        Resolution::Lead(lead) => {
            let flight = lead.flight();
            service.workers.export(lead);
            flight
        }
        Resolution::Wait(flight) => flight,
        Resolution::Refused(_) => return Err(Detour::PassOn),
    };
    let _place = service.upstream.place().map_err(|error| Detour::Answer(passthrough::unreachable(&error)))?;
    // Our own identity may not have the key, or not now; the caller may still use it in DSM.
    flight.await.map_err(|_| Detour::PassOn)
}

/// DSM answers in the caller's name, and we learn from its answer.
async fn pass_on(service: &Arc<Service>, asked: &Asked, mut head: request::Parts, body: Bytes, detour: &Detour) -> Response<Body> {
    let era = service.callers.era();
    if matches!(detour, Detour::Learn(_)) {
        // The answer is to be read here.
        head.headers.remove(ACCEPT_ENCODING);
    }
    let response = match passthrough::send(service, &head, full(body)).await {
        Ok(response) => response,
        Err(error) => return passthrough::unreachable(&error),
    };
    let disagrees = match response.status() {
        StatusCode::FORBIDDEN => !matches!(detour, Detour::Refused),
        status => status.is_success() && matches!(detour, Detour::Refused),
    };
    if disagrees {
        service.callers.forget(&asked.credential);
    }
    match detour {
        Detour::Learn(key) if response.status().is_success() && fits(&response) => learn(service, asked, key, era, response).await,
        _ => response.map(Either::Right),
    }
}

fn fits(response: &Response<Incoming>) -> bool {
    response.body().size_hint().lower() <= ANSWER_LIMIT as u64
}

/// DSM did it: the kid in its answer is the one that was allowed, whatever name was used.
async fn learn(service: &Service, asked: &Asked, key: &SobjectDescriptor, era: Era, response: Response<Incoming>) -> Response<Body> {
    #[derive(Deserialize)]
    struct Answer {
        kid: Option<Uuid>,
    }
    let Some(_room) = service.room_for(response.body(), ANSWER_LIMIT) else {
        // DSM has done it: the caller gets the answer, and the next one is learnt from.
        return response.map(Either::Right);
    };
    let (head, body) = response.into_parts();
    let Ok(bytes) = body::read(&head.headers, body, ANSWER_LIMIT).await else {
        return text(StatusCode::BAD_GATEWAY, "DSM broke off its answer; try again");
    };
    if let Ok(Answer { kid: Some(kid) }) = serde_json::from_slice(&bytes)
        && is_named(kid, key)
    {
        service.callers.granted_by_dsm(&asked.credential, key, kid, asked.operation, era);
    }
    Response::from_parts(head, full(bytes))
}
