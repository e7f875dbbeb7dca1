//! CKA_UNIQUE_ID (section 4.4 of version 3.2's text): every object has one that no other has, and nobody chooses it.

use std::collections::HashSet;
use std::path::Path;

use cryptoki_sys::*;

use crate::isolated::{isolated, variable};
use crate::keys::{conformance, shared};
use crate::module::{Module, attributes, call};
use crate::processes::fork;
use crate::session_objects::{FALSE, TRUE, create, pair, secret};
use crate::token_objects::{generate, label, set};

const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

fn unique_id(module: &Module, session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> String {
    let id = module.attribute(session, object, CKA_UNIQUE_ID).expect("a unique id");
    assert!(!id.is_empty());
    String::from_utf8(id).expect("text")
}

#[test]
fn every_object_has_one_of_its_own() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let copy = |object, template: &[(CK_ATTRIBUTE_TYPE, &[u8])]| {
        let (mut template, mut copy) = (attributes(template), 0);
        let (place, count) = (template.as_mut_ptr(), template.len() as CK_ULONG);
        (call!(module, C_CopyObject(session, object, place, count, &raw mut copy)), copy)
    };
    let (data, profile) = (CKO_DATA.to_ne_bytes(), CKO_PROFILE.to_ne_bytes());
    let key = secret(&module, session, CKK_AES, &[7; 16]).expect("a session key");
    let [public, private] = pair(&module, session, CKM_EC_KEY_PAIR_GEN, &[(CKA_EC_PARAMS, &P256)]);
    let text = create(&module, session, &[(CKA_CLASS, &data), (CKA_VALUE, b"text")]).expect("data");
    let (code, copied) = copy(key, &[]);
    assert_eq!(code, CKR_OK);
    let name = label();
    let (code, moved) = copy(key, &[(CKA_TOKEN, TRUE), (CKA_LABEL, name.as_bytes())]);
    assert_eq!(code, CKR_OK);
    let profiles = module.find(session, &[(CKA_CLASS, &profile)]);
    assert_eq!(profiles.len(), 2);

    let objects = [&[key, public, private, text, copied, moved], &profiles[..]].concat();
    let ids: HashSet<String> = objects.iter().map(|object| unique_id(&module, session, *object)).collect();
    assert_eq!(ids.len(), objects.len(), "{ids:?}");
    for object in objects {
        let id = unique_id(&module, session, object);
        assert_eq!(module.find(session, &[(CKA_UNIQUE_ID, id.as_bytes())]), [object]);
    }

    // It stays, whatever else changes, and is not to be chosen.
    let id = unique_id(&module, session, key);
    assert_eq!(set(&module, session, key, &vec![(CKA_LABEL, b"another")]), CKR_OK);
    assert_eq!(unique_id(&module, session, key), id);
    for given in [&b"chosen"[..], id.as_bytes()] {
        assert_eq!(set(&module, session, key, &vec![(CKA_UNIQUE_ID, given)]), CKR_ATTRIBUTE_READ_ONLY);
        assert_eq!(copy(key, &[(CKA_UNIQUE_ID, given)]).0, CKR_ATTRIBUTE_READ_ONLY);
        for token in [TRUE, FALSE] {
            let template = vec![(CKA_TOKEN, token), (CKA_VALUE_LEN, &[16, 0, 0, 0, 0, 0, 0, 0][..]), (CKA_UNIQUE_ID, given)];
            assert_eq!(generate(&module, session, CKM_AES_KEY_GEN, &template), Err(CKR_ATTRIBUTE_READ_ONLY));
        }
    }
    assert_eq!(call!(module, C_DestroyObject(session, moved)), CKR_OK);
}

/// Suites for soft tokens expect that the attribute is not known here: conformance mode is for them.
#[test]
fn conformance_mode_knows_none_in_a_template() {
    let stack = dsma_testkit::Stack::start();
    let module = Module::with_config(&conformance(&stack));
    let session = module.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
    let (class, kind) = (CKO_SECRET_KEY.to_ne_bytes(), CKK_AES.to_ne_bytes());
    let template = [(CKA_CLASS, &class[..]), (CKA_KEY_TYPE, &kind), (CKA_VALUE, &[7; 16]), (CKA_UNIQUE_ID, b"chosen")];
    assert_eq!(create(&module, session, &template), Err(CKR_ATTRIBUTE_TYPE_INVALID));
    let key = create(&module, session, &template[..3]).expect("a session key");
    assert!(!unique_id(&module, session, key).is_empty());
}

#[test]
fn a_child_makes_others_than_its_parent() {
    let environment = || vec![("CONFIG", shared().stack.pkcs11_conf().display().to_string())];
    isolated("unique_ids::a_child_makes_others_than_its_parent", environment, || {
        let module = Module::with_config(Path::new(&variable("CONFIG")));
        let session = module.logged_in();
        let inherited = secret(&module, session, CKK_AES, &[6; 16]).expect("a session key");
        let told = |object| *uuid::Uuid::parse_str(&unique_id(&module, session, object)).expect("a UUID").as_bytes();
        let made = || secret(&module, session, CKK_AES, &[6; 16]).expect("a session key");
        let before = told(inherited);
        let child = fork(|| {
            assert_eq!(told(inherited), before);
            told(made())
        });
        let ours = told(made());
        assert_ne!(child.wait(), ours);
        assert_eq!(told(inherited), before);
    });
}
