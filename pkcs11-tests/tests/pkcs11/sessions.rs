//! Sessions and login: traps 16 to 20 and 32.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::ptr::null_mut;
use std::sync::mpsc::Sender;
use std::time::Duration;

use cryptoki_sys::*;
use serde_json::json;

use crate::keys::{patient, shared};
use crate::module::{Mechanism, Module, bytes, call};

fn state(module: &Module, session: CK_SESSION_HANDLE) -> CK_STATE {
    let mut info = CK_SESSION_INFO::default();
    assert_eq!(call!(module, C_GetSessionInfo(session, &raw mut info)), CKR_OK);
    info.state
}

#[test]
fn trap_16_flags_of_open_session() {
    let module = &shared().module;
    let mut session = 0;
    for (slot, flags, expected) in [
        (0, 0, CKR_SESSION_PARALLEL_NOT_SUPPORTED),
        (0, CKF_RW_SESSION, CKR_SESSION_PARALLEL_NOT_SUPPORTED),
        (0, CKF_SERIAL_SESSION | CKF_ASYNC_SESSION, CKR_SESSION_ASYNC_NOT_SUPPORTED),
        (9, CKF_SERIAL_SESSION, CKR_SLOT_ID_INVALID),
        (0, CKF_SERIAL_SESSION, CKR_OK),
    ] {
        assert_eq!(call!(module, C_OpenSession(slot, flags, null_mut(), None, &raw mut session)), expected, "{flags}");
    }
    assert_eq!(call!(module, C_OpenSession(0, CKF_SERIAL_SESSION, null_mut(), None, null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
}

#[test]
fn trap_17_login_belongs_to_the_token_and_ends_with_the_last_session() {
    let module = shared().another();
    let (reading, writing) = (module.open(CKF_SERIAL_SESSION), module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION));
    assert_eq!((state(&module, reading), state(&module, writing)), (CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION));
    assert_eq!(call!(module, C_Login(writing, CKU_SO, null_mut(), 0)), CKR_SESSION_READ_ONLY_EXISTS);
    assert_eq!(call!(module, C_Logout(reading)), CKR_USER_NOT_LOGGED_IN);
    assert_eq!(module.login(reading, None), CKR_OK);
    assert_eq!((state(&module, reading), state(&module, writing)), (CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS));
    assert_eq!(state(&module, module.open(CKF_SERIAL_SESSION)), CKS_RO_USER_FUNCTIONS);
    assert_eq!(module.login(writing, None), CKR_USER_ALREADY_LOGGED_IN);
    assert_eq!(call!(module, C_Login(writing, CKU_SO, null_mut(), 0)), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    assert_eq!(call!(module, C_Login(writing, 77, null_mut(), 0)), CKR_USER_TYPE_INVALID);
    assert_eq!(call!(module, C_CloseAllSessions(0)), CKR_OK);
    let session = module.open(CKF_SERIAL_SESSION);
    assert_eq!(state(&module, session), CKS_RO_PUBLIC_SESSION);
    assert_eq!(module.login(session, None), CKR_OK);
    assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
    assert_eq!(state(&module, module.open(CKF_SERIAL_SESSION)), CKS_RO_PUBLIC_SESSION);
}

#[test]
fn trap_18_no_key_asks_for_a_login_of_its_own() {
    let module = &shared().module;
    let session = module.logged_in();
    assert_eq!(call!(module, C_Login(session, CKU_CONTEXT_SPECIFIC, null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
}

#[test]
fn trap_19_pins() {
    let bench = shared();
    // The configuration holds the credential: no PIN, any PIN, and an API key as PIN will do; a dead API key will not.
    let dead = bench.stack.dsm().new_app("p11 gone", &[(&bench.stack.dsm().default_group(), &["SIGN"])]);
    let app_id = base64_simd::STANDARD.decode_to_vec(&dead).expect("base64");
    let wrong = base64_simd::STANDARD.encode_to_string([&app_id[..37], b"wrong secret"].concat());
    for (pin, expected) in [
        (None, CKR_OK),
        (Some(""), CKR_OK),
        (Some("1234"), CKR_OK),
        (Some(&*bench.stack.api_key()), CKR_OK),
        (Some(&*wrong), CKR_PIN_INCORRECT),
    ] {
        let module = bench.another();
        assert_eq!(module.login(module.open(CKF_SERIAL_SESSION), pin), expected, "{}", pin.is_some());
    }

    // Without a credential in the configuration the PIN is it, itself or in a file.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("pkcs11.conf");
    let ca = bench.stack.ca_file();
    let text = format!("api_endpoint = {:?}\nca_certs_file = {:?}\ntoken_label = \"My token\"\n", bench.stack.endpoint(), ca);
    std::fs::write(&config, patient(&text)).expect("a file is written");
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, bench.stack.api_key()).expect("a file is written");
    let file_pin = format!("file://{}", key_file.display());
    for (pin, expected) in [
        (None, CKR_PIN_INCORRECT),
        (Some("1234"), CKR_PIN_INCORRECT),
        (Some("file:///nonexistent"), CKR_PIN_INCORRECT),
        (Some(&*wrong), CKR_PIN_INCORRECT),
        (Some(&*file_pin), CKR_OK),
        (Some(&*bench.stack.api_key()), CKR_OK),
    ] {
        let module = Module::with_config(&config);
        // SAFETY: plain numbers and bytes.
        let mut token = unsafe { std::mem::zeroed::<CK_TOKEN_INFO>() };
        assert_eq!(call!(module, C_GetTokenInfo(0, &raw mut token)), CKR_OK);
        assert_eq!(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH, 0);
        assert_eq!(&token.label[..9], b"My token ");
        let session = module.open(CKF_SERIAL_SESSION);
        assert!(module.find(session, &[]).iter().all(|object| is_profile(&module, session, *object)), "nobody to ask before the login");
        assert_eq!(module.login(session, pin), expected, "{}", pin.is_some());
    }
}

#[test]
fn a_pin_that_comes_again_finds_its_cached_keys() {
    let bench = shared();
    let key = bench.aes();
    let module = bench.another();
    for _ in 0..3 {
        let session = module.open(CKF_SERIAL_SESSION);
        assert_eq!(module.login(session, Some(&bench.stack.api_key())), CKR_OK);
        let object = module.object(session, CKO_SECRET_KEY, &key.label);
        module.encrypt(session, &crate::module::gcm(), object, b"data").expect("it encrypts");
        assert_eq!(call!(module, C_CloseSession(session)), CKR_OK);
    }
    assert_eq!(bench.stack.dsm().exports_of(&key.kid), 1);
}

#[test]
fn a_pin_that_comes_again_is_asked_for_again() {
    let bench = shared();
    let dsm = bench.stack.dsm();
    let pin = dsm.new_app(&format!("revoked {}", uuid::Uuid::new_v4()), &[(&dsm.default_group(), &["ENCRYPT"])]);
    let (_dir, module) = without_credential(&bench.stack.endpoint());
    let session = module.open(CKF_SERIAL_SESSION);
    for _ in 0..2 {
        assert_eq!(module.login(session, Some(&pin)), CKR_OK);
        assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    }
    let credential = String::from_utf8(base64_simd::STANDARD.decode_to_vec(&pin).expect("base64")).expect("text");
    let (app, _) = credential.split_once(':').expect("an app id and a secret");
    bench.stack.admin().request("DELETE", &format!("/sys/v1/apps/{app}"), None).success();
    for _ in 0..2 {
        assert_eq!(module.login(session, Some(&pin)), CKR_PIN_INCORRECT);
    }
    assert_eq!(state(&module, session), CKS_RO_PUBLIC_SESSION);
}

/// Nobody is there to end the login of a session that was closed while DSM was asked.
#[test]
fn trap_17_a_login_that_comes_after_the_last_session() {
    let bench = shared();
    let real = bench.stack.endpoint().rsplit_once(':').expect("a port").1.parse::<u16>().expect("a number");
    let listener = TcpListener::bind(("localhost", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (_dir, module) = without_credential(&format!("https://localhost:{port}"));
    let session = module.open(CKF_SERIAL_SESSION);
    std::thread::scope(|scope| {
        let login = scope.spawn(|| module.login(session, Some(&bench.stack.api_key())));
        // The login has come as far as DSM's door.
        let (client, _) = listener.accept().expect("a connection");
        assert_eq!(call!(module, C_CloseAllSessions(0)), CKR_OK);
        let server = TcpStream::connect(("localhost", real)).expect("DSM listens");
        let [back, forth] = [&client, &server].map(|stream| stream.try_clone().expect("a second handle"));
        pass(client, forth, None);
        pass(server, back, None);
        assert_eq!(login.join().expect("no panic"), CKR_SESSION_HANDLE_INVALID);
    });
    assert_eq!(state(&module, module.open(CKF_SERIAL_SESSION)), CKS_RO_PUBLIC_SESSION);
}

#[expect(clippy::disallowed_methods, reason = "the wire works while the test does")]
fn pass(mut from: TcpStream, mut to: TcpStream, ended: Option<Sender<()>>) {
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from, &mut to);
        let _closed = to.shutdown(Shutdown::Both);
        let _heard = ended.map(|ended| ended.send(()));
    });
}

/// The library with a configuration that leaves the credential to the login, and the directory of that configuration.
fn without_credential(endpoint: &str) -> (tempfile::TempDir, Module) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    let text = format!("api_endpoint = {endpoint:?}\nca_certs_file = {:?}\n", shared().stack.ca_file());
    std::fs::write(&path, patient(&text)).expect("a file is written");
    let module = Module::with_config(&path);
    (dir, module)
}

#[test]
fn trap_20_logout_hides_private_objects_for_good_and_ends_their_operations() {
    let bench = shared();
    let key = bench.rsa();
    let module = bench.another();
    let (session, other) = (module.logged_in(), module.open(CKF_SERIAL_SESSION));
    let private = module.object(session, CKO_PRIVATE_KEY, &key.label);
    let public = module.object(session, CKO_PUBLIC_KEY, &key.label);
    let mechanism = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
    mechanism.with(|m| assert_eq!(call!(module, C_SignInit(other, m, private)), CKR_OK));
    mechanism.with(|m| assert_eq!(call!(module, C_VerifyInit(other, m, public)), CKR_OK));
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    let (mut signature, mut len) = ([0; 256], 256);
    let data = bytes(b"data");
    assert_eq!(call!(module, C_Sign(other, data, 4, signature.as_mut_ptr(), &raw mut len)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(module, C_Verify(other, data, 4, signature.as_mut_ptr(), 256)), CKR_SIGNATURE_INVALID);
    assert_eq!(module.attribute(session, private, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    assert_eq!(module.attribute(session, public, CKA_LABEL), Ok(key.label.clone().into_bytes()));
    assert_eq!(module.sign(session, &mechanism, private, b"data"), Err(CKR_KEY_HANDLE_INVALID));
    assert_eq!(module.login(session, None), CKR_OK);
    assert_eq!(module.sign(session, &mechanism, private, b"data"), Err(CKR_KEY_HANDLE_INVALID));
    let again = module.object(session, CKO_PRIVATE_KEY, &key.label);
    assert_ne!(again, private);
    assert!(module.sign(session, &mechanism, again, b"data").is_ok());
    assert_eq!(module.object(session, CKO_PUBLIC_KEY, &key.label), public);
}

/// A session that nobody uses keeps nothing of a login that ended.
#[test]
fn an_idle_session_keeps_no_engine() {
    let bench = shared();
    let real = bench.stack.endpoint().rsplit_once(':').expect("a port").1.parse::<u16>().expect("a number");
    let listener = TcpListener::bind(("localhost", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (_dir, module) = without_credential(&format!("https://localhost:{port}"));
    let dsm = bench.stack.dsm();
    let second = dsm.new_app(&format!("second {}", uuid::Uuid::new_v4()), &[(&dsm.default_group(), &["ENCRYPT"])]);
    let (ended, first_end) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // One connection of each login.
            for _ in 0..2 {
                let (client, _) = listener.accept().expect("a connection");
                let server = TcpStream::connect(("localhost", real)).expect("DSM listens");
                let [back, forth] = [&client, &server].map(|stream| stream.try_clone().expect("a second handle"));
                pass(client, forth, Some(ended.clone()));
                pass(server, back, None);
            }
        });
        let (idle, busy) = (module.open(CKF_SERIAL_SESSION), module.open(CKF_SERIAL_SESSION));
        assert_eq!(module.login(idle, Some(&bench.stack.api_key())), CKR_OK);
        assert_eq!(state(&module, idle), CKS_RO_USER_FUNCTIONS);
        assert_eq!(call!(module, C_Logout(busy)), CKR_OK);
        assert_eq!(module.login(busy, Some(&second)), CKR_OK);
        first_end.recv_timeout(Duration::from_secs(60)).expect("the first login's connection is closed");
    });
}

#[test]
fn trap_32_handles_are_not_used_again() {
    let module = &shared().module;
    for stale in [0, module.open(CKF_SERIAL_SESSION), 1 << 40, CK_UNAVAILABLE_INFORMATION] {
        if stale != 0 {
            call!(module, C_CloseSession(stale));
        }
        let fresh = module.open(CKF_SERIAL_SESSION);
        assert_ne!(stale, fresh);
        let mut info = CK_SESSION_INFO::default();
        assert_eq!(call!(module, C_GetSessionInfo(stale, &raw mut info)), CKR_SESSION_HANDLE_INVALID);
        assert_eq!(call!(module, C_CloseSession(stale)), CKR_SESSION_HANDLE_INVALID);
        assert_eq!(call!(module, C_SignFinal(stale, null_mut(), null_mut())), CKR_SESSION_HANDLE_INVALID);
        assert_eq!(call!(module, C_CloseSession(fresh)), CKR_OK);
    }
    let session = module.logged_in();
    for stale in [0, 1 << 40, CK_UNAVAILABLE_INFORMATION] {
        assert_eq!(module.attribute(session, stale, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
        assert_eq!(module.sign(session, &Mechanism::Plain(CKM_RSA_PKCS), stale, b"data"), Err(CKR_KEY_HANDLE_INVALID));
    }
}

#[test]
fn a_key_that_is_deleted_is_gone() {
    let bench = shared();
    let key = bench.key(json!({"obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "DECRYPT", "EXPORT", "APPMANAGEABLE"]}));
    let module = bench.another();
    let session = module.logged_in();
    let object = module.object(session, CKO_SECRET_KEY, &key.label);
    bench.stack.dsm().request("DELETE", &format!("/crypto/v1/keys/{}", key.kid), None).success();
    assert_eq!(module.encrypt(session, &crate::module::gcm(), object, b"data"), Err(CKR_KEY_HANDLE_INVALID));
}

fn is_profile(module: &Module, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> bool {
    module.attribute(session, object, CKA_CLASS) == Ok(CKO_PROFILE.to_ne_bytes().to_vec())
}

#[test]
fn profiles_are_told_without_asking_dsm() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = dir.path().join("pkcs11.conf");
    // Nobody listens on port 1.
    let text = format!("api_endpoint = \"https://127.0.0.1:1\"\napi_key = {:?}\n", shared().stack.api_key());
    std::fs::write(&config, text).expect("a file is written");
    let module = Module::with_config(&config);
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    let found = module.find(session, &[(CKA_CLASS, &CKO_PROFILE.to_ne_bytes())]);
    let ids: Vec<_> = found.iter().map(|object| module.attribute(session, *object, CKA_PROFILE_ID).expect("an id")).collect();
    assert_eq!(ids, [CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER].map(|id| id.to_ne_bytes().to_vec()));
    assert_eq!(call!(module, C_DestroyObject(session, found[0])), CKR_ACTION_PROHIBITED);
    assert_eq!(module.attribute(session, found[0], CKA_KEY_TYPE), Err(CKR_ATTRIBUTE_TYPE_INVALID));
}
