//! A small client of CCM's REST interface: one session, JSON, and CCM's own words where it refuses.

use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use serde_json::Value;
use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use crate::error::{Error, printable};

/// CCM answers at once; a slow network is slow.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// The longest answer that is read.
const MAX_ANSWER: u64 = 16 << 20;

/// A session with CCM.
pub(crate) struct Ccm {
    agent: ureq::Agent,
    endpoint: String,
    authorization: Zeroizing<String>,
}

impl Ccm {
    /// Logs in. The roots are the system's, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// Where CCM does not answer, or refuses.
    pub(crate) fn log_in(endpoint: &str, username: &str, password: &str) -> Result<Self, Error> {
        let basic = Zeroizing::new(STANDARD.encode_to_string(Zeroizing::new(format!("{username}:{password}")).as_bytes()));
        let mut session =
            Self { agent: agent(), endpoint: endpoint.to_owned(), authorization: Zeroizing::new(format!("Basic {}", *basic)) };
        let answer = session.call("authenticate", "POST", "/v1/sys/auth", None)?;
        let token = answer["access_token"].as_str().ok_or_else(|| session.odd("no access_token"))?;
        session.authorization = Zeroizing::new(format!("Bearer {token}"));
        Ok(session)
    }

    /// One request; `what` says in an error what was tried.
    ///
    /// # Errors
    /// As [`Ccm::log_in`].
    pub(crate) fn call(&self, what: &'static str, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let unreachable = |source: ureq::Error| Error::CcmUnreachable { endpoint: self.endpoint.clone(), source: Box::new(source) };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("Authorization", self.authorization.as_str())
            .header("X-CSRF-Header", "1")
            .header("Content-Type", "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(body).map_err(|error| unreachable(error.into()))?;
        let mut response = self.agent.run(request).map_err(unreachable)?;
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            let empty = text.trim().is_empty();
            return if empty { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(|_| self.odd("no JSON")) };
        }
        let event: Value = serde_json::from_str(&text).unwrap_or_default();
        let message = printable(event["message"].as_str().unwrap_or_else(|| text.trim()));
        Err(Error::CcmRefused { what, status: status.as_u16(), message })
    }

    /// An answer that CCM does not give.
    pub(crate) fn odd(&self, problem: &'static str) -> Error {
        Error::OddAnswer { endpoint: self.endpoint.clone(), problem }
    }
}

fn agent() -> ureq::Agent {
    // A certificate that cannot be read is one root less, no failure: the connection will tell.
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<Certificate<'static>> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).allow_non_standard_methods(true);
    config.timeout_global(Some(ANSWER_TIME)).build().new_agent()
}
