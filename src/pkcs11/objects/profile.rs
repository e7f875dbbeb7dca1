//! Profile objects (section 4.12): what the token says it conforms to.

use cryptoki_sys::*;

use super::local::LocalObject;
use super::next_handle;
use super::object::{Body, Object};
use super::template::Attributes;

/// The profiles of OASIS' "PKCS #11 Profiles" whose functions and objects are all here.
const PROFILES: [CK_PROFILE_ID; 2] = [CKP_BASELINE_PROVIDER, CKP_EXTENDED_PROVIDER];

/// One object for each profile: of no session, public, never to be changed.
pub(in crate::pkcs11) fn profiles() -> impl Iterator<Item = Object> {
    PROFILES.into_iter().map(|profile| {
        let mut attributes = Attributes::default();
        attributes.set_number(CKA_CLASS, CKO_PROFILE);
        attributes.set_number(CKA_PROFILE_ID, profile);
        attributes.set_flag(CKA_TOKEN, true);
        attributes.set(CKA_LABEL, b"");
        attributes.set(CKA_UNIQUE_ID, format!("profile/{profile}").as_bytes());
        for kind in [CKA_PRIVATE, CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE] {
            attributes.set_flag(kind, false);
        }
        let object = LocalObject::built_in(CKO_PROFILE, attributes);
        Object { handle: next_handle(), body: Body::Local(Box::new(object)) }
    })
}
