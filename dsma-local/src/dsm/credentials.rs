//! The credential that a request gives an app: a secret, a certificate, or a CA with subjects.
//!
//! What a certificate is worth at login is judged in `certificates`.

use dsma_api::{ApiError, Credential, SubjectGeneral, TrustedCa};
use serde_json::Value;
use zeroize::Zeroizing;

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
            return Ok(Given { auth_type: SECRET, bytes: Zeroizing::new(secret.as_bytes().to_vec()) });
        }
    };
    let malformed = |error| ApiError::bad_request(format!("Invalid credential: {error}"));
    let credential: Credential = serde_json::from_value(credential.cloned().unwrap_or_default()).map_err(malformed)?;
    check(&credential)?;
    let bytes = serde_json::to_vec(&credential).map_err(|error| ApiError::from(Error::Row(error)))?;
    Ok(Given { auth_type, bytes: Zeroizing::new(bytes) })
}

/// What [`given`] kept, in the wire's form.
pub(super) fn shown(auth_type: Option<&str>, bytes: &[u8]) -> Result<Credential, ApiError> {
    match auth_type {
        None | Some(SECRET) => Ok(Credential::Secret(String::from_utf8_lossy(bytes).into_owned())),
        Some(_) => Ok(serde_json::from_slice(bytes).map_err(Error::Row)?),
    }
}

fn check(credential: &Credential) -> Result<(), ApiError> {
    let refuse = |text: &'static str| Err(ApiError::bad_request(text));
    match credential {
        Credential::Secret(_) => Ok(()),
        Credential::Certificate(der) if !is_sequence(&der.0) => refuse("Invalid credential: the certificate is no DER"),
        Credential::Certificate(_) => Ok(()),
        Credential::TrustedCa(TrustedCa { ca_certificate, ca_certificates, subject, subject_general, subjects, .. }) => {
            let certificates: Vec<_> = ca_certificate.iter().chain(ca_certificates.iter().flatten()).collect();
            if ca_certificate.is_some() == ca_certificates.is_some() || certificates.is_empty() || certificates.len() > MANY {
                return refuse("Invalid credential: `ca_certificate`, or 1 to 16 `ca_certificates`, are expected");
            }
            if !certificates.iter().all(|der| is_sequence(&der.0)) {
                return refuse("Invalid credential: a CA certificate is no DER");
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
            Ok(())
        }
    }
}

/// Whether the bytes are one DER SEQUENCE, which every certificate is. Login will look at the rest.
fn is_sequence(der: &[u8]) -> bool {
    let (length, head) = match der {
        [0x30, length @ 0..=0x7f, ..] => (usize::from(*length), 2),
        [0x30, 0x81, length, ..] => (usize::from(*length), 3),
        [0x30, 0x82, high, low, ..] => (usize::from(u16::from_be_bytes([*high, *low])), 4),
        _ => return false,
    };
    length > 0 && der.len() == head + length
}
