//! Every attribute that this library knows: its form, the objects that have it, and who may give it.
//!
//! Source: the attribute tables of the standard's chapters 4 and 6; the notes are the numbers of table 13's footnotes.

use cryptoki_sys::*;

use super::KeyKind;

/// What an attribute's value looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pkcs11) enum Form {
    /// `CK_BBOOL`.
    Flag,
    /// `CK_ULONG`.
    Number,
    /// `CK_DATE`, or nothing.
    Date,
    /// UTF-8 without terminator.
    Text,
    /// Any bytes.
    Bytes,
    /// `CK_MECHANISM_TYPE`s, one after the other.
    Mechanisms,
    /// Attributes, none of which is of this form or secret.
    Template,
}

/// An attribute on some kinds of objects.
pub(in crate::pkcs11) struct Rule {
    /// Its `CKA_` number.
    pub(in crate::pkcs11) kind: CK_ATTRIBUTE_TYPE,
    /// Its `CKA_` name: how DSM's metadata calls it.
    pub(in crate::pkcs11) name: &'static str,
    /// Its form.
    pub(in crate::pkcs11) form: Form,
    on: u16,
    notes: u16,
}

const DATA: u16 = 1;
const CERTIFICATE: u16 = 2;
const PUBLIC: u16 = 4;
const PRIVATE: u16 = 8;
const SECRET: u16 = 16;
const PROFILE: u16 = 32;
/// With one of these, on keys of that type only.
const RSA: u16 = 64;
const CURVE: u16 = 128;
const LATTICE: u16 = 256;
const TYPES: u16 = RSA | CURVE | LATTICE;
const PAIR: u16 = PUBLIC | PRIVATE;
const KEY: u16 = PAIR | SECRET;
const HIDDEN_KEY: u16 = PRIVATE | SECRET;
const STORAGE: u16 = DATA | CERTIFICATE | KEY;

/// The library sets it: in no template.
pub(in crate::pkcs11) const OURS: u16 = 1;
/// Not in the template of C_CreateObject (note 2).
pub(in crate::pkcs11) const NOT_CREATED: u16 = 2;
/// Not in the template of a generated key (note 4).
pub(in crate::pkcs11) const NOT_GENERATED: u16 = 4;
/// Not in the template of a key that is unwrapped or derived (note 6).
pub(in crate::pkcs11) const NOT_UNWRAPPED: u16 = 8;
/// Shown only by a key that is neither sensitive nor unextractable (note 7).
pub(in crate::pkcs11) const SECRET_VALUE: u16 = 16;
/// May be changed later (note 8).
pub(in crate::pkcs11) const CHANGES: u16 = 32;
/// Only the security officer sets it to true (note 10).
pub(in crate::pkcs11) const OFFICER: u16 = 64;
/// Once true, for ever (note 11).
pub(in crate::pkcs11) const STAYS_TRUE: u16 = 128;
/// Once false, for ever (note 12).
pub(in crate::pkcs11) const STAYS_FALSE: u16 = 256;
/// May be changed by a copy.
pub(in crate::pkcs11) const COPIES: u16 = 512;
const NUMBERS: u16 = NOT_GENERATED | NOT_UNWRAPPED;

macro_rules! table {
    ($($kind:ident $form:ident ($on:expr) $notes:expr;)*) => {
        static TABLE: &[Rule] = &[$(Rule { kind: $kind, name: stringify!($kind), form: Form::$form, on: $on, notes: $notes }),*];
    };
}

table! {
    CKA_CLASS Number (STORAGE | PROFILE) 0;
    CKA_TOKEN Flag (STORAGE | PROFILE) COPIES;
    CKA_PRIVATE Flag (STORAGE | PROFILE) COPIES;
    CKA_LABEL Text (STORAGE | PROFILE) CHANGES;
    CKA_MODIFIABLE Flag (STORAGE | PROFILE) COPIES;
    CKA_COPYABLE Flag (STORAGE | PROFILE) CHANGES | STAYS_FALSE;
    CKA_DESTROYABLE Flag (STORAGE | PROFILE) CHANGES | STAYS_FALSE;
    CKA_UNIQUE_ID Text (STORAGE | PROFILE) OURS;

    CKA_PROFILE_ID Number (PROFILE) 0;

    CKA_APPLICATION Text (DATA) CHANGES;
    CKA_OBJECT_ID Bytes (DATA) CHANGES;
    CKA_VALUE Bytes (DATA) CHANGES;

    CKA_CERTIFICATE_TYPE Number (CERTIFICATE) 0;
    CKA_TRUSTED Flag (CERTIFICATE | PUBLIC | SECRET) CHANGES | OFFICER;
    CKA_CERTIFICATE_CATEGORY Number (CERTIFICATE) 0;
    CKA_CHECK_VALUE Bytes (CERTIFICATE | SECRET) 0;
    CKA_SUBJECT Bytes (CERTIFICATE) 0;
    CKA_ISSUER Bytes (CERTIFICATE) CHANGES;
    CKA_SERIAL_NUMBER Bytes (CERTIFICATE) CHANGES;
    CKA_VALUE Bytes (CERTIFICATE) 0;
    CKA_URL Text (CERTIFICATE) 0;
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY Bytes (CERTIFICATE) 0;
    CKA_HASH_OF_ISSUER_PUBLIC_KEY Bytes (CERTIFICATE) 0;
    CKA_NAME_HASH_ALGORITHM Number (CERTIFICATE) 0;
    CKA_JAVA_MIDP_SECURITY_DOMAIN Number (CERTIFICATE) 0;

    CKA_KEY_TYPE Number (KEY) 0;
    CKA_ID Bytes (KEY | CERTIFICATE) CHANGES;
    CKA_START_DATE Date (KEY) CHANGES;
    CKA_END_DATE Date (KEY) CHANGES;
    CKA_START_DATE Date (CERTIFICATE) 0;
    CKA_END_DATE Date (CERTIFICATE) 0;
    CKA_DERIVE Flag (KEY) CHANGES;
    CKA_LOCAL Flag (KEY) OURS;
    CKA_KEY_GEN_MECHANISM Number (KEY) OURS;
    CKA_ALLOWED_MECHANISMS Mechanisms (KEY) 0;
    CKA_PUBLIC_KEY_INFO Bytes (PAIR | CERTIFICATE) 0;
    CKA_SUBJECT Bytes (PAIR) CHANGES;
    CKA_ENCRYPT Flag (PUBLIC | SECRET) CHANGES;
    CKA_VERIFY Flag (PUBLIC | SECRET) CHANGES;
    CKA_VERIFY_RECOVER Flag (PUBLIC) CHANGES;
    CKA_WRAP Flag (PUBLIC | SECRET) CHANGES;
    CKA_ENCAPSULATE Flag (PUBLIC) CHANGES;
    CKA_WRAP_TEMPLATE Template (PUBLIC | SECRET) 0;
    CKA_UNWRAP_TEMPLATE Template (HIDDEN_KEY) 0;
    CKA_DERIVE_TEMPLATE Template (HIDDEN_KEY) 0;
    CKA_ENCAPSULATE_TEMPLATE Template (PUBLIC) 0;
    CKA_DECAPSULATE_TEMPLATE Template (PRIVATE) 0;
    CKA_DECRYPT Flag (HIDDEN_KEY) CHANGES;
    CKA_SIGN Flag (HIDDEN_KEY) CHANGES;
    CKA_SIGN_RECOVER Flag (PRIVATE) CHANGES;
    CKA_UNWRAP Flag (HIDDEN_KEY) CHANGES;
    CKA_DECAPSULATE Flag (PRIVATE) CHANGES;
    CKA_SENSITIVE Flag (HIDDEN_KEY) CHANGES | STAYS_TRUE;
    CKA_EXTRACTABLE Flag (HIDDEN_KEY) CHANGES | STAYS_FALSE;
    CKA_ALWAYS_SENSITIVE Flag (HIDDEN_KEY) OURS;
    CKA_NEVER_EXTRACTABLE Flag (HIDDEN_KEY) OURS;
    CKA_WRAP_WITH_TRUSTED Flag (HIDDEN_KEY) CHANGES | STAYS_TRUE;
    CKA_ALWAYS_AUTHENTICATE Flag (PRIVATE) 0;

    CKA_VALUE Bytes (SECRET) NUMBERS | SECRET_VALUE;
    // Note 2 forbids it in C_CreateObject; many callers give it all the same, and it may be right.
    CKA_VALUE_LEN Number (SECRET) 0;

    CKA_MODULUS Bytes (PAIR | RSA) NUMBERS;
    CKA_MODULUS_BITS Number (PUBLIC | RSA) NOT_CREATED | NOT_UNWRAPPED;
    CKA_PUBLIC_EXPONENT Bytes (PUBLIC | RSA) NOT_UNWRAPPED;
    CKA_PUBLIC_EXPONENT Bytes (PRIVATE | RSA) NUMBERS;
    CKA_PRIVATE_EXPONENT Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;
    CKA_PRIME_1 Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;
    CKA_PRIME_2 Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;
    CKA_EXPONENT_1 Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;
    CKA_EXPONENT_2 Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;
    CKA_COEFFICIENT Bytes (PRIVATE | RSA) NUMBERS | SECRET_VALUE;

    CKA_EC_PARAMS Bytes (PUBLIC | CURVE) NOT_UNWRAPPED;
    // Note 4 forbids it for a generated private key; where it repeats the public template's it does no harm.
    CKA_EC_PARAMS Bytes (PRIVATE | CURVE) NOT_UNWRAPPED;
    CKA_EC_POINT Bytes (PAIR | CURVE) NUMBERS;
    CKA_VALUE Bytes (PRIVATE | CURVE) NUMBERS | SECRET_VALUE;

    CKA_PARAMETER_SET Number (PAIR | LATTICE) NOT_UNWRAPPED;
    CKA_VALUE Bytes (PUBLIC | LATTICE) NUMBERS;
    CKA_VALUE Bytes (PRIVATE | LATTICE) NUMBERS | SECRET_VALUE;
    CKA_SEED Bytes (PRIVATE | LATTICE) NUMBERS | SECRET_VALUE;
}

impl Rule {
    /// Whether one of `notes` is on it.
    pub(in crate::pkcs11) const fn has(&self, notes: u16) -> bool {
        self.notes & notes != 0
    }

    fn is_on(&self, class: u16, types: u16) -> bool {
        self.on & class != 0 && (self.on & TYPES == 0 || self.on & types != 0)
    }
}

/// The rule of an attribute on any object: all rules of one attribute have one form.
pub(in crate::pkcs11) fn any(kind: CK_ATTRIBUTE_TYPE) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.kind == kind)
}

/// Whether some objects have such an attribute and show it to nobody.
pub(in crate::pkcs11) fn may_be_secret(kind: CK_ATTRIBUTE_TYPE) -> bool {
    TABLE.iter().any(|rule| rule.kind == kind && rule.has(SECRET_VALUE))
}

/// The attribute with this name.
pub(in crate::pkcs11) fn named(name: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.name == name)
}

/// The rule of an attribute on objects of this class, for keys of this kind.
pub(in crate::pkcs11) fn find(kind: CK_ATTRIBUTE_TYPE, class: CK_OBJECT_CLASS, key: Option<KeyKind>) -> Option<&'static Rule> {
    let (class, types) = (class_bit(class), key.map_or(0, type_bit));
    TABLE.iter().find(|rule| rule.kind == kind && rule.is_on(class, types))
}

const fn class_bit(class: CK_OBJECT_CLASS) -> u16 {
    match class {
        CKO_DATA => DATA,
        CKO_CERTIFICATE => CERTIFICATE,
        CKO_PUBLIC_KEY => PUBLIC,
        CKO_PRIVATE_KEY => PRIVATE,
        CKO_SECRET_KEY => SECRET,
        CKO_PROFILE => PROFILE,
        _ => 0,
    }
}

const fn type_bit(kind: KeyKind) -> u16 {
    match kind {
        KeyKind::Rsa => RSA,
        KeyKind::Ec(_) | KeyKind::Ed25519 | KeyKind::X25519 => CURVE,
        KeyKind::MlDsa(_) | KeyKind::MlKem(_) => LATTICE,
        KeyKind::Aes | KeyKind::ChaCha20 | KeyKind::Des3 | KeyKind::Secret(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_one_form_and_one_rule_per_object() {
        for (index, rule) in TABLE.iter().enumerate() {
            for other in TABLE[index + 1..].iter().filter(|other| other.kind == rule.kind) {
                assert!(rule.form == other.form, "{}", rule.name);
                let (same_class, same_type) = (rule.on & other.on & !TYPES, rule.on & other.on & TYPES);
                assert!(same_class == 0 || (rule.on & TYPES != 0 && same_type == 0), "{}", rule.name);
            }
        }
    }
}
