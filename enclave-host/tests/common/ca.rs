//! A certificate authority that is not of our making: the `openssl` program, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dsma_testkit::Host;

use super::base64;

/// Root and intermediate, and a place for files.
pub(crate) struct Ca {
    dir: tempfile::TempDir,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let ca = Self { dir: tempfile::tempdir().unwrap() };
        ca.write("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
        ca.write("leaf.ext", "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n");
        for name in ["root", "middle"] {
            ca.run(&[
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                &ca.name(name, "key"),
                "-out",
                &ca.name(name, "csr"),
                "-subj",
                &format!("/O=Test/CN={name} CA"),
            ]);
        }
        let (csr, key, ext) = (ca.name("root", "csr"), ca.name("root", "key"), ca.name("ca", "ext"));
        ca.run(&["x509", "-req", "-in", &csr, "-signkey", &key, "-extfile", &ext, "-days", "30", "-out", &ca.name("root", "pem")]);
        ca.sign("middle", "root", "ca.ext", "30");
        ca
    }

    /// Has the intermediate sign this request for a server, for `days` (negative: it has expired).
    pub(crate) fn sign_leaf(&self, name: &str, csr_pem: &str, days: &str) {
        self.write(&format!("{name}.csr"), csr_pem);
        self.sign(name, "middle", "leaf.ext", days);
    }

    /// A request of a new key.
    pub(crate) fn foreign_request(&self, name: &str) -> String {
        self.run(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &self.name(name, "key"),
            "-out",
            &self.name(name, "csr"),
            "-subj",
            "/CN=localhost",
        ]);
        std::fs::read_to_string(self.path(&format!("{name}.csr"))).unwrap()
    }

    /// DER of these certificates, in base64, as the upload wants them.
    pub(crate) fn chain(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| base64(&self.run(&["x509", "-in", &self.name(name, "pem"), "-outform", "DER"]).stdout)).collect()
    }

    /// What `openssl req` says of a certificate request: its self-signature is checked.
    pub(crate) fn verified_request(&self, pem: &str) -> String {
        self.write("verify.csr", pem);
        let output = self.run(&["req", "-in", &self.name("verify", "csr"), "-verify", "-noout", "-text", "-nameopt", "RFC2253"]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("verify OK") || text.contains("self-signature verify OK") || text.contains("self-signature ok"), "{text}");
        text
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes what the service shows now into a file that clients can trust.
    pub(crate) fn trust(&self, host: &Host) -> PathBuf {
        let shown = shown(host, None);
        let end = shown.find("-----END CERTIFICATE-----").expect("a certificate") + 25;
        let begin = shown.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
        self.write("trusted.pem", &format!("{}\n", &shown[begin..end]));
        self.path("trusted.pem")
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// `openssl` with these arguments, which succeeds.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output().expect("the openssl program");
        assert!(output.status.success(), "openssl {arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn sign(&self, name: &str, issuer: &str, ext: &str, days: &str) {
        let (csr, pem, ext) = (self.name(name, "csr"), self.name(name, "pem"), self.path(ext).display().to_string());
        let (issuer, key) = (self.name(issuer, "pem"), self.name(issuer, "key"));
        self.run(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &issuer,
            "-CAkey",
            &key,
            "-CAcreateserial",
            "-extfile",
            &ext,
            "-days",
            days,
            "-out",
            &pem,
        ]);
    }

    fn name(&self, name: &str, extension: &str) -> String {
        self.path(&format!("{name}.{extension}")).display().to_string()
    }
}

/// What `openssl s_client` says of a handshake, all certificates shown; with `root`, they must verify for `localhost`.
pub(crate) fn shown(host: &Host, root: Option<&Path>) -> String {
    let endpoint = host.endpoint();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-showcerts", "-connect", endpoint.trim_start_matches("https://")]).stdin(Stdio::null());
    if let Some(root) = root {
        command.args(["-verify_return_error", "-verify_hostname", "localhost", "-CAfile"]).arg(root);
    }
    let output = command.output().expect("the openssl program");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}
