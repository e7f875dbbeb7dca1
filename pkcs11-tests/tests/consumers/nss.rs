//! NSS: it passes all four mutex callbacks and forbids threads, and uses every key through a session of its own.

use std::process::Command;

use crate::desk::{Desk, fetch_with_both_versions, finish, output};

/// A desk with a database of NSS's that knows the module.
fn with_database() -> Desk {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("db")).expect("a directory");
    desk.write("pin", "any\n");
    finish(desk.command("certutil").args(["-N", "-d", "sql:db", "--empty-password"]));
    finish(desk.command("modutil").args(["-force", "-dbdir", "sql:db", "-add", "dsma", "-libfile"]).arg(dsma_testkit::library()));
    desk
}

/// `certutil` on the token.
fn certutil(desk: &Desk, arguments: &[&str]) -> String {
    finish(desk.command("certutil").args(["-d", "sql:db", "-h", "Fortanix Token", "-f", "pin"]).args(arguments))
}

fn pk12util(desk: &Desk, arguments: &[&str]) -> Command {
    let mut command = desk.command("pk12util");
    command.args(["-d", "sql:db", "-h", "Fortanix Token", "-k", "pin", "-W", "password"]).args(arguments);
    command
}

#[test]
fn nss_loads_the_module_and_lists_its_keys() {
    let desk = with_database();
    let (rsa, ec) = (desk.rsa("rsa"), desk.ec("ec"));
    let listed = finish(desk.command("modutil").args(["-dbdir", "sql:db", "-list", "dsma"]));
    assert!(listed.contains("Token Name: Fortanix Token") && listed.contains("Status: Enabled"), "{listed}");
    let keys = certutil(&desk, &["-K"]);
    for kid in [rsa, ec] {
        assert!(keys.contains(&kid.replace('-', "")), "{keys}");
    }
}

/// NSS makes the request's signature with the private key on the token.
#[test]
fn nss_signs_a_certificate_request() {
    let desk = with_database();
    let kid = desk.rsa("rsa");
    certutil(&desk, &["-R", "-s", "CN=nss", "-a", "-o", "request.pem", "-k", &kid.replace('-', "")]);
    finish(desk.command("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]));
    let key = finish(desk.command("openssl").args(["req", "-in", "request.pem", "-noout", "-pubkey"]));
    let expected = desk.public_key(&kid);
    let expected = finish(desk.command("openssl").args(["pkey", "-pubin", "-inform", "DER", "-in"]).arg(expected));
    assert_eq!(key, expected);
}

/// NSS generates the pair on the token, signs its certificate with it and puts it beside; `selfserv` serves TLS with both.
#[test]
fn nss_generates_pairs_on_the_token_and_serves_tls() {
    let desk = with_database();
    desk.write("noise", [7; 64]);
    let rsa = desk.rsa("made-by-dsm");
    desk.certificate_on_token("made-by-dsm", &rsa);
    for (name, arguments) in [("rsa", ["-k", "rsa", "-g", "2048"]), ("ec", ["-k", "ec", "-q", "nistp256"])] {
        // The tool's own serial numbers come from the clock, and are equal for two certificates of one moment.
        let serial = if name == "rsa" { "1001" } else { "1002" };
        let own = ["-S", "-m", serial, "-n", name, "-s", "CN=localhost", "-8", "localhost", "-x", "-t", ",,", "-z", "noise"];
        certutil(&desk, &[&own[..], &arguments].concat());
    }
    for (name, option) in [("made-by-dsm", "-n"), ("rsa", "-n"), ("ec", "-e")] {
        let nickname = format!("Fortanix Token:{name}");
        let certificate = desk.write("certificate.pem", certutil(&desk, &["-L", "-n", &nickname, "-a"]));
        let port = dsma_testkit::free_port();
        let mut selfserv = desk.command("selfserv");
        selfserv.arg("-d").arg(format!("sql:{}", desk.path("db").display())).arg("-f").arg(desk.path("pin"));
        selfserv.args(["-v", "-V", "tls1.2:tls1.3", "-p", &port.to_string(), option, &nickname]);
        let server = desk.serve("selfserv", &selfserv);
        let _ = server.wait_for("About to call accept");
        fetch_with_both_versions(port, &certificate, 3);
    }
    // The private key goes first, and the sobject with it.
    certutil(&desk, &["-F", "-n", "Fortanix Token:ec"]);
    let keys = certutil(&desk, &["-K"]);
    assert!(keys.contains("Fortanix Token:rsa") && !keys.contains("Fortanix Token:ec"), "{keys}");
}

/// The file's keys come from its password by PBKDF2, which NSS does on the token too; the private key is unwrapped there. Out it does
/// not come again.
#[test]
fn nss_imports_pkcs12_files_onto_the_token_and_exports_none() {
    let desk = with_database();
    for (name, arguments) in [
        ("rsa", ["-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("ec", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ] {
        let mut request = desk.command("openssl");
        request.args([
            "req",
            "-new",
            "-x509",
            "-noenc",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ]);
        finish(request.args(arguments));
        let mut pack = desk.command("openssl");
        pack.args([
            "pkcs12",
            "-export",
            "-in",
            "certificate.pem",
            "-inkey",
            "key.pem",
            "-name",
            name,
            "-passout",
            "pass:password",
            "-out",
            "in.p12",
        ]);
        finish(&mut pack);
        finish(&mut pk12util(&desk, &["-i", "in.p12"]));
        certutil(&desk, &["-R", "-s", "CN=nss", "-a", "-o", "request.pem", "-k", &format!("Fortanix Token:{name}")]);
        finish(desk.command("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]));
        let refused = output(&mut pk12util(&desk, &["-o", "out.p12", "-n", &format!("Fortanix Token:{name}")]));
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("SEC_ERROR_PKCS12_UNABLE_TO_EXPORT_KEY"), "{said}");
    }
}

#[test]
fn nss_puts_certificates_of_others_onto_the_token() {
    let desk = with_database();
    let mut request = desk.command("openssl");
    request.args(["req", "-new", "-x509", "-noenc", "-days", "2", "-subj", "/CN=somebody", "-newkey", "rsa:2048"]);
    finish(request.args(["-keyout", "key.pem", "-out", "certificate.pem"]));
    certutil(&desk, &["-A", "-n", "somebody", "-t", ",,", "-i", "certificate.pem"]);
    let back = certutil(&desk, &["-L", "-n", "Fortanix Token:somebody", "-a"]);
    let given = std::fs::read_to_string(desk.path("certificate.pem")).expect("a certificate");
    let body = |pem: &str| pem.lines().filter(|line| !line.contains("-----")).map(str::trim).collect::<String>();
    assert!(body(&back).contains(&body(&given)), "{back}");
}
