//! The library in an enclave (the NSM is emulated, the rest is not): it attests, is certified, logs in with the certificate, and uses a
//! key under a quorum policy, without an API key in any file or variable.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use base64_simd::STANDARD;
use dsma_testkit::{Credential, Dsm, Stack, library, target_dir};
use serde_json::{Value, json};

use crate::keys::patient;
use crate::openssl::Openssl;

/// CCM, as its provisioned user in the provisioned account.
fn ccm(stack: &Stack) -> Dsm {
    let login = STANDARD.encode_to_string(format!("{}:{}", stack.env("CCM_USERNAME"), stack.env("CCM_PASSWORD")));
    let client = Dsm::connect(&stack.env("CCM_ENDPOINT"), &stack.ca_file(), Credential::Basic(login));
    let token = client.request("POST", "/v1/sys/auth", None).success().json()["access_token"].as_str().unwrap().to_owned();
    let client = client.with(Credential::Bearer(token));
    client.request("POST", &format!("/v1/sys/session/select_account/{}", stack.env("CCM_ACCOUNT_ID")), None).success();
    client
}

fn settle(ccm: &Dsm, task: &Value, status: &str) {
    ccm.request("PATCH", &format!("/v1/tasks/{}", task.as_str().unwrap()), Some(json!({"status": status}))).success();
}

/// Makes the app in CCM with its domain approved, and returns it.
fn ccm_app(ccm: &Dsm) -> Value {
    let spec = json!({"name": "dsma", "input_image_name": "dsma", "output_image_name": "dsma", "allowed_domains": ["fortanix.com"]});
    let app = ccm.request("POST", "/v1/apps", Some(spec)).success().json();
    settle(ccm, &app["pending_task_id"], "APPROVED");
    app
}

/// Registers the build that with-nsm shows, and returns the task that waits for approval.
fn ccm_build(stack: &Stack, ccm: &Dsm, app: &Value) -> Value {
    let mut build: Value = serde_json::from_slice(&fs::read(stack.state_dir().join("build_info.json")).unwrap()).unwrap();
    build["app_id"] = app["app_id"].clone();
    build["app_name"] = app["name"].clone();
    ccm.request("POST", "/v1/builds", Some(build)).success().json()["pending_task_id"].take()
}

/// A group whose keys only dsma-nitro may use, and only it may approve that; returns the kid of an EC key in it.
fn guarded_key(stack: &Stack) -> String {
    let admin = stack.admin();
    let (group, app_id) = (stack.dsm().new_group("guarded"), stack.env("DSMA_APP_ID"));
    let membership = json!({"add_groups": {&group: ["SIGN", "VERIFY", "EXPORT"]}});
    admin.request("PATCH", &format!("/sys/v1/apps/{app_id}"), Some(membership)).success();
    let ops = json!(["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]);
    let kid = admin.create_key(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "group_id": group, "key_ops": ops}));
    let policy = json!({"quorum": {"n": 1, "members": [{"app": app_id}]}, "protect_crypto_operations": true, "protect_permissions": []});
    admin.request("PATCH", &format!("/sys/v1/groups/{group}"), Some(json!({"approval_policy": policy}))).success();
    kid
}

/// Signs `message` with `pkcs11-tool` in an enclave, in an environment that holds nothing but where to find programs and the state.
fn sign(stack: &Stack, dir: &Path, kid: &str, nsm: &[&str]) -> Output {
    Command::new(target_dir().join("dsma-local"))
        .arg("with-nsm")
        .args(nsm)
        .args(["--", "pkcs11-tool", "--allow-sw", "--module"])
        .arg(library())
        .args(["--login", "--pin", "", "--sign", "--mechanism", "ECDSA-SHA256", "--signature-format", "openssl"])
        .args(["--id", &kid.replace('-', ""), "--input-file", "message", "--output-file", "signature"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("DSMA_LOCAL_STATE", stack.state_dir())
        .env("FORTANIX_PKCS11_CONFIG", dir.join("attested.conf"))
        .current_dir(dir)
        .output()
        .expect("dsma-local runs")
}

#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let printed = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(!output.status.success() && words.iter().all(|word| printed.contains(word)), "{words:?} are not all in: {printed}");
}

/// The provisioned configuration, with a log, and this line changed. It is patient where a node agent answers.
fn configure(stack: &Stack, dir: &Path, key: &str, line: &str) {
    let text = fs::read_to_string(stack.state_dir().join("attested.conf")).unwrap();
    let text: String = text.lines().map(|old| format!("{}\n", if old.starts_with(key) { line } else { old })).collect();
    assert!(!text.contains("api_key") && !text.contains(&stack.api_key()));
    let text = if key == "node_agent" { text } else { patient(&text) };
    fs::write(dir.join("attested.conf"), format!("{text}[log]\nlevel = \"warn\"\n")).unwrap();
}

#[test]
fn the_library_attests_is_certified_and_signs_with_a_key_under_a_quorum_policy() {
    // With `off` the library makes, approves and fetches an approval request itself.
    for auto_satisfy in ["on", "off"] {
        let stack = Stack::start_with(&["--quorum-auto-satisfy", auto_satisfy]);
        let (openssl, kid) = (Openssl::new(), guarded_key(&stack));
        openssl.write("message", b"to be signed");
        let dir = openssl.path("");
        configure(&stack, &dir, "-", "");
        let ccm = ccm(&stack);
        let app = ccm_app(&ccm);
        settle(&ccm, &ccm_build(&stack, &ccm, &app), "APPROVED");

        let signed = sign(&stack, &dir, &kid, &[]);
        assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
        let key = stack.admin().request("GET", &format!("/crypto/v1/keys/{kid}"), None).success().json();
        openssl.write("public.der", &STANDARD.decode_to_vec(key["pub_key"].as_str().unwrap()).unwrap());
        openssl.run("dgst -sha256 -verify public.der -keyform DER -signature signature message");
        assert_eq!((stack.admin().exports_of(&kid), stack.admin().uses_of(&kid, "sign")), (1, 0), "signed on this side");

        // Another app of the group, without approval.
        let group = key["group_id"].as_str().unwrap();
        let other = stack.dsm_as(&stack.dsm().new_app("other", &[(group, &["SIGN", "EXPORT"])]));
        let refused = other.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid})));
        assert_eq!((refused.status, refused.text.as_str()), (403, "This operation requires approval"));
    }
}

#[test]
fn what_keeps_an_enclave_from_its_certificate_is_told() {
    let stack = Stack::start();
    let (openssl, kid) = (Openssl::new(), guarded_key(&stack));
    openssl.write("message", b"to be signed");
    let dir = openssl.path("");
    let ccm = ccm(&stack);
    let app = ccm_app(&ccm);
    configure(&stack, &dir, "-", "");
    fails(&sign(&stack, &dir, &kid, &[]), &["the certificate was denied in CCM", "only an approved build"]);
    let build = ccm_build(&stack, &ccm, &app);
    fails(&sign(&stack, &dir, &kid, &[]), &["CCM has not approved this image", "whitelist_domain_and_image.sh"]);
    settle(&ccm, &build, "APPROVED");
    fails(&sign(&stack, &dir, &kid, &["--debug-mode"]), &["CCM could not issue the certificate", "look at the task"]);
    configure(&stack, &dir, "node_agent", "node_agent = \"http://localhost:1/v1/\"");
    fails(&sign(&stack, &dir, &kid, &[]), &["node agent http://localhost:1: it cannot be reached", "check that the node agent runs"]);
    configure(&stack, &dir, "node_agent", "node_agent = \"https://localhost:1/v1/\"");
    fails(&sign(&stack, &dir, &kid, &[]), &["CKR_"]);
    configure(&stack, &dir, "identity", "identity = \"attested\"\ndomain = \"other.example\"");
    fails(&sign(&stack, &dir, &kid, &[]), &["the certificate was denied in CCM", "with an approved domain"]);
    // Another app's id: the certificate is good, and the app does not know it.
    configure(&stack, &dir, "app_id", "app_id = \"00000000-0000-0000-0000-000000000000\"");
    fails(&sign(&stack, &dir, &kid, &[]), &["Invalid credentials", "CKR_PIN_INCORRECT"]);
    // Outside of an enclave.
    configure(&stack, &dir, "-", "");
    let outside = Command::new("pkcs11-tool")
        .arg("--module")
        .arg(library())
        .args(["--login", "--pin", "", "--list-objects"])
        .env("FORTANIX_PKCS11_CONFIG", dir.join("attested.conf"))
        .output()
        .unwrap();
    fails(&outside, &["/dev/nsm cannot be opened", "dsma-local with-nsm"]);
    assert_eq!(stack.admin().exports_of(&kid), 0);
}
