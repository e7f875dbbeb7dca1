//! The state directory: its lock, its private files, and the files that clients source.
//!
//! ```text
//! lock            held while an instance runs
//! store.db        SQLite (with -wal and -shm beside it)     0600
//! seal.key        the key that seals key material at rest,  0600
//!                 under a passphrase where one was set
//! ca.pem          the development CA's certificate
//! ca.key          its private key                           0600
//! ca-bundle.pem   the system's roots and the development CA
//! env             variables for a shell                     0600 (API keys)
//! node.key        the node agent's private key, sealed             0600
//! node.pem        its certificate
//! pkcs11.conf     configuration of the PKCS#11 library      0600 (API key)
//! attested.env    variables for enclave-host in an enclave
//! attested.conf   configuration of the library in an enclave
//! conformance.conf  the same for test suites              0600 (API key)
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ccm::CcmAccount;
use crate::dsm::{Account, Enclave};
use crate::error::Error;
use crate::nsm;
use crate::passphrase::{Passphrase, Source};
use crate::serve::{Ports, Service};
use crate::tls::DevCa;

/// Where Linux distributions and macOS keep their trusted roots.
const SYSTEM_ROOTS: &[&str] = &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The directory of one instance, locked until drop.
pub(crate) struct StateDir {
    path: PathBuf,
    passphrase: Passphrase,
    /// The lock goes with the descriptor.
    _lock: File,
}

impl StateDir {
    /// Makes the directory (0700) where it is missing, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path, "made"))?;
        // Absolute, because clients source the paths from anywhere.
        let path = path.canonicalize().map_err(failed(path, "read"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(failed(&path, "protected"))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path, "opened"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, passphrase: Passphrase::default(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path }),
            Err(TryLockError::Error(source)) => Err(Error::File { path: lock_path, action: "locked", source }),
        }
    }

    /// The same, whose sealing key is under the passphrase that comes from there.
    pub(crate) fn with_passphrase(self, passphrase: Option<&Source>) -> Self {
        Self { passphrase: Passphrase::from(passphrase), ..self }
    }

    /// The passphrase of the sealing key.
    pub(crate) const fn passphrase(&self) -> &Passphrase {
        &self.passphrase
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes of a file; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path(name))
    }

    /// Makes an empty file that only the owner may read, where there is none, and returns its path. SQLite gives the files beside its
    /// database the same rights.
    pub(crate) fn make_private(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path(name);
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        made.map(|_| path.clone()).map_err(failed(&path, "made"))
    }

    /// Writes a file that only the owner may read. A crash leaves the old file or the new one, never a part.
    pub(crate) fn write_private(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write(name, bytes, 0o600)
    }

    /// Writes a file that everybody may read who may enter the directory.
    pub(crate) fn write_public(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.write(name, bytes, 0o644)
    }

    /// Writes the files that clients source, at every start: the ports may be new.
    pub(crate) fn write_client_files(
        &self,
        ports: Ports,
        account: &Account,
        ccm: &CcmAccount,
        enclave: &Enclave,
        ca: &DevCa,
    ) -> Result<(), Error> {
        self.write_public("ca-bundle.pem", &roots_with(ca.pem()))?;
        nsm::write_build_info(self)?;
        let ca_file = self.path("ca.pem").display().to_string();
        let endpoint = &ports.endpoint(Service::Dsm);
        let variables = [
            ("FORTANIX_API_ENDPOINT", endpoint),
            ("FORTANIX_APPS_ENDPOINT", &ports.endpoint(Service::Apps)),
            ("FORTANIX_API_KEY", &account.app_key),
            ("FORTANIX_CA_FILE", &ca_file),
            ("SSL_CERT_FILE", &self.path("ca-bundle.pem").display().to_string()),
            ("DSMA_LOCAL_STATE", &self.path.display().to_string()),
            ("DSMA_LOCAL_ADMIN_API_KEY", &account.admin_key),
            ("DSMA_LOCAL_GROUP_ID", &account.group_id.to_string()),
            ("CCM_ENDPOINT", &ports.endpoint(Service::Ccm)),
            ("CCM_USERNAME", &ccm.username),
            ("CCM_PASSWORD", &ccm.password),
            ("CCM_ACCOUNT_ID", &ccm.acct_id.to_string()),
            ("CCM_GROUP_ID", &ccm.group_id.to_string()),
            ("NODE_AGENT", &ports.endpoint(Service::Agent)),
            ("DSMA_APP_ID", &enclave.app_id.to_string()),
            ("TLS_KEY_ID", &enclave.tls_key_id.to_string()),
        ];
        self.write_private("env", exports(&variables).as_bytes())?;
        self.write_enclave_files(ports, enclave)?;
        let pkcs11 = format!(
            "# Written by dsma-local at each start.\n\
             api_endpoint = {}\napi_key = {}\nca_certs_file = {}\ncache_ttl = 900\n",
            toml_quoted(endpoint),
            toml_quoted(&account.app_key),
            toml_quoted(&ca_file),
        );
        self.write_private("pkcs11.conf", pkcs11.as_bytes())?;
        let conformance = format!(
            "# Written by dsma-local at each start: for test suites that initialise the token, which empties its group.\n\
             api_endpoint = {}\napi_key = {}\nca_certs_file = {}\nconformance = true\n",
            toml_quoted(endpoint),
            toml_quoted(&account.conformance_key),
            toml_quoted(&ca_file),
        );
        self.write_private("conformance.conf", conformance.as_bytes())
    }

    /// Writes `attested.conf` and `attested.env`. There is no key in them: an enclave earns what it logs in with.
    fn write_enclave_files(&self, ports: Ports, enclave: &Enclave) -> Result<(), Error> {
        let (endpoint, app_id) = (ports.endpoint(Service::Apps), enclave.app_id.to_string());
        let (node_agent, ca_file) = (ports.endpoint(Service::Agent), self.path("ca.pem").display().to_string());
        let variables = [
            ("NITRO_ENABLED", &"true".to_owned()),
            ("FORTANIX_API_ENDPOINT", &endpoint),
            ("FORTANIX_CA_FILE", &ca_file),
            ("DSMA_APP_ID", &app_id),
            ("TLS_KEY_ID", &enclave.tls_key_id.to_string()),
            ("NODE_AGENT", &node_agent),
            ("DSMA_LOCAL_STATE", &self.path.display().to_string()),
        ];
        // A shell that has sourced `env` before has a key.
        self.write_public("attested.env", format!("unset FORTANIX_API_KEY\n{}", exports(&variables)).as_bytes())?;
        let attested = format!(
            "# Written by dsma-local at each start.\n\
             api_endpoint = {}\nca_certs_file = {}\nidentity = \"attested\"\napp_id = {}\nnode_agent = {}\ncache_ttl = 900\n",
            toml_quoted(&endpoint),
            toml_quoted(&ca_file),
            toml_quoted(&app_id),
            toml_quoted(&node_agent),
        );
        self.write_public("attested.conf", attested.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), Error> {
        write(&self.path(name), bytes, mode)
    }
}

/// The bytes of a file; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, "read")(source)),
    }
}

/// Writes a file with these rights. A crash leaves the old file or the new one, never a part.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".new");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(failed(path, "written"))
}

/// What a failed access to a file is.
pub(crate) fn failed(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, action, source }
}

/// `SSL_CERT_FILE` replaces a program's roots, so the bundle holds the system's as well.
fn roots_with(ca_pem: &str) -> Vec<u8> {
    let mut bundle = SYSTEM_ROOTS.iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    if bundle.last().is_some_and(|last| *last != b'\n') {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(ca_pem.as_bytes());
    bundle
}

/// Lines for a shell.
fn exports<T: AsRef<str>>(variables: &[(&str, T)]) -> String {
    variables.iter().map(|(name, value)| format!("export {name}={}\n", shell_quoted(value.as_ref()))).collect()
}

/// POSIX shell: nothing is special between single quotes, except the quote.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A TOML basic string. JSON's escapes are a subset of TOML's.
fn toml_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_told_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/state");
        let first = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = StateDir::open(&path).err().unwrap().to_string();
        assert!(refused.contains("in use by another dsma-local") && refused.contains("--state"), "{refused}");
        drop(first);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn private_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert!(state.read("secret").unwrap().is_none());
        state.write_private("secret", b"x").unwrap();
        assert_eq!(state.read("secret").unwrap().unwrap(), b"x");
        assert_eq!(fs::metadata(state.path("secret")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn quoting_survives_odd_directories() {
        assert_eq!(shell_quoted("it's"), r"'it'\''s'");
        assert_eq!(toml_quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
