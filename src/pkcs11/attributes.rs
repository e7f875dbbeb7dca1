//! What an object answers for each attribute (section 4 of the standard): computed from the sobject, never from the network.

use cryptoki_sys::*;
use dsma_api::{KeyOperation, KeyOperations, ObjectOrigin, Time};
use zeroize::Zeroizing;

use super::objects::{DsmObject, KeyKind, LocalKey, Part};

/// Answer for one attribute.
pub(super) enum Answer<'a> {
    /// The object has it.
    Value(Value<'a>),
    /// The object has it and does not show it.
    Sensitive,
    /// The object has no such attribute.
    Missing,
}

/// A value, to be seen as bytes.
pub(super) enum Value<'a> {
    Flag(CK_BBOOL),
    Number([u8; size_of::<CK_ULONG>()]),
    Date([u8; 8]),
    KeyCheck([u8; 3]),
    Text(String),
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Secret(Zeroizing<Vec<u8>>),
}

impl Value<'_> {
    /// The value as it lies in a caller's buffer.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Flag(flag) => std::slice::from_ref(flag),
            Self::Number(number) => number,
            Self::Date(date) => date,
            Self::KeyCheck(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }
}

impl DsmObject {
    /// Any attribute. CKA_ALLOWED_MECHANISMS is absent, which means "all": an empty list would mean "none".
    pub(in crate::pkcs11) fn attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_CLASS => number(self.class()),
            CKA_TOKEN => flag(true),
            CKA_PRIVATE => flag(self.is_private()),
            // Nothing can be changed, copied or destroyed through this version.
            CKA_MODIFIABLE | CKA_COPYABLE | CKA_DESTROYABLE => flag(false),
            CKA_LABEL => bytes(self.label().as_bytes()),
            CKA_UNIQUE_ID => Answer::Value(Value::Text(self.unique_id())),
            CKA_KEY_TYPE => self.kind.map_or(Answer::Missing, |kind| number(kind.key_type())),
            CKA_ID => bytes(self.id()),
            CKA_START_DATE => date(self.sobject.activation_date),
            CKA_END_DATE => date(self.sobject.deactivation_date),
            CKA_DERIVE => flag(self.allows(KeyOperation::DeriveKey) || (self.agrees() && self.allows(KeyOperation::AgreeKey))),
            CKA_LOCAL => flag(self.is_local()),
            CKA_KEY_GEN_MECHANISM => number(if self.is_local() { self.generated_by() } else { CK_UNAVAILABLE_INFORMATION }),
            _ => match self.part {
                Part::Secret => self.secret_key_attribute(kind),
                Part::Private => self.private_key_attribute(kind),
                Part::Public => self.public_key_attribute(kind),
            },
        }
    }

    /// Section 4.9.
    fn secret_key_attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_ENCRYPT => flag(self.allows(KeyOperation::Encrypt)),
            CKA_DECRYPT => flag(self.allows(KeyOperation::Decrypt)),
            CKA_SIGN => flag(self.allows(KeyOperation::MacGenerate)),
            CKA_VERIFY => flag(self.allows(KeyOperation::MacVerify)),
            CKA_WRAP => flag(self.allows(KeyOperation::WrapKey)),
            CKA_UNWRAP => flag(self.allows(KeyOperation::UnwrapKey)),
            CKA_TRUSTED => flag(false),
            CKA_VALUE => Answer::Sensitive,
            CKA_VALUE_LEN => self.sobject.key_size.map_or(Answer::Missing, |bits| number(CK_ULONG::from(bits.div_ceil(8)))),
            CKA_CHECK_VALUE => self.sobject.kcv.as_deref().and_then(check_value).map_or(Answer::Missing, Answer::Value),
            _ => self.hidden_key_attribute(kind),
        }
    }

    /// Section 4.8; the public numbers too, because OpenSSL's pkcs11-provider and libp11 look for them here.
    fn private_key_attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match (kind, self.kind) {
            (CKA_DECRYPT, _) => flag(self.is_rsa() && self.allows(KeyOperation::Decrypt)),
            (CKA_DECAPSULATE, _) => flag(self.allows(KeyOperation::Decapsulate)),
            (CKA_SIGN, _) => flag(self.allows(KeyOperation::Sign)),
            (CKA_SIGN_RECOVER, _) => flag(false),
            (CKA_UNWRAP, _) => flag(self.is_rsa() && self.allows(KeyOperation::UnwrapKey)),
            (CKA_SUBJECT, _) => bytes(&[]),
            (CKA_PRIVATE_EXPONENT | CKA_PRIME_1 | CKA_PRIME_2 | CKA_EXPONENT_1 | CKA_EXPONENT_2 | CKA_COEFFICIENT, Some(KeyKind::Rsa))
            | (CKA_VALUE | CKA_SEED, _) => Answer::Sensitive,
            (CKA_MODULUS_BITS, _) => Answer::Missing,
            _ => match self.hidden_key_attribute(kind) {
                Answer::Missing => self.public_number(kind),
                answer => answer,
            },
        }
    }

    /// Section 4.7.
    fn public_key_attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_ENCRYPT => flag(self.is_rsa() && self.allows(KeyOperation::Encrypt)),
            CKA_VERIFY => flag(self.allows(KeyOperation::Verify)),
            CKA_ENCAPSULATE => flag(self.allows(KeyOperation::Encapsulate)),
            CKA_WRAP => flag(self.is_rsa() && self.allows(KeyOperation::WrapKey)),
            CKA_VERIFY_RECOVER | CKA_TRUSTED => flag(false),
            CKA_SUBJECT => bytes(&[]),
            _ => self.public_number(kind),
        }
    }

    /// What secret and private keys have in common: token keys never leave through this front, whatever DSM would export.
    fn hidden_key_attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_SENSITIVE => flag(true),
            // The last one is of private keys by the letter; OpenSC asks secret keys for it too.
            CKA_EXTRACTABLE | CKA_WRAP_WITH_TRUSTED | CKA_ALWAYS_AUTHENTICATE => flag(false),
            CKA_ALWAYS_SENSITIVE => flag(self.is_local()),
            CKA_NEVER_EXTRACTABLE => {
                flag(self.is_local() && self.sobject.never_exportable.unwrap_or_else(|| !self.allows(KeyOperation::Export)))
            }
            _ => Answer::Missing,
        }
    }

    fn public_number(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match (kind, self.kind, &self.sobject.pub_key) {
            // The usual ones without parsing the key.
            (CKA_EC_PARAMS, Some(KeyKind::Ec(curve)), _) => bytes(curve.oid_der()),
            (CKA_PUBLIC_KEY_INFO, _, Some(spki)) if self.part != Part::Secret => bytes(spki.as_ref()),
            _ => {
                self.public().and_then(|key| LocalKey::public_number(key, kind)).map_or(Answer::Missing, |n| Answer::Value(Value::Owned(n)))
            }
        }
    }

    fn unique_id(&self) -> String {
        let half = match self.part {
            Part::Secret => "secret",
            Part::Private => "private",
            Part::Public => "public",
        };
        format!("{}/{half}", self.kid)
    }

    fn allows(&self, operation: KeyOperation) -> bool {
        KeyOperations::contains(self.sobject.key_ops, operation)
    }

    fn is_rsa(&self) -> bool {
        self.kind == Some(KeyKind::Rsa)
    }

    fn agrees(&self) -> bool {
        matches!(self.kind, Some(KeyKind::Ec(_) | KeyKind::X25519))
    }

    fn is_local(&self) -> bool {
        self.sobject.origin == ObjectOrigin::FortanixHSM
    }

    fn generated_by(&self) -> CK_MECHANISM_TYPE {
        self.kind.map_or(CK_UNAVAILABLE_INFORMATION, |kind| match kind {
            KeyKind::Aes => CKM_AES_KEY_GEN,
            KeyKind::ChaCha20 => CKM_CHACHA20_KEY_GEN,
            KeyKind::Des3 => CKM_DES3_KEY_GEN,
            KeyKind::Secret(_) => CKM_GENERIC_SECRET_KEY_GEN,
            KeyKind::Rsa => CKM_RSA_PKCS_KEY_PAIR_GEN,
            KeyKind::Ec(_) => CKM_EC_KEY_PAIR_GEN,
            KeyKind::Ed25519 => CKM_EC_EDWARDS_KEY_PAIR_GEN,
            KeyKind::X25519 => CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
            KeyKind::MlDsa(_) => CKM_ML_DSA_KEY_PAIR_GEN,
            KeyKind::MlKem(_) => CKM_ML_KEM_KEY_PAIR_GEN,
        })
    }
}

const fn flag(value: bool) -> Answer<'static> {
    Answer::Value(Value::Flag(if value { CK_TRUE } else { CK_FALSE }))
}

const fn number(value: CK_ULONG) -> Answer<'static> {
    Answer::Value(Value::Number(value.to_ne_bytes()))
}

const fn bytes(value: &[u8]) -> Answer<'_> {
    Answer::Value(Value::Bytes(value))
}

/// `CK_DATE` is `YYYYMMDD`, as DSM's own form begins; empty where there is none.
fn date(time: Option<Time>) -> Answer<'static> {
    let digits = time.and_then(|time| time.to_string().as_bytes().first_chunk::<8>().copied());
    digits.map_or(bytes(&[]), |digits| Answer::Value(Value::Date(digits)))
}

/// The first three bytes of DSM's key check value, which is the standard's for AES and DES keys.
fn check_value(kcv: &str) -> Option<Value<'static>> {
    let mut bytes = [0; 3];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(kcv.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(Value::KeyCheck(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_eight_digits_or_nothing() {
        let Answer::Value(some) = date(Some(Time(1_584_235_425))) else { panic!("a value expected") };
        assert_eq!(some.as_bytes(), b"20200315");
        let Answer::Value(none) = date(None) else { panic!("a value expected") };
        assert!(none.as_bytes().is_empty());
    }

    #[test]
    fn check_values_are_three_bytes_of_hex() {
        assert_eq!(check_value("A1B2C3").map(|value| value.as_bytes().to_vec()), Some(vec![0xa1, 0xb2, 0xc3]));
        assert!(check_value("A1B2").is_none());
        assert!(check_value("XYZXYZ").is_none());
    }
}
