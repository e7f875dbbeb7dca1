//! One request, as a handler sees it, and the way from hyper to a blocking handler.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::Response;
use dsma_api::{ApiError, Approval, Principal, Time, text};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::Dsm;
use super::reply::{Reply, refusal, respond};
use crate::http::body;
use crate::http::query::Query;
use crate::serve::{Peer, Service};
use crate::store::{ActionType, Audit, Store};

/// What a handler is: blocking, and without a panic of its own.
pub(super) type Handler = fn(&Call) -> Result<Reply, ApiError>;

/// One request.
pub(super) struct Call {
    pub(super) dsm: Arc<Dsm>,
    pub(super) query: Query,
    pub(super) peer: Peer,
    path: String,
    /// On whose behalf another request carries this one, instead of a credential of its own.
    acting: Option<Acting>,
    /// The store as the caller's account sees it, from the moment that the caller is known.
    account: OnceLock<Store>,
    authorization: Option<String>,
    body: Bytes,
}

/// The caller of a request that another one carries, and the approvals that it comes with.
#[derive(Clone)]
pub(super) struct Acting {
    pub(super) principal: Principal,
    pub(super) acct_id: Uuid,
    pub(super) approvals: Vec<Approval>,
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Makes an axum handler of a blocking one.
pub(super) fn serve(handler: Handler) -> impl Fn(State<Arc<Dsm>>, Request) -> Answer + Clone + Send + Sync + 'static {
    move |State(dsm), request| {
        Box::pin(async move {
            let call = match Call::read(dsm, request).await {
                Ok(call) => call,
                Err(error) => return refusal(&error),
            };
            // A panic must not take the service down, nor leave the client without an answer.
            match tokio::task::spawn_blocking(move || handler(&call)).await {
                Ok(answer) => respond(answer),
                Err(error) => {
                    tracing::error!("a handler failed: {error}");
                    refusal(&ApiError::new(500, "Internal error"))
                }
            }
        })
    }
}

impl Call {
    async fn read(dsm: Arc<Dsm>, request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let call = Self::without_body(dsm, &parts)?;
        let body = body::read(&parts.headers, body).await?;
        Ok(Self { body, ..call })
    }

    /// A request whose body is read elsewhere.
    pub(super) fn without_body(dsm: Arc<Dsm>, parts: &Parts) -> Result<Self, ApiError> {
        let authorization = match parts.headers.get(AUTHORIZATION).map(|value| value.to_str()) {
            None => None,
            Some(Ok(value)) => Some(value.to_owned()),
            Some(Err(_)) => return Err(ApiError::unauthorized(text::NO_CREDENTIALS)),
        };
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_else(here);
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let path = parts.uri.path().to_owned();
        Ok(Self { dsm, query, peer, path, acting: None, account: OnceLock::new(), authorization, body: Bytes::new() })
    }

    /// A request of this process: `operation` is a path with its query.
    pub(super) fn inside(dsm: Arc<Dsm>, api_key: &str, operation: &str, body: Option<&Value>) -> Self {
        let (path, query) = operation.split_once('?').unwrap_or((operation, ""));
        Self {
            dsm,
            query: Query::parse(query),
            peer: here(),
            path: path.to_owned(),
            acting: None,
            account: OnceLock::new(),
            authorization: Some(format!("Basic {api_key}")),
            body: body.map(|body| body.to_string().into()).unwrap_or_default(),
        }
    }

    /// A request that this one carries: `operation` is a path with its query. It acts for `acting`, else for the caller of this one.
    pub(super) fn carry(&self, operation: &str, body: Option<&Value>, acting: Option<Acting>) -> Self {
        let acting = acting.or_else(|| self.acting.clone());
        let (path, query) = operation.split_once('?').unwrap_or((operation, ""));
        Self {
            dsm: Arc::clone(&self.dsm),
            query: Query::parse(query),
            peer: self.peer.clone(),
            path: path.to_owned(),
            authorization: if acting.is_some() { None } else { self.authorization.clone() },
            acting,
            account: OnceLock::new(),
            body: body.map(|body| body.to_string().into()).unwrap_or_default(),
        }
    }

    /// On whose behalf another request carries this one.
    pub(super) fn acting(&self) -> Option<&Acting> {
        self.acting.as_ref()
    }

    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// The path of the request.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The store as the caller's account sees it; before [`Call::caller`] it is nobody's, and empty.
    pub(super) fn store(&self) -> &Store {
        self.account.get().unwrap_or(&self.dsm.nobody)
    }

    /// Says whose account [`Call::store`] is.
    pub(super) fn enter(&self, acct_id: Uuid) {
        self.account.get_or_init(|| self.dsm.store.in_account(acct_id));
    }

    /// The last id in the path, where the path has one: `/crypto/v1/keys/{id}/sign`.
    pub(super) fn path_id(&self) -> Result<Option<Uuid>, ApiError> {
        match self.path().split('/').nth(4) {
            None | Some("") => Ok(None),
            Some(id) => Uuid::parse_str(id).map(Some).map_err(|_| ApiError::bad_request("Invalid id in the path: a UUID is expected")),
        }
    }

    /// The id in the path of an endpoint that always has one.
    pub(super) fn id(&self) -> Result<Uuid, ApiError> {
        self.path_id()?.ok_or_else(|| ApiError::not_found("No such endpoint"))
    }

    /// The body, a JSON object, whatever `Content-Type` says: some clients send none.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        body::parse(&self.body, b'{')
    }

    /// The body, a JSON object, or the default where there is none, or `null`.
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        if matches!(self.body.trim_ascii(), b"" | b"null") { Ok(T::default()) } else { self.json() }
    }

    /// The body, a JSON array.
    pub(super) fn json_items(&self) -> Result<Vec<Value>, ApiError> {
        body::parse(&self.body, b'[')
    }

    /// A line for the audit log.
    pub(super) fn audit(&self, action_type: ActionType, actor: Principal, object_id: Uuid, message: String) -> Audit {
        let acct_id = self.store().acct_id();
        Audit { action_type, acct_id, actor, object_id, group_id: None, client_ip: Some(self.peer.address), message, time: Time::now() }
    }
}

/// This very process.
fn here() -> Peer {
    Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), service: Service::Dsm, certificates: Arc::default() }
}
