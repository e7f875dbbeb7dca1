//! What the emulated device is for: a program behind it gets a certificate from this state's CCM, if and only if CCM's checks pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64_simd::STANDARD;
use dsma_attest::binding;
use dsma_attest::csr::{CsrRequest, KeyPair, build};
use dsma_attest::nsm::Device;
use dsma_testkit::{Credential, Dsm, Stack};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::{State, programs, succeeded};

/// What the program behind the device asks for, and where it writes the answers.
const CASE: &str = "NSM_TEST_CASE";
const OUTPUT: &str = "NSM_TEST_ANSWER";

/// The node agent's answers to the program behind `with-nsm OPTIONS`.
fn answers(stack: &Stack, state: &Path, options: &[&str], case: &str) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsma-local"));
    command.arg("--state").arg(state).arg("with-nsm").args(options).arg("--").args(programs::of_this_test("issuance::ask"));
    succeeded(&command.envs(stack.variables()).env(CASE, case).env(OUTPUT, file.path()).output().unwrap());
    serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap()
}

#[test]
#[ignore = "runs behind the device; see above"]
fn ask() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let agent = Dsm::connect(&variable("NODE_AGENT"), Path::new(&variable("FORTANIX_CA_FILE")), Credential::Basic(String::new()));
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let bound = if variable(CASE) == "another key" { &other } else { &key };
    let user_data = binding::user_data(bound.spki_der(), None);
    let document = Device::open().unwrap().attestation(Some(&user_data), Some(&[1; 16]), None).unwrap();
    let request =
        CsrRequest { subject_common_name: Some(variable(CASE)).filter(|case| case.contains('.')), dns_names: vec!["fortanix.com".into()] };
    let csr = build(&key, &request, Some(&document)).unwrap();
    let ask = || agent.request("POST", "/v1/certificate/issue", Some(json!({"csr": csr}))).success().json();
    let answers = json!({"first": ask(), "second": ask(), "spki": hex::encode(key.spki_der())});
    std::fs::write(PathBuf::from(variable(OUTPUT)), answers.to_string()).unwrap();
}

#[test]
fn a_certificate_is_for_approved_images_alone() {
    let stack = Stack::start();
    let ccm = approved(&stack);
    let state = stack.state_dir().to_owned();

    let good = answers(&stack, &state, &[], "fortanix.com");
    assert_eq!(good["first"]["task_status"], "SUCCESS", "{good}");
    let certificate = Certificate::from_der(&der(&good["first"]["certificate"])).unwrap();
    let certificate = certificate.tbs_certificate();
    assert!(certificate.subject().to_string().contains("CN=fortanix.com"), "{}", certificate.subject());
    assert_eq!(hex::encode(certificate.subject_public_key_info().to_der().unwrap()), good["spki"]);
    let zones = ccm.request("GET", "/v1/zones", None).success().json();
    let zone = Certificate::from_der(&der(&zones[0]["certificate"])).unwrap();
    assert_eq!(certificate.issuer(), zone.tbs_certificate().subject());

    // The very same request again shows the same document again.
    let refused = |answer: &Value| {
        assert!(answer["certificate"].is_null(), "{answer}");
        assert!(matches!(answer["task_status"].as_str(), Some("FAILED" | "DENIED")), "{answer}");
    };
    refused(&good["second"]);

    let foreign = State::new();
    let zero = "00".repeat(48);
    let unknown = ["--pcr0", &"ab".repeat(48), "--pcr1", &zero, "--pcr2", &zero];
    for (state, options, case) in [
        (state.as_path(), ["--debug-mode"].as_slice(), "fortanix.com"),
        (&state, &unknown, "fortanix.com"),
        (&state, &[], "another key"),
        (&state, &[], "elsewhere.example"),
        (foreign.path(), &[], "fortanix.com"),
    ] {
        refused(&answers(&stack, state, options, case)["first"]);
    }
}

/// A session at CCM, with the state's own build and the domain approved.
fn approved(stack: &Stack) -> Dsm {
    let password = format!("{}:{}", stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD"));
    let user = Dsm::connect(&stack.env("CCM_ENDPOINT"), &stack.ca_file(), Credential::Basic(STANDARD.encode_to_string(password)));
    let session = user.request("POST", "/v1/sys/auth", None).success().json();
    let ccm = user.with(Credential::Bearer(session["access_token"].as_str().unwrap().to_owned()));
    ccm.request("POST", &format!("/v1/sys/session/select_account/{}", stack.env("CCM_ACCOUNT_ID")), None).success();
    let approve = |made: &Value| {
        let task = made["pending_task_id"].as_str().unwrap();
        ccm.request("PATCH", &format!("/v1/tasks/{task}"), Some(json!({"status": "APPROVED"}))).success();
    };
    let app = json!({
        "name": "dsma-nitro", "input_image_name": "dsma-nitro", "output_image_name": "dsma-nitro",
        "allowed_domains": ["fortanix.com"], "group_id": stack.env("CCM_GROUP_ID"),
    });
    let app = ccm.request("POST", "/v1/apps", Some(app)).success().json();
    approve(&app);
    let mut build: Value = serde_json::from_slice(&std::fs::read(stack.state_dir().join("build_info.json")).unwrap()).unwrap();
    build["app_id"] = app["app_id"].clone();
    approve(&ccm.request("POST", "/v1/builds", Some(build)).success().json());
    ccm
}

fn der(pem: &Value) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_str().unwrap().as_bytes()).unwrap().to_vec()
}
