//! Which certificates of a trusted CA are the app's: its subjects, against the certificate's subject and its alternative names.

use std::net::IpAddr;

use base64_simd::STANDARD;
use dsma_api::{ApiError, SubjectGeneral, TrustedCa};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// At least one of the app's subjects is in the certificate.
///
/// # Errors
/// 401 that shows what the certificate is for.
pub(super) fn need_one(leaf: &Certificate, trusted: &TrustedCa) -> Result<(), ApiError> {
    let names = Names::of(leaf).ok_or_else(|| ApiError::unauthorized("The client certificate's alternative names cannot be read"))?;
    if rules(trusted).any(|rule| names.hold(&rule)) {
        return Ok(());
    }
    let seen = names.to_string();
    Err(ApiError::unauthorized(format!(
        "The client certificate is not for this app: none of the app's subjects is in it. It is for {seen}"
    )))
}

/// Checks what can be said of subjects without a certificate.
///
/// # Errors
/// 400 for an object identifier that is none.
pub(in crate::dsm) fn check(trusted: &TrustedCa) -> Result<(), ApiError> {
    for rule in rules(trusted) {
        if let SubjectGeneral::DirectoryName(pairs) = rule
            && let Some((oid, _)) = pairs.iter().find(|(oid, _)| ObjectIdentifier::new(oid).is_err())
        {
            let text = format!("Invalid credential: `{oid}` in a subject is no object identifier such as 2.5.4.3");
            return Err(ApiError::bad_request(text));
        }
    }
    Ok(())
}

/// The three spellings are one: `subject` is a directory name.
fn rules(trusted: &TrustedCa) -> impl Iterator<Item = SubjectGeneral> {
    let legacy = trusted.subject.iter().cloned().map(SubjectGeneral::DirectoryName);
    legacy.chain(trusted.subject_general.iter().cloned()).chain(trusted.subjects.iter().flatten().cloned())
}

/// What a certificate is for.
struct Names<'a> {
    subject: &'a Name,
    alternatives: Vec<GeneralName>,
}

impl<'a> Names<'a> {
    /// `None` where an extension cannot be read.
    fn of(leaf: &'a Certificate) -> Option<Self> {
        let tbs = leaf.tbs_certificate();
        let alternatives = tbs.get_extension::<SubjectAltName>().ok()?.map(|(_, names)| names.0).unwrap_or_default();
        Some(Self { subject: tbs.subject(), alternatives })
    }

    fn hold(&self, rule: &SubjectGeneral) -> bool {
        match rule {
            SubjectGeneral::DirectoryName(pairs) => {
                let alternatives = self.alternatives.iter().filter_map(|name| match name {
                    GeneralName::DirectoryName(name) => Some(name),
                    _ => None,
                });
                std::iter::once(self.subject).chain(alternatives).any(|name| equals(name, pairs))
            }
            // A name is itself: a certificate for `*.example` is for no one host.
            SubjectGeneral::DnsName(wanted) => self.alternatives.iter().any(|name| match name {
                GeneralName::DnsName(name) => name.as_str().eq_ignore_ascii_case(wanted),
                _ => false,
            }),
            SubjectGeneral::IpAddress(wanted) => self.alternatives.iter().any(|name| match (name, wanted) {
                (GeneralName::IpAddress(bytes), IpAddr::V4(wanted)) => bytes.as_bytes() == wanted.octets(),
                (GeneralName::IpAddress(bytes), IpAddr::V6(wanted)) => bytes.as_bytes() == wanted.octets(),
                _ => false,
            }),
        }
    }
}

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.alternatives.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            GeneralName::DirectoryName(name) => Some(format!("\"{name}\"")),
            GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
                bytes if bytes.len() == 4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_string()),
                bytes => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_string()),
            },
            _ => None,
        });
        let all: Vec<String> = std::iter::once(format!("\"{}\"", self.subject)).chain(shown).collect();
        // It comes from outside.
        let text: String = all.join(", ").chars().filter(|c| !c.is_control()).take(300).collect();
        f.write_str(&text)
    }
}

/// Whether the name consists of just these attributes, in this order.
fn equals(name: &Name, pairs: &[(String, String)]) -> bool {
    name.len() == pairs.len() && name.iter().zip(pairs).all(|(attribute, (oid, value))| is(attribute, oid, value))
}

/// A value is given as its text, or, as the OpenAPI has it, as its DER; in base64, because JSON has no bytes.
fn is(attribute: &AttributeTypeAndValue, oid: &str, value: &str) -> bool {
    if ObjectIdentifier::new(oid) != Ok(attribute.oid) {
        return false;
    }
    let found = &attribute.value;
    let text = matches!(found.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString)
        && found.value() == value.as_bytes();
    text || found.to_der().is_ok_and(|der| STANDARD.encode_to_string(der) == value)
}
