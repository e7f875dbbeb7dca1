//! The root of the emulated modules of one state: `DIR/nsm/root.key` and `root.pem`.
//!
//! It is all that is kept of the PKI. What is below it lives as long as the process that signs with it, so that no key that signs documents
//! is ever in a file, and two that run at the same time share nothing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::chain;
use crate::error::Error;
use crate::state_dir::{failed, read, write};

/// The directory below the state.
pub(super) const DIR: &str = "nsm";
const KEY: &str = "root.key";
const CERTIFICATE: &str = "root.pem";
/// For the owner alone.
const PRIVATE: u32 = 0o600;
/// As AWS's.
const LIFETIME: Duration = Duration::days(30 * 365);

/// The root's key and certificate.
pub(super) struct Authority {
    key: KeyPair,
    der: Vec<u8>,
}

impl Authority {
    /// Reads the root in `dir`, or makes it. Several processes may do so at the same time.
    pub(super) fn load_or_create(dir: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir, "made"))?;
        let lock_path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock: File = lock.map_err(failed(&lock_path, "opened"))?;
        // Held until the end of this function, for a few milliseconds at most.
        lock.lock().map_err(failed(&lock_path, "locked"))?;
        match (read(&dir.join(KEY))?.map(Zeroizing::new), read(&dir.join(CERTIFICATE))?) {
            (Some(key), Some(pem)) => Self::load(dir, &key, &pem),
            (None, Some(_)) => Err(Error::Damaged { path: dir.join(KEY), problem: "it is missing, and root.pem is there" }),
            (_, None) => Self::create(dir),
        }
    }

    /// The certificate.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What signs the certificates below. Of the certificate, only the subject and the key identifier go into them.
    pub(super) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::new(params(), &self.key)
    }

    fn load(dir: &Path, key: &[u8], pem: &[u8]) -> Result<Self, Error> {
        let key = std::str::from_utf8(key).ok().and_then(|pem| KeyPair::from_pem_and_sign_algo(pem, &PKCS_ECDSA_P384_SHA384).ok());
        let key = key.ok_or_else(|| Error::Damaged { path: dir.join(KEY), problem: "no P-384 key in PEM" })?;
        let der = CertificateDer::from_pem_slice(pem)
            .map_err(|_| Error::Damaged { path: dir.join(CERTIFICATE), problem: "no certificate in PEM" })?;
        Ok(Self { key, der: der.to_vec() })
    }

    fn create(dir: &Path) -> Result<Self, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let certificate = params().self_signed(&key)?;
        // The key first: a crash between the two leaves what the next one repairs by making both anew.
        write(&dir.join(KEY), Zeroizing::new(key.serialize_pem()).as_bytes(), PRIVATE)?;
        write(&dir.join(CERTIFICATE), certificate.pem().as_bytes(), PRIVATE)?;
        Ok(Self { key, der: certificate.der().to_vec() })
    }
}

fn params() -> CertificateParams {
    let mut params = chain::ca_params(chain::PARTITION, None);
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = params.not_before + LIFETIME;
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_root_is_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join(DIR);
        let first = Authority::load_or_create(&dir).unwrap();
        assert_eq!(Authority::load_or_create(&dir).unwrap().der(), first.der());
        for entry in fs::read_dir(&dir).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        fs::remove_file(dir.join(KEY)).unwrap();
        assert!(matches!(Authority::load_or_create(&dir), Err(Error::Damaged { .. })));
    }
}
