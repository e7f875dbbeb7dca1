//! Managed TLS as clients see it: the key in DSM, the request, a foreign CA, the upload, the restart.
#![forbid(unsafe_code)]

mod common;

use std::process::Command;

use common::ca::{Ca, shown};
use common::{Raw, halves};
use dsma_testkit::{Credential, Dsm, Host, Stack};
use serde_json::{Value, json};

/// A DSM with a TLS key, the app of the service, and an app of an operator who may sign with that key and nothing else.
struct Scene {
    stack: Stack,
    ca: Ca,
    group: String,
    service_key: String,
    operator_key: String,
    kid: String,
}

impl Scene {
    fn new(key: Value) -> Self {
        let stack = Stack::start();
        let dsm = stack.dsm();
        let group = dsm.new_group("tls");
        let service_key = dsm.new_app("the service", &[(&group, &["EXPORT", "MANAGE"])]);
        let operator_key = dsm.new_app("an operator", &[(&group, &["SIGN"])]);
        let kid = stack.dsm_as(&service_key).create_key(key);
        Self { ca: Ca::new(), group, service_key, operator_key, kid, stack }
    }

    fn start(&self) -> Host {
        let host = Host::start(&self.stack, &[("FORTANIX_API_KEY", &self.service_key), ("TLS_KEY_ID", &self.kid)]);
        host.wait_log("SETUP COMPLETE");
        host
    }

    /// The operator, who trusts what the service shows now.
    fn operator(&self, host: &Host) -> Dsm {
        Dsm::connect(&host.endpoint(), &self.ca.trust(host), Credential::Basic(self.operator_key.clone()))
    }

    fn service(&self) -> Dsm {
        self.stack.dsm_as(&self.service_key)
    }

    /// Kids of the certificates linked to the TLS key.
    fn linked(&self) -> Vec<String> {
        let key = self.service().request("GET", &format!("/crypto/v1/keys/{}", self.kid), None).success().json();
        key["links"]["subkeys"].as_array().into_iter().flatten().map(|kid| kid.as_str().unwrap().to_owned()).collect()
    }
}

fn rsa() -> Value {
    json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]})
}

const SUBJECT: [(&str, &str); 7] = [
    ("country", "US"),
    ("state", "California"),
    ("locality", "Santa Clara"),
    ("organization", "Company"),
    ("organizational_unit", "IT"),
    ("common_name", "www.fortanix.com"),
    ("email", "admin@fortanix.com"),
];

fn request(dns_names: &[&str]) -> Value {
    let mut body: serde_json::Map<String, Value> = SUBJECT.iter().map(|(member, value)| ((*member).to_owned(), json!(value))).collect();
    body.insert("dns_names".into(), json!(dns_names));
    Value::Object(body)
}

fn upload(client: &Dsm, chain: &[String]) -> Vec<String> {
    let reply = client.request("POST", "/accelerator/v1/tls/certificates", Some(json!({ "certificates": chain }))).success().json();
    reply["certificates"].as_array().unwrap().iter().map(|kid| kid.as_str().unwrap().to_owned()).collect()
}

fn in_order(log: &str, lines: &[&str]) {
    let mut rest = log;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing or out of order:\n{log}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn from_the_first_start_to_the_one_with_the_signed_chain() {
    let scene = Scene::new(rsa());
    let host = scene.start();
    let export = ["dsma::server - Fetching TLS key and certs from DSM\n", "OUTBOUND REQ POST crypto/v1/keys/export\n", "Status: 200 OK\n"];
    in_order(
        &host.log(),
        &[
            "Successfully connected to DSM at ",
            export[0],
            export[1],
            export[2],
            "INFO dsma::server - Found no certificate associated with the key\n",
            "INFO dsma::api - Building router\n",
            "SETUP COMPLETE",
        ],
    );
    host.wait_log("WARN dsma - Using self-signed TLS certificate. In order to avoid this, use the argument `--tls-files`.");

    // The request, as openssl reads it.
    let operator = scene.operator(&host);
    let csr = operator.request("POST", "/accelerator/v1/tls/csr", Some(request(&["www.fortanix.test.com", "*.foratnixtest.com"])));
    let csr = csr.success().json()["csr"].as_str().unwrap().to_owned();
    let text = scene.ca.verified_request(&csr);
    assert!(
        text.contains("Subject: emailAddress=admin@fortanix.com,CN=www.fortanix.com,OU=IT,O=Company,L=Santa Clara,ST=California,C=US"),
        "{text}"
    );
    assert!(text.contains("DNS:www.fortanix.test.com, DNS:*.foratnixtest.com"), "{text}");
    let key = scene.service().request("GET", &format!("/crypto/v1/keys/{}", scene.kid), None).success().json();
    let der = scene.ca.run(&["req", "-in", scene.ca.path("verify.csr").to_str().unwrap(), "-noout", "-pubkey"]).stdout;
    assert_eq!(
        String::from_utf8(der).unwrap().lines().filter(|line| !line.starts_with('-')).collect::<String>(),
        key["pub_key"].as_str().unwrap()
    );

    // A connection from before the upload lives on.
    let mut open = Raw::trusting(&host, &scene.ca.trust(&host), &[]);
    open.handshake(std::time::Duration::from_secs(60)).unwrap();
    scene.ca.sign_leaf("first", &csr, "7");
    let kids = upload(&operator, &scene.ca.chain(&["first", "middle", "root"]));
    let (begin, end) = halves("/crypto/v1/encrypt", "none", &json!({}));
    open.send(&[begin, end].concat());
    assert!(open.read_to_end().starts_with("HTTP/1.1 401"));
    let seen = shown(&host, Some(&scene.ca.path("root.pem")));
    assert!(seen.contains("Verify return code: 0 (ok)") && seen.matches("BEGIN CERTIFICATE").count() == 3, "{seen}");

    // What DSM keeps of it.
    let mut linked = scene.linked();
    linked.reverse();
    assert_eq!(linked, kids);
    let leaf = scene.service().request("GET", &format!("/crypto/v1/keys/{}", kids[0]), None).success().json();
    assert_eq!((leaf["obj_type"].as_str(), leaf["group_id"].as_str()), (Some("CERTIFICATE"), Some(scene.group.as_str())));
    assert_eq!(leaf["value"].as_str().unwrap(), scene.ca.chain(&["first"])[0]);
    assert_eq!(host.stop(), 0);

    // The next start finds it.
    let host = scene.start();
    let get = |kid: &String| format!("OUTBOUND REQ GET crypto/v1/keys/{kid}\n");
    in_order(
        &host.log(),
        &[
            export[0],
            export[1],
            export[2],
            &get(&kids[2]),
            &get(&kids[1]),
            &get(&kids[0]),
            "INFO dsma - Using certificate found in DSM\n",
            "INFO dsma::api - Building router\n",
        ],
    );
    assert!(!host.log().contains("self-signed"), "{}", host.log());
    assert!(shown(&host, Some(&scene.ca.path("root.pem"))).contains("CN = middle CA"));
    assert_eq!(host.stop(), 0);
}

#[test]
fn a_newer_chain_takes_the_place_of_the_one_before() {
    let curve = json!({"obj_type": "EC", "elliptic_curve": "NistP384", "key_ops": ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]});
    let scene = Scene::new(curve);
    let (host, other) = (scene.start(), scene.start());
    let operator = scene.operator(&host);
    let csr = operator.request("POST", "/accelerator/v1/tls/csr", Some(json!({"common_name": "localhost"}))).success().json();
    scene.ca.verified_request(csr["csr"].as_str().unwrap());
    scene.ca.sign_leaf("first", csr["csr"].as_str().unwrap(), "7");
    scene.ca.sign_leaf("second", csr["csr"].as_str().unwrap(), "8");
    let (first, second) = (scene.ca.chain(&["first", "middle", "root"]), scene.ca.chain(&["second", "middle", "root"]));
    let old = upload(&operator, &first);
    let operator = Dsm::connect(&host.endpoint(), &scene.ca.path("root.pem"), Credential::Basic(scene.operator_key.clone()));
    assert!(upload(&operator, &first).is_empty(), "the same chain is not kept twice");
    let new = upload(&operator, &second);
    let mut linked = scene.linked();
    linked.reverse();
    assert_eq!(linked, new);
    // The former ones stay in the group, linked to nothing.
    for kid in &old {
        let former = scene.service().request("GET", &format!("/crypto/v1/keys/{kid}"), None).success().json();
        assert!(former.get("links").is_none(), "{former}");
    }
    // Another instance learns of it without a restart.
    assert!(!shown(&other, None).contains("CN = middle CA"));
    assert!(Command::new("kill").args(["-HUP", &other.pid().to_string()]).status().unwrap().success());
    other.wait_log("cleared 0 keys from the cache on SIGHUP");
    let leaf = |host: &Host| pem_of_leaf(&shown(host, Some(&scene.ca.path("root.pem"))));
    other.wait_log(&format!("OUTBOUND REQ GET crypto/v1/keys/{}", new[0]));
    other.wait_log("Using certificate found in DSM");
    assert_eq!((leaf(&host), leaf(&other)), (second[0].clone(), second[0].clone()));
}

fn pem_of_leaf(shown: &str) -> String {
    let begin = shown.find("-----BEGIN CERTIFICATE-----\n").expect("a certificate") + 28;
    let end = shown[begin..].find("-----END").unwrap() + begin;
    shown[begin..end].lines().collect()
}

#[test]
fn dsm_may_come_after_the_service() {
    let scene = Scene::new(rsa());
    scene.stack.stop();
    let host = Host::start(&scene.stack, &[("FORTANIX_API_KEY", &scene.service_key), ("TLS_KEY_ID", &scene.kid)]);
    host.wait_log("SETUP COMPLETE");
    let operator = scene.operator(&host);
    let reply = operator.request("GET", "/", None);
    assert_eq!(reply.status, 503, "{}", reply.text);
    let reply = operator.request("POST", "/accelerator/v1/tls/csr", Some(json!({"common_name": "localhost"})));
    assert_eq!(reply.status, 503, "{}", reply.text);
    let before = pem_of_leaf(&shown(&host, None));
    scene.stack.restart();
    host.wait_log("Found no certificate associated with the key");
    host.wait_log("Using self-signed TLS certificate. In order");
    assert_ne!(pem_of_leaf(&shown(&host, None)), before);
}

#[test]
fn a_tls_key_that_cannot_be_used_ends_the_start() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = |spec: Value| dsm.create_key(spec);
    for (kid, problem) in [
        ("5a9fd402-5aff-4326-939e-e0c25345b064".to_owned(), "Sobject does not exist"),
        (key(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "EXPORT"]})), "does not allow operation SIGN"),
        (key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["VERIFY", "EXPORT"]})), "does not allow operation SIGN"),
        (key(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN"]})), "does not allow operation EXPORT"),
        (
            key(json!({"obj_type": "RSA", "key_size": 1024, "key_ops": ["SIGN", "EXPORT"]})),
            "TLS cannot use it: give an RSA key of 2048 bits",
        ),
        (key(json!({"obj_type": "EC", "elliptic_curve": "SecP256K1", "key_ops": ["SIGN", "EXPORT"]})), "TLS cannot use it"),
        (key(json!({"obj_type": "HMAC", "key_size": 256, "key_ops": ["MACGENERATE", "EXPORT"]})), "does not allow operation SIGN"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_enclave-host"))
            .env_clear()
            .env("FORTANIX_API_ENDPOINT", stack.endpoint())
            .env("FORTANIX_CA_FILE", stack.ca_file())
            .env("FORTANIX_API_KEY", stack.api_key())
            .env("PORT", "0")
            .env("TLS_KEY_ID", &kid)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{problem}\n{text}");
        assert!(
            text.contains("TLS_KEY_ID: ") && text.contains(problem) && text.contains("; give the id of an enabled RSA or EC key"),
            "{problem}\n{text}"
        );
    }
}
