//! The program as a person meets it: start, files, messages, stop, restart.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dsma_testkit::{Credential, Dsm, Stack};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dsma-local");

/// What the program gives to running requests when it stops.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A running instance; killed on drop.
struct Instance {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: String,
}

impl Instance {
    fn start(state: &Path) -> Self {
        Self::launch(Command::new(PROGRAM).args(["--port-base", "0", "--state"]).arg(state).stderr(Stdio::null()))
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("a line");
        Self { child, stdout, ready }
    }

    fn port(&self) -> u16 {
        self.ready.split([':', ' ']).nth(3).and_then(|port| port.parse().ok()).expect("a port")
    }

    fn signal(mut self, signal: &str) -> (ExitStatus, String) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("the end of the output");
        (status, rest)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end, which must be a failure, and returns what it says.
fn refused(args: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(args).output().expect("it starts");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn one_ready_line_and_a_clean_end_on_both_signals() {
    let dir = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let instance = Instance::start(dir.path());
        assert!(instance.ready.starts_with("ready https://localhost:"), "{}", instance.ready);
        // A client that says nothing does not hold up the stop.
        let silent = TcpStream::connect(("127.0.0.1", instance.port())).unwrap();
        let begin = Instant::now();
        let (status, rest) = instance.signal(signal);
        assert!(status.success(), "{signal}: {status}");
        assert!(begin.elapsed() < DRAIN_TIME, "it was waited for");
        drop(silent);
        assert_eq!(rest, "", "stdout holds the ready line only");
    }
}

#[test]
fn files_are_written_at_each_start_and_secrets_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("made/for me");
    let mut ca = None;
    for _ in 0..2 {
        let instance = Instance::start(&state);
        let mode = |name: &str| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(""), 0o700);
        for private in ["env", "pkcs11.conf", "ca.key", "seal.key", "store.db", "store.db-wal", "lock"] {
            assert_eq!(mode(private), 0o600, "{private}");
        }
        let endpoint = instance.ready.split_whitespace().nth(1).unwrap().to_owned();
        let env = fs::read_to_string(state.join("env")).unwrap();
        assert!(env.contains(&format!("export FORTANIX_API_ENDPOINT='{endpoint}'\n")), "{env}");
        for name in [
            "FORTANIX_APPS_ENDPOINT",
            "FORTANIX_API_KEY",
            "FORTANIX_CA_FILE",
            "SSL_CERT_FILE",
            "DSMA_LOCAL_STATE",
            "DSMA_LOCAL_ADMIN_API_KEY",
            "DSMA_LOCAL_GROUP_ID",
        ] {
            assert!(env.contains(&format!("export {name}='")), "{name} is missing");
        }
        let conf = fs::read_to_string(state.join("pkcs11.conf")).unwrap();
        assert!(conf.contains(&format!("api_endpoint = \"{endpoint}\"\n")), "{conf}");
        let bundle = fs::read_to_string(state.join("ca-bundle.pem")).unwrap();
        let own = fs::read_to_string(state.join("ca.pem")).unwrap();
        assert!(bundle.ends_with(&own));
        assert_eq!(*ca.get_or_insert_with(|| own.clone()), own, "clients trust the CA for good");
        instance.signal("-TERM");
    }
}

/// What an operator would make by hand: an app that trusts the zone CA, its private group, its TLS key.
#[test]
fn an_enclave_finds_its_app_and_its_files_without_a_key() {
    let stack = Stack::start();
    let (app_id, key_id) = (stack.env("DSMA_APP_ID"), stack.env("TLS_KEY_ID"));
    let admin = stack.admin();
    let app = admin.request("GET", &format!("/sys/v1/apps/{app_id}?group_permissions=true"), None).success().json();
    let group = app["default_group"].as_str().unwrap().to_owned();
    assert_eq!((app["name"].as_str(), app["auth_type"].as_str()), (Some("dsma-nitro"), Some("TrustedCa")));
    assert!(app["groups"][&group].as_array().unwrap().contains(&json!("EXPORT")), "{app}");
    let credential = admin.request("GET", &format!("/sys/v1/apps/{app_id}/credential"), None).success().json();
    assert_eq!(credential["credential"]["trustedca"]["subject_general"]["dns_name"], "fortanix.com");
    let key = admin.request("GET", &format!("/crypto/v1/keys/{key_id}"), None).success().json();
    assert_eq!(
        (key["group_id"].as_str(), key["obj_type"].as_str(), key["key_size"].as_u64()),
        (Some(group.as_str()), Some("RSA"), Some(2048))
    );
    assert!(key["key_ops"].as_array().unwrap().contains(&json!("EXPORT")));
    assert_eq!(stack.dsm().request("GET", &format!("/crypto/v1/keys/{key_id}"), None).status, 404, "nobody else is in the group");
    let members = admin.request("GET", &format!("/sys/v1/apps?group_id={group}"), None).success().json();
    assert_eq!(members.as_array().unwrap().len(), 1);

    let text = |name: &str| fs::read_to_string(stack.state_dir().join(name)).unwrap();
    let (conf, env) = (text("attested.conf"), text("attested.env"));
    for line in
        [format!("api_endpoint = \"{}\"", stack.apps_endpoint()), format!("app_id = \"{app_id}\""), "identity = \"attested\"".into()]
    {
        assert!(conf.lines().any(|found| found == line), "{line} is not in {conf}");
    }
    for line in [
        "export NITRO_ENABLED='true'".to_owned(),
        format!("export FORTANIX_API_ENDPOINT='{}'", stack.apps_endpoint()),
        format!("export DSMA_APP_ID='{app_id}'"),
        format!("export TLS_KEY_ID='{key_id}'"),
    ] {
        assert!(env.lines().any(|found| found == line), "{line} is not in {env}");
    }
    assert!(conf.contains("node_agent = \"http://localhost:") && env.contains("export NODE_AGENT='http://localhost:"));
    for key in [stack.api_key(), stack.admin_key()] {
        assert!(!conf.contains(&key) && !env.contains(&key));
    }

    stack.restart();
    let again = fs::read_to_string(stack.state_dir().join("attested.env")).unwrap();
    assert_eq!(env, again, "nothing is made twice");
    // What an operator has deleted comes back: so does what an older state lacks.
    admin.request("DELETE", &format!("/sys/v1/apps/{app_id}"), None).success();
    stack.restart();
    let again = fs::read_to_string(stack.state_dir().join("attested.env")).unwrap();
    assert!(!again.contains(&app_id) && again.contains(&key_id), "{again}");
}

#[test]
fn what_keeps_it_from_starting_is_said_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let first = Instance::start(&state);
    let port = first.port().to_string();

    let text = refused(&["--state", state.to_str().unwrap(), "--port-base", "0"]);
    assert!(text.contains("in use by another dsma-local") && text.contains("--state"), "{text}");

    let other = dir.path().join("other");
    let text = refused(&["--state", other.to_str().unwrap(), "--port-base", &port]);
    assert!(text.contains(&format!("port {port}")) && text.contains("--port-base"), "{text}");

    // Somebody else on the other address that `localhost` means.
    let holder = TcpListener::bind("[::1]:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let text = refused(&["--state", other.to_str().unwrap(), "--port-base", &port]);
    assert!(text.contains(&format!("port {port}")), "{text}");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let text = refused(&["--state", file.to_str().unwrap()]);
    assert!(text.contains("--state"), "{text}");

    first.signal("-TERM");
    fs::write(state.join("seal.key"), "short").unwrap();
    let text = refused(&["--state", state.to_str().unwrap(), "--port-base", "0"]);
    assert!(text.contains("seal.key is damaged"), "{text}");
}

#[test]
fn help_teaches_by_example() {
    let output = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for words in ["Examples:", "dsma-local --state", "/crypto/v1/keys", "--port-base", "--session-idle-seconds"] {
        assert!(help.contains(words), "{words}");
    }
}

#[test]
fn a_restart_finds_everything_but_the_sessions() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let session = dsm.login();
    let kid = dsm.create_key(json!({"name": "kept", "obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "EXPORT"]}));
    let before = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).success().json();

    stack.restart();

    let reply = session.request("GET", "/crypto/v1/keys", None);
    assert_eq!((reply.status, reply.text.as_str()), (401, "Session does not exist"));
    let after = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"name": "kept"}))).success().json();
    assert_eq!(before["value"], after["value"]);
    assert_eq!(dsm.exports_of(&kid), 2);
}

/// Not even where somebody wants to see everything: what a library writes at that level, such as headers, is left out.
#[test]
fn the_finest_level_shows_no_credential() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = Command::new(PROGRAM);
    command.args(["--port-base", "0", "--state"]).arg(dir.path().join("state")).env("RUST_LOG", "trace");
    let instance = Instance::launch(command.stderr(fs::File::create(&log).unwrap()));
    let env = fs::read_to_string(dir.path().join("state/env")).unwrap();
    let key = env.lines().find_map(|line| line.strip_prefix("export FORTANIX_API_KEY=")).unwrap().trim_matches('\'').to_owned();
    let endpoint = format!("https://localhost:{}", instance.port());
    let dsm = Dsm::connect(&endpoint, &dir.path().join("state/ca.pem"), Credential::Basic(key.clone()));
    let token = dsm.request("POST", "/sys/v1/session/auth", None).success().json()["access_token"].as_str().unwrap().to_owned();
    dsm.with(Credential::Bearer(token.clone())).request("GET", "/crypto/v1/keys", None).success();
    assert!(instance.signal("-TERM").0.success());
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("GET /crypto/v1/keys"), "{log}");
    for unwanted in [key.as_str(), &token, "hyper", "rustls::", "h2::"] {
        assert!(!log.contains(unwanted), "{unwanted} is in the log:\n{log}");
    }
}

#[test]
fn nothing_secret_is_logged() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let token = dsm.request("POST", "/sys/v1/session/auth", None).json()["access_token"].as_str().unwrap().to_owned();
    let kid = dsm.create_key(json!({"name": "not for the log", "obj_type": "AES", "key_size": 256, "key_ops": ["EXPORT", "ENCRYPT"]}));
    let exported = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": kid}))).json();
    let value = exported["value"].as_str().unwrap();
    // A mistake that puts the secret where a number belongs.
    dsm.request("POST", "/crypto/v1/keys", Some(json!({"name": "x", "obj_type": "AES", "key_size": value})));
    dsm.request("GET", "/crypto/v1/keys?name=not%20for%20the%20log", None).success();
    let log = stack.stop();
    assert!(log.contains("POST /crypto/v1/keys/export"), "{log}");
    for secret in [&token, value, &stack.api_key(), &stack.admin_key(), "not for the log"] {
        assert!(!log.contains(secret), "{log}");
    }
}
