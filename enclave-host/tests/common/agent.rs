//! An attested service in front of a DSM that trusts the test's own CA, by way of a node agent that certifies whoever asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use dsma_testkit::{Host, Stack};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData, SignatureAlgorithm,
};
use serde_json::{Value, json};
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{base64, exportable_aes};

/// A key in a group whose quorum policy lets nobody but the service's app export, and a client that may encrypt with it.
pub(crate) struct Scene {
    pub(crate) stack: Stack,
    pub(crate) agent: Agent,
    pub(crate) kid: String,
    /// API key of the client.
    pub(crate) client: String,
    /// The group of the key.
    pub(crate) group: String,
    app: String,
}

impl Scene {
    /// With certificates that live for `life` seconds.
    pub(crate) fn new(stack: Stack, life: i64) -> Self {
        let agent = Agent::start(life);
        let dsm = stack.dsm();
        let (private, group) = (dsm.new_group("the service"), dsm.new_group("shared"));
        let credential =
            json!({"trustedca": {"ca_certificates": [base64(agent.ca.der())], "subject_general": {"dns_name": "fortanix.com"}}});
        let spec = json!({"name": "the service", "credential": credential, "default_group": private,
            "add_groups": {&private: ["EXPORT", "MANAGE"], &group: ["EXPORT"]}});
        let app = stack.admin().request("POST", "/sys/v1/apps", Some(spec)).success().json()["app_id"].as_str().unwrap().to_owned();
        let maker = dsm.new_app("maker", &[(&group, &["MANAGE"])]);
        let client = dsm.new_app("client", &[(&group, &["ENCRYPT", "EXPORT"])]);
        let kid = exportable_aes(&stack.dsm_as(&maker));
        let policy = json!({"quorum": {"n": 1, "members": [{"app": app}]}, "protect_crypto_operations": true});
        stack.admin().request("PATCH", &format!("/sys/v1/groups/{group}"), Some(json!({"approval_policy": policy}))).success();
        Self { stack, agent, kid, client, group, app }
    }

    /// The service, which attests itself to the agent. Returns when it is set up; it may still be connecting.
    pub(crate) fn start(&self, env: &[(&str, &str)]) -> Host {
        let endpoint = self.stack.env("FORTANIX_APPS_ENDPOINT");
        let attested =
            [("NITRO_ENABLED", "true"), ("DSMA_APP_ID", &self.app), ("NODE_AGENT", &self.agent.url), ("FORTANIX_API_ENDPOINT", &endpoint)];
        let host = Host::start(&self.stack, &[&attested, env].concat());
        host.wait_log("SETUP COMPLETE");
        host
    }
}

/// A node agent that certifies whoever asks, for some seconds.
pub(crate) struct Agent {
    url: String,
    ca: Arc<CertifiedIssuer<'static, KeyPair>>,
    issued: Arc<(std::sync::Mutex<usize>, std::sync::Condvar)>,
}

/// The key of a request, for the certificate.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Agent {
    fn start(life: i64) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a zone CA");
        let ca = Arc::new(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap());
        let listener = TcpListener::bind("localhost:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issued = Arc::default();
        let (issuer, count) = (Arc::clone(&ca), Arc::clone(&issued));
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (issuer, count) = (Arc::clone(&issuer), Arc::clone(&count));
                spawn(move || answer(stream, life, &issuer, &count));
            }
        });
        Self { url, ca, issued }
    }

    /// Waits until so many certificates have been issued.
    pub(crate) fn wait_for(&self, certificates: usize) {
        let patience = std::time::Duration::from_secs(120);
        let (issued, changed) = &*self.issued;
        let (issued, _) = changed.wait_timeout_while(issued.lock().unwrap(), patience, |issued| *issued < certificates).unwrap();
        assert!(*issued >= certificates, "{issued} of {certificates} certificates in {patience:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "an agent listens while the test works")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn answer(stream: TcpStream, life: i64, ca: &CertifiedIssuer<'static, KeyPair>, issued: &(std::sync::Mutex<usize>, std::sync::Condvar)) {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let request = dsma_attest::csr::Csr::parse_pem(body["csr"].as_str().unwrap()).unwrap();
    assert!(request.attestation.is_some(), "the service attests itself");
    let bits = SubjectPublicKeyInfoRef::from_der(&request.spki_der).unwrap().subject_public_key.raw_bytes().to_vec();
    let mut params = CertificateParams::new(request.dns_names).unwrap();
    let now = time::OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now, now + time::Duration::seconds(life));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&Requested(bits), ca).unwrap();
    let answer = json!({"task_status": "SUCCESS", "certificate": certificate.pem()}).to_string();
    let length = answer.len();
    write!(
        stream.get_mut(),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )
    .unwrap();
    *issued.0.lock().unwrap() += 1;
    issued.1.notify_all();
}
