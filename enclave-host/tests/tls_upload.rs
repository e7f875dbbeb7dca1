//! Who may manage the TLS key through the service, and uploads that it does not take. None leaves anything behind.
#![forbid(unsafe_code)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::ca::{Ca, shown};
use common::sign;
use dsma_testkit::{Credential, Dsm, Host, Stack};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

const CSR: &str = "/accelerator/v1/tls/csr";
const CERTIFICATES: &str = "/accelerator/v1/tls/certificates";

struct Scene {
    stack: Stack,
    ca: Ca,
    group: String,
    service_key: String,
    operator_key: String,
    kid: String,
}

impl Scene {
    fn new() -> Self {
        let stack = Stack::start();
        let dsm = stack.dsm();
        let group = dsm.new_group("tls");
        let service_key = dsm.new_app("the service", &[(&group, &["EXPORT", "MANAGE"])]);
        let operator_key = dsm.new_app("an operator", &[(&group, &["SIGN"])]);
        let spec = json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]});
        let kid = stack.dsm_as(&service_key).create_key(spec);
        Self { ca: Ca::new(), group, service_key, operator_key, kid, stack }
    }

    fn start(&self, env: &[(&str, &str)]) -> Host {
        let mut all = vec![("FORTANIX_API_KEY", self.service_key.as_str()), ("TLS_KEY_ID", self.kid.as_str())];
        all.extend(env);
        let host = Host::start(&self.stack, &all);
        host.wait_log("SETUP COMPLETE");
        host
    }

    fn client(&self, host: &Host, credential: Credential) -> Dsm {
        Dsm::connect(&host.endpoint(), &self.ca.trust(host), credential)
    }

    fn operator(&self, host: &Host) -> Dsm {
        self.client(host, Credential::Basic(self.operator_key.clone()))
    }

    fn csr(&self, operator: &Dsm) -> String {
        operator.request("POST", CSR, Some(json!({"common_name": "localhost"}))).success().json()["csr"].as_str().unwrap().to_owned()
    }

    /// What there is of certificates in the service's group, and what the key links to.
    fn kept(&self) -> (usize, Value) {
        let dsm = self.stack.dsm_as(&self.service_key);
        let all = dsm.request("GET", &format!("/crypto/v1/keys?group_id={}", self.group), None).success().json();
        let certificates = all.as_array().unwrap().iter().filter(|sobject| sobject["obj_type"] == "CERTIFICATE").count();
        let key = dsm.request("GET", &format!("/crypto/v1/keys/{}", self.kid), None).success().json();
        (certificates, key["links"].clone())
    }
}

#[test]
fn only_an_app_that_may_sign_with_the_key() {
    let scene = Scene::new();
    let host = scene.start(&[("BEARER_AUTH_ENABLED", "true")]);
    let dsm = scene.stack.dsm();
    let outsider = dsm.new_app("outsider", &[(&dsm.default_group(), &["SIGN"])]);
    let reader = dsm.new_app("reader", &[(&scene.group, &["VERIFY", "EXPORT"])]);
    let stranger = common::base64(b"5a9fd402-5aff-4326-939e-e0c25345b064:no such app");
    let token = common::token(&scene.stack.dsm_as(&scene.operator_key));
    for path in [CSR, CERTIFICATES] {
        // DSM's own answer to a signature with that key is the measure.
        for api_key in [&outsider, &reader, &stranger] {
            let dsm_says = scene.stack.dsm_as(api_key).request("POST", "/crypto/v1/sign", Some(sign(&scene.kid)));
            let reply = scene.client(&host, Credential::Basic(api_key.clone())).request("POST", path, Some(json!({})));
            assert!(reply.status >= 400);
            assert_eq!((reply.status, &reply.text), (dsm_says.status, &dsm_says.text), "{path}");
        }
        for credential in [Credential::None, token.clone()] {
            let reply = scene.client(&host, credential).request("POST", path, Some(json!({})));
            assert_eq!(reply.status, 401, "{path}: {}", reply.text);
        }
    }
    // A key that is disabled signs no request either, although the service has it.
    let service = scene.stack.dsm_as(&scene.service_key);
    service.request("PATCH", &format!("/crypto/v1/keys/{}", scene.kid), Some(json!({"enabled": false}))).success();
    let reply = scene.operator(&host).request("POST", CSR, Some(json!({"common_name": "localhost"})));
    assert_eq!(reply.status, 403, "{}", reply.text);

    let without = Host::start(&scene.stack, &[]);
    let reply = without.client(&scene.stack).request("POST", CSR, Some(json!({"common_name": "localhost"})));
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (404, "This service keeps no TLS key in DSM; start it with TLS_KEY_ID set to the key's id")
    );
}

#[test]
fn a_request_that_makes_no_certificate_request() {
    let scene = Scene::new();
    let host = scene.start(&[]);
    let operator = scene.operator(&host);
    for (body, expected) in [
        (json!({}), "Invalid common_name or dns_names: neither is given"),
        (json!({"common_name": "a", "country": "USA"}), "Invalid country: `USA` is no country code; give two letters"),
        (json!({"common_name": "x".repeat(65)}), "Invalid common_name: give at most 64 characters"),
        (json!({"dns_names": ["not a name"]}), "Invalid dns_names: `not a name` is no DNS name; give names such as"),
        (json!({"common_name": "a", "email": "nobody"}), "Invalid email: give an address"),
        (json!({"comon_name": "a"}), "Invalid body: unknown field `comon_name`"),
        (json!("a"), "Invalid body: "),
    ] {
        let reply = operator.request("POST", CSR, Some(body));
        assert!(reply.status == 400 && reply.text.starts_with(expected), "{expected}: {} {}", reply.status, reply.text);
    }
}

#[test]
fn a_chain_that_is_not_taken_leaves_nothing_behind() {
    let scene = Scene::new();
    let host = scene.start(&[]);
    let operator = scene.operator(&host);
    let before = shown(&host, None);
    let csr = scene.csr(&operator);
    scene.ca.sign_leaf("good", &csr, "7");
    scene.ca.sign_leaf("expired", &csr, "-1");
    let foreign = scene.ca.foreign_request("foreign");
    scene.ca.sign_leaf("foreign", &foreign, "7");
    let chain = |names: &[&str]| json!(scene.ca.chain(names));
    let mut texts = std::collections::BTreeSet::new();
    for (body, expected) in [
        (chain(&["foreign", "middle", "root"]), "Certificate 1 is for another key than the service's TLS key; have the CA sign"),
        (
            chain(&["root", "middle", "good"]),
            "Certificate 3 is the one for the TLS key, and it is not the first; send the chain in the order",
        ),
        (
            chain(&["good", "root", "middle"]),
            "Certificate 1 was issued by CN=middle CA,O=Test, but certificate 2 is of CN=root CA,O=Test; send",
        ),
        (chain(&["good", "middle"]), "The chain ends with certificate 2, which was issued by CN=root CA,O=Test; add"),
        (chain(&["expired", "middle", "root"]), "Certificate 1 expired at 20"),
        (json!([common::base64(b"garbage")]), "Certificate 1 is not an X.509 certificate in DER: "),
        (
            json!(["-----BEGIN CERTIFICATE-----"]),
            "Certificate 1 is not an X.509 certificate in DER: it is not base64; send base64 of the DER",
        ),
        (json!([]), "No certificate was given; send the chain"),
        (chain(&["good"; 9]), "9 certificates were given, and a chain has at most 8"),
        (json!({"certificate": []}), "Invalid body: expected "),
    ] {
        let reply = operator.request("POST", CERTIFICATES, Some(body));
        assert!(reply.status == 400 && reply.text.starts_with(expected), "{expected}: {} {}", reply.status, reply.text);
        texts.insert(reply.text);
    }
    assert_eq!(texts.len(), 10);
    let large = operator.try_request("POST", CERTIFICATES, Some(vec![b'A'; 300 << 10])).unwrap();
    assert_eq!(large.status, 413, "{}", large.text);
    assert_eq!(scene.kept(), (0, Value::Null));
    let leaf = |shown: &str| shown.split("-----END").next().unwrap_or_default().split("-----BEGIN").last().unwrap_or_default().to_owned();
    assert_eq!(leaf(&shown(&host, None)), leaf(&before));
    // And the good one is taken.
    operator.request("POST", CERTIFICATES, Some(chain(&["good", "middle", "root"]))).success();
    assert_eq!(scene.kept().0, 3);
}

#[test]
fn an_import_that_breaks_off_is_taken_back_and_the_former_chain_stays() {
    let scene = Scene::new();
    let faults = Faults::before(&scene.stack, scene.ca.path("proxy.pem"));
    let trusted = scene.ca.path("proxy.pem");
    let env = [("FORTANIX_API_ENDPOINT", faults.endpoint.as_str()), ("FORTANIX_CA_FILE", trusted.to_str().unwrap())];
    let host = scene.start(&env);
    let operator = scene.operator(&host);
    let csr = scene.csr(&operator);
    scene.ca.sign_leaf("first", &csr, "7");
    scene.ca.sign_leaf("second", &csr, "8");
    operator.request("POST", CERTIFICATES, Some(json!(scene.ca.chain(&["first", "middle", "root"])))).success();
    let before = scene.kept();
    let operator = Dsm::connect(&host.endpoint(), &scene.ca.path("root.pem"), Credential::Basic(scene.operator_key.clone()));
    // The second of three imports is refused; in the next round, what fails is the answer to one that was carried out.
    for fault in [Fault::Refuse, Fault::LoseAnswer] {
        faults.arm(fault, 2);
        let reply = operator.request("POST", CERTIFICATES, Some(json!(scene.ca.chain(&["second", "middle", "root"]))));
        assert_eq!(reply.status, 502, "{}", reply.text);
        assert!(reply.text.starts_with("DSM did not take the certificates, and the former ones stay: "), "{}", reply.text);
        assert_eq!(scene.kept(), before, "{fault:?}");
        assert!(shown(&host, Some(&scene.ca.path("root.pem"))).contains(&scene.ca.chain(&["first"])[0][..60]));
    }
    // The former chain cannot be unlinked: the new one is used all the same, now and after a restart.
    faults.arm(Fault::KeepLinks, 0);
    operator.request("POST", CERTIFICATES, Some(json!(scene.ca.chain(&["second", "middle", "root"])))).success();
    host.wait_log("stays linked to the TLS key: ");
    let (certificates, links) = scene.kept();
    assert_eq!((certificates, links["subkeys"].as_array().map(Vec::len)), (6, Some(6)));
    for host in [host, scene.start(&env)] {
        assert!(shown(&host, Some(&scene.ca.path("root.pem"))).contains(&scene.ca.chain(&["second"])[0][..60]));
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// One import: DSM is not asked, and refuses.
    Refuse,
    /// One import: DSM does it, and its answer says that it did not.
    LoseAnswer,
    /// Every change of a sobject, as with `Refuse`.
    KeepLinks,
}

/// A TLS proxy before DSM, which spoils the n-th import after it was armed.
struct Faults {
    endpoint: String,
    state: Arc<FaultState>,
}

#[derive(Default)]
struct FaultState {
    /// Imports until the fault; 0 for none.
    left: AtomicUsize,
    lose_answer: AtomicBool,
    keep_links: AtomicBool,
}

impl Faults {
    fn before(stack: &Stack, certificate: PathBuf) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(certificate, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("localhost:0").unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (state, config) = (Arc::new(FaultState::default()), Arc::new(config));
        let upstream = (stack.endpoint(), stack.ca_file());
        let shared = Arc::clone(&state);
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, state, upstream) = (Arc::clone(&config), Arc::clone(&shared), upstream.clone());
                spawn(move || {
                    let tls = ServerConnection::new(config).unwrap();
                    // A connection that breaks off is over.
                    let _ = converse(StreamOwned::new(tls, stream), &state, &upstream.0, &upstream.1);
                });
            }
        });
        Self { endpoint, state }
    }

    fn arm(&self, fault: Fault, import: usize) {
        self.state.lose_answer.store(fault == Fault::LoseAnswer, Ordering::SeqCst);
        self.state.keep_links.store(fault == Fault::KeepLinks, Ordering::SeqCst);
        self.state.left.store(import, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "a proxy listens while the test works")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

/// HTTP/1.1 in, the testkit's client out.
fn converse(stream: StreamOwned<ServerConnection, TcpStream>, state: &FaultState, endpoint: &str, ca_file: &Path) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut credential) = (String::new(), 0, Credential::None);
        if stream.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match (name.to_ascii_lowercase().as_str(), value.split_once(' ')) {
                ("content-length", _) => length = value.parse().unwrap(),
                ("authorization", Some(("Basic", key))) => credential = Credential::Basic(key.to_owned()),
                ("authorization", Some(("Bearer", token))) => credential = Credential::Bearer(token.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let spoilt = match method {
            "PUT" => state.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) == Ok(1),
            "PATCH" => state.keep_links.load(Ordering::SeqCst),
            _ => false,
        };
        let (mut status, mut text) = (500, "Out of order on purpose".to_owned());
        if !spoilt || state.lose_answer.load(Ordering::SeqCst) {
            let body = (!body.is_empty()).then_some(body);
            let reply = Dsm::connect(endpoint, ca_file, credential).try_request(method, path, body).unwrap();
            if !spoilt {
                (status, text) = (reply.status, reply.text);
            }
        }
        let length = text.len();
        write!(stream.get_mut(), "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{text}")?;
        stream.get_mut().flush()?;
    }
}
