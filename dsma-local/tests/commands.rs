//! The subcommands, with and without a running instance; backup and restore; what a kill and a full disk leave.

mod program;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dsma_testkit::{Credential, Dsm, Stack};
use program::PROGRAM;
use serde_json::{Value, json};

/// Runs a command and returns its exit code, output and complaints.
fn run(state: &Path, args: &[&str]) -> (i32, String, String) {
    program::run(state, args, &[])
}

/// Runs a command that succeeds, and returns its output.
#[track_caller]
fn done(state: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(state, args);
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    out
}

#[track_caller]
fn json_of(state: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&done(state, &[args, &["--json"]].concat())).unwrap()
}

/// An instance that is killed with the test, and may be killed in it.
struct Instance {
    child: Child,
    endpoint: String,
}

impl Instance {
    fn start(state: &Path) -> Self {
        Self::launch(Command::new(PROGRAM).arg("--state").arg(state))
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command.args(["--port-base", "0"]).env("RUST_LOG", "off").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.split(' ').nth(1).unwrap_or_else(|| panic!("no ready line: {line:?}")).to_owned();
        Self { child, endpoint }
    }

    fn client(&self, state: &Path) -> Dsm {
        let env = std::fs::read_to_string(state.join("env")).unwrap();
        let key = env.lines().find_map(|line| line.strip_prefix("export FORTANIX_API_KEY=")).unwrap();
        Dsm::connect(&self.endpoint, &state.join("ca.pem"), Credential::Basic(key.trim_matches('\'').to_owned()))
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let state = tempfile::tempdir().unwrap();
    done(state.path(), &["init"]);
    for (args, words) in [
        (&["app", "add", "x", "--admin", "--group", "payments"][..], "cannot be used with '--group"),
        (&["app", "add", "x", "--admin", "--permissions", "SIGN"], "cannot be used with '--permissions"),
        (&["--port-base", "0", "key", "ls"], "--port-base is for the instance that serves"),
        (&["--session-idle-seconds", "9", "init"], "--session-idle-seconds is for the instance"),
        (&["--quorum-auto-satisfy", "off", "group", "ls"], "--quorum-auto-satisfy is for the instance"),
        (&["--json"], "--json is for commands"),
    ] {
        let (code, out, err) = run(state.path(), args);
        assert!(code == 2 && err.contains(words) && out.is_empty(), "{args:?}: {code} {out}{err}");
    }
    done(state.path(), &["--port-base", "5440", "init"]);
}

#[test]
fn a_person_gets_along_without_curl() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    let (code, _, err) = run(state, &["key", "ls"]);
    assert!(code == 1 && err.contains("init"), "{code} {err}");
    assert!(done(state, &["init"]).contains("is made"));
    assert!(done(state, &["init"]).contains("is there already"));

    // The same commands on the files alone, and through an instance that runs on them.
    let stopped = every_command(state, "stopped");
    let instance = Instance::start(state);
    let running = every_command(state, "running");
    assert_eq!(stopped, running);
    let by_api: Vec<Value> =
        serde_json::from_value(instance.client(state).request("GET", "/crypto/v1/keys", None).success().json()).unwrap();
    assert_eq!(by_api.len(), 6, "the other two are in a group of which the default app is no member");
    let log = instance.client(state).request("GET", "/sys/v1/logs", None).success().text;
    assert!(log.contains("Created sobject \\\"aes stopped\\\""), "what a command does is in the log");
}

/// Returns what does not depend on names.
fn every_command(state: &Path, name: &str) -> Vec<String> {
    let named = |what: &str| format!("{what} {name}");
    let group = json_of(state, &["group", "add", &named("group"), "--description", "text"]);
    assert!(done(state, &["group", "ls"]).contains(&named("group")));
    assert_eq!(json_of(state, &["group", "show", &named("group")])["group_id"], group["group_id"]);

    let app = json_of(state, &["app", "add", &named("app"), "--group", &named("group"), "--permissions", "SIGN,VERIFY"]);
    assert!(app["api_key"].is_string());
    assert_eq!(json_of(state, &["app", "show", &named("app"), "--api-key"])["api_key"], app["api_key"]);
    assert!(done(state, &["app", "ls"]).lines().next().unwrap().starts_with("NAME"));

    let address = format!("{name}@example.com");
    let user = json_of(state, &["user", "add", &address, "--role", "ACCOUNTADMINISTRATOR"]);
    assert!(user["password"].is_string() && done(state, &["user", "ls"]).contains(&address));
    assert_eq!(json_of(state, &["user", "show", &address])["user_id"], user["user_id"]);

    let aes = json_of(state, &["key", "add", &named("aes"), "--exportable"]);
    let ec = json_of(state, &["key", "add", &named("ec"), "--type", "ec", "--curve", "Ed25519", "--group", &named("group")]);
    assert_eq!(ec["group_id"], group["group_id"]);
    let pem = state.with_extension("pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA", "-out"]).arg(&pem).output().unwrap();
    assert!(made.status.success());
    let rsa = json_of(state, &["key", "add", &named("rsa"), "--type", "RSA", "--import", pem.to_str().unwrap()]);
    std::fs::write(&pem, b"any words").unwrap();
    let secret = json_of(state, &["key", "add", &named("secret"), "--type", "SECRET", "--import", pem.to_str().unwrap()]);
    let table = done(state, &["key", "ls", "--type", "aes"]);
    assert!(table.contains(&named("aes")) && !table.contains(&named("rsa")), "{table}");
    assert!(done(state, &["key", "ls", "--group", &named("group")]).contains(&named("ec")));
    assert!(done(state, &["key", "show", &named("aes")]).lines().any(|line| line.starts_with("kid")));
    assert_eq!(json_of(state, &["key", "show", aes["kid"].as_str().unwrap()])["name"], named("aes"));

    for (args, code, words) in [
        (&["key", "show", "nobody"][..], 1, "Sobject does not exist"),
        (&["group", "show", "nobody"], 1, "ls"),
        (&["user", "add", &address], 1, "already exists"),
        (&["user", "add", "x@example.com", "--role", "KING"], 2, "KING"),
        (&["key", "add", &named("aes")], 1, "already exists"),
        (&["key", "add", "x", "--size", "7"], 1, "key_size"),
        (&["key", "add", "x", "--import", "/nonexistent"], 1, "nonexistent"),
        (&["key", "fly"], 2, "fly"),
        (&["key", "add", "x", "--ops", "SIGN", "--exportable"], 2, "--exportable"),
    ] {
        let (got, out, err) = run(state, args);
        assert!(got == code && err.contains(words), "{args:?}: {got} {out}{err}");
    }
    [&aes["key_ops"], &ec["key_ops"], &rsa["key_size"], &secret["key_size"], &aes["never_exportable"]].map(Value::to_string).to_vec()
}

#[test]
fn help_is_by_example() {
    let help = |args: &[&str]| {
        let output = Command::new(PROGRAM).args(args).arg("--help").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(help(&["key", "add"]).contains("dsma-local --state ~/dsm key add signer --type EC --curve Ed25519"));
    assert!(help(&[]).contains("dsma-local --state ~/dsm backup"));
    let no_state = Command::new(PROGRAM).args(["key", "ls"]).env_remove("DSMA_LOCAL_STATE").output().unwrap();
    assert_eq!(no_state.status.code(), Some(2));
}

#[test]
fn a_backup_of_a_running_instance_is_restored_whole() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let key = dsm.create_key(json!({"name": "kept", "obj_type": "AES", "key_size": 256, "key_ops": ["EXPORT", "APPMANAGEABLE"]}));
    let export = |dsm: &Dsm| dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"kid": key}))).success().json()["value"].clone();
    let value = export(&dsm);
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("dsm.backup");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..40).for_each(|_| drop(dsm.create_key(json!({"obj_type": "AES", "key_size": 128}))));
        });
        done(stack.state_dir(), &["backup", file.to_str().unwrap()]);
        writer.join().unwrap();
    });
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    dsm.request("DELETE", &format!("/crypto/v1/keys/{key}"), None).success();
    let (code, _, err) = run(stack.state_dir(), &["backup", file.to_str().unwrap()]);
    assert!(code == 1 && err.contains("exists"), "{err}");

    let restored = dir.path().join("restored");
    done(&restored, &["restore", file.to_str().unwrap()]);
    let instance = Instance::start(&restored);
    let again = instance.client(&restored);
    assert_eq!(export(&again), value);
    assert!(!again.request("GET", "/crypto/v1/keys", None).json().as_array().unwrap().is_empty());
    // Clients that trust the old CA trust the restored one.
    assert_eq!(std::fs::read(restored.join("ca.pem")).unwrap(), std::fs::read(stack.ca_file()).unwrap());
    drop(instance);

    let (code, _, err) = run(&restored, &["restore", file.to_str().unwrap()]);
    assert!(code == 1 && err.contains("holds a state already"), "{err}");
    let bytes = std::fs::read(&file).unwrap();
    for (name, bytes) in [("cut", &bytes[..bytes.len() / 2]), ("empty", &[][..]), ("text", b"no database at all")] {
        let bad = dir.path().join(name);
        std::fs::write(&bad, bytes).unwrap();
        let (code, _, err) = run(&dir.path().join(format!("from {name}")), &["restore", bad.to_str().unwrap()]);
        assert!(code == 1 && !err.contains("panicked"), "{name}: {err}");
    }
}

/// A writer is killed in the middle, ten times: whatever was acknowledged is there, whole.
#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..10 {
        let instance = Instance::start(state);
        let dsm = instance.client(state);
        for name in &acknowledged {
            let reply = dsm.request("POST", "/crypto/v1/keys/export", Some(json!({"name": name})));
            assert_eq!(reply.status, 200, "round {round}, {name}: {}", reply.text);
        }
        let pid = instance.child.id().to_string();
        let killer = std::thread::scope(|scope| {
            let (first, begun) = std::sync::mpsc::channel();
            let killer = scope.spawn(move || {
                begun.recv().expect("one is made");
                #[expect(clippy::disallowed_methods, reason = "the kill comes at any time, not at an event")]
                std::thread::sleep(std::time::Duration::from_millis(13 * round));
                Command::new("kill").args(["-9", &pid]).status().unwrap()
            });
            for number in 0.. {
                let name = format!("{round}/{number}");
                let spec = json!({"name": name, "obj_type": "AES", "key_size": 128, "key_ops": ["EXPORT", "APPMANAGEABLE"]});
                match dsm.try_request("POST", "/crypto/v1/keys", Some(spec.to_string().into_bytes())) {
                    Ok(reply) if reply.status == 201 => {
                        acknowledged.push(name);
                        let _ = first.send(());
                    }
                    Ok(reply) => panic!("{} {}", reply.status, reply.text),
                    Err(_) => break,
                }
            }
            killer.join().unwrap()
        });
        assert!(killer.success());
        instance.kill();
    }
    assert!(acknowledged.len() >= 10);
}

/// A file that may not grow stands for a disk that is full: writes are refused with words, and reads go on.
#[test]
fn a_full_disk_refuses_writes_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let state = &dir.path().join("dsm");
    done(state, &["init"]);
    // Blocks of 512 or 1024 bytes, by shell: either is enough to start with.
    let blocks = 1200;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("/bin/sh");
    let instance = Instance::launch(command.args(["-c", &script, "sh", PROGRAM, "--state"]).arg(state));
    let dsm = instance.client(state);
    let description = "x".repeat(60_000);
    let spec = |number: u32| json!({"name": format!("{number}"), "obj_type": "AES", "key_size": 128, "description": description});
    let mut made = 0;
    let refused = loop {
        let reply = dsm.request("POST", "/crypto/v1/keys", Some(spec(made)));
        if reply.status != 201 {
            break reply;
        }
        made += 1;
        assert!(made < 1000, "the limit does not hold");
    };
    assert!(made > 0 && refused.status == 503 && !refused.text.is_empty(), "{} {}", refused.status, refused.text);
    for number in 0..made {
        dsm.request("POST", "/crypto/v1/keys/info", Some(json!({"name": format!("{number}")}))).success();
    }
    let all = dsm.request("GET", "/crypto/v1/keys", None).success().json();
    assert_eq!(all.as_array().unwrap().len(), made as usize, "nothing half-made");
    assert_eq!(dsm.with(Credential::None).request("GET", "/sys/v1/health", None).status, 204);
    drop(instance);
    let instance = Instance::start(state);
    assert_eq!(instance.client(state).request("POST", "/crypto/v1/keys", Some(spec(made))).status, 201, "with space again");
}
