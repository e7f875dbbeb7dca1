//! Usage attributes and DSM's key operations: two languages for what a key may do.

use cryptoki_sys::*;
use dsma_api::{KeyOperation, KeyOperations};

use super::KeyKind;
use super::template::Attributes;

use KeyOperation::{
    AgreeKey, AppManageable, Decapsulate, Decrypt, DeriveKey, Encapsulate, Encrypt, Export, MacGenerate, MacVerify, Sign, UnwrapKey,
    Verify, WrapKey,
};

/// The usage attributes with the operation that each means on a key of this class and kind.
fn table(class: CK_OBJECT_CLASS, kind: KeyKind) -> &'static [(CK_ATTRIBUTE_TYPE, KeyOperation)] {
    match (class, kind) {
        (CKO_SECRET_KEY, KeyKind::Aes | KeyKind::Des3) => &[
            (CKA_ENCRYPT, Encrypt),
            (CKA_DECRYPT, Decrypt),
            (CKA_SIGN, MacGenerate),
            (CKA_VERIFY, MacVerify),
            (CKA_WRAP, WrapKey),
            (CKA_UNWRAP, UnwrapKey),
            (CKA_DERIVE, DeriveKey),
        ],
        (CKO_SECRET_KEY, _) => &[(CKA_SIGN, MacGenerate), (CKA_VERIFY, MacVerify), (CKA_DERIVE, DeriveKey)],
        (CKO_PRIVATE_KEY, KeyKind::Rsa) => &[(CKA_SIGN, Sign), (CKA_SIGN_RECOVER, Sign), (CKA_DECRYPT, Decrypt), (CKA_UNWRAP, UnwrapKey)],
        (CKO_PUBLIC_KEY, KeyKind::Rsa) => {
            &[(CKA_VERIFY, Verify), (CKA_VERIFY_RECOVER, Verify), (CKA_ENCRYPT, Encrypt), (CKA_WRAP, WrapKey)]
        }
        (CKO_PRIVATE_KEY, KeyKind::Ec(_)) => &[(CKA_SIGN, Sign), (CKA_DERIVE, AgreeKey)],
        (CKO_PRIVATE_KEY, KeyKind::X25519) => &[(CKA_DERIVE, AgreeKey)],
        (CKO_PRIVATE_KEY, KeyKind::Ed25519 | KeyKind::MlDsa(_)) => &[(CKA_SIGN, Sign)],
        (CKO_PUBLIC_KEY, KeyKind::Ec(_) | KeyKind::Ed25519 | KeyKind::MlDsa(_)) => &[(CKA_VERIFY, Verify)],
        (CKO_PRIVATE_KEY, KeyKind::MlKem(_)) => &[(CKA_DECAPSULATE, Decapsulate)],
        (CKO_PUBLIC_KEY, KeyKind::MlKem(_)) => &[(CKA_ENCAPSULATE, Encapsulate)],
        _ => &[],
    }
}

/// The operation that a usage attribute means; `None` where DSM has none, so that the attribute is false.
pub(in crate::pkcs11) fn operation(class: CK_OBJECT_CLASS, kind: KeyKind, attribute: CK_ATTRIBUTE_TYPE) -> Option<KeyOperation> {
    table(class, kind).iter().find(|(known, _)| *known == attribute).map(|(_, operation)| *operation)
}

/// Whether it is a usage attribute.
pub(in crate::pkcs11) const fn is_usage(attribute: CK_ATTRIBUTE_TYPE) -> bool {
    matches!(
        attribute,
        CKA_ENCRYPT
            | CKA_DECRYPT
            | CKA_SIGN
            | CKA_SIGN_RECOVER
            | CKA_VERIFY
            | CKA_VERIFY_RECOVER
            | CKA_WRAP
            | CKA_UNWRAP
            | CKA_DERIVE
            | CKA_ENCAPSULATE
            | CKA_DECAPSULATE
    )
}

/// The usage attribute that must be true for this one to be: DSM has one operation for both, so that the narrower of the two stands in
/// metadata where it is false.
pub(in crate::pkcs11) const fn wider(attribute: CK_ATTRIBUTE_TYPE) -> Option<CK_ATTRIBUTE_TYPE> {
    match attribute {
        CKA_SIGN_RECOVER => Some(CKA_SIGN),
        CKA_VERIFY_RECOVER => Some(CKA_VERIFY),
        _ => None,
    }
}

/// `held` with what the usage attributes given here allow, and without what they forbid.
pub(super) fn apply(held: KeyOperations, class: CK_OBJECT_CLASS, kind: KeyKind, attributes: &Attributes) -> KeyOperations {
    table(class, kind).iter().filter(|(attribute, _)| wider(*attribute).is_none()).fold(held, |held, (attribute, operation)| {
        match attributes.flag(*attribute) {
            Some(true) => held.with(*operation),
            Some(false) => held.without(*operation),
            None => held,
        }
    })
}

/// What every key made through PKCS#11 allows: the cache may take it, and an app may change and delete it.
pub(super) const BASE: KeyOperations = KeyOperations::of(&[Export, AppManageable]);

/// The wire names.
pub(super) fn names(operations: KeyOperations) -> Vec<String> {
    operations.iter().map(|operation| operation.name().to_owned()).collect()
}
