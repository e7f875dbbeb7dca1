//! DSM that is down, and configurations that cannot be used.

use std::path::Path;
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use serde_json::json;

use crate::isolated::{isolated, variable};
use crate::keys::{Bench, shared};
use crate::module::{Mechanism, Module, call, gcm, output};
use crate::session_objects::secret;

#[test]
fn initialize_does_not_need_dsm() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("pkcs11.conf");
    // Nobody listens on port 1; the address never answers from anywhere.
    let text = format!("api_endpoint = \"https://127.0.0.1:1\"\napi_key = {:?}\nretry_timeout_millis = 200\n", shared().stack.api_key());
    std::fs::write(&config, text).expect("a file is written");
    let module = Module::with_config(&config);
    let session = module.open(CKF_SERIAL_SESSION);
    assert_eq!(module.login(session, None), CKR_DEVICE_ERROR);
    assert_eq!(call!(module, C_FindObjectsInit(session, null_mut(), 0)), CKR_DEVICE_ERROR);
    // Nothing is left active, and what needs no DSM works.
    assert_eq!(call!(module, C_FindObjectsFinal(session)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_GenerateRandom(session, [0; 8].as_mut_ptr(), 8)), CKR_OK);
    assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
}

#[test]
fn sessions_and_cached_keys_live_through_an_outage() {
    // Few attempts, so that the pauses between them stay short.
    let bench = Bench::start_with("retry_timeout_millis = 5000\n");
    let (cached, uncached) = (bench.aes(), bench.aes());
    let (module, session, [key, other]) = bench.use_keys([&cached, &uncached]);
    let encrypted = module.encrypt(session, &gcm(), key, b"data").expect("it encrypts");
    bench.stack.stop();
    assert_eq!(module.decrypt(session, &gcm(), key, &encrypted), Ok(b"data".to_vec()));
    assert_eq!(module.encrypt(session, &gcm(), other, b"data"), Err(CKR_DEVICE_ERROR));
    // The listing serves on, and the failed operation is over.
    assert_eq!(module.object(session, CKO_SECRET_KEY, &uncached.label), other);
    assert_eq!(module.encrypt(session, &gcm(), key, b"data"), Ok(encrypted));
    bench.stack.restart();
    // The engine pauses between attempts.
    let deadline = Instant::now() + Duration::from_secs(60);
    while module.encrypt(session, &gcm(), other, b"data").is_err() {
        assert!(Instant::now() < deadline, "DSM is back");
    }
}

/// The listing tells what a public key may do, and is never taken anew by a server that has found its keys: what it tells counts no longer
/// than a cached key lives.
#[test]
fn a_public_key_that_was_disabled_is_refused_in_time() {
    let bench = Bench::start_with("retry_timeout_millis = 5000\n");
    let given = std::fs::read_to_string(bench.stack.pkcs11_conf()).expect("a configuration");
    std::fs::write(bench.stack.pkcs11_conf(), given.replace("cache_ttl = 900", "cache_ttl = 1")).expect("a file is written");
    let key = bench.rsa_with(&["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "WRAPKEY", "APPMANAGEABLE"]);
    let module = bench.another();
    let session = module.logged_in();
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let secret = secret(&module, session, CKK_AES, &[1; 16]).expect("a session key");
    let encrypt = || module.encrypt(session, &Mechanism::Oaep, public, b"data").map(drop);
    let signature = [1; 256];
    let verify = || match module.verify(session, &Mechanism::Plain(CKM_SHA256_RSA_PKCS), public, b"data", &signature) {
        CKR_SIGNATURE_INVALID => Ok(()),
        code => Err(code),
    };
    let wrap = || Mechanism::Oaep.with(|m| output(|out, len| call!(module, C_WrapKey(session, m, public, secret, out, len)))).map(drop);
    let uses: [&dyn Fn() -> Result<(), CK_RV>; 3] = [&encrypt, &verify, &wrap];
    let path = format!("/crypto/v1/keys/{}", key.kid);
    let change = |body| bench.stack.dsm().request("PATCH", &path, Some(body)).success();
    let wait = |expected: Result<(), CK_RV>| {
        let deadline = Instant::now() + Duration::from_secs(60);
        for each in uses {
            while each() != expected {
                assert!(Instant::now() < deadline, "{expected:x?}");
            }
        }
    };
    wait(Ok(()));
    for (without, with) in [
        (json!({"enabled": false}), json!({"enabled": true})),
        (json!({"key_ops": ["SIGN", "DECRYPT", "APPMANAGEABLE"]}), json!({"key_ops": ["VERIFY", "ENCRYPT", "WRAPKEY", "APPMANAGEABLE"]})),
    ] {
        change(without);
        wait(Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        change(with);
        wait(Ok(()));
    }
    // Who cannot ask does not know.
    bench.stack.stop();
    wait(Err(CKR_DEVICE_ERROR));
}

/// One line on stderr that names the file, the key and the mend.
#[test]
fn a_bad_configuration_is_explained() {
    let output = isolated(
        "outage::a_bad_configuration_is_explained",
        || vec![("API_KEY", shared().stack.api_key()), ("FORTANIX_PKCS11_CONFIG", "/nonexistent/pkcs11.conf".into())],
        || {
            let module = Module::load();
            let mut nothing = CK_C_INITIALIZE_ARGS { flags: CKF_OS_LOCKING_OK, ..crate::module::init_args(0) };
            assert_eq!(call!(module, C_Initialize((&raw mut nothing).cast())), CKR_FUNCTION_FAILED);
            assert_eq!(module.initialize(Path::new("/nonexistent/other.conf")), CKR_FUNCTION_FAILED);
            let dir = tempfile::tempdir().expect("a temporary directory");
            let file = dir.path().join("pkcs11.conf");
            let api_key = format!("api_key = {:?}", variable("API_KEY"));
            for line in ["cache_ttl = \"soon\"", "api_endpoint = [", "api_endpont = \"https://localhost\"", "api_key = \"1234\"", &api_key]
            {
                // Only the last one has no fault of its own.
                std::fs::write(&file, format!("{line}\nca_certs_file = \"/nonexistent/ca.pem\"\n")).expect("a file is written");
                assert_eq!(module.initialize(&file), CKR_FUNCTION_FAILED, "{line}");
            }
            let mut session = 0;
            let code = call!(module, C_OpenSession(0, CKF_SERIAL_SESSION, null_mut(), None, &raw mut session));
            assert_eq!(code, CKR_CRYPTOKI_NOT_INITIALIZED);
        },
    );
    let Some(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("libdsma: ")).collect();
    assert_eq!(lines.len(), 7, "{said}");
    for (line, names) in lines.iter().zip([
        &["/nonexistent/pkcs11.conf"][..],
        &["/nonexistent/other.conf"],
        &["pkcs11.conf", "cache_ttl"],
        &["pkcs11.conf"],
        &["pkcs11.conf", "api_endpont"],
        &["pkcs11.conf", "api_key"],
        &["/nonexistent/ca.pem"],
    ]) {
        assert!(names.iter().all(|name| line.contains(name)) && line.contains("; "), "{line}");
    }
    assert!(!said.contains(&shared().stack.api_key()), "secrets are not told");
}
