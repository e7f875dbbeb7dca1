//! GnuTLS's `p11tool`, and p11-kit with a module file.

use serde_json::json;

use crate::desk::{Desk, fetch_with_both_versions, finish, private_uri, token_uri};

#[test]
fn p11tool_lists_and_signs() {
    let desk = Desk::new();
    desk.rsa("rsa");
    desk.ec("ec");
    let provider = format!("--provider={}", dsma_testkit::library().display());
    let p11tool =
        |arguments: &[&str]| finish(desk.command("p11tool").arg(&provider).args(["--login", "--set-pin=any", "--batch"]).args(arguments));
    let listed = p11tool(&["--list-all", token_uri()]);
    for name in ["rsa", "ec"] {
        assert!(listed.contains(&format!("object={name};type=private")), "{listed}");
        let said = p11tool(&["--test-sign", &private_uri(name)]);
        assert_eq!(said.matches("... ok").count(), 3, "{said}");
    }
}

/// Pairs that p11tool has the token generate, a key and a certificate that it writes there, and what it deletes.
#[test]
fn p11tool_generates_writes_and_deletes() {
    let desk = Desk::new();
    let provider = format!("--provider={}", dsma_testkit::library().display());
    let p11tool =
        |arguments: &[&str]| finish(desk.command("p11tool").arg(&provider).args(["--login", "--set-pin=any", "--batch"]).args(arguments));
    p11tool(&["--generate-privkey=rsa", "--bits", "2048", "--label", "rsa", "--id", "0a01", token_uri()]);
    p11tool(&["--generate-privkey=ecdsa", "--curve", "secp384r1", "--label", "ec", "--id", "0a02", token_uri()]);
    finish(desk.command("openssl").args([
        "req",
        "-new",
        "-x509",
        "-noenc",
        "-subj",
        "/CN=written",
        "-newkey",
        "rsa:2048",
        "-keyout",
        "key",
        "-out",
        "crt",
    ]));
    p11tool(&["--write", "--load-privkey", "key", "--label", "written", "--id", "0a03", token_uri()]);
    p11tool(&["--write", "--load-certificate", "crt", "--label", "written", "--id", "0a03", token_uri()]);
    for (name, checks) in [("rsa", 3), ("ec", 3), ("written", 2)] {
        let said = p11tool(&["--test-sign", &private_uri(name)]);
        assert_eq!(said.matches("... ok").count(), checks, "{said}");
    }
    let exported = p11tool(&["--export", &format!("{};object=written;type=cert", token_uri())]);
    assert!(exported.contains(std::fs::read_to_string(desk.path("crt")).expect("a certificate").trim()), "{exported}");
    p11tool(&["--delete", &private_uri("rsa")]);
    let listed = p11tool(&["--list-all", token_uri()]);
    assert!(!listed.contains("object=rsa") && listed.contains("object=ec;type=private"), "{listed}");
}

/// `certtool` signs the certificate of the key that `gnutls-serv` then serves TLS with. GnuTLS 3.7 reads points of Ed25519 in DER alone.
#[test]
fn gnutls_serves_tls() {
    let desk = Desk::new();
    desk.configure("ec_point_encoding = \"der\"");
    desk.rsa("rsa");
    desk.ec("ec");
    desk.key("ed", json!({"obj_type": "EC", "elliptic_curve": "Ed25519", "key_ops": ["SIGN", "VERIFY", "EXPORT"]}));
    desk.write("template", "cn = localhost\ndns_name = localhost\ntls_www_server\nsigning_key\n");
    let provider = format!("--provider={}", dsma_testkit::library().display());
    for name in ["rsa", "ec", "ed"] {
        let mut certtool = desk.command("certtool");
        certtool.arg(&provider).env("GNUTLS_PIN", "any").args(["--generate-self-signed", "--template", "template", "--outfile", "crt"]);
        certtool.arg("--load-privkey").arg(private_uri(name));
        finish(certtool.arg("--load-pubkey").arg(format!("{};object={name};type=public", token_uri())));
        let port = dsma_testkit::free_port();
        let mut serv = desk.command("gnutls-serv");
        serv.arg(&provider).args(["--http", "--port", &port.to_string(), "--x509certfile"]).arg(desk.path("crt")).arg("--x509keyfile");
        let server = desk.serve("gnutls-serv", serv.arg(format!("{};pin-value=any", private_uri(name))));
        let _ = server.wait_for("HTTP Server listening on IPv4");
        fetch_with_both_versions(port, &desk.path("crt"), 3);
    }
}

/// Programs of one user share modules through p11-kit's files. Root has no such files, so that root looks as somebody else, who must be
/// able to read the configuration.
#[test]
fn p11_kit_lists_the_module_from_its_file() {
    let desk = Desk::new();
    let conf = std::fs::read_to_string(desk.stack.pkcs11_conf()).expect("a configuration");
    let ca = desk.write("ca.pem", std::fs::read(desk.stack.ca_file()).expect("the dev CA"));
    let conf = desk.write("pkcs11.conf", conf.replace(&desk.stack.ca_file().display().to_string(), &ca.display().to_string()));
    std::fs::create_dir_all(desk.path(".config/pkcs11/modules")).expect("a directory");
    desk.write(".config/pkcs11/modules/dsma.module", format!("module: {}\n", dsma_testkit::library().display()));
    finish(desk.command("chmod").args(["-R", "a+rX", "."]));
    let is_root = finish(desk.command("id").arg("-u")).trim() == "0";
    let mut p11_kit = if is_root { desk.command("setpriv") } else { desk.command("p11-kit") };
    if is_root {
        p11_kit.args(["--reuid", "65534", "--clear-groups", "p11-kit"]);
    }
    p11_kit.arg("list-modules").env("XDG_CONFIG_HOME", desk.path(".config")).env("FORTANIX_PKCS11_CONFIG", conf);
    let listed = finish(&mut p11_kit);
    assert!(listed.contains("token: Fortanix Token"), "{listed}");
}

/// `p11-kit server` holds the library in a process of its own; programs reach it over a socket.
#[test]
fn p11_kit_serves_the_token_to_another_process() {
    let desk = Desk::new();
    desk.ec("ec");
    let mut server = desk.command("p11-kit");
    server
        .args(["server", "--foreground", "--name"])
        .arg(desk.path("socket"))
        .arg("--provider")
        .arg(dsma_testkit::library())
        .arg(token_uri());
    let server = desk.serve("p11-kit server", &server);
    let line = server.wait_for("P11_KIT_SERVER_ADDRESS=");
    let address = line.split_once('=').and_then(|(_, value)| value.split(';').next()).expect("an assignment").to_owned();
    let mut p11tool = desk.command("p11tool");
    p11tool.arg("--provider=p11-kit-client.so").env("P11_KIT_SERVER_ADDRESS", address);
    let said = finish(p11tool.args(["--login", "--set-pin=any", "--batch", "--test-sign", &private_uri("ec")]));
    assert_eq!(said.matches("... ok").count(), 3, "{said}");
}
