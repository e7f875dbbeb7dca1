//! Which operations a type supports, and which a new sobject gets.
//!
//! Source: the defaults that Fortanix publishes in its guide to cryptographic policies.

use dsma_api::{ApiError, KeyOperation, KeyOperations, ObjectType};

use KeyOperation::{
    AgreeKey, AppManageable, Decrypt, DeriveKey, Encrypt, Export, HighVolume, MacGenerate, MacVerify, Sign, UnwrapKey, Verify, WrapKey,
};

/// What a type can do. HIGHVOLUME is no operation but a wish, and only set when asked for.
const fn supported(obj_type: ObjectType) -> KeyOperations {
    match obj_type {
        ObjectType::Aes => {
            KeyOperations::of(&[Encrypt, Decrypt, WrapKey, UnwrapKey, DeriveKey, MacGenerate, MacVerify, AppManageable, Export])
        }
        ObjectType::Rsa => KeyOperations::of(&[Sign, Verify, Encrypt, Decrypt, WrapKey, UnwrapKey, AppManageable, Export]),
        ObjectType::Ec => KeyOperations::of(&[Sign, Verify, AgreeKey, AppManageable, Export]),
        ObjectType::Hmac => KeyOperations::of(&[DeriveKey, MacGenerate, MacVerify, AppManageable, Export]),
        _ => KeyOperations::of(&[AppManageable, Export]),
    }
}

/// What a public key can do.
const PUBLIC: KeyOperations = KeyOperations::of(&[Verify, Encrypt, WrapKey, AgreeKey, AppManageable, Export]);

/// The operations of a new sobject: what was asked for, or the default. Generated keys are not exportable by default, imported ones
/// are: whoever imports has the key.
pub(super) fn initial(
    asked: Option<&[String]>,
    obj_type: ObjectType,
    public_only: bool,
    imported: bool,
) -> Result<KeyOperations, ApiError> {
    match asked {
        Some(names) => checked(names, obj_type),
        None => {
            let all = if public_only { supported(obj_type).intersection(PUBLIC) } else { supported(obj_type) };
            Ok(if imported { all } else { all.without(Export) })
        }
    }
}

/// The set of these names. An empty one disables every operation.
pub(super) fn checked(names: &[String], obj_type: ObjectType) -> Result<KeyOperations, ApiError> {
    let ops = KeyOperations::from_names(names.iter().map(String::as_str))
        .map_err(|name| ApiError::bad_request(format!("Unknown key operation `{name}`")))?;
    let possible = supported(obj_type).with(HighVolume);
    match ops.iter().find(|op| !possible.contains(*op)) {
        Some(op) => Err(ApiError::bad_request(format!("Key operation {op} is not possible for this type of sobject"))),
        None => Ok(ops),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published defaults, word by word.
    #[test]
    fn published_defaults() {
        for (obj_type, names) in [
            (ObjectType::Aes, "ENCRYPT DECRYPT WRAPKEY UNWRAPKEY DERIVEKEY MACGENERATE MACVERIFY APPMANAGEABLE"),
            (ObjectType::Rsa, "SIGN VERIFY ENCRYPT DECRYPT WRAPKEY UNWRAPKEY APPMANAGEABLE"),
            (ObjectType::Ec, "SIGN VERIFY AGREEKEY APPMANAGEABLE"),
            (ObjectType::Hmac, "DERIVEKEY MACGENERATE MACVERIFY APPMANAGEABLE"),
        ] {
            let default = KeyOperations::from_names(names.split(' ')).unwrap();
            assert_eq!(initial(None, obj_type, false, false), Ok(default));
            assert_eq!(initial(None, obj_type, false, true), Ok(default.with(Export)));
            assert_eq!(initial(Some(&[]), obj_type, false, false), Ok(KeyOperations::NONE));
        }
        assert_eq!(initial(Some(&["ENCRYPT".into()]), ObjectType::Ec, false, false).unwrap_err().status, 400);
        assert_eq!(initial(Some(&["FLY".into()]), ObjectType::Aes, false, false).unwrap_err().status, 400);
    }
}
