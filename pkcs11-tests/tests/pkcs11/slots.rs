//! Slots and tokens: several of them, ways to log in, lists of mechanisms, events, and the token of conformance mode.

use std::net::TcpListener;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use serde_json::json;
use tempfile::TempDir;

use crate::keys::{Bench, conformance, patient, shared};
use crate::module::{Module, bytes, call, gcm, ok};
use crate::session_objects::{TRUE, create};

/// A configuration with these lines before those of the bench's own.
pub(crate) fn config(bench: &Bench, lines: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    let given = std::fs::read_to_string(bench.stack.pkcs11_conf()).expect("a configuration");
    // Keys at the top of the file come before its tables.
    let (top, tables) = lines.split_once("[[").map_or((lines, String::new()), |(top, rest)| (top, format!("[[{rest}")));
    std::fs::write(&path, format!("{top}\n{given}\n{tables}")).expect("a file is written");
    (dir, path)
}

fn token_info(module: &Module, slot: CK_SLOT_ID) -> CK_TOKEN_INFO {
    // SAFETY: plain numbers and bytes.
    let mut info = unsafe { std::mem::zeroed() };
    assert_eq!(call!(module, C_GetTokenInfo(slot, &raw mut info)), CKR_OK);
    info
}

fn slots(module: &Module) -> Vec<CK_SLOT_ID> {
    let (mut slots, mut count) = ([0; 8], 8);
    assert_eq!(call!(module, C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &raw mut count)), CKR_OK);
    slots[..count as usize].to_vec()
}

fn open(module: &Module, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE, CK_RV> {
    let mut session = 0;
    ok(call!(module, C_OpenSession(slot, flags | CKF_SERIAL_SESSION, null_mut(), None, &raw mut session))).map(|()| session)
}

fn login(module: &Module, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &str) -> CK_RV {
    call!(module, C_Login(session, user, bytes(pin.as_bytes()), pin.len() as CK_ULONG))
}

fn state(module: &Module, session: CK_SESSION_HANDLE) -> CK_STATE {
    let mut info = CK_SESSION_INFO::default();
    assert_eq!(call!(module, C_GetSessionInfo(session, &raw mut info)), CKR_OK);
    info.state
}

#[test]
fn several_slots_have_ids_labels_serials_and_logins_of_their_own() {
    let bench = shared();
    let dsm = bench.stack.dsm();
    let group = dsm.new_group("slots");
    let other_app = dsm.new_app("slots", &[(&group, &["ENCRYPT", "DECRYPT", "EXPORT", "MANAGE"])]);
    let text = format!("[[slots]]\ntoken_label = \"first\"\n[[slots]]\nslot = 17\ntoken_label = \"second\"\napi_key = \"{other_app}\"\n");
    let (_dir, path) = config(bench, &text);
    let module = Module::with_config(&path);
    assert_eq!(slots(&module), [0, 17]);
    let (first, second) = (token_info(&module, 0), token_info(&module, 17));
    assert_eq!((&first.label[..6], &second.label[..7]), (&b"first "[..], &b"second "[..]));
    assert_ne!(first.serialNumber, second.serialNumber);
    assert_eq!(open(&module, 1, 0), Err(CKR_SLOT_ID_INVALID));
    // Each token has the objects and the login of its own app.
    let key = bench.aes();
    let [one, two] = [0, 17].map(|slot| open(&module, slot, 0).expect("a session"));
    assert_eq!(module.login(one, None), CKR_OK);
    assert_eq!((state(&module, one), state(&module, two)), (CKS_RO_USER_FUNCTIONS, CKS_RO_PUBLIC_SESSION));
    assert_eq!(module.login(two, None), CKR_OK);
    let found = |session| module.find(session, &[(CKA_LABEL, key.label.as_bytes())]).len();
    assert_eq!((found(one), found(two)), (1, 0));
}

#[test]
fn slots_that_cannot_be_are_refused() {
    let bench = shared();
    for text in [
        "[[slots]]\nslot = 1\n[[slots]]\n",
        "[[slots]]\nlogin = \"never\"\n",
        "mechanisms = [\"AES\"]\n",
        "mechanisms = [\"CKM_AES_GMC\"]\n",
        "mechanisms = [\"DENY\", \"CKM_SHA1_RSA_PKC\"]\n",
        "ec_point_encoding = \"hex\"\n",
        "[[slots]]\n[[slots]]\nslot = 5\n",
        "[[slots]]\n[[slots.slots]]\n",
    ] {
        let (_dir, path) = config(bench, text);
        assert_eq!(Module::load().initialize(&path), CKR_FUNCTION_FAILED, "{text}");
    }
    // Conformance mode is for this machine.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    for endpoint in ["https://apps.smartkey.io", "https://localhost.example.com", "https://10.0.0.1:4433"] {
        let text = format!("api_endpoint = \"{endpoint}\"\napi_key = \"{}\"\nconformance = true\n", bench.stack.api_key());
        std::fs::write(&path, text).expect("a file is written");
        assert_eq!(Module::load().initialize(&path), CKR_FUNCTION_FAILED, "{endpoint}");
    }
}

#[test]
fn a_login_may_be_optional_or_mean_nothing() {
    let bench = shared();
    let key = bench.aes();
    let (_dir, path) = config(bench, "login = \"optional\"\n");
    let module = Module::with_config(&path);
    assert_eq!(token_info(&module, 0).flags & CKF_LOGIN_REQUIRED, 0);
    let session = module.open(CKF_SERIAL_SESSION);
    let object = module.object(session, CKO_SECRET_KEY, &key.label);
    assert!(module.encrypt(session, &gcm(), object, b"data").is_ok());
    assert_eq!(module.login(session, None), CKR_OK);

    let (_dir, path) = config(bench, "login = \"ignore\"\n");
    let module = Module::with_config(&path);
    let session = module.open(CKF_SERIAL_SESSION);
    let object = module.object(session, CKO_SECRET_KEY, &key.label);
    for _ in 0..2 {
        assert_eq!(module.login(session, Some("any")), CKR_OK);
        assert_eq!(state(&module, session), CKS_RO_USER_FUNCTIONS);
        assert_eq!(call!(module, C_Logout(session)), CKR_OK);
        assert!(module.encrypt(session, &gcm(), object, b"data").is_ok());
    }
}

#[test]
fn a_user_logs_in_by_name() {
    let bench = shared();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    let text = format!("api_endpoint = {:?}\nca_certs_file = {:?}\n", bench.stack.endpoint(), bench.stack.ca_file());
    std::fs::write(&path, patient(&text)).expect("a file is written");
    let credential = base64_simd::STANDARD.decode_to_vec(bench.stack.api_key()).expect("base64");
    let credential = String::from_utf8(credential).expect("text");
    let (name, secret) = credential.split_once(':').expect("an app id and a secret");
    let module = Module::with_config(&path);
    let session = module.open(CKF_SERIAL_SESSION);
    let login = |name: &str, pin: &str| {
        let (name_len, pin_len) = (name.len() as CK_ULONG, pin.len() as CK_ULONG);
        call!(module, C_LoginUser(session, CKU_USER, bytes(pin.as_bytes()), pin_len, bytes(name.as_bytes()), name_len))
    };
    assert_eq!(login(name, "wrong"), CKR_PIN_INCORRECT);
    assert_eq!(login("nobody", secret), CKR_PIN_INCORRECT);
    assert_eq!(login(name, secret), CKR_OK);
    assert_eq!(login(name, secret), CKR_USER_ALREADY_LOGGED_IN);
}

#[test]
fn mechanisms_are_offered_by_list() {
    let bench = shared();
    let key = bench.aes();
    for (list, offered) in [("mechanisms = [\"CKM_AES_GCM\"]\n", true), ("mechanisms = [\"DENY\", \"CKM_AES_GCM\"]\n", false)] {
        let (_dir, path) = config(bench, list);
        let module = Module::with_config(&path);
        let (mut all, mut count) = (vec![0; 512], 512);
        assert_eq!(call!(module, C_GetMechanismList(0, all.as_mut_ptr(), &raw mut count)), CKR_OK);
        assert_eq!(all[..count as usize].contains(&CKM_AES_GCM), offered);
        assert_eq!(count == 1, offered);
        let mut info = CK_MECHANISM_INFO::default();
        let expected = if offered { CKR_OK } else { CKR_MECHANISM_INVALID };
        assert_eq!(call!(module, C_GetMechanismInfo(0, CKM_AES_GCM, &raw mut info)), expected);
        let session = module.logged_in();
        let object = module.object(session, CKO_SECRET_KEY, &key.label);
        assert_eq!(module.encrypt(session, &gcm(), object, b"data").is_ok(), offered);
    }
}

#[test]
fn a_token_goes_and_comes_with_dsm() {
    let bench = Bench::start_with("retry_timeout_millis = 5000\n");
    let module = bench.another();
    let mut slot = 4711;
    let poll = |slot: &mut CK_SLOT_ID| call!(module, C_WaitForSlotEvent(CKF_DONT_BLOCK, slot, null_mut()));
    assert_eq!(poll(&mut slot), CKR_NO_EVENT);
    assert_eq!(call!(module, C_WaitForSlotEvent(CKF_DONT_BLOCK, null_mut(), null_mut())), CKR_ARGUMENTS_BAD);
    assert_eq!(call!(module, C_WaitForSlotEvent(CKF_DONT_BLOCK, &raw mut slot, (&raw mut slot).cast())), CKR_ARGUMENTS_BAD);
    bench.stack.stop();
    assert_eq!(module.login(module.open(CKF_SERIAL_SESSION), None), CKR_DEVICE_ERROR);
    assert_eq!((call!(module, C_WaitForSlotEvent(0, &raw mut slot, null_mut())), slot), (CKR_OK, 0));
    bench.stack.restart();
    slot = 4711;
    assert_eq!((call!(module, C_WaitForSlotEvent(0, &raw mut slot, null_mut())), slot), (CKR_OK, 0));
    assert_eq!(slots(&module), [0]);
}

/// A token that has gone comes back when DSM answers, and not because nobody has asked for a while.
#[test]
#[expect(clippy::disallowed_methods, reason = "the other side of the connections works while the test does")]
fn a_token_stays_away_while_dsm_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    // Ends with the process: nobody else gets the port.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
            counted.fetch_add(1, SeqCst);
        }
    });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    let text = format!("api_endpoint = \"https://127.0.0.1:{port}\"\napi_key = {:?}\n", shared().stack.api_key());
    std::fs::write(&path, text).expect("a file is written");
    let module = Module::with_config(&path);
    let event = || {
        let mut slot = 0;
        call!(module, C_WaitForSlotEvent(CKF_DONT_BLOCK, &raw mut slot, null_mut()))
    };
    assert_eq!((event(), slots(&module)), (CKR_NO_EVENT, vec![0]), "nobody has asked DSM for anything");
    let mut slot = 4711;
    assert_eq!((call!(module, C_WaitForSlotEvent(0, &raw mut slot, null_mut())), slot), (CKR_OK, 0));
    assert!(slots(&module).is_empty());
    let enough = attempts.load(SeqCst) + 3;
    let deadline = Instant::now() + Duration::from_secs(60);
    while attempts.load(SeqCst) < enough {
        assert_eq!((event(), slots(&module)), (CKR_NO_EVENT, Vec::new()));
        assert!(Instant::now() < deadline, "DSM is asked again");
        std::thread::yield_now();
    }
}

#[test]
fn trap_11_finalize_ends_a_wait() {
    let module = shared().another();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut slot = 0;
            call!(module, C_WaitForSlotEvent(0, &raw mut slot, null_mut()))
        });
        assert_eq!(call!(module, C_Finalize(null_mut())), CKR_OK);
        assert_eq!(waiting.join().expect("no panic"), CKR_CRYPTOKI_NOT_INITIALIZED);
    });
}

#[test]
fn a_token_of_dsm_is_not_initialised_from_here() {
    let module = shared().another();
    let label = [b' '; 32];
    assert_eq!(call!(module, C_InitToken(0, bytes(b"1234"), 4, bytes(&label))), CKR_FUNCTION_NOT_SUPPORTED);
    let session = module.logged_in();
    assert_eq!(call!(module, C_InitPIN(session, bytes(b"1234"), 4)), CKR_FUNCTION_NOT_SUPPORTED);
    assert_eq!(call!(module, C_SetPIN(session, bytes(b"1234"), 4, bytes(b"5678"), 4)), CKR_FUNCTION_NOT_SUPPORTED);
    assert_eq!(login(&module, session, CKU_SO, "1234"), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
}

/// What the app sees of another group is not the token's.
#[test]
fn conformance_mode_empties_its_own_group() {
    let stack = dsma_testkit::Stack::start();
    let (own, other) = (stack.dsm().new_group("conformance of one"), stack.dsm().new_group("of others"));
    let api_key = stack.dsm().new_app("in two groups", &[(&own, &["MANAGE"]), (&other, &["MANAGE"])]);
    let app = stack.dsm_as(&api_key);
    let make = |name: &str, group: &str| {
        let spec = json!({"name": name, "group_id": group, "obj_type": "AES", "key_size": 128, "key_ops": ["ENCRYPT", "APPMANAGEABLE"]});
        app.request("POST", "/crypto/v1/keys", Some(spec)).success();
    };
    make("goes", &own);
    make("stays", &other);
    let path = stack.state_dir().join("two.conf");
    let (endpoint, ca) = (stack.endpoint(), stack.ca_file());
    let text = format!("api_endpoint = {endpoint:?}\napi_key = {api_key:?}\nca_certs_file = {ca:?}\nconformance = true\n");
    std::fs::write(&path, patient(&text)).expect("a file is written");
    let module = Module::with_config(&path);
    for _ in 0..2 {
        assert_eq!(call!(module, C_InitToken(0, bytes(b"so pin"), 6, bytes(&[b' '; 32]))), CKR_OK);
        let listed = app.request("GET", "/crypto/v1/keys", None).success().json();
        let names: Vec<&str> = listed.as_array().expect("a listing").iter().filter_map(|sobject| sobject["name"].as_str()).collect();
        assert!(names.contains(&"stays") && !names.contains(&"goes"), "{names:?}");
        make("goes", &own);
    }
}

#[test]
fn conformance_mode_has_a_token_like_those_of_soft_tokens() {
    let stack = dsma_testkit::Stack::start();
    let path = conformance(&stack);
    let module = Module::with_config(&path);
    let mut label = *b"Test Token                      ";
    let init = |pin: &str, label: &[u8; 32]| call!(module, C_InitToken(0, bytes(pin.as_bytes()), pin.len() as CK_ULONG, bytes(label)));
    let flags = |module: &Module| token_info(module, 0).flags & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED);
    assert_eq!(flags(&module), 0);
    assert_eq!(init("123", &label), CKR_PIN_LEN_RANGE);
    assert_eq!(init("so pin", &label), CKR_OK);
    assert_eq!(flags(&module), CKF_TOKEN_INITIALIZED);

    let session = open(&module, 0, CKF_RW_SESSION).expect("a session");
    assert_eq!(login(&module, session, CKU_USER, "1234"), CKR_USER_PIN_NOT_INITIALIZED);
    assert_eq!(login(&module, session, CKU_SO, "1234"), CKR_PIN_INCORRECT);
    assert_eq!(call!(module, C_InitPIN(session, bytes(b"1234"), 4)), CKR_USER_NOT_LOGGED_IN);
    assert_eq!(login(&module, session, CKU_SO, "so pin"), CKR_OK);
    assert_eq!(state(&module, session), CKS_RW_SO_FUNCTIONS);
    assert_eq!(open(&module, 0, 0), Err(CKR_SESSION_READ_WRITE_SO_EXISTS));
    assert_eq!(login(&module, session, CKU_USER, "1234"), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    assert_eq!(call!(module, C_InitPIN(session, bytes(b"1234"), 4)), CKR_OK);
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);

    // A second process sees the label and the PIN.
    let other = Module::with_config(&path);
    assert_eq!(&token_info(&other, 0).label, &label);
    assert_eq!(flags(&other), CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED);
    let other_session = open(&other, 0, CKF_RW_SESSION).expect("a session");
    assert_eq!(login(&other, other_session, CKU_USER, "wrong"), CKR_PIN_INCORRECT);
    assert_eq!(login(&other, other_session, CKU_USER, "1234"), CKR_OK);
    assert_eq!(login(&other, other_session, CKU_SO, "so pin"), CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
    assert_eq!(call!(other, C_SetPIN(other_session, bytes(b"wrong"), 5, bytes(b"5678"), 4)), CKR_PIN_INCORRECT);
    assert_eq!(call!(other, C_SetPIN(other_session, bytes(b"1234"), 4, bytes(b"5678"), 4)), CKR_OK);
    assert_eq!(login(&module, session, CKU_USER, "1234"), CKR_PIN_INCORRECT);
    assert_eq!(login(&module, session, CKU_USER, "5678"), CKR_OK);

    // Keys may be read here; the next C_InitToken takes them away, with another label.
    let [class, key_type] = [CKO_SECRET_KEY, CKK_AES].map(CK_ULONG::to_ne_bytes);
    let template = [
        (CKA_CLASS, &class[..]),
        (CKA_KEY_TYPE, &key_type),
        (CKA_VALUE, &[7; 16]),
        (CKA_TOKEN, TRUE),
        (CKA_EXTRACTABLE, TRUE),
        (CKA_SENSITIVE, &[CK_FALSE]),
    ];
    let key = create(&module, session, &template).expect("a key");
    assert_eq!(module.attribute(session, key, CKA_VALUE), Ok(vec![7; 16]));
    assert_eq!(init("so pin", &label), CKR_SESSION_EXISTS);
    assert_eq!(call!(module, C_CloseAllSessions(0)), CKR_OK);
    label[..4].copy_from_slice(b"Next");
    assert_eq!(init("wrong pin", &label), CKR_PIN_INCORRECT);
    assert_eq!(init("so pin", &label), CKR_OK);
    assert_eq!((flags(&module), &token_info(&module, 0).label), (CKF_TOKEN_INITIALIZED, &label));
    let session = open(&module, 0, CKF_RW_SESSION).expect("a session");
    let class = CKO_PROFILE.to_ne_bytes();
    assert_eq!(module.find(session, &[]), module.find(session, &[(CKA_CLASS, &class)]));
}
