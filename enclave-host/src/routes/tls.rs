//! `/accelerator/v1/tls`: certificate requests for the service's TLS key, and the upload of what a CA made of them.
//!
//! The vendor's guide names the tool that uses them and not the endpoints, so these are our own:
//!
//! - `POST /accelerator/v1/tls/csr` with `{"country", "state", "locality", "organization", "organizational_unit", "common_name", "email",
//!   "dns_names": [..]}`, each of which may be absent, answers `{"csr": "<PEM>"}`;
//! - `POST /accelerator/v1/tls/certificates` with `{"certificates": ["<base64 of DER>", ..]}`, or the list alone, in the order leaf,
//!   intermediates, root, answers `{"certificates": ["<kid>", ..]}` in the same order. The list is empty where that chain is in use already.
//!
//! Both are for an app's API key (`Authorization: Basic`), and for an app that may **sign** with the TLS key: it could make certificate
//! requests, and even pass for this service, with DSM's own `sign`. DSM is asked each time. Who may not reads what DSM would answer.

use std::sync::Arc;

use dsma_api::{ApiError, Operation, text as texts};
use http::{Request, Response, StatusCode};
use hyper::body::{Bytes, Incoming};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::{passthrough, read};
use crate::body::{Body, json, text};
use crate::callers::{Denied, Scheme};
use crate::service::Service;
use crate::tls::{ChainError, CsrRequest, ManagedTls, UploadError};

/// A chain of eight large certificates fits twice.
const LIMIT: usize = 256 << 10;

const NO_TLS_KEY: &str = "This service keeps no TLS key in DSM; start it with TLS_KEY_ID set to the key's id";

#[derive(Deserialize)]
#[serde(untagged)]
enum Chain {
    List(Vec<String>),
    Named { certificates: Vec<String> },
}

pub(super) async fn csr(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let (tls, body) = match admit(service, request).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let wanted: CsrRequest = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("Invalid body: {error}")),
    };
    match tls.csr(wanted).await {
        Ok(pem) => json(serde_json::json!({ "csr": pem }).to_string()),
        Err(Some(problem)) => text(StatusCode::BAD_REQUEST, format!("Invalid {problem}")),
        Err(None) => text(StatusCode::SERVICE_UNAVAILABLE, UploadError::NotReady.to_string()),
    }
}

pub(super) async fn upload(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let (tls, body) = match admit(service, request).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal,
    };
    let chain = match parse(&body) {
        Ok(chain) => chain,
        Err(problem) => return text(StatusCode::BAD_REQUEST, problem),
    };
    match tls.upload(chain).await {
        Ok(kids) => json(serde_json::json!({ "certificates": kids }).to_string()),
        Err(UploadError::Chain(problem)) => text(StatusCode::BAD_REQUEST, problem.to_string()),
        Err(UploadError::NotReady) => text(StatusCode::SERVICE_UNAVAILABLE, UploadError::NotReady.to_string()),
        // Our own identity's trouble, not the caller's.
        Err(failed @ UploadError::Dsm(_)) => {
            tracing::error!(target: "dsma::server", "{failed}");
            text(StatusCode::BAD_GATEWAY, failed.to_string())
        }
    }
}

/// The TLS key and the body, for a caller that may.
async fn admit(service: &Arc<Service>, request: Request<Incoming>) -> Result<(&Arc<ManagedTls>, Bytes), Response<Body>> {
    let credential = service.callers.credential(request.headers()).filter(|credential| credential.scheme() == Scheme::Basic);
    let Some(credential) = credential else {
        return Err(text(StatusCode::UNAUTHORIZED, texts::NO_CREDENTIALS));
    };
    let tls = service.tls.as_ref().ok_or_else(|| text(StatusCode::NOT_FOUND, NO_TLS_KEY))?;
    service.callers.permit(&credential, tls.kid(), Operation::Sign).await.map_err(|denied| match denied {
        Denied::Refused(ApiError { status, message }) => text(StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), message),
        Denied::Unreachable(error) => passthrough::unreachable(&error),
    })?;
    let (head, body) = request.into_parts();
    let (_room, body) = read(service, &head, body, LIMIT).await?;
    Ok((tls, body))
}

fn parse(body: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let shape =
        r#"Invalid body: expected {"certificates": ["<base64 of DER>", ..]} or the list alone, in the order leaf, intermediates, root"#;
    let (Chain::List(texts) | Chain::Named { certificates: texts }) = serde_json::from_slice(body).map_err(|_| shape.to_owned())?;
    let decode = |(at, text): (usize, &String)| {
        let der = base64_simd::STANDARD.decode_to_vec(text.trim());
        der.map(CertificateDer::from).map_err(|_| ChainError::Garbage(at + 1, "it is not base64".to_owned()).to_string())
    };
    texts.iter().enumerate().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_chain() {
        for body in [r#"["AQI=","Aw=="]"#, r#"{"certificates":[" AQI=\n","Aw=="]}"#] {
            assert_eq!(parse(body.as_bytes()).unwrap(), [CertificateDer::from(vec![1, 2]), CertificateDer::from(vec![3])]);
        }
        assert!(parse(br#"["AQI=","-----BEGIN"]"#).unwrap_err().contains("Certificate 2 is not"));
        for bad in ["", "{}", "[1]", r#"{"certificates":"AQI="}"#] {
            assert!(parse(bad.as_bytes()).unwrap_err().starts_with("Invalid body"), "{bad}");
        }
    }
}
