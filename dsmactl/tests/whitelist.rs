//! `scripts/whitelist_domain_and_image.sh` over `dsmactl whitelist`, against CCM: what is asked, what is printed, what comes of it.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dsma_testkit::Stack;

/// As the vendor's guide shows it.
const HELP: &str = include_str!("whitelist_help.txt");

/// A stack, and a package that holds the script.
struct Scene {
    stack: Stack,
    package: tempfile::TempDir,
}

/// What a run ended with.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Scene {
    fn new() -> Self {
        let package = tempfile::tempdir().unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/whitelist_domain_and_image.sh");
        std::fs::copy(script, package.path().join("whitelist_domain_and_image.sh")).unwrap();
        Self { stack: Stack::start(), package }
    }

    /// The flags as the guide spells them, with this account.
    fn flags(&self, account: &str, build_info: &Path) -> Vec<String> {
        let env = |name| self.stack.env(name);
        let pairs = [
            ("--username", env("CCM_USERNAME")),
            ("--account-id", account.to_owned()),
            ("--group-id", env("CCM_GROUP_ID")),
            ("--app-name", "dsma-nitro".to_owned()),
            ("--build-info", build_info.display().to_string()),
            ("--ccm-endpoint", env("CCM_ENDPOINT")),
        ];
        pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// Runs the script; the password comes on standard input.
    fn run(&self, flags: &[String], password: &str) -> Run {
        let mut child = Command::new(self.package.path().join("whitelist_domain_and_image.sh"))
            .args(flags)
            .env("DSMACTL", env!("CARGO_BIN_EXE_dsmactl"))
            .env("SSL_CERT_FILE", self.stack.env("SSL_CERT_FILE"))
            .env_remove("SSL_CERT_DIR")
            .env_remove("CCM_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A run that refuses its flags does not read it.
        let _ = writeln!(child.stdin.take().unwrap(), "{password}");
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[test]
fn the_guides_transcript_word_for_word_and_again_without_harm() {
    let scene = Scene::new();
    let stack = &scene.stack;
    let (account, build_info) = (stack.env("CCM_ACCOUNT_ID"), stack.state_dir().join("build_info.json"));
    let flags = scene.flags(&account, &build_info);
    let first = scene.run(&flags, &stack.env("CCM_PASSWORD"));
    assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{}", first.stdout);
    let package = scene.package.path().canonicalize().unwrap();
    let before = format!(
        "Username: {}\nAccount ID: {account}\nBuild Info: {}\nApp Name: dsma-nitro\nGroup ID: {}\nCCM Endpoint: {}\nEnter your password: \n\
         Authenticating to ccm\nSelecting the account\nCopying the zone CA certificate to {}/zone_cert.pem\n",
        stack.env("CCM_USERNAME"),
        build_info.display(),
        stack.env("CCM_GROUP_ID"),
        stack.env("CCM_ENDPOINT"),
        package.display(),
    );
    let app_id = first.stdout.split("APPID: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an APPID in quotes");
    let after = format!(
        "App does not exist, creating one\nAPPID: \"{app_id}\"\nWhitelisting the Domain\nSuccessfully whitelisted the Domain\n\
         Successfully added the build to the app:dsma-nitro\nWhitelisting the build\nSuccessfully whitelisted the build\n"
    );
    assert_eq!(first.stdout, format!("{before}{after}"));
    let certificate = std::fs::read_to_string(package.join("zone_cert.pem")).unwrap();
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{certificate}");

    let again = scene.run(&flags, &stack.env("CCM_PASSWORD"));
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    let words = ["App exists already", app_id, "The Domain is whitelisted already", "was added to the app:dsma-nitro already"];
    assert!(words.iter().all(|words| again.stdout.contains(words)), "{}", again.stdout);
    let files: Vec<_> = std::fs::read_dir(&package).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "the script and the certificate, and no password: {files:?}");
}

#[test]
fn each_failure_says_what_to_do() {
    let scene = Scene::new();
    let stack = &scene.stack;
    let (account, build_info) = (stack.env("CCM_ACCOUNT_ID"), stack.state_dir().join("build_info.json"));
    let (good, password) = (scene.flags(&account, &build_info), stack.env("CCM_PASSWORD"));
    let empty = scene.package.path().join("empty.json");
    std::fs::write(&empty, "{}").unwrap();
    let with = |flag: &str, value: &str| {
        let mut flags = good.clone();
        let at = flags.iter().position(|known| known == flag).unwrap();
        value.clone_into(&mut flags[at + 1]);
        flags
    };
    for (flags, password, code, words) in [
        (good.clone(), "wrong", 1, "Wrong address or password (status 401)"),
        (with("--account-id", "00000000-0000-0000-0000-000000000001"), &password, 1, "You are not a member of this account"),
        (with("--build-info", empty.to_str().unwrap()), &password, 1, "is no build info"),
        (with("--build-info", "/nonexistent"), &password, 1, "cannot be read"),
        (with("--ccm-endpoint", &format!("{}/", stack.env("CCM_ENDPOINT"))), &password, 1, "not end with /"),
        (with("--ccm-endpoint", "https://localhost:1"), &password, 1, "does not answer"),
        (good[2..].to_vec(), &password, 2, "--username"),
        (Vec::new(), &password, 2, "Usage: ./whitelist_domain_and_image.sh"),
    ] {
        let run = scene.run(&flags, password);
        assert_eq!(run.code, code, "{words}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        assert!(!run.stderr.contains(password), "the password is shown");
    }
    let help = scene.run(&["--help".to_owned()], "");
    assert_eq!((help.code, help.stdout.as_str()), (0, HELP));
    assert_eq!(scene.run(&["-h".to_owned()], "").stdout, HELP);
}
