//! The way from a presented certificate to a CA that an app trusts (RFC 5280 section 6), walked by webpki.

use std::time::Duration;

use dsma_api::{ApiError, Blob, Time, TrustedCa};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{expired, not_after, parse, too_early, unreadable};

/// Checks signatures, dates, constraints and the purpose (client authentication, where the certificate limits it) of the chain, leaf
/// first, up to one of the app's CA certificates.
///
/// # Errors
/// 401 that tells what does not hold.
pub(super) fn verify(chain: &[CertificateDer<'static>], trusted: &TrustedCa, now: Time) -> Result<(), ApiError> {
    // Such an app cannot be made any more, and the promise must not be broken for an older one.
    if trusted.check_revocation == Some(true) {
        return Err(ApiError::unauthorized("This app checks revocation, and this DSM knows no revocation lists: no certificate can pass"));
    }
    let (leaf, intermediates) = chain.split_first().ok_or_else(|| unreadable("none was presented"))?;
    let cas: Vec<CertificateDer<'_>> = certificates(trusted).filter(|ca| lives(ca, now)).map(|ca| ca.0.as_slice().into()).collect();
    if cas.is_empty() {
        return Err(ApiError::unauthorized("Every CA certificate of this app has expired: give the app a new one"));
    }
    let anchors: Vec<TrustAnchor<'_>> = cas.iter().filter_map(|ca| anchor_from_trusted_cert(ca).ok()).collect();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.0).unwrap_or_default()));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let leaf = EndEntityCert::try_from(leaf).map_err(unreadable)?;
    let purpose = KeyUsage::client_auth();
    match leaf.verify_for_usage(algorithms.all, &anchors, intermediates, at, purpose, None, None) {
        Ok(_) => Ok(()),
        Err(webpki::Error::CertExpired { not_after, .. }) => Err(expired(moment(not_after))),
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => Err(too_early(moment(not_before))),
        Err(webpki::Error::UnknownIssuer) => Err(ApiError::unauthorized(
            "The client certificate was not issued by a CA that this app trusts: check `ca_certificates` of the app, and send the \
             intermediate certificates where there are any",
        )),
        Err(error) => Err(ApiError::unauthorized(format!("The client certificate does not hold: {error}"))),
    }
}

/// The CA certificates of the app.
fn certificates(trusted: &TrustedCa) -> impl Iterator<Item = &Blob> {
    trusted.ca_certificate.iter().chain(trusted.ca_certificates.iter().flatten())
}

/// webpki takes an anchor for what it is, whatever its dates.
fn lives(ca: &Blob, now: Time) -> bool {
    parse(&ca.0).is_ok_and(|ca| not_after(&ca) >= now)
}

fn moment(time: UnixTime) -> Time {
    Time(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
