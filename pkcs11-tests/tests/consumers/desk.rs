//! A dsma-local with keys, and a directory to run foreign programs in.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dsma_testkit::{Process, Stack};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The token's name in a `pkcs11:` URI.
const TOKEN: &str = "pkcs11:token=Fortanix%20Token";

pub(crate) struct Desk {
    pub(crate) stack: Stack,
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { stack: Stack::start(), dir: tempfile::tempdir().expect("a temporary directory") };
        // No test waits for a timeout.
        desk.configure("connect_timeout_millis = 60000\nrequest_timeout_millis = 120000\nretry_timeout_millis = 60000");
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file is written");
        path
    }

    /// A key of this name, which also is its CKA_LABEL. The answer is its kid.
    pub(crate) fn key(&self, name: &str, mut spec: Value) -> String {
        spec["name"] = json!(name);
        self.stack.dsm().create_key(spec)
    }

    pub(crate) fn rsa(&self, name: &str) -> String {
        let policy = json!({"encryption_policy": [{}], "signature_policy": [{}]});
        self.key(
            name,
            json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT", "EXPORT"], "rsa": policy}),
        )
    }

    pub(crate) fn ec(&self, name: &str) -> String {
        self.key(name, json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY", "AGREEKEY", "EXPORT"]}))
    }

    pub(crate) fn aes(&self, name: &str) -> String {
        self.key(name, json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT", "WRAPKEY", "UNWRAPKEY", "EXPORT"]}))
    }

    /// An HMAC key of 32 bytes, each of them 7: a consumer knows what its tags have to be.
    pub(crate) fn hmac(&self, name: &str) {
        let value = base64_simd::STANDARD.encode_to_string([7; 32]);
        let spec = json!({"name": name, "obj_type": "HMAC", "value": value, "key_ops": ["MACGENERATE", "MACVERIFY", "EXPORT"]});
        self.stack.dsm().request("PUT", "/crypto/v1/keys", Some(spec)).success();
    }

    /// Puts these lines into the library's configuration.
    pub(crate) fn configure(&self, lines: &str) {
        let conf = self.stack.pkcs11_conf();
        let given = std::fs::read_to_string(&conf).expect("a configuration");
        std::fs::write(conf, format!("{lines}\n{given}")).expect("a file is written");
    }

    /// A command in this directory whose library has this DSM's configuration.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir.path())
            .env("FORTANIX_PKCS11_CONFIG", self.stack.pkcs11_conf())
            .env("DSMA_LIBRARY", dsma_testkit::library())
            .env("HOME", self.dir.path());
        command
    }

    /// The same, with OpenSSL's engine configured to load the library.
    pub(crate) fn with_engine(&self, program: impl AsRef<OsStr>) -> Command {
        let file = self.write(
            "engine.cnf",
            format!(
                "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n\
                 [pkcs11]\nengine_id = pkcs11\nMODULE_PATH = {}\ninit = 1\n[req]\ndistinguished_name = dn\n[dn]\n",
                dsma_testkit::library().display()
            ),
        );
        let mut command = self.command(program);
        command.env("OPENSSL_CONF", file);
        command
    }

    /// A certificate for `localhost` and the key of this name, self-signed with the key through the engine. The answer is its file.
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        let file = self.path(&format!("{name}.pem"));
        let mut openssl = self.with_engine("openssl");
        openssl.args(["req", "-new", "-x509", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
        finish(openssl.args(["-engine", "pkcs11", "-keyform", "engine", "-key", &private_uri(name), "-out"]).arg(&file));
        file
    }

    /// The same, and puts it on the token with the key's CKA_ID and label: so Java and NSS find out that they belong together.
    pub(crate) fn certificate_on_token(&self, name: &str, kid: &str) -> PathBuf {
        let file = self.certificate(name);
        finish(self.command("openssl").args(["x509", "-outform", "DER", "-out", "certificate.der", "-in"]).arg(&file));
        let mut tool = self.command("pkcs11-tool");
        tool.args(["--login", "--pin", "any", "--write-object", "certificate.der", "--type", "cert", "--label", name]);
        finish(tool.args(["--id", &kid.replace('-', ""), "--module"]).arg(dsma_testkit::library()));
        file
    }

    /// The public key of this key as DSM tells it, in a DER file.
    pub(crate) fn public_key(&self, kid: &str) -> PathBuf {
        let sobject = self.stack.dsm().request("GET", &format!("/crypto/v1/keys/{kid}"), None).success().json();
        let spki = sobject["pub_key"].as_str().expect("a public key");
        self.write(&format!("{kid}.der"), base64_simd::STANDARD.decode_to_vec(spki).expect("base64"))
    }

    /// Starts a server in this directory.
    pub(crate) fn serve(&self, name: &'static str, command: &Command) -> Process {
        Process::start(name, command, None)
    }
}

/// The private key of this name.
pub(crate) fn private_uri(name: &str) -> String {
    format!("{TOKEN};object={name};type=private")
}

/// The token.
pub(crate) fn token_uri() -> &'static str {
    TOKEN
}

/// Runs it to its end and returns all that it printed.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> String {
    let output = output(command);
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
    printed
}

#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?} does not start: {error} (scripts/setup test installs it)", command.get_program()))
}

/// The number at the end of what a server says about itself.
#[track_caller]
pub(crate) fn port_in(line: &str) -> u16 {
    line.rsplit([':', ' ']).next().and_then(|port| port.trim().parse().ok()).unwrap_or_else(|| panic!("no port in {line}"))
}

/// GETs a page from `https://localhost:PORT` with curl, trusting `ca` alone, on `requests` connections of which several are open at once.
#[track_caller]
pub(crate) fn fetch(port: u16, ca: &Path, requests: usize) {
    fetch_with(&[], port, ca, requests);
}

/// The same with TLS 1.2 and with TLS 1.3.
#[track_caller]
pub(crate) fn fetch_with_both_versions(port: u16, ca: &Path, requests: usize) {
    fetch_with(&["--tls-max", "1.2"], port, ca, requests);
    fetch_with(&["--tlsv1.3"], port, ca, requests);
}

#[track_caller]
fn fetch_with(options: &[&str], port: u16, ca: &Path, requests: usize) {
    let statuses = finish(
        Command::new("curl")
            .args(["--silent", "--show-error", "--parallel", "--parallel-max", "4", "--header", "Connection: close"])
            .args(["--output", "/dev/null", "--write-out", "%{http_code}\n"])
            .args(options)
            .arg("--cacert")
            .arg(ca)
            .arg(format!("https://localhost:{port}/index.html?[1-{requests}]")),
    );
    assert_eq!(statuses.lines().filter(|status| *status == "200").count(), requests, "{statuses}");
}
