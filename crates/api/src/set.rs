//! Key operations and app permissions: named sets that fit in a word.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares an enum of wire names and the set type over it.
macro_rules! wire_set {
    ($(#[$emeta:meta])* $Item:ident, $(#[$smeta:meta])* $Set:ident { $($Variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$emeta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $Item { $(#[doc = concat!("`", $name, "`")] $Variant),+ }

        impl $Item {
            /// Every value, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Variant => $name),+ }
            }

            /// The value with this wire name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$Variant),)+ _ => None }
            }
        }

        impl fmt::Display for $Item {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
        }

        $(#[$smeta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $Set(u64);

        impl $Set {
            /// The empty set.
            pub const NONE: Self = Self(0);

            /// The set of these items.
            #[must_use]
            pub const fn of(items: &[$Item]) -> Self {
                let mut bits = 0;
                let mut i = 0;
                while i < items.len() { bits |= 1 << items[i] as u8; i += 1; }
                Self(bits)
            }

            /// Every item.
            #[must_use]
            pub const fn all() -> Self { Self::of($Item::ALL) }

            /// Whether `item` is in the set.
            #[must_use]
            pub const fn contains(self, item: $Item) -> bool { self.0 & (1 << item as u8) != 0 }

            /// This set with `item`.
            #[must_use]
            pub const fn with(self, item: $Item) -> Self { Self(self.0 | 1 << item as u8) }

            /// This set without `item`.
            #[must_use]
            pub const fn without(self, item: $Item) -> Self { Self(self.0 & !(1 << item as u8)) }

            /// What is in either set.
            #[must_use]
            pub const fn union(self, other: Self) -> Self { Self(self.0 | other.0) }

            /// What is in both sets.
            #[must_use]
            pub const fn intersection(self, other: Self) -> Self { Self(self.0 & other.0) }

            /// Whether nothing is in the set.
            #[must_use]
            pub const fn is_empty(self) -> bool { self.0 == 0 }

            /// The items, in wire order.
            pub fn iter(self) -> impl Iterator<Item = $Item> { $Item::ALL.iter().copied().filter(move |i| self.contains(*i)) }

            /// The set of these wire names; the first unknown name is the error.
            pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
                names.into_iter().try_fold(Self::NONE, |set, name| $Item::from_name(name).map(|i| set.with(i)).ok_or(name))
            }
        }

        impl fmt::Debug for $Set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.debug_set().entries(self.iter()).finish() }
        }

        impl FromIterator<$Item> for $Set {
            fn from_iter<I: IntoIterator<Item = $Item>>(items: I) -> Self { items.into_iter().fold(Self::NONE, Self::with) }
        }

        impl Serialize for $Set {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(None)?;
                for item in self.iter() { seq.serialize_element(item.name())?; }
                seq.end()
            }
        }

        /// Lenient: names from a newer DSM are left out, so that one of them does not fail a whole listing.
        impl<'de> Deserialize<'de> for $Set {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Names;
                impl<'de> Visitor<'de> for Names {
                    type Value = $Set;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("an array of names") }
                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<$Set, A::Error> {
                        let mut set = $Set::NONE;
                        while let Some(name) = seq.next_element::<std::borrow::Cow<'de, str>>()? {
                            if let Some(item) = $Item::from_name(&name) { set = set.with(item); }
                        }
                        Ok(set)
                    }
                }
                deserializer.deserialize_seq(Names)
            }
        }
    };
}

wire_set! {
    /// One operation that a key allows (`KeyOperations` in the OpenAPI).
    KeyOperation,
    /// The operations that a key allows.
    KeyOperations {
        Sign = "SIGN", Verify = "VERIFY", Encrypt = "ENCRYPT", Decrypt = "DECRYPT", WrapKey = "WRAPKEY", UnwrapKey = "UNWRAPKEY",
        DeriveKey = "DERIVEKEY", Transform = "TRANSFORM", MacGenerate = "MACGENERATE", MacVerify = "MACVERIFY", Export = "EXPORT",
        AppManageable = "APPMANAGEABLE", HighVolume = "HIGHVOLUME", AgreeKey = "AGREEKEY", Encapsulate = "ENCAPSULATE",
        Decapsulate = "DECAPSULATE",
    }
}

wire_set! {
    /// One permission of an app in a group (`AppPermissions` in the OpenAPI).
    Permission,
    /// The permissions of an app in a group.
    Permissions {
        Sign = "SIGN", Verify = "VERIFY", Encrypt = "ENCRYPT", Decrypt = "DECRYPT", WrapKey = "WRAPKEY", UnwrapKey = "UNWRAPKEY",
        DeriveKey = "DERIVEKEY", MacGenerate = "MACGENERATE", MacVerify = "MACVERIFY", Export = "EXPORT", Manage = "MANAGE",
        AgreeKey = "AGREEKEY", MaskDecrypt = "MASKDECRYPT", Audit = "AUDIT", Transform = "TRANSFORM",
        CreateSobjects = "CREATE_SOBJECTS", CopySobjects = "COPY_SOBJECTS", RotateSobjects = "ROTATE_SOBJECTS",
        ActivateSobjects = "ACTIVATE_SOBJECTS", RevokeSobjects = "REVOKE_SOBJECTS", RevertSobjects = "REVERT_SOBJECTS",
        MoveSobjects = "MOVE_SOBJECTS", UpdateSobjectsProfile = "UPDATE_SOBJECTS_PROFILE",
        UpdateSobjectsEnabledState = "UPDATE_SOBJECTS_ENABLED_STATE", UpdateSobjectPolicies = "UPDATE_SOBJECT_POLICIES",
        UpdateKeyOps = "UPDATE_KEY_OPS", DeleteKeyMaterial = "DELETE_KEY_MATERIAL", DeleteSobjects = "DELETE_SOBJECTS",
        DestroySobjects = "DESTROY_SOBJECTS", RestoreExternalSobjects = "RESTORE_EXTERNAL_SOBJECTS",
        CalculateDigest = "CALCULATE_DIGEST", Encapsulate = "ENCAPSULATE", Decapsulate = "DECAPSULATE",
    }
}

impl Permissions {
    /// The permissions that clients of the classic API know; newer names make their parsers fail.
    pub const CLASSIC: Self = Self::of(&[
        Permission::Sign,
        Permission::Verify,
        Permission::Encrypt,
        Permission::Decrypt,
        Permission::WrapKey,
        Permission::UnwrapKey,
        Permission::DeriveKey,
        Permission::MacGenerate,
        Permission::MacVerify,
        Permission::Export,
        Permission::Manage,
        Permission::AgreeKey,
        Permission::MaskDecrypt,
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_name_is_left_out_of_a_response_and_named_in_a_request() {
        let set: KeyOperations = serde_json::from_str(r#"["SIGN","FROM_THE_FUTURE","EXPORT"]"#).unwrap();
        assert_eq!(set, KeyOperations::of(&[KeyOperation::Sign, KeyOperation::Export]));
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["SIGN","EXPORT"]"#);
        assert_eq!(KeyOperations::from_names(["SIGN", "NOPE"]), Err("NOPE"));
    }
}
