//! The certificates between root and document: regional, zonal, instance and leaf, with the lifetimes, path lengths and key usages of
//! AWS's.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use time::{Duration, OffsetDateTime};

use super::authority::Authority;
use super::measurements::hex;
use crate::error::Error;

/// In the place of `aws.nitro-enclaves`: nobody shall take one for the other.
pub(super) const PARTITION: &str = "emulated.nitro-enclaves";
const REGION: &str = "local";
/// Regional, zonal, instance, leaf.
const LIFETIMES: [Duration; 4] = [Duration::days(20), Duration::hours(138), Duration::days(1), Duration::hours(3)];
/// What a new document's chain is still valid for at the least: longer than verifiers accept the document.
const RESERVE: Duration = Duration::minutes(10);
/// The chain is a little older than the document, as with AWS.
const BACKDATED: Duration = Duration::seconds(3);

/// The chain of one module.
pub(super) struct Chain {
    authority: Authority,
    /// `i-` and 17 digits, the same in each run on a state: it is of its root.
    instance: String,
    /// `enc` and 16 digits, another one in each run.
    enclave: String,
    /// From regional to leaf; empty at first.
    levels: Vec<Level>,
}

struct Level {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Chain {
    /// A chain below this root. Its certificates are made when the first document is.
    pub(super) fn new(authority: Authority) -> Result<Self, Error> {
        let instance = format!("i-{}", &hex(digest(&SHA256, authority.der()).as_ref())[..17]);
        let enclave = format!("enc{}", random_hex()?);
        Ok(Self { authority, instance, enclave, levels: Vec::new() })
    }

    /// `i-<instance>-enc<enclave>`.
    pub(super) fn module_id(&self) -> String {
        format!("{}-{}", self.instance, self.enclave)
    }

    /// `i-<instance>`.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Makes anew what is due at `now`, and returns the signing certificate and its issuers, root first.
    pub(super) fn certificates(&mut self, now: OffsetDateTime) -> Result<(Vec<u8>, Vec<Vec<u8>>), Error> {
        // A certificate must outlive one that is made below it now.
        let needed = [LIFETIMES[1], LIFETIMES[2], LIFETIMES[3], RESERVE];
        let due = self.levels.iter().zip(needed).position(|(level, needed)| level.params.not_after < now + needed);
        self.levels.truncate(due.unwrap_or(LIFETIMES.len()));
        while self.levels.len() < LIFETIMES.len() {
            let level = self.issue(self.levels.len(), now)?;
            self.levels.push(level);
        }
        let mut bundle = vec![self.authority.der().to_vec()];
        bundle.extend(self.levels.iter().map(|level| level.der.clone()));
        let leaf = bundle.pop().unwrap_or_default();
        Ok((leaf, bundle))
    }

    /// An ES384 signature with the leaf's key: r and s, 96 bytes.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.levels.last().map(|leaf| EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, leaf.key.serialized_der()));
        let signature = key.and_then(Result::ok).and_then(|key| key.sign(&SystemRandom::new(), message).ok());
        signature.map(|signature| signature.as_ref().to_vec()).ok_or(Error::Signing)
    }

    fn issue(&self, place: usize, now: OffsetDateTime) -> Result<Level, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let mut params = self.params(place)?;
        params.not_before = now - BACKDATED;
        params.not_after = now + LIFETIMES[place];
        let certificate = match self.levels.last() {
            None => params.signed_by(&key, &self.authority.issuer())?,
            Some(above) => params.signed_by(&key, &Issuer::from_params(&above.params, &above.key))?,
        };
        Ok(Level { der: certificate.der().to_vec(), params, key })
    }

    fn params(&self, place: usize) -> Result<CertificateParams, Error> {
        Ok(match place {
            0 => ca_params(&format!("{}.{REGION}.{PARTITION}", random_hex()?), Some(2)),
            1 => ca_params(&format!("{}.zonal.{REGION}.{PARTITION}", random_hex()?), Some(1)),
            2 => {
                let mut instance = ca_params(&format!("{}.{REGION}.{PARTITION}", self.instance), Some(0));
                instance.key_usages = vec![KeyUsagePurpose::KeyCertSign];
                instance
            }
            _ => leaf_params(&format!("{}.{REGION}.emulated", self.module_id())),
        })
    }
}

/// A CA certificate with this name and path length.
pub(super) fn ca_params(name: &str, path_length: Option<u8>) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = path_length.is_some();
    params
}

/// The real leaf's key usage is not critical, which rcgen's own always is.
fn leaf_params(name: &str) -> CertificateParams {
    const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];
    /// BIT STRING: digitalSignature, nonRepudiation.
    const SIGNATURES: [u8; 4] = [0x03, 0x02, 0x06, 0xc0];
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    let mut usage = CustomExtension::from_oid_content(&KEY_USAGE, SIGNATURES.to_vec());
    usage.set_criticality(false);
    params.custom_extensions.push(usage);
    params
}

fn named(common_name: &str) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "DSM Accelerator");
    name.push(DnType::OrganizationalUnitName, "emulated NSM");
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params
}

/// 16 digits.
fn random_hex() -> Result<String, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes).map_err(|_| Error::Signing)?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_anew_when_they_are_due_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new(Authority::load_or_create(dir.path()).unwrap()).unwrap();
        let start = OffsetDateTime::now_utc();
        let mut at = |after: Duration| {
            let (leaf, mut bundle) = chain.certificates(start + after).unwrap();
            bundle.push(leaf);
            bundle
        };
        /// How many certificates from the root on are the same.
        fn same(one: &[Vec<u8>], other: &[Vec<u8>]) -> usize {
            one.iter().zip(other).take_while(|(one, other)| one == other).count()
        }
        let first = at(Duration::ZERO);
        assert_eq!(first.len(), 5);
        assert!(first.iter().all(|der| der.len() <= 1024));
        assert_eq!(same(&first, &at(Duration::minutes(169))), 5);
        let second = at(Duration::minutes(171));
        assert_eq!(same(&first, &second), 4, "the leaf is due");
        let third = at(Duration::minutes(21 * 60 + 1));
        assert_eq!(same(&second, &third), 3, "the instance does not outlive another leaf");
        assert_eq!(same(&third, &at(Duration::days(5))), 2, "the zonal one does not outlive another instance");
        assert_eq!(same(&first, &at(Duration::days(15))), 1, "the regional one does not outlive another zonal one");
    }
}
