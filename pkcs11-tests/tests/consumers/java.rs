//! Java 17's SunPKCS11, in programs of ours and in `keytool`.

use std::process::Command;

use crate::desk::{Desk, fetch_with_both_versions, finish, port_in};

/// Java closes a session after each digest. Where that was its last one, the login ends by PKCS #11's rules, and its key store
/// then finds nothing any more, in SoftHSM2 as here: `login = "optional"` is the mend.
#[test]
fn java_uses_and_generates_secret_keys() {
    let desk = Desk::new();
    desk.configure("login = \"optional\"");
    desk.aes("aes");
    desk.hmac("hmac");
    run(&desk, "SecretKeys.java");
}

/// Java's key store shows a private key only where the token has a certificate with the key's CKA_ID.
#[test]
fn java_uses_and_generates_private_keys() {
    let desk = Desk::new();
    for (name, kid) in [("rsa", desk.rsa("rsa")), ("ec", desk.ec("ec"))] {
        desk.certificate_on_token(name, &kid);
    }
    run(&desk, "PrivateKeys.java");
}

#[test]
fn java_uses_private_keys_with_generated_certificates() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    desk.configure("generate_certs = true");
    run(&desk, "PrivateKeys.java");
}

#[test]
fn java_serves_tls_with_keys_of_the_key_store() {
    let desk = Desk::new();
    for (name, kid) in [("rsa", desk.rsa("rsa")), ("ec", desk.ec("ec"))] {
        let certificate = desk.certificate_on_token(name, &kid);
        let server = desk.serve("a Java server", java(&desk, "TlsServer.java").arg(name));
        let port = port_in(&server.wait_for("listening on port "));
        fetch_with_both_versions(port, &certificate, 5);
    }
}

/// `keytool` puts keys and certificates onto the token with KeyStore.setEntry: pairs of its own, which it copies or imports, a secret
/// key, and the content of a PKCS #12 file.
#[test]
fn keytool_fills_the_key_store() {
    let desk = Desk::new();
    let conf = configuration(&desk);
    let token = |command: &mut Command, prefix: &str| {
        let option = |name: &str| if prefix.is_empty() { format!("-{name}") } else { format!("-{prefix}{name}") };
        command.args([
            "-J-XX:TieredStopAtLevel=1",
            &option("keystore"),
            "NONE",
            &option("storetype"),
            "PKCS11",
            &option("storepass"),
            "any",
        ]);
        finish(command.args(["-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", &conf]))
    };
    let keytool = |arguments: &[&str]| token(desk.command("keytool").args(arguments), "");
    keytool(&["-genkeypair", "-alias", "rsa", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=rsa"]);
    keytool(&["-genkeypair", "-alias", "ec", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=ec"]);
    keytool(&["-genseckey", "-alias", "aes", "-keyalg", "AES", "-keysize", "256"]);
    let mut file = desk.command("keytool");
    file.args(["-genkeypair", "-alias", "imported", "-keyalg", "EC", "-groupname", "secp384r1", "-dname", "CN=imported"]);
    finish(file.args(["-keystore", "soft.p12", "-storepass", "changeit"]));
    let mut import = desk.command("keytool");
    token(import.args(["-importkeystore", "-srckeystore", "soft.p12", "-srcstorepass", "changeit"]), "dest");
    for alias in ["rsa", "ec", "imported"] {
        keytool(&["-certreq", "-alias", alias, "-file", "request.pem"]);
        finish(desk.command("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]));
    }
    for alias in ["rsa", "aes"] {
        keytool(&["-delete", "-alias", alias]);
    }
    let listed = keytool(&["-list"]);
    assert!(listed.contains("ec, PrivateKeyEntry") && listed.contains("imported, PrivateKeyEntry"), "{listed}");
    assert!(!listed.contains("rsa") && !listed.contains("aes"), "{listed}");
}

#[track_caller]
fn run(desk: &Desk, program: &str) {
    let said = finish(&mut java(desk, program));
    assert!(said.ends_with("all well\n"), "{said}");
}

/// A program, in Java's single-file mode, whose first argument is SunPKCS11's configuration.
fn java(desk: &Desk, program: &str) -> Command {
    let program = format!("{}/tests/consumers/programs/{program}", env!("CARGO_MANIFEST_DIR"));
    let mut java = desk.command("java");
    java.args(["-Xshare:auto", "-XX:TieredStopAtLevel=1"]).arg(program).arg(configuration(desk));
    java
}

fn configuration(desk: &Desk) -> String {
    desk.write("sunpkcs11.cfg", format!("name = dsma\nlibrary = {}\n", dsma_testkit::library().display())).display().to_string()
}
