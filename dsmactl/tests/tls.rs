//! `scripts/tls_configuration_utility.sh` over `dsmactl tls`, against a running service: what is asked, what is printed, what comes of it.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dsma_testkit::{Host, Stack};
use serde_json::json;

/// The service with a TLS key and no certificate, an operator's API key, and a directory.
struct Scene {
    host: Host,
    api_key: String,
    fingerprint: String,
    dir: tempfile::TempDir,
    _stack: Stack,
}

impl Scene {
    fn new() -> Self {
        let stack = Stack::start();
        let dsm = stack.dsm();
        let group = dsm.new_group("tls");
        let service = dsm.new_app("the service", &[(&group, &["EXPORT", "MANAGE"])]);
        let api_key = dsm.new_app("an operator", &[(&group, &["SIGN"])]);
        let spec = json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"]});
        let kid = stack.dsm_as(&service).create_key(spec);
        let host = Host::start(&stack, &[("FORTANIX_API_KEY", &service), ("TLS_KEY_ID", &kid)]);
        let line = host.wait_log("SHA-256 of the self-signed certificate: ");
        let fingerprint = line.rsplit(' ').next().unwrap().to_owned();
        Self { host, api_key, fingerprint, dir: tempfile::tempdir().unwrap(), _stack: stack }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The script in the operator's directory, which answers its prompts with these lines.
    fn script(&self, arguments: &[&str], env: &[(&str, &str)], answers: &str) -> Output {
        run(self.dir.path(), arguments, env, answers)
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").current_dir(self.dir.path()).args(arguments).stdin(Stdio::null()).output().expect("openssl");
        assert!(output.status.success(), "openssl {arguments:?}:\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

fn run(dir: &Path, arguments: &[&str], env: &[(&str, &str)], answers: &str) -> Output {
    let mut child = Command::new(script())
        .current_dir(dir)
        .args(arguments)
        .env_remove("API_KEY")
        .env_remove("DSMA_ENDPOINT")
        .env("DSMACTL", env!("CARGO_BIN_EXE_dsmactl"))
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A script that asks for less than is answered has ended already.
    let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
    child.wait_with_output().unwrap()
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/tls_configuration_utility.sh")
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

const PROMPTS: [&str; 9] = [
    "Enter your API Key: ",
    "Enter Country Name (2 letter code) : ",
    "Enter State or Province Name (full name): ",
    "Enter Locality Name: ",
    "Enter Organization Name: ",
    "Enter Organizational Unit Name: ",
    "Enter Common Name: ",
    "Enter Email Address: ",
    "Enter DNS Names (comma-separated, e.g., dns1.com,dns2.com): ",
];

const ANSWERS: &str = "US\nCalifornia\nSanta Clara\nCompany\nIT\nwww.fortanix.com\nadmin@fortanix.com\nlocalhost,www.fortanix.test.com\n";

#[test]
fn the_help_is_the_guides() {
    let help = include_str!("tls_help.txt").replace("./tls_configuration_utility.sh", &script().display().to_string());
    let nowhere = std::env::temp_dir();
    assert_eq!(stdout(&run(&nowhere, &["--help"], &[], "")), help);
    let csr_help = stdout(&run(&nowhere, &["-g", "-h"], &[], ""));
    for part in ["--input-csr, --input-file", "--output-csr, --output-file", "2.5.4.6=US", "DSMA_FINGERPRINT"] {
        assert!(csr_help.contains(part), "{csr_help}");
    }
    for (arguments, problem) in [
        (&["-x"][..], "Unknown option: -x"),
        (&["-u"], "-u needs a value"),
        (&["-g"], "No DSMA endpoint: give --dsma-endpoint, or set DSMA_ENDPOINT"),
    ] {
        let output = run(&nowhere, arguments, &[], "");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(problem), "{output:?}");
    }
}

#[test]
fn a_certificate_from_the_request_to_the_upload() {
    let scene = Scene::new();
    let endpoint = scene.host.endpoint();
    let pin = ("DSMA_FINGERPRINT", scene.fingerprint.as_str());
    let answers = format!("{}\n{ANSWERS}", scene.api_key);

    // Prompts, and the request on the terminal.
    let text = stdout(&scene.script(&["--dsma-endpoint", &endpoint, "--generate-csr"], &[pin], &answers));
    let csr = text.strip_prefix(&format!("{}\nCSR:\n", PROMPTS.join("\n"))).unwrap_or_else(|| panic!("{text}"));
    assert!(csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n") && csr.ends_with("-----END CERTIFICATE REQUEST-----\n"), "{csr}");

    // Prompts, and a file.
    let text = stdout(&scene.script(&["-e", &endpoint, "-g", "--output-file", "typed.pem"], &[pin], &answers));
    assert_eq!(text, format!("{}\nCSR saved to file: typed.pem\n", PROMPTS.join("\n")));

    // Two files, the endpoint and the key from the environment.
    std::fs::write(
        scene.path("csrinput"),
        "# the same\n2.5.4.6=US\nST=California\nlocalityName=Santa Clara\nO=Company\nOU=IT\n2.5.4.3=www.fortanix.com\n\
         emailAddress=admin@fortanix.com\n2.5.29.17=localhost,www.fortanix.test.com\n",
    )
    .unwrap();
    let env = [pin, ("DSMA_ENDPOINT", endpoint.as_str()), ("API_KEY", scene.api_key.as_str())];
    let text = stdout(&scene.script(&["--generate-csr", "--input-csr", "csrinput", "--output-csr", "read.pem"], &env, "\n"));
    assert_eq!(text, "Enter your API Key: \nParsing OID values from csrinput...\nCSR saved to file: read.pem\n");
    // One file, the other spelling, and nobody there to answer.
    let text = stdout(&scene.script(&["-g", "--input-file", "csrinput"], &env, ""));
    assert!(
        text.starts_with("Enter your API Key: \nParsing OID values from csrinput...\nCSR:\n-----BEGIN CERTIFICATE REQUEST-----\n"),
        "{text}"
    );

    // Each way says the same.
    let says = |file: &str| scene.openssl(&["req", "-in", file, "-verify", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert!(
        says("typed.pem").contains("emailAddress=admin@fortanix.com,CN=www.fortanix.com,OU=IT,O=Company,L=Santa Clara,ST=California,C=US")
    );
    assert_eq!(says("typed.pem"), says("read.pem"));

    // A CA signs it; the chain goes up as PEM.
    scene.openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=A CA", "-days", "9",
    ]);
    std::fs::write(scene.path("ext"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let sign =
        ["x509", "-req", "-in", "read.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-out", "leaf.pem"];
    scene.openssl(&sign);
    let chain = std::fs::read_to_string(scene.path("leaf.pem")).unwrap() + &std::fs::read_to_string(scene.path("ca.pem")).unwrap();
    std::fs::write(scene.path("chain.pem"), &chain).unwrap();
    let uploaded = "Enter your API Key: \nCertificate has been uploaded successfully.\n";
    assert_eq!(stdout(&scene.script(&["-e", &endpoint, "--upload-cert", "chain.pem"], &[pin], &format!("{}\n", scene.api_key))), uploaded);
    let port = endpoint.trim_start_matches("https://");
    let seen = scene.openssl(&["s_client", "-connect", port, "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "localhost"]);
    assert!(seen.contains("Verify return code: 0 (ok)"), "{seen}");

    // From now on the CA is what is trusted. The guide's own form of a chain is a list of strings without PEM guards and newlines.
    let strings: Vec<String> = chain.split("-----END CERTIFICATE-----").filter(|part| part.contains("BEGIN")).map(strip).collect();
    std::fs::write(scene.path("chain.json"), json!(strings).to_string()).unwrap();
    let env = [("API_KEY", scene.api_key.as_str()), ("DSMA_CA_FILE", "ca.pem")];
    assert_eq!(stdout(&scene.script(&["-e", &endpoint, "-u", "chain.json"], &env, "\n")), uploaded);
}

fn strip(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

#[test]
fn what_fails_says_why_and_ends_with_1() {
    let scene = Scene::new();
    let endpoint = scene.host.endpoint();
    let pin = ("DSMA_FINGERPRINT", scene.fingerprint.as_str());
    let other = ("DSMA_FINGERPRINT", "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55");
    let key = ("API_KEY", scene.api_key.as_str());
    let stranger = ("API_KEY", "NWE5ZmQ0MDItNWFmZi00MzI2LTkzOWUtZTBjMjUzNDViMDY0Om5vIHN1Y2ggYXBw");
    std::fs::write(scene.path("in"), "CN=localhost\n").unwrap();
    std::fs::write(scene.path("bad"), "CN localhost\n").unwrap();
    let slash = format!("{endpoint}/");
    for (arguments, env, problem) in [
        (
            ["-e", &endpoint, "-g", "-i", "in"],
            &[key][..],
            "give its CA with --ca-file or DSMA_CA_FILE, or, for a self-signed one, the fingerprint",
        ),
        (["-e", &endpoint, "-g", "-i", "in"], &[key, other], "cannot be reached: invalid peer certificate"),
        (["-e", &endpoint, "-g", "-i", "in"], &[pin], "No API key: answer the prompt, or set API_KEY"),
        (["-e", &endpoint, "-g", "-i", "in"], &[pin, stranger], "the service refuses, status 401: Invalid credentials"),
        (["-e", &slash, "-g", "-i", "in"], &[pin, key], "is no address of a service: write https://host[:port] without a trailing slash"),
        (["-e", "https://localhost:1", "-g", "-i", "in"], &[pin, key], "https://localhost:1 cannot be reached: "),
        (["-e", &endpoint, "-g", "-i", "absent"], &[pin, key], "absent cannot be read: No such file"),
        (["-e", &endpoint, "-g", "-i", "bad"], &[pin, key], "bad line 1 is no name=value; write for example CN=www.example.com"),
        (["-e", &endpoint, "-g", "-u", "in"], &[pin, key], "in holds no certificates: give a chain in PEM, leaf first"),
    ] {
        let output = scene.script(&arguments, env, "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(problem) && text.trim_end().lines().count() == 1, "{problem}\n{text}");
        assert!(!text.contains(&scene.api_key), "{text}");
    }
}
