//! The certificate chain of a document: from a pinned root down to the key that signed it.
//!
//! The names, times, path lengths and key usages are checked here, one certificate at a time, so that a refusal can name the one that
//! is wrong; then webpki checks the path as a whole, signatures and all. It does not look at key usage bits, so that rule is ours alone.
//! Revocation is not checked: AWS tells verifiers not to.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use webpki::{EndEntityCert, aws_lc_rs::ECDSA_P384_SHA384};
use x509_cert::Certificate;
use x509_cert::der::{Decode, oid::ObjectIdentifier};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use crate::roots::Root;
use crate::{Document, Error, Roots};

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Checks the chain at `now` and returns the leaf's public key, an uncompressed point of P-384.
pub(crate) fn verify(document: &Document, roots: &Roots, now: SystemTime) -> Result<Vec<u8>, Error> {
    let mut links = Vec::with_capacity(document.cabundle.len() + 1);
    for (place, der) in document.cabundle.iter().enumerate() {
        links.push(Link::parse(&format!("cabundle[{place}]"), der)?);
    }
    links.push(Link::parse("the signing certificate", &document.certificate)?);
    let root = pinned(&links[0], roots)?;
    for pair in links.windows(2) {
        pair[1].check_issuer(&pair[0])?;
    }
    for (place, link) in links.iter().enumerate() {
        link.check_time(now)?;
        // The leaf is no CA, so it does not count.
        match (links.len() - 1).checked_sub(place + 1) {
            Some(below) => link.check_ca(below)?,
            None => link.check_leaf()?,
        }
    }
    check_path(document, root, now)?;
    links[links.len() - 1].p384_point()
}

/// `2022-10-13T08:58:02Z`, or the number of seconds where the date is beyond what can be written.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{seconds} s after 1970"))
}

/// The embedded root names one of ours; it is never believed for itself.
fn pinned<'r>(first: &Link<'_>, roots: &'r Roots) -> Result<&'r Root, Error> {
    roots.find(first.der).ok_or_else(|| Error::UnknownRoot {
        root: first.certificate.tbs_certificate().subject().to_string(),
        fingerprint: digest(&SHA256, first.der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        pinned: roots.len(),
    })
}

fn check_path(document: &Document, root: &Root, now: SystemTime) -> Result<(), Error> {
    let broken = |error: webpki::Error| Error::Path { problem: format!("{error:?}") };
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let leaf = CertificateDer::from(document.certificate.as_slice());
    let leaf = EndEntityCert::try_from(&leaf).map_err(broken)?;
    let issuers: Vec<_> = document.cabundle[1..].iter().rev().map(|der| CertificateDer::from(der.as_slice())).collect();
    leaf.verify_for_usage(
        &[ECDSA_P384_SHA384],
        std::slice::from_ref(&root.anchor),
        &issuers,
        UnixTime::since_unix_epoch(since),
        // The leaf names no extended usage, which every usage accepts.
        webpki::KeyUsage::client_auth(),
        None,
        None,
    )
    .map(|_| ())
    .map_err(broken)
}

/// One certificate of the chain.
struct Link<'d> {
    name: String,
    der: &'d [u8],
    certificate: Certificate,
}

impl<'d> Link<'d> {
    fn parse(place: &str, der: &'d [u8]) -> Result<Self, Error> {
        let certificate = Certificate::from_der(der)
            .map_err(|error| Error::Certificate { certificate: place.to_owned(), problem: format!("it is no certificate ({error})") })?;
        let name = format!("{place} ({})", certificate.tbs_certificate().subject());
        Ok(Self { name, der, certificate })
    }

    fn check_issuer(&self, above: &Self) -> Result<(), Error> {
        let (issuer, subject) = (self.certificate.tbs_certificate().issuer(), above.certificate.tbs_certificate().subject());
        if issuer == subject {
            return Ok(());
        }
        Err(Error::ChainOrder { certificate: self.name.clone(), problem: format!("its issuer is {issuer}, and that one is {subject}") })
    }

    fn check_time(&self, now: SystemTime) -> Result<(), Error> {
        let validity = self.certificate.tbs_certificate().validity();
        let (not_before, not_after) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
        // The end is inclusive (RFC 5280, section 4.1.2.5), and has no fraction of a second.
        let expired = now.duration_since(not_after).is_ok_and(|over| over.as_secs() > 0);
        if now >= not_before && !expired {
            return Ok(());
        }
        Err(Error::Validity {
            certificate: self.name.clone(),
            not_before: rfc3339(not_before),
            not_after: rfc3339(not_after),
            now: rfc3339(now),
            expired,
        })
    }

    /// A CA with `below` CAs between it and the leaf.
    fn check_ca(&self, below: usize) -> Result<(), Error> {
        let constraints = self.extension::<BasicConstraints>()?.unwrap_or(BasicConstraints { ca: false, path_len_constraint: None });
        if !constraints.ca {
            return self.misused("it is no CA");
        }
        match constraints.path_len_constraint {
            Some(allowed) if usize::from(allowed) < below => {
                return Err(Error::PathLength { certificate: self.name.clone(), allowed, seen: below });
            }
            _ => {}
        }
        match self.extension::<KeyUsage>()? {
            Some(usage) if usage.key_cert_sign() => Ok(()),
            _ => self.misused("its key usage does not name keyCertSign"),
        }
    }

    fn check_leaf(&self) -> Result<(), Error> {
        if self.extension::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca) {
            return self.misused("it is a CA, and documents are signed by none");
        }
        match self.extension::<KeyUsage>()? {
            Some(usage) if usage.digital_signature() => Ok(()),
            _ => self.misused("its key usage does not name digitalSignature"),
        }
    }

    fn p384_point(&self) -> Result<Vec<u8>, Error> {
        let key = self.certificate.tbs_certificate().subject_public_key_info();
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
        match key.subject_public_key.as_bytes() {
            Some(point) if key.algorithm.oid == EC_PUBLIC_KEY && curve == Some(P384) => Ok(point.to_vec()),
            _ => Err(Error::Certificate { certificate: self.name.clone(), problem: "its key is none of curve P-384".to_owned() }),
        }
    }

    fn extension<'a, T: Decode<'a> + x509_cert::der::oid::AssociatedOid>(&'a self) -> Result<Option<T>, Error> {
        let found = self.certificate.tbs_certificate().get_extension::<T>();
        found.map(|found| found.map(|(_critical, extension)| extension)).map_err(|_| Error::Certificate {
            certificate: self.name.clone(),
            problem: format!("its extension {} is malformed or there twice", T::OID),
        })
    }

    fn misused<T>(&self, problem: &'static str) -> Result<T, Error> {
        Err(Error::KeyUsage { certificate: self.name.clone(), problem })
    }
}
