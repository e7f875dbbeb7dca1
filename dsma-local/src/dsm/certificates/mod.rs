//! Login with the certificate of the connection: `Certificate` apps, which store the certificate itself, and `TrustedCa` apps, which
//! store who certifies them.
//!
//! The handshake has proved that the client holds the certificate's private key, and nothing else.

mod chain;
mod subjects;

use std::fmt;

use dsma_api::{ApiError, Credential, Time};
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Validity;

pub(super) use self::subjects::check as check_subjects;
use super::authentication::wrong;
use super::call::Call;
use super::credentials::{self, CERTIFICATE};
use crate::serve::Service;
use crate::store::AppRow;

/// Lets the client pass as this app.
///
/// # Errors
/// 401 that tells what is missing, or what the certificate is not.
pub(super) fn check(call: &Call, row: &AppRow) -> Result<(), ApiError> {
    let leaf = presented(call)?;
    let credential = call.dsm.store.app_secret(row.app.app_id)?.ok_or_else(wrong)?;
    match credentials::shown(row.app.auth_type.as_deref(), &credential)? {
        Credential::Certificate(stored) if stored.0 == leaf.as_ref() => in_force(&stored.0),
        Credential::Certificate(_) => Err(ApiError::unauthorized("The client certificate is not the one that is stored for this app")),
        Credential::TrustedCa(trusted) => {
            chain::verify(&call.peer.certificates, &trusted, Time::now())?;
            subjects::need_one(&parse(leaf).map_err(unreadable)?, &trusted)
        }
        Credential::Secret(_) => Err(wrong()),
    }
}

/// The `Certificate` app that the client's certificate is stored for, of whatever account.
///
/// # Errors
/// 401 where it is stored for none, or for several.
pub(super) fn identify(call: &Call) -> Result<AppRow, ApiError> {
    let leaf = presented(call)?;
    let store = &call.dsm.store;
    let mut found = None;
    for row in store.any_apps_with_certificate(not_after(&parse(leaf).map_err(unreadable)?))? {
        let credential = store.app_secret(row.app.app_id)?.ok_or_else(wrong)?;
        match credentials::shown(Some(CERTIFICATE), &credential)? {
            Credential::Certificate(stored) if stored.0 == leaf.as_ref() => {}
            _ => continue,
        }
        if found.replace(row).is_some() {
            return Err(ApiError::unauthorized(format!("The client certificate is stored for several apps: {NAME_IT}")));
        }
    }
    let row = found.ok_or_else(|| {
        ApiError::unauthorized(format!("The client certificate is stored for no app. Where the app trusts the certificate's CA, {NAME_IT}"))
    })?;
    in_force(leaf)?;
    Ok(row)
}

/// A certificate in DER.
///
/// # Errors
/// The parser's.
pub(super) fn parse(der: &[u8]) -> Result<Certificate, impl fmt::Display + use<>> {
    Certificate::from_der(der)
}

/// The last moment of a certificate.
pub(super) fn not_after(certificate: &Certificate) -> Time {
    end(certificate.tbs_certificate().validity())
}

const NAME_IT: &str = "name the app with `Authorization: Basic base64(\"<app id>:\")`";

/// The leaf of what the client presented.
fn presented(call: &Call) -> Result<&CertificateDer<'static>, ApiError> {
    if let Some(leaf) = call.peer.certificates.first() {
        return Ok(leaf);
    }
    Err(ApiError::unauthorized(match (call.peer.service, call.dsm.settings.ports) {
        (Service::Dsm, Some(ports)) => {
            let apps = ports.endpoint(Service::Apps);
            format!("This app authenticates with a certificate, and this endpoint asks for none: use {apps} instead")
        }
        _ => "This app authenticates with a certificate, and the client presented none: configure its certificate and private key".into(),
    }))
}

/// Refuses a certificate outside of its dates.
fn in_force(der: &[u8]) -> Result<(), ApiError> {
    let certificate = parse(der).map_err(unreadable)?;
    let (validity, now) = (certificate.tbs_certificate().validity(), Time::now());
    if now < begin(validity) {
        return Err(too_early(begin(validity)));
    }
    if now > end(validity) {
        return Err(expired(end(validity)));
    }
    Ok(())
}

fn begin(validity: &Validity) -> Time {
    seconds(validity.not_before)
}

fn end(validity: &Validity) -> Time {
    seconds(validity.not_after)
}

fn seconds(time: x509_cert::time::Time) -> Time {
    Time(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

fn expired(at: Time) -> ApiError {
    ApiError::unauthorized(format!("The client certificate expired at {at}: get a new one"))
}

fn too_early(from: Time) -> ApiError {
    ApiError::unauthorized(format!("The client certificate is not valid before {from}: check the clocks"))
}

fn unreadable(error: impl fmt::Display) -> ApiError {
    ApiError::unauthorized(format!("The client certificate cannot be read: {error}"))
}
