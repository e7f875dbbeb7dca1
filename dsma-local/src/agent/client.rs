//! CCM's REST interface, as the agent calls it: HTTPS, JSON, with the node's certificate once there is one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::AgentError;
use crate::error::Error;

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;
/// More than CCM may take to wait for a task.
const ANSWER_TIME: Duration = Duration::from_secs(70);

/// A client with one identity. Cheap to clone; keeps its connections.
#[derive(Clone)]
pub(super) struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: String,
    /// Presented as a bearer token.
    token: Option<Zeroizing<String>>,
}

impl Client {
    /// A client of `endpoint` that trusts one CA (PEM).
    ///
    /// # Errors
    /// Where CA, certificate or key cannot be used.
    pub(super) fn new(
        endpoint: &str,
        ca_pem: &str,
        token: Option<Zeroizing<String>>,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|_| rustls::Error::General("no CA certificate".into()))?;
        roots.add(ca)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?.with_root_certificates(roots);
        let config = match identity {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
            None => config.with_no_client_auth(),
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
        let http = HyperClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, endpoint: endpoint.to_owned(), token })
    }

    /// A `GET`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AgentError> {
        self.call(Method::GET, path, None).await
    }

    /// A `POST`.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, AgentError> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, AgentError> {
        let (success, bytes) = tokio::time::timeout(ANSWER_TIME, self.exchange(method, path, body))
            .await
            .unwrap_or_else(|_| Err(self.unreachable("no answer in time")))?;
        let unreadable = |error: serde_json::Error| AgentError::Answer { problem: error.to_string() };
        if success.is_success() {
            return serde_json::from_slice(&bytes).map_err(unreadable);
        }
        let event: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| event[name].as_str().unwrap_or("without a reason").to_owned();
        Err(AgentError::Refused { status: success.as_u16(), code: text("code"), message: text("message") })
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(hyper::StatusCode, Bytes), AgentError> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", **token));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body)).map_err(|error| self.unreachable(error))?;
        let response = self.http.request(request).await.map_err(|error| self.unreachable(describe(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| AgentError::Answer { problem: error.to_string() })?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, problem: impl ToString) -> AgentError {
        AgentError::Unreachable { endpoint: self.endpoint.clone(), problem: problem.to_string() }
    }
}

/// An error with its causes: hyper's own words say little.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
