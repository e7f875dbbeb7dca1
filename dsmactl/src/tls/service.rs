//! A running enclave-host, reached over TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use zeroize::Zeroizing;

use super::pin::{Fingerprint, Pinned};
use crate::error::{Error, printable};

/// An upload keeps DSM busy for some requests.
const TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: usize = 1 << 20;

/// The service and the credential for it.
pub(super) struct Service {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: tokio::runtime::Runtime,
    endpoint: String,
    authorization: HeaderValue,
}

impl Service {
    /// Does not touch the network.
    ///
    /// # Errors
    /// An endpoint, CA file or API key that cannot be used.
    pub(super) fn new(
        endpoint: &str,
        ca_file: Option<&Path>,
        fingerprint: Option<Fingerprint>,
        api_key: Zeroizing<String>,
    ) -> Result<Self, Error> {
        if !endpoint.starts_with("https://") || endpoint.ends_with('/') {
            return Err(Error::Endpoint { endpoint: endpoint.to_owned() });
        }
        let mut authorization = HeaderValue::from_str(&Zeroizing::new(format!("Basic {}", *api_key))).map_err(|_| Error::NoApiKey)?;
        authorization.set_sensitive(true);
        let connector = HttpsConnectorBuilder::new().with_tls_config(trust(ca_file, fingerprint)?).https_only().enable_http1().build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|source| Error::Runtime { source })?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime, endpoint: endpoint.to_owned(), authorization })
    }

    /// Sends JSON and gives the JSON that comes back.
    ///
    /// # Errors
    /// The service cannot be reached or is not trusted, refuses, or answers something else than JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let unreachable = |problem: String| Error::Unreachable { endpoint: self.endpoint.clone(), problem };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|_| Error::Endpoint { endpoint: self.endpoint.clone() })?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| unreachable(innermost(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| unreachable(error.to_string()))?;
            Ok::<_, Error>((status, body.to_bytes()))
        };
        let (status, body) = self.runtime.block_on(async {
            tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| unreachable("it does not answer in a minute".to_owned()))?
        })?;
        if !status.is_success() {
            return Err(Error::Refused { status: status.as_u16(), text: printable(&String::from_utf8_lossy(&body)) });
        }
        serde_json::from_slice(&body).map_err(|_| Error::unusable("it is not JSON"))
    }
}

fn trust(ca_file: Option<&Path>, fingerprint: Option<Fingerprint>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Runtime { source: std::io::Error::other(error) })?;
    if let Some(fingerprint) = fingerprint {
        return Ok(builder.dangerous().with_custom_certificate_verifier(Pinned::new(fingerprint)).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let wrong = || Error::Input { path: file.to_owned(), problem: "holds no CA certificate in PEM".to_owned() };
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            roots.add_parsable_certificates(certificates.map_err(|_| wrong())?);
            if roots.is_empty() {
                return Err(wrong());
            }
        }
        // SSL_CERT_FILE is honoured there.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The cause that means something to a person; an untrusted certificate comes with the mend.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    let text = at.to_string();
    if text.contains("certificate") {
        return format!(
            "{text}; give its CA with --ca-file or DSMA_CA_FILE, or, for a self-signed one, the fingerprint that the service writes into its log with --fingerprint or DSMA_FINGERPRINT"
        );
    }
    text
}
