//! NSS: it passes all four mutex callbacks and forbids threads, and uses every key through a session of its own.

use crate::desk::{Desk, finish};

#[test]
fn nss_loads_the_module_and_lists_its_keys() {
    let desk = Desk::new();
    let (rsa, ec) = (desk.rsa("rsa"), desk.ec("ec"));
    std::fs::create_dir(desk.path("db")).expect("a directory");
    desk.write("pin", "any\n");
    finish(desk.command("certutil").args(["-N", "-d", "sql:db", "--empty-password"]));
    finish(desk.command("modutil").args(["-force", "-dbdir", "sql:db", "-add", "dsma", "-libfile"]).arg(dsma_testkit::library()));
    let listed = finish(desk.command("modutil").args(["-dbdir", "sql:db", "-list", "dsma"]));
    assert!(listed.contains("Token Name: Fortanix Token") && listed.contains("Status: Enabled"), "{listed}");
    let keys = finish(desk.command("certutil").args(["-K", "-d", "sql:db", "-h", "Fortanix Token", "-f", "pin"]));
    for kid in [rsa, ec] {
        assert!(keys.contains(&kid.replace('-', "")), "{keys}");
    }
}

/// NSS makes the request's signature with the private key on the token.
#[test]
fn nss_signs_a_certificate_request() {
    let desk = Desk::new();
    let kid = desk.rsa("rsa");
    std::fs::create_dir(desk.path("db")).expect("a directory");
    desk.write("pin", "any\n");
    finish(desk.command("certutil").args(["-N", "-d", "sql:db", "--empty-password"]));
    finish(desk.command("modutil").args(["-force", "-dbdir", "sql:db", "-add", "dsma", "-libfile"]).arg(dsma_testkit::library()));
    let mut certutil = desk.command("certutil");
    certutil.args(["-R", "-d", "sql:db", "-h", "Fortanix Token", "-f", "pin", "-s", "CN=nss", "-a", "-o", "request.pem"]);
    finish(certutil.args(["-k", &kid.replace('-', "")]));
    finish(desk.command("openssl").args(["req", "-in", "request.pem", "-verify", "-noout"]));
    let key = finish(desk.command("openssl").args(["req", "-in", "request.pem", "-noout", "-pubkey"]));
    let expected = desk.public_key(&kid);
    let expected = finish(desk.command("openssl").args(["pkey", "-pubin", "-inform", "DER", "-in"]).arg(expected));
    assert_eq!(key, expected);
}
