//! Login with the certificate of the connection: `Certificate` apps, which store the certificate itself.
//!
//! The handshake has proved that the client holds the certificate's private key, and nothing else.

use dsma_api::{ApiError, Credential};
use rustls::pki_types::CertificateDer;

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
    let app_id = row.app.app_id;
    let credential = call.dsm.store.app_secret(app_id)?.ok_or_else(wrong)?;
    match credentials::shown(row.app.auth_type.as_deref(), &credential)? {
        Credential::Certificate(stored) if stored.0 == leaf.as_ref() => Ok(()),
        Credential::Certificate(_) => Err(ApiError::unauthorized("The client certificate is not the one that is stored for this app")),
        _ => Err(ApiError::unauthorized("This app authenticates in a way that this version does not support")),
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
    for row in store.any_apps_by(CERTIFICATE)? {
        let credential = store.app_secret(row.app.app_id)?.ok_or_else(wrong)?;
        match credentials::shown(Some(CERTIFICATE), &credential)? {
            Credential::Certificate(stored) if stored.0 == leaf.as_ref() => {}
            _ => continue,
        }
        if found.replace(row).is_some() {
            let text = "The client certificate is stored for several apps: name one with `Authorization: Basic base64(\"<app id>:\")`";
            return Err(ApiError::unauthorized(text));
        }
    }
    found.ok_or_else(|| {
        let text = "The client certificate is stored for no app: an app with a trusted CA is named with \
                    `Authorization: Basic base64(\"<app id>:\")`";
        ApiError::unauthorized(text)
    })
}

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
