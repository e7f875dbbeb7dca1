//! A zone's certification authority: ECDSA P-256, five years; what it signs never outlives it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use x509_cert::der::Decode;
use zeroize::Zeroizing;

use crate::error::Error;

/// Validity of the CA's certificate: five years, one day of them a leap day.
const CA_LIFE: Duration = Duration::days(5 * 365 + 1);
/// Certificates begin a little in the past, so that a peer whose clock is behind agrees.
const BACKDATE: Duration = Duration::minutes(5);

/// A CA that signs.
pub(crate) struct ZoneCa {
    issuer: Issuer<'static, KeyPair>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// A CA that was made just now.
pub(crate) struct NewCa {
    /// PEM.
    pub(crate) certificate: String,
    /// PKCS#8.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// A certificate to be signed, for clients and servers.
pub(crate) struct Leaf<'a, K> {
    pub(crate) common_name: &'a str,
    pub(crate) dns_names: Vec<String>,
    pub(crate) key: &'a K,
    pub(crate) life: Duration,
}

impl ZoneCa {
    /// Makes a key and its certificate.
    pub(crate) fn generate(zone_id: Uuid) -> Result<NewCa, Error> {
        let key = KeyPair::generate()?;
        let mut params = ca_params(zone_id);
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - BACKDATE, now + CA_LIFE);
        params.serial_number = Some(serial());
        Ok(NewCa { certificate: params.self_signed(&key)?.pem(), key: Zeroizing::new(key.serialize_der()) })
    }

    /// The CA with this certificate (PEM) and key (PKCS#8).
    pub(crate) fn open(zone_id: Uuid, certificate: &str, key: &[u8]) -> Result<Self, Error> {
        let (begins, ends) = der(certificate).and_then(|der| validity(&der)).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time);
        // Subject and key identifier follow from these two.
        let issuer = Issuer::new(ca_params(zone_id), KeyPair::try_from(key)?);
        Ok(Self { issuer, not_before: time(begins)?, not_after: time(ends)? })
    }

    /// Signs, and returns the certificate in PEM.
    pub(crate) fn sign(&self, leaf: Leaf<'_, impl PublicKeyData>) -> Result<String, Error> {
        let mut params = CertificateParams::new(leaf.dns_names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial());
        let now = OffsetDateTime::now_utc();
        params.not_before = (now - BACKDATE).max(self.not_before);
        params.not_after = (now + leaf.life).min(self.not_after);
        Ok(params.signed_by(leaf.key, &self.issuer)?.pem())
    }
}

/// The certificate of a PEM text.
pub(crate) fn der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// From when and until when a certificate is valid, in seconds since the epoch.
pub(crate) fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    Some((seconds(validity.not_before)?, seconds(validity.not_after)?))
}

fn ca_params(zone_id: Uuid) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "DSM Accelerator");
    params.distinguished_name.push(DnType::CommonName, format!("Zone Root CA {zone_id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// 122 random bits. rcgen's own choice follows from the key, and one key may be certified more than once.
fn serial() -> SerialNumber {
    SerialNumber::from_slice(Uuid::new_v4().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_signs_ends_with_it_at_the_latest() {
        let zone_id = Uuid::from_u128(7);
        let NewCa { certificate, key } = ZoneCa::generate(zone_id).unwrap();
        let ca = ZoneCa::open(zone_id, &certificate, &key).unwrap();
        let years = ca.not_after - ca.not_before;
        assert!(years >= Duration::days(5 * 365) && years < Duration::days(5 * 365 + 3), "{years}");

        let key = KeyPair::generate().unwrap();
        let sign = |life| {
            let leaf = Leaf { common_name: "fortanix.com", dns_names: vec!["fortanix.com".into()], key: &key, life };
            let leaf = der(&ca.sign(leaf).unwrap()).unwrap();
            x509_cert::Certificate::from_der(&leaf).unwrap()
        };
        let (short, long) = (sign(Duration::days(90)), sign(Duration::days(9999)));
        assert_ne!(short.tbs_certificate().serial_number(), long.tbs_certificate().serial_number());
        let end = |certificate: &x509_cert::Certificate| {
            OffsetDateTime::from(certificate.tbs_certificate().validity().not_after.to_system_time())
        };
        assert!((end(&short) - OffsetDateTime::now_utc() - Duration::days(90)).abs() < Duration::minutes(1));
        assert_eq!(end(&long), ca.not_after);
        let issuer = x509_cert::Certificate::from_der(&der(&certificate).unwrap()).unwrap();
        assert_eq!(short.tbs_certificate().issuer(), issuer.tbs_certificate().subject());
    }
}
