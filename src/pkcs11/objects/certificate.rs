//! Certificate objects (section 4.6): X.509 alone.

use cryptoki_sys::*;
use dsma_crypto::digest::Hash;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::template::Attributes;
use crate::pkcs11::{Error, Result};

/// What a certificate tells of itself, each in DER.
pub(in crate::pkcs11) struct Facts {
    /// CKA_SUBJECT.
    pub(in crate::pkcs11) subject: Vec<u8>,
    /// CKA_ISSUER.
    pub(in crate::pkcs11) issuer: Vec<u8>,
    /// CKA_SERIAL_NUMBER.
    pub(in crate::pkcs11) serial: Vec<u8>,
    /// CKA_PUBLIC_KEY_INFO.
    pub(in crate::pkcs11) public_key: Vec<u8>,
}

impl Facts {
    /// Reads a certificate without verifying it; `None` where it is none.
    pub(in crate::pkcs11) fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        Some(Self {
            subject: body.subject().to_der().ok()?,
            issuer: body.issuer().to_der().ok()?,
            serial: body.serial_number().to_der().ok()?,
            public_key: body.subject_public_key_info().to_der().ok()?,
        })
    }
}

/// CKA_CHECK_VALUE of a certificate: the first three bytes of its SHA-1 digest.
pub(in crate::pkcs11) fn check_value(der: &[u8]) -> [u8; 3] {
    let digest = Hash::Sha1.digest(der);
    [digest.as_ref()[0], digest.as_ref()[1], digest.as_ref()[2]]
}

/// Sets what a template leaves out. CKA_SUBJECT may be left out against the letter: the certificate has it.
///
/// # Errors
/// [`Error::TemplateIncomplete`] without type or content, [`Error::AttributeValueInvalid`] for another type than X.509 and for a content
/// that is no certificate, [`Error::TemplateInconsistent`] where both contradict.
pub(super) fn complete(attributes: &mut Attributes) -> Result {
    match attributes.number(CKA_CERTIFICATE_TYPE) {
        Some(CKC_X_509) => {}
        Some(_) => return Err(Error::AttributeValueInvalid),
        None => return Err(Error::TemplateIncomplete),
    }
    let value = attributes.get(CKA_VALUE).filter(|value| !value.is_empty()).ok_or(Error::TemplateIncomplete)?.to_vec();
    let facts = Facts::read(&value).ok_or(Error::AttributeValueInvalid)?;
    let check = check_value(&value);
    if attributes.get(CKA_CHECK_VALUE).is_some_and(|given| !given.is_empty() && given != check) {
        return Err(Error::AttributeValueInvalid);
    }
    if attributes.get(CKA_SUBJECT).is_some_and(|given| given != facts.subject) {
        return Err(Error::TemplateInconsistent);
    }
    attributes.set_default(CKA_CHECK_VALUE, &check);
    for (attribute, value) in [
        (CKA_SUBJECT, facts.subject),
        (CKA_ISSUER, facts.issuer),
        (CKA_SERIAL_NUMBER, facts.serial),
        (CKA_PUBLIC_KEY_INFO, facts.public_key),
        (CKA_URL, Vec::new()),
        (CKA_HASH_OF_SUBJECT_PUBLIC_KEY, Vec::new()),
        (CKA_HASH_OF_ISSUER_PUBLIC_KEY, Vec::new()),
        (CKA_ID, Vec::new()),
        (CKA_START_DATE, Vec::new()),
        (CKA_END_DATE, Vec::new()),
    ] {
        attributes.set_default(attribute, &value);
    }
    attributes.set_default_flag(CKA_TRUSTED, false);
    for (attribute, value) in [
        (CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_UNSPECIFIED),
        (CKA_JAVA_MIDP_SECURITY_DOMAIN, CK_SECURITY_DOMAIN_UNSPECIFIED),
        (CKA_NAME_HASH_ALGORITHM, CKM_SHA_1),
    ] {
        attributes.set_default(attribute, &value.to_ne_bytes());
    }
    Ok(())
}
