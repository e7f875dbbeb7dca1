//! The service's own certificate runs out again and again under load, and no request notices.
//!
//! CCM's certificates live for 90 days, so the node agent here is the test's: it certifies for some seconds, for a CA that one app in
//! DSM trusts. The group's quorum policy lets nobody but that app export, so a renewal that fails is a request that fails.
#![forbid(unsafe_code)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{base64, exportable_aes, gcm};
use dsma_testkit::{Credential, Host, Stack};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData, SignatureAlgorithm,
};
use serde_json::{Value, json};
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

const CONNECTIONS: usize = 32;
/// Seconds that a certificate lives; it is renewed at two thirds.
const LIFE: i64 = 9;
const RENEWALS: usize = 3;

#[test]
fn no_request_fails_while_the_certificate_is_renewed() {
    let stack = Stack::start();
    let agent = Agent::start();
    let dsm = stack.dsm();
    let (private, shared) = (dsm.new_group("the service"), dsm.new_group("shared"));
    let credential = json!({"trustedca": {"ca_certificates": [base64(agent.ca.der())], "subject_general": {"dns_name": "fortanix.com"}}});
    let spec = json!({"name": "the service", "credential": credential, "default_group": private,
        "add_groups": {&private: ["EXPORT", "MANAGE"], &shared: ["EXPORT"]}});
    let app = stack.admin().request("POST", "/sys/v1/apps", Some(spec)).success().json()["app_id"].as_str().unwrap().to_owned();
    let maker = dsm.new_app("maker", &[(&shared, &["MANAGE"])]);
    let client = dsm.new_app("client", &[(&shared, &["ENCRYPT", "EXPORT"])]);
    let kid = exportable_aes(&stack.dsm_as(&maker));
    let policy = json!({"quorum": {"n": 1, "members": [{"app": app}]}, "protect_crypto_operations": true});
    stack.admin().request("PATCH", &format!("/sys/v1/groups/{shared}"), Some(json!({"approval_policy": policy}))).success();

    let endpoint = stack.env("FORTANIX_APPS_ENDPOINT");
    let host = Host::start(
        &stack,
        &[
            ("NITRO_ENABLED", "true"),
            ("DSMA_APP_ID", &app),
            ("NODE_AGENT", &agent.url),
            ("FORTANIX_API_ENDPOINT", &endpoint),
            // Keys expire all the time, so that our own session is in use all the time.
            ("CACHE_TTL", "1"),
        ],
    );
    host.wait_log("SETUP COMPLETE");
    host.wait_log("Successfully connected to DSM at ");

    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let client = host.client(&stack).with(Credential::Basic(client));
    std::thread::scope(|scope| {
        let load = || {
            while !done.load(Ordering::Relaxed) {
                let reply = client.request("POST", "/crypto/v1/encrypt", Some(gcm(&kid)));
                assert_eq!(reply.status, 200, "{}", reply.text);
                served.fetch_add(1, Ordering::Relaxed);
            }
        };
        let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(load)).collect();
        agent.wait_for(1 + RENEWALS);
        host.wait_log("the certificate is renewed");
        done.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    let log = host.log();
    assert!(log.matches("INFO dsma::identity - the certificate is renewed").count() >= RENEWALS - 1, "{log}");
    assert!(!log.contains("WARN dsma::identity"), "{log}");
    let exports = stack.admin().exports_of(&kid);
    assert!(served.load(Ordering::Relaxed) > 10 * CONNECTIONS && exports > 2 * RENEWALS, "{served:?} requests, {exports} exports");
}

/// A node agent that certifies whoever asks, for some seconds.
struct Agent {
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
    fn start() -> Self {
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
                spawn(move || answer(stream, &issuer, &count));
            }
        });
        Self { url, ca, issued }
    }

    /// Waits until so many certificates have been issued.
    fn wait_for(&self, certificates: usize) {
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

fn answer(stream: TcpStream, ca: &CertifiedIssuer<'static, KeyPair>, issued: &(std::sync::Mutex<usize>, std::sync::Condvar)) {
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
    (params.not_before, params.not_after) = (now, now + time::Duration::seconds(LIFE));
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
