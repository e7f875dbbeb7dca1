//! The credential that a request gives an app: a secret, a certificate, or a CA with subjects.
//!
//! What a certificate is worth at login is judged in `certificates`.

use dsma_api::{ApiError, Blob, Credential, SubjectGeneral, Time, TrustedCa};
use serde_json::Value;
use zeroize::Zeroizing;

use super::certificates;
use super::secrets::new_secret;
use crate::error::Error;

/// `auth_type` of an app with a secret.
pub(super) const SECRET: &str = "Secret";
/// `auth_type` of an app with a certificate of its own.
pub(super) const CERTIFICATE: &str = "Certificate";
/// CA certificates and subjects of one app.
const MANY: usize = 16;

/// A credential as the store keeps it.
pub(super) struct Given {
    /// As apps show it.
    pub(super) auth_type: &'static str,
    /// A secret as it is, any other kind as JSON.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// When the certificate ends, or the last of the CA certificates.
    pub(super) not_after: Option<Time>,
}

/// The credential that a request gives; a secret of `size` bytes where it gives none.
///
/// # Errors
/// 400 for a kind that this version does not know, and for one that makes no sense.
pub(super) fn given(credential: Option<&Value>, size: Option<u32>) -> Result<Given, ApiError> {
    let kind = credential.and_then(|credential| credential.as_object()?.keys().next().map(String::as_str));
    let auth_type = match kind {
        Some("certificate") => CERTIFICATE,
        Some("trustedca") => "TrustedCa",
        _ => {
            let secret = new_secret(credential, size)?;
            return Ok(Given { auth_type: SECRET, bytes: Zeroizing::new(secret.as_bytes().to_vec()), not_after: None });
        }
    };
    let malformed = |error| ApiError::bad_request(format!("Invalid credential: {error}"));
    let credential: Credential = serde_json::from_value(credential.cloned().unwrap_or_default()).map_err(malformed)?;
    let not_after = check(&credential)?;
    let bytes = serde_json::to_vec(&credential).map_err(|error| ApiError::from(Error::Row(error)))?;
    Ok(Given { auth_type, bytes: Zeroizing::new(bytes), not_after })
}

/// What [`given`] kept, in the wire's form.
pub(super) fn shown(auth_type: Option<&str>, bytes: &[u8]) -> Result<Credential, ApiError> {
    match auth_type {
        None | Some(SECRET) => Ok(Credential::Secret(String::from_utf8_lossy(bytes).into_owned())),
        Some(_) => Ok(serde_json::from_slice(bytes).map_err(Error::Row)?),
    }
}

/// Says when it ends, where it does.
fn check(credential: &Credential) -> Result<Option<Time>, ApiError> {
    match credential {
        Credential::Secret(_) => Ok(None),
        Credential::Certificate(der) => end_of("the certificate", der).map(Some),
        Credential::TrustedCa(trusted) => check_trusted(trusted),
    }
}

fn check_trusted(trusted: &TrustedCa) -> Result<Option<Time>, ApiError> {
    let refuse = |text: &'static str| Err(ApiError::bad_request(text));
    let TrustedCa { ca_certificate, ca_certificates, subject, subject_general, subjects, check_revocation } = trusted;
    let certificates: Vec<_> = ca_certificate.iter().chain(ca_certificates.iter().flatten()).collect();
    if ca_certificate.is_some() == ca_certificates.is_some() || certificates.is_empty() || certificates.len() > MANY {
        return refuse("Invalid credential: `ca_certificate`, or 1 to 16 `ca_certificates`, are expected");
    }
    let spellings = [subject.is_some(), subject_general.is_some(), subjects.is_some()];
    let number = subjects.as_ref().map_or(1, Vec::len);
    if spellings.into_iter().filter(|given| *given).count() != 1 || number == 0 || number > MANY {
        return refuse("Invalid credential: `subject_general`, `subject`, or 1 to 16 `subjects`, are expected");
    }
    let empty = |subject: &SubjectGeneral| match subject {
        SubjectGeneral::DirectoryName(pairs) => pairs.is_empty(),
        SubjectGeneral::DnsName(name) => name.trim().is_empty(),
        SubjectGeneral::IpAddress(_) => false,
    };
    if subject_general.iter().chain(subjects.iter().flatten()).any(empty) || subject.as_ref().is_some_and(Vec::is_empty) {
        return refuse("Invalid credential: a subject is empty");
    }
    certificates::check_subjects(trusted)?;
    if *check_revocation == Some(true) {
        return refuse("Invalid credential: check_revocation, but this DSM knows no revocation lists: leave it out");
    }
    let ends = certificates.into_iter().map(|der| end_of("a CA certificate", der)).collect::<Result<Vec<_>, _>>()?;
    Ok(ends.into_iter().max())
}

fn end_of(what: &str, der: &Blob) -> Result<Time, ApiError> {
    let unreadable = |error| ApiError::bad_request(format!("Invalid credential: {what} cannot be read, X.509 in DER is expected: {error}"));
    certificates::parse(&der.0).map(|certificate| certificates::not_after(&certificate)).map_err(unreadable)
}
