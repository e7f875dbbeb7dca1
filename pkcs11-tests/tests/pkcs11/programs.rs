//! Foreign programs: OpenSC's `pkcs11-tool` and OpenSSL's engine, with `openssl` as the verifier.

use std::process::Command;

use crate::keys::{Bench, Key, shared};
use crate::openssl::Openssl;

/// Runs `pkcs11-tool` with these words, and returns all that it printed.
#[track_caller]
fn pkcs11_tool(bench: &Bench, openssl: &Openssl, words: &str) -> String {
    let output = Command::new("pkcs11-tool")
        .arg("--module")
        .arg(dsma_testkit::library())
        // It takes mechanisms without CKF_HW only so.
        .arg("--allow-sw")
        .args(words.split_whitespace())
        .env("FORTANIX_PKCS11_CONFIG", bench.stack.pkcs11_conf())
        .current_dir(openssl.path(""))
        .output()
        .expect("pkcs11-tool runs: apt-get install opensc");
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "pkcs11-tool {words}: {printed}");
    printed
}

fn id(key: &Key) -> String {
    key.kid.replace('-', "")
}

#[test]
fn pkcs11_tool_lists_signs_and_encrypts() {
    let bench = shared();
    let openssl = Openssl::new();
    let (rsa, ec, aes) = (bench.rsa(), bench.ec(), bench.aes());
    openssl.write("message", &[7; 1000]);
    let public_only = pkcs11_tool(bench, &openssl, "--list-objects");
    assert!(public_only.contains(&id(&rsa)) && !public_only.contains("Private Key Object") && !public_only.contains(&id(&aes)));
    let listed = pkcs11_tool(bench, &openssl, "--list-objects --login --pin any");
    for key in [&rsa, &ec, &aes] {
        assert!(listed.contains(&key.label) && listed.contains(&id(key)), "{listed}");
    }
    for (key, mechanism, format) in [(&rsa, "SHA256-RSA-PKCS", "rs"), (&ec, "ECDSA-SHA256", "openssl")] {
        let (id, signing) = (id(key), format!("--sign --mechanism {mechanism} --signature-format {format}"));
        pkcs11_tool(bench, &openssl, &format!("--login --pin any {signing} --id {id} --input-file message --output-file signature"));
        // From DSM itself; the tool's own --read-object fails for EC keys with this OpenSSL (OpenSC issue 3200).
        openssl.write("public.der", &bench.public_key(key));
        openssl.run("dgst -sha256 -verify public.der -keyform DER -signature signature message");
    }
    pkcs11_tool(bench, &openssl, &format!("--read-object --type pubkey --id {} --output-file public.der", id(&rsa)));
    assert_eq!(openssl.read("public.der"), bench.public_key(&rsa));
    let cbc = format!("--login --pin any --mechanism AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id {}", id(&aes));
    pkcs11_tool(bench, &openssl, &format!("{cbc} --encrypt --input-file message --output-file encrypted"));
    pkcs11_tool(bench, &openssl, &format!("{cbc} --decrypt --input-file encrypted --output-file plain"));
    assert_eq!(openssl.read("encrypted").len(), 1008);
    assert_eq!(openssl.read("plain"), [7; 1000]);
}

/// OpenSC's own checks on an RSA, a P-256 and an AES key. A DSM of their own, because they go through all keys. What the tool skips it
/// skips by its own code (see docs/compatibility.md): keys that are not RSA, and for decryption every mechanism but RSA's.
#[test]
fn pkcs11_tool_tests_the_module() {
    let bench = Bench::start();
    let openssl = Openssl::new();
    bench.rsa();
    let ec = bench.ec();
    bench.aes();
    let said = pkcs11_tool(&bench, &openssl, "--login --pin any --test");
    assert!(said.contains("No errors") && !said.contains("not implemented"), "{said}");
    for passed in ["RSA-PKCS: OK", "RSA-X-509: OK", "SHA1-RSA-PKCS: OK", "SHA256-RSA-PKCS: OK", "SHA-1: OK", "SHA256: OK"] {
        assert!(said.contains(passed), "{passed} in {said}");
    }
    for passed in ["seems to be OK", "all 4 digest functions seem to work", "all 4 signature functions seem to work"] {
        assert!(said.contains(passed), "{passed} in {said}");
    }
    for skipped in said.lines().filter(|line| line.contains("skipping")) {
        let not_rsa = skipped.contains(&ec.label) && skipped.ends_with("-- non-RSA, skipping");
        assert!(not_rsa || skipped.ends_with("-- mechanism can't be used to decrypt, skipping"), "{skipped} in {said}");
    }
    pkcs11_tool(&bench, &openssl, "--test-fork");
}

/// It generates a pair on the token, changes CKA_ID, CKA_LABEL and CKA_SUBJECT, signs, and destroys the pair half by half. Without
/// `--session-rw` the tool generates in a read-only session, which no token takes.
#[test]
fn pkcs11_tool_tests_ec() {
    let bench = Bench::start();
    let openssl = Openssl::new();
    for curve in ["prime256v1", "secp384r1", "secp256k1"] {
        let said = pkcs11_tool(&bench, &openssl, &format!("--session-rw --login --pin any --test-ec --id 77 --key-type EC:{curve}"));
        assert!(said.contains("==> OK"), "{said}");
    }
    let listed = pkcs11_tool(&bench, &openssl, "--login --pin any --list-objects");
    assert!(!listed.contains("Key Object"), "{listed}");
}

/// The tool sleeps for half a minute where its threads have not ended when it looks for the first time.
#[test]
fn pkcs11_tool_tests_threads() {
    let said = pkcs11_tool(shared(), &Openssl::new(), "--test-threads ILGISLT0 --test-threads ILGISLT0 --test-threads ILGISLT0");
    assert!(said.contains("all threads have ended with CKR_OK"), "{said}");
}

#[test]
fn openssl_signs_through_the_engine() {
    // Of its own: the engine sees no key at all where one is Ed25519, which other tests make.
    let bench = Bench::start();
    let openssl = Openssl::new();
    let engine = ["pkcs11", "libpkcs11"].map(|name| format!("/usr/lib/x86_64-linux-gnu/engines-3/{name}.so"));
    assert!(engine.iter().any(|file| std::path::Path::new(file).exists()), "no engine: apt-get install libengine-pkcs11-openssl");
    let library = dsma_testkit::library();
    let config = format!(
        "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\nMODULE_PATH = {}\ninit = 1\n",
        library.display()
    );
    openssl.write("engine.cnf", config.as_bytes());
    openssl.write("message", b"a message");
    let conf = bench.stack.pkcs11_conf().display().to_string();
    let with_engine = |words: &str| openssl.run_with(words, &[("OPENSSL_CONF", "engine.cnf"), ("FORTANIX_PKCS11_CONFIG", &conf)]);
    for key in [bench.rsa(), bench.ec()] {
        openssl.write("public.der", &bench.public_key(&key));
        let label = key.label.replace(' ', "%20");
        // With a PIN, which is not looked at, and without.
        for pin in ["", ";pin-value=any"] {
            let uri = format!("pkcs11:token=Fortanix%20Token;object={label};type=private{pin}");
            with_engine(&format!("dgst -sha256 -engine pkcs11 -keyform engine -sign {uri} -out signature message"));
            openssl.run("dgst -sha256 -verify public.der -keyform DER -signature signature message");
        }
        let uri = format!("pkcs11:token=Fortanix%20Token;object={label};type=private");
        with_engine(&format!("req -new -engine pkcs11 -keyform engine -key {uri} -subj /CN=engine -config engine.cnf -out request.pem"));
        openssl.run("req -in request.pem -verify -noout");
    }
}
