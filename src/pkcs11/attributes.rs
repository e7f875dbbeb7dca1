//! What an object answers for each attribute (section 4 of the standard): computed from the sobject, never from the network.

use cryptoki_sys::*;
use dsma_api::{KeyOperation, KeyOperations, ObjectOrigin, ObjectType, Time};
use zeroize::Zeroizing;

use super::ffi::is_array;
use super::keygen;
use super::objects::{DsmObject, Facts, Form, KeyKind, Part, Readable, SECRET_VALUE, certificate_check_value, table, usage};

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
    /// Any attribute: what its metadata sets, else what the sobject tells. CKA_ALLOWED_MECHANISMS is absent where nobody set it, which
    /// means "all": an empty list would mean "none".
    pub(in crate::pkcs11) fn attribute(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        let Some(rule) = table::find(kind, self.class(), self.kind) else { return self.beyond_the_letter(kind) };
        if rule.has(SECRET_VALUE) {
            return match self.readable() {
                Some(Readable::Key(key)) => key.secret_number(kind).map_or(Answer::Missing, |number| Answer::Value(Value::Secret(number))),
                _ => Answer::Sensitive,
            };
        }
        if let (Some(key), true) = (self.kind, usage::is_usage(kind)) {
            let forbidden = usage::wider(kind).is_some() && self.kept_flag(kind) == Some(false);
            return flag(!forbidden && usage::operation(self.class(), key, kind).is_some_and(|operation| self.allows(operation)));
        }
        if matches!(kind, CKA_SENSITIVE | CKA_EXTRACTABLE) && !self.engine().config().allow_plaintext {
            return self.told(kind);
        }
        match self.extra().and_then(|extra| extra.get(kind)) {
            Some(&[value]) if rule.form == Form::Flag => flag(value == CK_TRUE),
            Some(value) if !matches!(kind, CKA_LABEL | CKA_ID) => bytes(value),
            _ => self.told(kind),
        }
    }

    /// What the sobject tells, or the standard's default.
    fn told(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_CLASS => number(self.class()),
            // Nothing of a certificate that is made here is kept.
            CKA_MODIFIABLE => flag(self.part != Part::Generated),
            CKA_TOKEN | CKA_DESTROYABLE => flag(true),
            CKA_PRIVATE => flag(self.is_private()),
            // A copy of a key in a session would show twice in lookups (and OpenSSL's pkcs11-provider makes one where it may).
            CKA_COPYABLE => flag(false),
            CKA_LABEL => bytes(self.label().as_bytes()),
            CKA_UNIQUE_ID => Answer::Value(Value::Text(self.unique_id())),
            CKA_KEY_TYPE => self.kind.map_or(Answer::Missing, |kind| number(self.secret_type(kind))),
            CKA_ID => bytes(self.id()),
            // DSM activates a key when it is made: nobody chose that date.
            // Those of a certificate are the application's to give; those of its sobject are others.
            CKA_START_DATE | CKA_END_DATE if self.class() == CKO_CERTIFICATE => bytes(&[]),
            CKA_START_DATE => date(self.sobject.activation_date.filter(|start| *start != self.sobject.created_at)),
            CKA_END_DATE => date(self.sobject.deactivation_date),
            CKA_LOCAL => flag(self.is_local()),
            CKA_KEY_GEN_MECHANISM => number(if self.is_local() { self.generated_by() } else { CK_UNAVAILABLE_INFORMATION }),
            CKA_TRUSTED | CKA_WRAP_WITH_TRUSTED | CKA_ALWAYS_AUTHENTICATE => flag(false),
            _ if is_array(kind) => bytes(&[]),
            // Token keys do not leave through this front, whatever DSM would export: what metadata says counts under `allow_plaintext` alone.
            CKA_SENSITIVE => flag(true),
            CKA_EXTRACTABLE => flag(false),
            CKA_ALWAYS_SENSITIVE => flag(self.is_local() && self.kept_flag(CKA_SENSITIVE) != Some(false)),
            CKA_NEVER_EXTRACTABLE => {
                let never = self.sobject.never_exportable.unwrap_or_else(|| !self.allows(KeyOperation::Export));
                flag(self.is_local() && never && self.kept_flag(CKA_EXTRACTABLE) != Some(true))
            }
            _ => match self.part {
                Part::Secret => self.secret_key_told(kind),
                Part::Private | Part::Public => self.pair_told(kind),
                Part::Certificate | Part::Generated => self.certificate_told(kind),
                Part::Data => self.data_told(kind),
            },
        }
    }

    /// Attributes that clients ask for although the standard gives them to other objects.
    fn beyond_the_letter(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match (kind, self.part) {
            // OpenSC asks secret keys for what only private keys have.
            (CKA_ALWAYS_AUTHENTICATE, Part::Secret) => flag(false),
            _ => Answer::Missing,
        }
    }

    /// Section 4.10.
    fn secret_key_told(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match kind {
            CKA_VALUE_LEN => self.value_len().map_or(Answer::Missing, |len| number(len as CK_ULONG)),
            CKA_CHECK_VALUE => self.sobject.kcv.as_deref().and_then(check_value).map_or(Answer::Missing, Answer::Value),
            _ => Answer::Missing,
        }
    }

    /// Sections 4.8 and 4.9; the public numbers on private keys too, because OpenSSL's pkcs11-provider and libp11 look for them there.
    fn pair_told(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match (kind, self.kind, &self.sobject.pub_key) {
            (CKA_SUBJECT, _, _) => bytes(&[]),
            // The usual ones without parsing the key.
            (CKA_EC_PARAMS, Some(KeyKind::Ec(curve)), _) => bytes(curve.oid_der()),
            (CKA_PUBLIC_KEY_INFO, _, Some(spki)) => bytes(spki.as_ref()),
            _ => self
                .public()
                .and_then(|key| key.shown_number(kind, self.engine().config().ec_point_encoding))
                .map_or(Answer::Missing, |number| Answer::Value(Value::Owned(number))),
        }
    }

    /// Section 4.6.
    fn certificate_told(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        let fact = |pick: fn(&Facts) -> &[u8]| self.facts().map_or(Answer::Missing, |facts| bytes(pick(facts)));
        match kind {
            CKA_CERTIFICATE_TYPE => number(CKC_X_509),
            CKA_URL | CKA_HASH_OF_SUBJECT_PUBLIC_KEY | CKA_HASH_OF_ISSUER_PUBLIC_KEY => bytes(&[]),
            CKA_NAME_HASH_ALGORITHM => number(CKM_SHA_1),
            CKA_JAVA_MIDP_SECURITY_DOMAIN => number(CK_SECURITY_DOMAIN_UNSPECIFIED),
            CKA_CERTIFICATE_CATEGORY if self.part == Part::Generated => number(CK_CERTIFICATE_CATEGORY_TOKEN_USER),
            CKA_CERTIFICATE_CATEGORY => number(CK_CERTIFICATE_CATEGORY_UNSPECIFIED),
            CKA_VALUE => self.certificate_der().map_or(Answer::Missing, bytes),
            CKA_SUBJECT => fact(|facts| &facts.subject),
            CKA_ISSUER => fact(|facts| &facts.issuer),
            CKA_SERIAL_NUMBER => fact(|facts| &facts.serial),
            CKA_PUBLIC_KEY_INFO => fact(|facts| &facts.public_key),
            CKA_CHECK_VALUE => match self.certificate_der() {
                Some(der) => Answer::Value(Value::KeyCheck(certificate_check_value(der))),
                None => Answer::Missing,
            },
            _ => Answer::Missing,
        }
    }

    /// Section 4.5.
    fn data_told(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer<'_> {
        match (kind, self.readable()) {
            (CKA_APPLICATION | CKA_OBJECT_ID, _) => bytes(&[]),
            (CKA_VALUE, Some(Readable::Data(value))) => bytes(value),
            (CKA_VALUE, None) if self.sobject.obj_type == ObjectType::Secret => Answer::Sensitive,
            (CKA_VALUE, _) => self.sobject.value.as_ref().map_or(Answer::Missing, |value| bytes(value.as_ref())),
            _ => Answer::Missing,
        }
    }

    /// What the metadata says, whether it is honoured here or not.
    fn kept_flag(&self, kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        self.extra().and_then(|extra| extra.flag(kind))
    }

    /// Whether an application may read the key: only where the configuration's `allow_plaintext` let it be made so.
    pub(in crate::pkcs11) fn is_readable(&self) -> bool {
        let is = |kind, value| matches!(self.attribute(kind), Answer::Value(Value::Flag(flag)) if flag == value);
        is(CKA_SENSITIVE, CK_FALSE) && is(CKA_EXTRACTABLE, CK_TRUE)
    }

    fn unique_id(&self) -> String {
        let part = match self.part {
            Part::Secret => "secret",
            Part::Private => "private",
            Part::Public => "public",
            Part::Certificate => "certificate",
            Part::Generated => "generated",
            Part::Data => "data",
        };
        format!("{}/{part}", self.kid)
    }

    fn allows(&self, operation: KeyOperation) -> bool {
        KeyOperations::contains(self.sobject.key_ops, operation)
    }

    fn is_local(&self) -> bool {
        // DSM made a derived key too, and its metadata says so.
        self.sobject.origin == ObjectOrigin::FortanixHSM && self.extra().and_then(|extra| extra.flag(CKA_LOCAL)) != Some(false)
    }

    fn generated_by(&self) -> CK_MECHANISM_TYPE {
        self.kind.and_then(|kind| keygen::generator(self.secret_type(kind))).unwrap_or(CK_UNAVAILABLE_INFORMATION)
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
