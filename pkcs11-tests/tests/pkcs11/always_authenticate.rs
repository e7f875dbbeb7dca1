//! Keys that ask for the user's PIN at each use: CKA_ALWAYS_AUTHENTICATE and CKU_CONTEXT_SPECIFIC (trap 18).

use std::path::PathBuf;
use std::ptr::null_mut;

use cryptoki_sys::*;
use tempfile::TempDir;

use crate::keys::{patient, shared};
use crate::module::{Mechanism, Module, attributes, bytes, call, ok, output};
use crate::session_objects::{FALSE, TRUE};
use crate::token_objects::{generate_pair, set};

const RSA: Mechanism = Mechanism::Plain(CKM_SHA256_RSA_PKCS);
const ASKS: (CK_ATTRIBUTE_TYPE, &[u8]) = (CKA_ALWAYS_AUTHENTICATE, TRUE);

/// A configuration without a credential: the API key is the PIN.
fn with_pin() -> (TempDir, PathBuf) {
    let stack = &shared().stack;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("pkcs11.conf");
    let text = format!("api_endpoint = {:?}\nca_certs_file = {:?}\n", stack.endpoint(), stack.ca_file());
    std::fs::write(&path, patient(&text)).expect("a file is written");
    (dir, path)
}

fn context_login(module: &Module, session: CK_SESSION_HANDLE, pin: &str) -> CK_RV {
    call!(module, C_Login(session, CKU_CONTEXT_SPECIFIC, bytes(pin.as_bytes()), pin.len() as CK_ULONG))
}

/// The public and the private key of a pair that asks.
fn rsa(module: &Module, session: CK_SESSION_HANDLE, token: &[u8]) -> (CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
    let bits = 2048_u64.to_ne_bytes();
    let private = vec![(CKA_TOKEN, token), ASKS, (CKA_PRIVATE, TRUE)];
    generate_pair(module, session, CKM_RSA_PKCS_KEY_PAIR_GEN, &vec![(CKA_MODULUS_BITS, &bits)], &private).expect("a pair")
}

fn sign_init(module: &Module, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) {
    assert_eq!(RSA.with(|mechanism| call!(module, C_SignInit(session, mechanism, key))), CKR_OK);
}

fn sign(module: &Module, session: CK_SESSION_HANDLE) -> Result<Vec<u8>, CK_RV> {
    let (mut signature, mut len) = ([0; 256], 256);
    ok(call!(module, C_Sign(session, bytes(b"data"), 4, signature.as_mut_ptr(), &raw mut len)))?;
    Ok(signature[..len as usize].to_vec())
}

#[test]
fn each_signature_needs_a_pin_of_its_own() {
    let (_dir, path) = with_pin();
    let module = Module::with_config(&path);
    let pin = shared().stack.api_key();
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_eq!(module.login(session, Some(&pin)), CKR_OK);
    for token in [FALSE, TRUE] {
        let (public, private) = rsa(&module, session, token);
        assert_eq!(module.attribute(session, private, CKA_ALWAYS_AUTHENTICATE), Ok(TRUE.to_vec()));
        assert_eq!(set(&module, session, private, &vec![(CKA_ALWAYS_AUTHENTICATE, FALSE)]), CKR_ATTRIBUTE_READ_ONLY);
        assert_eq!(context_login(&module, session, &pin), CKR_OPERATION_NOT_INITIALIZED);

        // The length may be asked; a signature ends the operation.
        sign_init(&module, session, private);
        let mut len = 0;
        assert_eq!(call!(module, C_Sign(session, bytes(b"data"), 4, null_mut(), &raw mut len)), CKR_OK);
        assert_eq!((len, sign(&module, session)), (256, Err(CKR_USER_NOT_LOGGED_IN)));
        assert_eq!(sign(&module, session), Err(CKR_OPERATION_NOT_INITIALIZED));

        // A wrong PIN leaves the operation waiting, the right one is for one signature.
        sign_init(&module, session, private);
        for wrong in ["", "1234", &pin[..pin.len() - 1]] {
            assert_eq!(context_login(&module, session, wrong), CKR_PIN_INCORRECT, "{wrong}");
        }
        assert_eq!(context_login(&module, session, &pin), CKR_OK);
        assert_eq!(context_login(&module, session, &pin), CKR_OPERATION_NOT_INITIALIZED);
        let signature = sign(&module, session).expect("a signature");
        assert_eq!(module.verify(session, &RSA, public, b"data", &signature), CKR_OK);
        sign_init(&module, session, private);
        assert_eq!(sign(&module, session), Err(CKR_USER_NOT_LOGGED_IN));

        // In parts.
        sign_init(&module, session, private);
        assert_eq!(call!(module, C_SignUpdate(session, bytes(b"da"), 2)), CKR_USER_NOT_LOGGED_IN);
        sign_init(&module, session, private);
        assert_eq!(context_login(&module, session, &pin), CKR_OK);
        assert_eq!(call!(module, C_SignUpdate(session, bytes(b"da"), 2)), CKR_OK);
        assert_eq!(call!(module, C_SignUpdate(session, bytes(b"ta"), 2)), CKR_OK);
        assert_eq!(output(|out, len| call!(module, C_SignFinal(session, out, len))), Ok(signature));
    }
    // The session is what it was.
    let mut info = CK_SESSION_INFO::default();
    assert_eq!(call!(module, C_GetSessionInfo(session, &raw mut info)), CKR_OK);
    assert_eq!(info.state, CKS_RW_USER_FUNCTIONS);
}

#[test]
fn decryption_recovery_and_messages_need_it_too_and_what_has_no_init_refuses() {
    let (_dir, path) = with_pin();
    let module = Module::with_config(&path);
    let pin = shared().stack.api_key();
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_eq!(module.login(session, Some(&pin)), CKR_OK);
    let (public, private) = rsa(&module, session, TRUE);
    let encrypted = module.encrypt(session, &Mechanism::Oaep, public, b"secret").expect("it encrypts");
    let decrypt = || {
        let (mut out, mut len) = ([0; 256], 256);
        let code = call!(module, C_Decrypt(session, bytes(&encrypted), encrypted.len() as CK_ULONG, out.as_mut_ptr(), &raw mut len));
        ok(code).map(|()| out[..len as usize].to_vec())
    };
    let decrypt_init = || assert_eq!(Mechanism::Oaep.with(|mechanism| call!(module, C_DecryptInit(session, mechanism, private))), CKR_OK);
    decrypt_init();
    assert_eq!(decrypt(), Err(CKR_USER_NOT_LOGGED_IN));
    // Two operations wait: the login is for the one begun last.
    decrypt_init();
    sign_init(&module, session, private);
    assert_eq!(context_login(&module, session, &pin), CKR_OK);
    assert!(sign(&module, session).is_ok());
    assert_eq!(context_login(&module, session, &pin), CKR_OK);
    assert_eq!(decrypt(), Ok(b"secret".to_vec()));

    // DSM knows no recovery: a session key's.
    let pkcs = Mechanism::Plain(CKM_RSA_PKCS);
    let (_, own) = rsa(&module, session, FALSE);
    let recover = || {
        let (mut out, mut len) = ([0; 256], 256);
        call!(module, C_SignRecover(session, bytes(b"data"), 4, out.as_mut_ptr(), &raw mut len))
    };
    let recover_init = || assert_eq!(pkcs.with(|mechanism| call!(module, C_SignRecoverInit(session, mechanism, own))), CKR_OK);
    recover_init();
    assert_eq!(recover(), CKR_USER_NOT_LOGGED_IN);
    recover_init();
    assert_eq!((context_login(&module, session, &pin), recover()), (CKR_OK, CKR_OK));

    // One consent for all messages of an operation.
    let message = || {
        let (mut out, mut len) = ([0; 256], 256);
        call!(module, C_SignMessage(session, null_mut(), 0, bytes(b"data"), 4, out.as_mut_ptr(), &raw mut len))
    };
    assert_eq!(RSA.with(|mechanism| call!(module, C_MessageSignInit(session, mechanism, private))), CKR_OK);
    assert_eq!(message(), CKR_USER_NOT_LOGGED_IN);
    assert_eq!(context_login(&module, session, &pin), CKR_OK);
    assert_eq!([message(), message()], [CKR_OK, CKR_OK]);
    assert_eq!(call!(module, C_MessageSignFinal(session)), CKR_OK);

    let mut template = attributes(&[(CKA_CLASS, &CKO_SECRET_KEY.to_ne_bytes()), (CKA_KEY_TYPE, &CKK_AES.to_ne_bytes())]);
    let mut key = 0;
    let unwrapped = Mechanism::Oaep.with(|mechanism| {
        let len = encrypted.len() as CK_ULONG;
        call!(module, C_UnwrapKey(session, mechanism, private, bytes(&encrypted), len, template.as_mut_ptr(), 2, &raw mut key))
    });
    assert_eq!(unwrapped, CKR_USER_NOT_LOGGED_IN);
}

#[test]
fn only_private_keys_that_are_private_ask() {
    let module = shared().another();
    let session = module.logged_in();
    let p256 = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = vec![(CKA_EC_PARAMS, &p256[..])];
    let generate = |private| generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &public, &private).err();
    assert_eq!(generate(vec![ASKS, (CKA_PRIVATE, FALSE)]), Some(CKR_TEMPLATE_INCONSISTENT));
    assert_eq!(generate(vec![ASKS]), None, "a private key is private where nothing else is said");
    let asking_public = vec![(CKA_EC_PARAMS, &p256[..]), ASKS];
    assert_eq!(generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &asking_public, &vec![]), Err(CKR_TEMPLATE_INCONSISTENT));
    // A key that does not ask: its operation goes on.
    let (_, private) = generate_pair(&module, session, CKM_EC_KEY_PAIR_GEN, &public, &vec![]).expect("a pair");
    let ecdsa = Mechanism::Plain(CKM_ECDSA_SHA256);
    assert_eq!(ecdsa.with(|mechanism| call!(module, C_SignInit(session, mechanism, private))), CKR_OK);
    assert_eq!(context_login(&module, session, "any"), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(output(|out, len| call!(module, C_Sign(session, bytes(b"data"), 4, out, len))).map(|signature| signature.len()), Ok(64));
}

#[test]
fn a_credential_of_the_configuration_consents() {
    let maker = shared().another();
    let session = maker.logged_in();
    let (_, made) = rsa(&maker, session, TRUE);
    let id = maker.attribute(session, made, CKA_ID).expect("an id");
    // Another process, to whom DSM's metadata tells that the key asks.
    let module = shared().another();
    let session = module.logged_in();
    let private = module.find(session, &[(CKA_CLASS, &CKO_PRIVATE_KEY.to_ne_bytes()), (CKA_ID, &id)])[0];
    sign_init(&module, session, private);
    assert_eq!(sign(&module, session), Err(CKR_USER_NOT_LOGGED_IN));
    sign_init(&module, session, private);
    assert_eq!(call!(module, C_Login(session, CKU_CONTEXT_SPECIFIC, null_mut(), 0)), CKR_OK);
    assert!(sign(&module, session).is_ok());
}

#[test]
fn a_pin_of_conformance_mode_is_checked_each_time() {
    let stack = dsma_testkit::Stack::start();
    let module = Module::with_config(&crate::keys::conformance(&stack));
    let label = [b' '; 32];
    assert_eq!(call!(module, C_InitToken(0, bytes(b"so pin"), 6, bytes(&label))), CKR_OK);
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    assert_eq!(call!(module, C_Login(session, CKU_SO, bytes(b"so pin"), 6)), CKR_OK);
    assert_eq!(call!(module, C_InitPIN(session, bytes(b"1234"), 4)), CKR_OK);
    assert_eq!(call!(module, C_Logout(session)), CKR_OK);
    assert_eq!(module.login(session, Some("1234")), CKR_OK);
    let (_, private) = rsa(&module, session, TRUE);
    sign_init(&module, session, private);
    for wrong in ["so pin", "12345", ""] {
        assert_eq!(context_login(&module, session, wrong), CKR_PIN_INCORRECT);
    }
    assert_eq!(context_login(&module, session, "1234"), CKR_OK);
    assert!(sign(&module, session).is_ok());
    // The longer function, with and without a name.
    sign_init(&module, session, private);
    let login_user = |name: &[u8]| {
        let (pin, name_len) = (bytes(b"1234"), name.len() as CK_ULONG);
        call!(module, C_LoginUser(session, CKU_CONTEXT_SPECIFIC, pin, 4, bytes(name), name_len))
    };
    assert_eq!((login_user(b"somebody else"), login_user(b"")), (CKR_PIN_INCORRECT, CKR_OK));
    assert!(sign(&module, session).is_ok());
}
