//! Data objects on the token (section 4.5): their value may be empty, and stays as it was made.

use cryptoki_sys::*;

use crate::keys::shared;
use crate::module::call;
use crate::session_objects::{FALSE, TRUE, create};
use crate::token_objects::{label, set};

/// DSM holds no empty value.
#[test]
fn an_empty_value_is_a_value() {
    let bench = shared();
    let module = bench.another();
    let session = module.logged_in();
    let class = CKO_DATA.to_ne_bytes();
    for private in [TRUE, FALSE] {
        for value in [Some(&b""[..]), None] {
            let name = label();
            let mut template = vec![(CKA_CLASS, &class[..]), (CKA_TOKEN, TRUE), (CKA_PRIVATE, private), (CKA_LABEL, name.as_bytes())];
            template.extend(value.map(|value| (CKA_VALUE, value)));
            let object = create(&module, session, &template).expect("data");
            let other = bench.another();
            let other_session = other.logged_in();
            let found = other.object(other_session, CKO_DATA, &name);
            for (module, session, object) in [(&module, session, object), (&other, other_session, found)] {
                assert_eq!(module.attribute(session, object, CKA_VALUE), Ok(Vec::new()));
                assert_eq!(module.attribute(session, object, CKA_PRIVATE), Ok(private.to_vec()));
                assert_eq!(module.find(session, &[(CKA_LABEL, name.as_bytes()), (CKA_VALUE, b"")]), [object]);
            }
            // It is still empty when something else has changed.
            assert_eq!(set(&module, session, object, &vec![(CKA_APPLICATION, b"app")]), CKR_OK);
            assert_eq!(module.attribute(session, object, CKA_VALUE), Ok(Vec::new()));
            assert_eq!(call!(module, C_DestroyObject(session, object)), CKR_OK);
        }
    }
    // A certificate is never empty.
    let (class, kind) = (CKO_CERTIFICATE.to_ne_bytes(), CKC_X_509.to_ne_bytes());
    let template = [(CKA_CLASS, &class[..]), (CKA_CERTIFICATE_TYPE, &kind), (CKA_TOKEN, TRUE), (CKA_VALUE, b"")];
    assert!(create(&module, session, &template).is_err());
}

/// DSM changes no value. Section 4.1.2 lets a token be as strict: the object is modifiable, this attribute of it is not.
#[test]
fn a_value_on_the_token_stays() {
    let module = shared().another();
    let session = module.logged_in();
    let (class, name) = (CKO_DATA.to_ne_bytes(), label());
    for token in [TRUE, FALSE] {
        let template = [(CKA_CLASS, &class[..]), (CKA_TOKEN, token), (CKA_LABEL, name.as_bytes()), (CKA_VALUE, b"first")];
        let object = create(&module, session, &template).expect("data");
        assert_eq!(module.attribute(session, object, CKA_MODIFIABLE), Ok(TRUE.to_vec()));
        let (code, value) = if token == TRUE { (CKR_ATTRIBUTE_READ_ONLY, &b"first"[..]) } else { (CKR_OK, &b"second"[..]) };
        assert_eq!(set(&module, session, object, &vec![(CKA_VALUE, b"second")]), code);
        assert_eq!(module.attribute(session, object, CKA_VALUE), Ok(value.to_vec()));
        assert_eq!(set(&module, session, object, &vec![(CKA_VALUE, value), (CKA_OBJECT_ID, b"\x06\x01\x2a")]), CKR_OK);
        assert_eq!(call!(module, C_DestroyObject(session, object)), CKR_OK);
    }
}
