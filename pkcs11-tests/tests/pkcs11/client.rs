//! The crate `cryptoki`, as Rust programs use it: it checks more of the library's answers than a C program does.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use crate::isolated::{isolated, variable};
use crate::keys::shared;

/// In a process of its own, because this client initialises without a path: the environment names the configuration.
#[test]
fn a_rust_program_finds_signs_and_encrypts() {
    isolated(
        "client::a_rust_program_finds_signs_and_encrypts",
        || {
            let bench = shared();
            vec![
                ("FORTANIX_PKCS11_CONFIG", bench.stack.pkcs11_conf().display().to_string()),
                ("RSA", bench.rsa().label),
                ("AES", bench.aes().label),
            ]
        },
        || {
            let module = Pkcs11::new(dsma_testkit::library()).expect("the library loads");
            module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("it initialises");
            let slot = module.get_slots_with_token().expect("slots")[0];
            let token = module.get_token_info(slot).expect("a token");
            assert_eq!((token.label(), token.login_required(), token.protected_authentication_path()), ("Fortanix Token", true, true));
            assert!(module.get_mechanism_list(slot).expect("mechanisms").contains(&MechanismType::AES_GCM));
            assert_eq!(module.get_library_info().expect("information").cryptoki_version().major(), 3);

            let session = module.open_rw_session(slot).expect("a session");
            session.login(UserType::User, None).expect("no PIN is needed");
            rsa(&session, &variable("RSA"));
            aes(&session, &variable("AES"));
            session.logout().expect("it logs out");
            session.login(UserType::User, Some(&AuthPin::new("any".into()))).expect("any PIN will do");
            session.close().expect("it closes");
            module.finalize().expect("it ends");
        },
    );
}

fn rsa(session: &Session, label: &str) {
    let find = |class| {
        let found = session.find_objects(&[Attribute::Class(class), Attribute::Label(label.into())]).expect("a search");
        assert_eq!(found.len(), 1);
        found[0]
    };
    let (private, public) = (find(ObjectClass::PRIVATE_KEY), find(ObjectClass::PUBLIC_KEY));
    let attributes = session.get_attributes(private, &[AttributeType::Sensitive, AttributeType::PrivateExponent, AttributeType::Modulus]);
    assert_eq!(attributes.expect("attributes").len(), 2, "the private exponent is not shown");
    let pss = PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() };
    for mechanism in [Mechanism::Sha256RsaPkcs, Mechanism::Sha256RsaPkcsPss(pss)] {
        let signature = session.sign(&mechanism, private, b"message").expect("it signs");
        session.verify(&mechanism, public, b"message", &signature).expect("the signature holds");
        assert!(session.verify(&mechanism, public, b"another", &signature).is_err());
    }
    let encrypted = session.encrypt(&Mechanism::RsaPkcs, public, b"secret").expect("it encrypts");
    assert_eq!(session.decrypt(&Mechanism::RsaPkcs, private, &encrypted).expect("it decrypts"), b"secret");
}

fn aes(session: &Session, label: &str) {
    let key = session.find_objects(&[Attribute::Label(label.into())]).expect("a search")[0];
    let mut iv = [9; 12];
    let gcm = |iv| Mechanism::AesGcm(GcmParams::new(iv, b"associated", 128.into()).expect("parameters"));
    let encrypted = session.encrypt(&gcm(&mut iv), key, b"secret").expect("it encrypts");
    let mut iv = [9; 12];
    assert_eq!(session.decrypt(&gcm(&mut iv), key, &encrypted).expect("it decrypts"), b"secret");
}
