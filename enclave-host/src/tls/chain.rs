//! A certificate chain as an operator uploads it: leaf, intermediates, root. Checked whole before anything is kept of it.
//!
//! Order, CA flags and key usage are looked at here, one certificate at a time, so that a refusal can say which one is wrong; signatures,
//! path length, name constraints and extended key usage are rustls' own check (`webpki`), the one that Rust clients make.

use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{self, BasicConstraints};
use x509_cert::time::Time;

/// Leaf, six intermediates (as many as `webpki` follows) and root.
const MAX_CHAIN: usize = 8;

/// Why a chain is not taken. Certificates are counted from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("No certificate was given; send the chain in the order leaf, intermediates, root")]
    Empty,
    #[error(
        "{0} certificates were given, and a chain has at most {MAX_CHAIN}; send the leaf, its intermediates and the root, and no others"
    )]
    TooMany(usize),
    #[error("Certificate {0} is not an X.509 certificate in DER: {1}; send base64 of the DER, without PEM guards and newlines")]
    Garbage(usize, String),
    #[error("Certificate 1 is for another key than the service's TLS key; have the CA sign a certificate request of this service")]
    OtherKey,
    #[error("Certificate {0} is the one for the TLS key, and it is not the first; send the chain in the order leaf, intermediates, root")]
    LeafNotFirst(usize),
    #[error("Certificate 1 is a CA's certificate; have the CA sign the certificate request as a server's certificate")]
    LeafIsCa,
    #[error(
        "Certificate {0} was issued by {1}, but certificate {next} is of {2}; send the chain in the order leaf, intermediates, root, and leave none out",
        next = .0 + 1
    )]
    OutOfOrder(usize, String, String),
    #[error("The chain ends with certificate {0}, which was issued by {1}; add the certificates up to the self-signed root")]
    NoRoot(usize, String),
    #[error("Certificate {0} is not a CA's certificate, but stands for an issuer; send the certificates of the CAs that issued the others")]
    NotCa(usize),
    #[error("Certificate 1 does not allow digital signatures, which TLS needs; have the CA issue one for TLS servers")]
    NotForSignatures,
    #[error("Certificate {0} expired at {1}; send one that is valid")]
    Expired(usize, String),
    #[error("Certificate {0} is not valid before {1}; send it then, or check the clock of this machine")]
    NotYetValid(usize, String),
    #[error("The signature of certificate {0} was not made by certificate {next}; send the certificate of the CA that issued it", next = .0 + 1)]
    BadSignature(usize),
    #[error("Clients would refuse certificate {0}: {1}; have the CA issue another one for TLS servers")]
    Refused(usize, webpki::Error),
}

/// Checks a chain for the key `spki` at `now`.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn check(chain: &[CertificateDer<'_>], spki: &[u8], now: SystemTime) -> Result<(), ChainError> {
    if chain.len() > MAX_CHAIN {
        return Err(ChainError::TooMany(chain.len()));
    }
    let parsed = chain.iter().enumerate().map(|(at, der)| parse(at, der)).collect::<Result<Vec<_>, _>>()?;
    let leaf = parsed.first().ok_or(ChainError::Empty)?;
    if !is_for(leaf, spki) {
        return Err(match parsed.iter().position(|other| is_for(other, spki)) {
            Some(at) => ChainError::LeafNotFirst(at + 1),
            None => ChainError::OtherKey,
        });
    }
    in_order(&parsed)?;
    roles(&parsed)?;
    for (at, certificate) in parsed.iter().enumerate() {
        dates(at, certificate, now)?;
    }
    signatures(chain, now)
}

/// Picks the chain of `spki` out of certificates in any order, newest first where several would do: its leaf, then issuer by issuer as
/// far as there are any. Gives positions in `certificates`; empty where there is no leaf.
///
/// Only names are followed: what lies in DSM was checked when it was uploaded, and clients check again.
pub(super) fn pick(certificates: &[CertificateDer<'_>], spki: &[u8]) -> Vec<usize> {
    let parsed: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).ok()).collect();
    let find = |wanted: &dyn Fn(&Certificate) -> bool| parsed.iter().position(|found| found.as_ref().is_some_and(wanted));
    let mut chain = Vec::new();
    let mut next = find(&|certificate| is_for(certificate, spki));
    while let Some(at) = next
        && chain.len() < MAX_CHAIN
        && !chain.contains(&at)
    {
        chain.push(at);
        next = parsed[at].as_ref().filter(|last| !is_self_issued(last)).and_then(|last| {
            let issuer = last.tbs_certificate().issuer();
            find(&|certificate| certificate.tbs_certificate().subject() == issuer)
        });
    }
    chain
}

/// When the certificate ends, and whether it is valid at `now`.
pub(super) fn validity(der: &CertificateDer<'_>, now: SystemTime) -> (String, bool) {
    match Certificate::from_der(der) {
        Ok(certificate) => (shown(&certificate.tbs_certificate().validity().not_after), dates(0, &certificate, now).is_ok()),
        Err(_) => ("an unknown time".to_owned(), false),
    }
}

fn parse(at: usize, der: &CertificateDer<'_>) -> Result<Certificate, ChainError> {
    Certificate::from_der(der).map_err(|error| ChainError::Garbage(at + 1, error.to_string()))
}

fn is_for(certificate: &Certificate, spki: &[u8]) -> bool {
    certificate.tbs_certificate().subject_public_key_info().to_der().is_ok_and(|der| der == spki)
}

fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject()
}

fn in_order(chain: &[Certificate]) -> Result<(), ChainError> {
    for (at, pair) in chain.windows(2).enumerate() {
        let (issuer, subject) = (pair[0].tbs_certificate().issuer(), pair[1].tbs_certificate().subject());
        if issuer != subject {
            return Err(ChainError::OutOfOrder(at + 1, issuer.to_string(), subject.to_string()));
        }
    }
    match chain.last() {
        Some(last) if !is_self_issued(last) => Err(ChainError::NoRoot(chain.len(), last.tbs_certificate().issuer().to_string())),
        _ => Ok(()),
    }
}

/// The leaf is no CA and may sign; all others are CAs and may sign certificates (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
fn roles(chain: &[Certificate]) -> Result<(), ChainError> {
    for (at, certificate) in chain.iter().enumerate() {
        let tbs = certificate.tbs_certificate();
        let unreadable = |error: x509_cert::der::Error| ChainError::Garbage(at + 1, error.to_string());
        let constraints = tbs.get_extension::<BasicConstraints>().map_err(unreadable)?;
        let usage = tbs.get_extension::<pkix::KeyUsage>().map_err(unreadable)?.map(|(_, usage)| usage);
        let is_ca = constraints.is_some_and(|(_, constraints)| constraints.ca);
        if at == 0 {
            if is_ca {
                return Err(ChainError::LeafIsCa);
            }
            if usage.is_some_and(|usage| !usage.digital_signature()) {
                return Err(ChainError::NotForSignatures);
            }
            continue;
        }
        // Old roots are of version 1, which has no extensions.
        let old_root = at + 1 == chain.len() && tbs.version() == Version::V1;
        if !(is_ca || old_root) || usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(ChainError::NotCa(at + 1));
        }
    }
    Ok(())
}

fn dates(at: usize, certificate: &Certificate, now: SystemTime) -> Result<(), ChainError> {
    let validity = certificate.tbs_certificate().validity();
    if now < validity.not_before.to_system_time() {
        return Err(ChainError::NotYetValid(at + 1, shown(&validity.not_before)));
    }
    if now > validity.not_after.to_system_time() {
        return Err(ChainError::Expired(at + 1, shown(&validity.not_after)));
    }
    Ok(())
}

/// Each certificate by the next. The root's signature of itself proves nothing, and old roots sign with SHA-1: it is not looked at.
fn signatures(chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), ChainError> {
    let Some(leaf) = chain.first() else { return Err(ChainError::Empty) };
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let algorithms = default_provider().signature_verification_algorithms.all;
    let anchored = |at: usize| -> Result<(), webpki::Error> {
        // A leaf that issued itself stands for its own root.
        let anchor = anchor_from_trusted_cert(chain.get(at + 1).unwrap_or(leaf))?;
        let (time, usage) = (UnixTime::since_unix_epoch(since_epoch), KeyUsage::server_auth());
        let intermediates = chain.get(1..=at).unwrap_or_default();
        EndEntityCert::try_from(leaf)?.verify_for_usage(algorithms, &[anchor], intermediates, time, usage, None, None).map(drop)
    };
    // Step by step up the chain, so that a failure has a place.
    for at in 0..chain.len().saturating_sub(1).max(1) {
        anchored(at).map_err(|error| match error {
            webpki::Error::InvalidSignatureForPublicKey | webpki::Error::UnknownIssuer => ChainError::BadSignature(at + 1),
            error => ChainError::Refused(at + 1, error),
        })?;
    }
    Ok(())
}

fn shown(time: &Time) -> String {
    time.to_date_time().to_string()
}

#[cfg(test)]
mod tests;
