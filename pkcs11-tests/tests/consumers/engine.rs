//! OpenSSL 3.0 with libp11's engine, on the command line; `tests/pkcs11/programs.rs` signs and makes requests with it.

use std::process::Command;

use crate::desk::{Desk, finish, private_uri};

/// `openssl` with the engine, and a key of the token.
fn with_key(desk: &Desk, arguments: &[&str], option: &str, name: &str) -> Command {
    let mut openssl = desk.with_engine("openssl");
    openssl.args(arguments).args([option, &private_uri(name)]);
    openssl
}

fn openssl(desk: &Desk, words: &str) {
    finish(desk.command("openssl").args(words.split_whitespace()));
}

#[test]
fn the_engine_signs_and_decrypts_with_pkeyutl() {
    let desk = Desk::new();
    let pkeyutl = |words: &str, name: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        finish(&mut with_key(&desk, &[&["pkeyutl", "-engine", "pkcs11", "-keyform", "engine"], &words[..]].concat(), "-inkey", name));
    };
    desk.write("digest", [7; 32]);
    let rsa = desk.public_key(&desk.rsa("rsa"));
    for padding in ["", "-pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:32"] {
        let options = format!("-pkeyopt digest:sha256 {padding} -in digest");
        pkeyutl(&format!("-sign {options} -out signature"), "rsa");
        openssl(&desk, &format!("pkeyutl -verify {options} -pubin -keyform DER -inkey {} -sigfile signature", rsa.display()));
    }
    for padding in ["pkcs1", "oaep", "oaep -pkeyopt rsa_oaep_md:sha256"] {
        let options = format!("-pkeyopt rsa_padding_mode:{padding}");
        openssl(&desk, &format!("pkeyutl -encrypt {options} -pubin -keyform DER -inkey {} -in digest -out encrypted", rsa.display()));
        pkeyutl(&format!("-decrypt {options} -in encrypted -out plain"), "rsa");
        assert_eq!(std::fs::read(desk.path("plain")).expect("a plain text"), [7; 32], "{padding}");
    }
    let ec = desk.public_key(&desk.ec("ec"));
    pkeyutl("-sign -pkeyopt digest:sha256 -in digest -out signature", "ec");
    openssl(
        &desk,
        &format!("pkeyutl -verify -pkeyopt digest:sha256 -in digest -pubin -keyform DER -inkey {} -sigfile signature", ec.display()),
    );
}

/// A CA whose key is in DSM.
#[test]
fn the_engine_issues_certificates() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    openssl(&desk, "req -new -noenc -newkey rsa:2048 -subj /CN=leaf -keyout leaf.key -out leaf.csr");
    for name in ["rsa", "ec"] {
        let ca = desk.certificate(name);
        let mut x509 = with_key(
            &desk,
            &["x509", "-req", "-in", "leaf.csr", "-days", "1", "-engine", "pkcs11", "-CAkeyform", "engine"],
            "-CAkey",
            name,
        );
        finish(x509.args(["-CAcreateserial", "-out", "leaf.pem", "-CA"]).arg(&ca));
        openssl(&desk, &format!("verify -CAfile {} leaf.pem", ca.display()));
    }
}
