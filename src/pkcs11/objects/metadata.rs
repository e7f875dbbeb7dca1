//! What PKCS#11 knows of an object and DSM has no field for: kept in the sobject's `custom_metadata`.
//!
//! `pkcs11_label` and `pkcs11_id` (base64) hold CKA_LABEL and CKA_ID of all objects of a sobject, as Fortanix's own library writes them.
//! `pkcs11_private`, `pkcs11_public` and `pkcs11_object` hold what else is set, and what differs between the halves of a pair: a JSON
//! object from names of attributes to base64. A public half that was destroyed, or never made, is `hidden`.

use std::collections::BTreeMap;

use cryptoki_sys::*;
use dsma_api::Sobject;

use super::dsm::Part;
use super::table;
use super::template::Attributes;

/// Key of CKA_LABEL.
const LABEL: &str = "pkcs11_label";
/// Key of CKA_ID.
const ID: &str = "pkcs11_id";
/// Member that says that the object is not shown.
const HIDDEN: &str = "hidden";

/// All metadata of a sobject.
pub(super) type Metadata = BTreeMap<String, String>;

/// What the metadata says of one object.
#[derive(Clone, Default)]
pub(super) struct Extra {
    /// Whether the object is hidden.
    pub(super) hidden: bool,
    /// The limits that it sets are not known.
    pub(super) unreadable: bool,
    /// Attributes.
    pub(super) attributes: Attributes,
}

impl Extra {
    /// Reads what there is of `part`; nothing where there is none, which is the usual case.
    pub(super) fn read(sobject: &Sobject, part: Part) -> Option<Self> {
        let text = sobject.custom_metadata.as_ref()?.get(key(part))?;
        let read = Self::parse(text, part);
        if read.is_none() {
            tracing::warn!(kid = ?sobject.kid, "metadata {} is not understood; the object is not shown", key(part));
        }
        Some(read.unwrap_or(Self { unreadable: true, ..Self::default() }))
    }

    /// `None` for what cannot be read. Anybody who may change the sobject writes here: what this library would not have written is left out.
    fn parse(text: &str, part: Part) -> Option<Self> {
        let members: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        let mut extra = Self { hidden: members.contains_key(HIDDEN), ..Self::default() };
        for (name, value) in &members {
            let Some(rule) = table::named(name) else { continue };
            let value = base64_simd::STANDARD.decode_to_vec(value).ok().filter(|value| rule.form.holds(value))?;
            // A SECRET that is a key says so, of whatever type.
            let says_key = rule.kind == CKA_KEY_TYPE && part == Part::Secret;
            if keeps(rule.kind, &value, part) || is_own(rule.kind, &value) || says_key {
                extra.attributes.set(rule.kind, &value);
            }
        }
        Some(extra)
    }

    /// Writes it into the metadata.
    pub(super) fn write(&self, part: Part, metadata: &mut Metadata) {
        let mut members = BTreeMap::new();
        if self.hidden {
            members.insert(HIDDEN.to_owned(), String::new());
        }
        for (kind, value) in self.attributes.iter() {
            if let Some(rule) = table::any(kind) {
                members.insert(rule.name.to_owned(), base64_simd::STANDARD.encode_to_string(value));
            }
        }
        match serde_json::to_string(&members) {
            Ok(text) if !members.is_empty() => metadata.insert(key(part).to_owned(), text),
            _ => metadata.remove(key(part)),
        };
    }
}

/// CKA_LABEL of all objects of the sobject.
pub(super) fn label(sobject: &Sobject) -> Option<&str> {
    sobject.custom_metadata.as_ref()?.get(LABEL).map(String::as_str)
}

/// Sets it.
pub(super) fn set_label(metadata: &mut Metadata, label: &[u8]) {
    metadata.insert(LABEL.to_owned(), String::from_utf8_lossy(label).into_owned());
}

/// CKA_ID of all objects of the sobject. An id that is not base64, or empty, is as good as none: searches by id could not name it.
pub(super) fn id(sobject: &Sobject) -> Option<Box<[u8]>> {
    let text = sobject.custom_metadata.as_ref()?.get(ID)?;
    base64_simd::STANDARD.decode_to_vec(text).ok().filter(|id| !id.is_empty()).map(Vec::into_boxed_slice)
}

/// Sets it; an empty one gives the kid its place back.
pub(super) fn set_id(metadata: &mut Metadata, id: &[u8]) {
    if id.is_empty() {
        metadata.remove(ID);
    } else {
        metadata.insert(ID.to_owned(), base64_simd::STANDARD.encode_to_string(id));
    }
}

/// Whether the attribute has a place in metadata, with this value on this object: neither a field of DSM's nor what is so anyway.
pub(super) fn keeps(kind: CK_ATTRIBUTE_TYPE, value: &[u8], part: Part) -> bool {
    let is_true = value == [CK_TRUE];
    match kind {
        CKA_PRIVATE => is_true != part.is_private(),
        CKA_MODIFIABLE | CKA_DESTROYABLE | CKA_SIGN_RECOVER | CKA_VERIFY_RECOVER => !is_true,
        CKA_WRAP_WITH_TRUSTED | CKA_ALWAYS_AUTHENTICATE | CKA_TRUSTED | CKA_EXTRACTABLE => is_true,
        // The others of the four are told by DSM, or by these.
        CKA_SENSITIVE => !is_true,
        CKA_SUBJECT if part == Part::Certificate => false,
        CKA_WRAP_TEMPLATE | CKA_UNWRAP_TEMPLATE | CKA_DERIVE_TEMPLATE | CKA_ENCAPSULATE_TEMPLATE | CKA_DECAPSULATE_TEMPLATE => {
            !value.is_empty()
        }
        CKA_START_DATE | CKA_END_DATE | CKA_SUBJECT | CKA_APPLICATION | CKA_OBJECT_ID | CKA_URL => !value.is_empty(),
        CKA_HASH_OF_SUBJECT_PUBLIC_KEY | CKA_HASH_OF_ISSUER_PUBLIC_KEY => !value.is_empty(),
        CKA_CERTIFICATE_CATEGORY | CKA_JAVA_MIDP_SECURITY_DOMAIN => value != [0; size_of::<CK_ULONG>()],
        CKA_NAME_HASH_ALGORITHM => value != CKM_SHA_1.to_ne_bytes(),
        // Of data: DSM keeps no empty value.
        CKA_VALUE => part == Part::Data && value.is_empty(),
        CKA_ALLOWED_MECHANISMS => true,
        CKA_KEY_TYPE => part == Part::Secret && value != CKK_GENERIC_SECRET.to_ne_bytes(),
        _ => false,
    }
}

/// What is written besides: a label or id that sets a half apart, that the key was once open to readers, and that DSM made it of
/// another.
const fn is_own(kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> bool {
    match kind {
        CKA_LABEL | CKA_ID => true,
        CKA_ALWAYS_SENSITIVE | CKA_NEVER_EXTRACTABLE | CKA_LOCAL => matches!(value, [CK_FALSE]),
        _ => false,
    }
}

const fn key(part: Part) -> &'static str {
    match part {
        Part::Private => "pkcs11_private",
        Part::Public => "pkcs11_public",
        Part::Secret | Part::Certificate | Part::Generated | Part::Data => "pkcs11_object",
    }
}
