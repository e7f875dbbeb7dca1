//! Which operations a type supports, and which a new sobject gets.
//!
//! Source: the defaults that Fortanix publishes in its guide to cryptographic policies.

use dsma_api::{ApiError, EllipticCurve, KeyOperation, KeyOperations, ObjectType, Sobject};

use super::material::Material;
use KeyOperation::{
    AgreeKey, AppManageable, Decapsulate, Decrypt, DeriveKey, Encapsulate, Encrypt, Export, HighVolume, MacGenerate, MacVerify, Sign,
    UnwrapKey, Verify, WrapKey,
};

/// A type, as far as its operations depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    obj_type: ObjectType,
    curve: Option<EllipticCurve>,
}

impl From<&Material> for Kind {
    fn from(material: &Material) -> Self {
        Self { obj_type: material.obj_type, curve: material.curve }
    }
}

impl From<&Sobject> for Kind {
    fn from(sobject: &Sobject) -> Self {
        Self { obj_type: sobject.obj_type, curve: sobject.elliptic_curve }
    }
}

impl Kind {
    /// What the type can do, and does by default. HIGHVOLUME is no operation but a wish, and only set when asked for.
    const fn usual(self) -> KeyOperations {
        match (self.obj_type, self.curve) {
            (ObjectType::Aes | ObjectType::Des3, _) => {
                KeyOperations::of(&[Encrypt, Decrypt, WrapKey, UnwrapKey, DeriveKey, MacGenerate, MacVerify, AppManageable, Export])
            }
            (ObjectType::Mldsa, _) => KeyOperations::of(&[Sign, Verify, AppManageable, Export]),
            (ObjectType::Mlkem, _) => KeyOperations::of(&[Encapsulate, Decapsulate, AppManageable, Export]),
            (ObjectType::Hmac, _) => KeyOperations::of(&[DeriveKey, MacGenerate, MacVerify, AppManageable, Export]),
            (ObjectType::Rsa, _) => KeyOperations::of(&[Sign, Verify, Encrypt, Decrypt, WrapKey, UnwrapKey, AppManageable, Export]),
            (ObjectType::Ec, Some(EllipticCurve::Ed25519)) => KeyOperations::of(&[Sign, Verify, AppManageable, Export]),
            (ObjectType::Ec, Some(EllipticCurve::X25519)) => KeyOperations::of(&[AgreeKey, AppManageable, Export]),
            (ObjectType::Ec, _) => KeyOperations::of(&[Sign, Verify, AgreeKey, AppManageable, Export]),
            _ => KeyOperations::of(&[AppManageable, Export]),
        }
    }

    /// What may be asked for besides: a shared secret is there to derive keys from.
    const fn possible(self) -> KeyOperations {
        match self.obj_type {
            ObjectType::Secret => self.usual().with(HighVolume).with(DeriveKey),
            _ => self.usual().with(HighVolume),
        }
    }
}

/// The default operations of a generated key of this type, and EXPORT: for whoever asks for it in one request.
pub(crate) fn exportable(obj_type: ObjectType, curve: Option<EllipticCurve>) -> KeyOperations {
    Kind { obj_type, curve }.usual()
}

/// What a public key can do.
pub(super) const PUBLIC: KeyOperations =
    KeyOperations::of(&[Verify, Encrypt, WrapKey, AgreeKey, Encapsulate, AppManageable, Export, HighVolume]);

/// The operations of a new sobject: what was asked for, or the default. Generated keys are not exportable by default, imported ones
/// are: whoever imports has the key.
pub(super) fn initial(asked: Option<&[String]>, material: &Material, imported: bool) -> Result<KeyOperations, ApiError> {
    let kind = Kind::from(material);
    match asked {
        Some(names) => checked(names, kind),
        None => Ok(default(kind, material.is_public(), imported)),
    }
}

/// The set of these names. An empty one disables every operation.
pub(super) fn checked(names: &[String], kind: impl Into<Kind>) -> Result<KeyOperations, ApiError> {
    let ops = named(names)?;
    let possible = kind.into().possible();
    match ops.iter().find(|op| !possible.contains(*op)) {
        Some(op) => Err(ApiError::bad_request(format!("Key operation {op} is not possible for this type of sobject"))),
        None => Ok(ops),
    }
}

/// The set of these names, all of which are in `held`.
pub(super) fn within(names: &[String], held: KeyOperations) -> Result<KeyOperations, ApiError> {
    let ops = named(names)?;
    match ops.iter().find(|op| !held.contains(*op)) {
        Some(op) => Err(ApiError::forbidden(format!("Sobject does not allow operation {op}"))),
        None => Ok(ops),
    }
}

fn named(names: &[String]) -> Result<KeyOperations, ApiError> {
    KeyOperations::from_names(names.iter().map(String::as_str))
        .map_err(|name| ApiError::bad_request(format!("Unknown key operation `{name}`")))
}

fn default(kind: Kind, public_only: bool, imported: bool) -> KeyOperations {
    let all = if public_only { kind.usual().intersection(PUBLIC) } else { kind.usual() };
    if imported { all } else { all.without(Export) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published defaults, word by word.
    #[test]
    fn published_defaults() {
        let kind = |obj_type, curve| Kind { obj_type, curve };
        for (kind, names) in [
            (kind(ObjectType::Aes, None), "ENCRYPT DECRYPT WRAPKEY UNWRAPKEY DERIVEKEY MACGENERATE MACVERIFY APPMANAGEABLE"),
            (kind(ObjectType::Des3, None), "ENCRYPT DECRYPT WRAPKEY UNWRAPKEY DERIVEKEY MACGENERATE MACVERIFY APPMANAGEABLE"),
            (kind(ObjectType::Rsa, None), "SIGN VERIFY ENCRYPT DECRYPT WRAPKEY UNWRAPKEY APPMANAGEABLE"),
            (kind(ObjectType::Ec, Some(EllipticCurve::NistP256)), "SIGN VERIFY AGREEKEY APPMANAGEABLE"),
            (kind(ObjectType::Ec, Some(EllipticCurve::Ed25519)), "SIGN VERIFY APPMANAGEABLE"),
            (kind(ObjectType::Hmac, None), "DERIVEKEY MACGENERATE MACVERIFY APPMANAGEABLE"),
        ] {
            let expected = KeyOperations::from_names(names.split(' ')).unwrap();
            assert_eq!(default(kind, false, false), expected);
            assert_eq!(default(kind, false, true), expected.with(Export));
            assert_eq!(checked(&[], kind), Ok(KeyOperations::NONE));
        }
        let ec = kind(ObjectType::Ec, Some(EllipticCurve::NistP256));
        assert_eq!(checked(&["ENCRYPT".into()], ec).unwrap_err().status, 400);
        assert_eq!(checked(&["FLY".into()], ec).unwrap_err().status, 400);
    }
}
