//! A node of CCM, as its agent speaks for it.

use std::sync::Arc;

use base64_simd::STANDARD;
use dsma_attest::csr::{self, CsrRequest, KeyPair};
use dsma_testkit::{Credential, Stack};
use serde_json::{Value, json};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use super::Ccm;

/// A node with the certificate that it enrolled for.
pub(crate) struct Node {
    pub(crate) id: String,
    endpoint: String,
    http: ureq::Agent,
}

impl Node {
    /// Enrols in the account's first zone. The same name enrols the same node again.
    pub(crate) fn enrol(stack: &Stack, ccm: &Ccm, name: &str) -> Self {
        let zone = ccm.call("GET", "/v1/zones", None)[0]["zone_id"].as_str().unwrap().to_owned();
        let token = ccm.call("GET", &format!("/v1/zones/{zone}/token"), None)["token"].as_str().unwrap().to_owned();
        let key = KeyPair::generate().unwrap();
        let request = csr::build(&key, &CsrRequest { subject_common_name: None, dns_names: Vec::new() }, None).unwrap();
        let enrolment = json!({ "name": name, "ipaddress": "127.0.0.1", "sgx_version": "", "attestation_request": { "csr": request } });
        let joining = ccm.http.with(Credential::Bearer(token));
        let task = joining.request("POST", "/v1/nodes", Some(enrolment)).success().json();
        let id = task["node_id"].as_str().unwrap().to_owned();
        let certificate = joining.request("GET", &format!("/v1/nodes/{id}/certificate"), None).success().json();
        let certificate = Certificate::from_pem(certificate["certificate"].as_str().unwrap().as_bytes()).unwrap();
        let pkcs8 =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode_to_string(&*key.pkcs8_der().unwrap()));
        let identity = ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(pkcs8.as_bytes()).unwrap());
        let roots = std::fs::read(stack.ca_file()).unwrap();
        let roots = ureq::tls::parse_pem(&roots).filter_map(|item| match item {
            Ok(PemItem::Certificate(root)) => Some(root),
            _ => None,
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .client_cert(Some(identity))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let http = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().new_agent();
        Self { id, endpoint: stack.env("CCM_ENDPOINT"), http }
    }

    /// Status and answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut response = self.http.post(format!("{}{path}", self.endpoint)).send(body.to_string()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }
}
