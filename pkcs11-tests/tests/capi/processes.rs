//! Whole programs in C: `processes.c` for what only a process shows (threads, forks), and the example that users copy.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::header::include_dir;
use crate::openssl::Openssl;
use crate::stack::{AES_OPS, SIGN_OPS, shared};

#[test]
fn no_thread_is_started_and_forks_go_on() {
    let bench = shared();
    let (aes, kid) = bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    let (ec, _) = bench.make("POST", json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": SIGN_OPS}));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/capi/processes.c"), &dir);
    let output = run(Command::new(program).arg(bench.stack.pkcs11_conf()).args([&aes, &ec]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"ok\n");
    // The parent once, each child once after its clear: what a child inherited it did not fetch.
    assert_eq!(bench.stack.dsm().exports_of(&kid), 1 + 8);
}

/// A hit costs no memory, in every operation that C callers repeat.
#[test]
fn a_warm_call_allocates_nothing() {
    let bench = shared();
    let (aes, _) = bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/capi/warm.c"), &dir);
    let output = run(Command::new(program).arg(bench.stack.pkcs11_conf()).arg(&aes));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains(" 0 allocations"), "{told}");
}

#[test]
fn the_example_encrypts_decrypts_signs_and_explains() {
    let bench = shared();
    let (aes, kid) = bench.make("POST", json!({"obj_type": "AES", "key_size": 256, "key_ops": AES_OPS}));
    let openssl = Openssl::new();
    openssl.run("ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    openssl.run("pkey -in key.pem -pubout -out public.pem");
    let value = base64_simd::STANDARD.encode_to_string(openssl.read("key.der"));
    let (ec, _) = bench.make("PUT", json!({"obj_type": "EC", "value": value, "key_ops": SIGN_OPS}));

    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = make(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/c"), &dir);
    let example = |arguments: &[&str]| {
        let conf = bench.stack.pkcs11_conf();
        run(Command::new(&program).arg("-c").arg(conf).args(arguments).current_dir(openssl.path("")))
    };
    let succeeds = |arguments: &[&str]| {
        let output = example(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    openssl.write("text", &text);
    succeeds(&["encrypt", &aes, "text", "sealed"]);
    assert_eq!(openssl.read("sealed").len(), text.len() + 28);
    succeeds(&["decrypt", &aes, "sealed", "back"]);
    assert_eq!(openssl.read("back"), text);
    succeeds(&["sign", "ecdsa", &ec, "text", "signature"]);
    openssl.run("dgst -sha256 -verify public.pem -signature signature text");
    succeeds(&["verify", "ecdsa", &ec, "text", "signature"]);

    let before = bench.stack.dsm().exports_of(&kid);
    let told = succeeds(&["-n", "100", "encrypt", &aes, "text", "sealed"]);
    assert!(told.contains("encrypt: 100 times") && told.contains("exports 1, forwarded 0"), "{told}");
    assert_eq!(bench.stack.dsm().exports_of(&kid), before + 1);

    for (arguments, explains) in [
        (&["verify", "ecdsa", &ec, "back", "sealed"][..], "the signature does not hold; check"),
        (&["decrypt", &aes, "text", "nothing"], "the tag or the padding does not hold; check"),
        (&["encrypt", "no such key", "text", "nothing"], "key \"no such key\": Sobject does not exist; check the name"),
    ] {
        let output = example(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(explains), "{arguments:?}: {said}");
    }
    assert_eq!(example(&["shred"]).status.code(), Some(2));
    let help = run(Command::new(&program).arg("--help"));
    assert!(help.status.success() && help.stdout.starts_with(b"usage: dsma-file"));
}

/// Builds the example with its own Makefile.
fn make(place: &Path, dir: &TempDir) -> PathBuf {
    let library = dsma_testkit::library();
    let program = dir.path().join("dsma-file");
    let target = library.parent().expect("a directory");
    let variable = |name: &str, value: &Path| format!("{name}={}", value.display());
    let output = Command::new("make")
        .arg("-C")
        .arg(place)
        .args([variable("TARGET", target), variable("OUT", &program)])
        .output()
        .expect("make starts");
    assert!(output.status.success(), "make: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Compiles as a user would, against the library of this test's profile.
fn compile(source: &Path, dir: &TempDir) -> PathBuf {
    let library = dsma_testkit::library();
    let place = library.parent().expect("a directory");
    let program = dir.path().join(source.file_stem().expect("a name"));
    let output = Command::new("cc")
        .args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread", "-I"])
        .arg(include_dir())
        .arg("-o")
        .args([&program, source])
        .arg("-L")
        .arg(place)
        .arg("-ldsma")
        .arg(format!("-Wl,-rpath,{}", place.display()))
        .output()
        .expect("cc starts");
    assert!(output.status.success(), "cc {}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs to the end, or kills after two minutes: a program that hangs after a fork is what is looked for here.
fn run(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let deadline = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().expect("waits") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("kills");
            break child.wait().expect("waits");
        }
        #[expect(clippy::disallowed_methods, reason = "std has no wait with a timeout")]
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut output = Output { status, stdout: Vec::new(), stderr: Vec::new() };
    stdout.read_to_end(&mut output.stdout).expect("reads");
    stderr.read_to_end(&mut output.stderr).expect("reads");
    output
}
