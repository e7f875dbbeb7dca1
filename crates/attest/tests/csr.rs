//! Certificate signing requests: ours as OpenSSL reads them, OpenSSL's as we read them, and what is refused.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use dsma_attest::csr::{Csr, CsrRequest, KeyPair, build};
use dsma_attest::{Document, Error, binding};
use support::{FORTANIX, Pki, usual};

fn request(name: Option<&str>, dns_names: &[&str]) -> CsrRequest {
    CsrRequest { subject_common_name: name.map(str::to_owned), dns_names: dns_names.iter().map(|name| (*name).to_owned()).collect() }
}

/// Runs `openssl`, with `input` on its standard input, and gives both its outputs.
fn openssl(args: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl");
    child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn problem(pem: &str) -> String {
    Csr::parse_pem(pem).unwrap_err().to_string()
}

#[test]
fn openssl_reads_what_we_write() {
    let key = KeyPair::generate().unwrap();
    let pem = build(&key, &request(Some("fortanix.com"), &["fortanix.com", "www.fortanix.com"]), Some(FORTANIX)).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
    let text = openssl(&["req", "-noout", "-verify", "-text"], &pem);
    for expected in [
        "verify OK",
        "Version: 1 (0x0)",
        "Subject: CN = fortanix.com",
        "ASN1 OID: prime256v1",
        "1.3.6.1.4.1.49690.2.2.6",
        "DNS:fortanix.com, DNS:www.fortanix.com",
        "Signature Algorithm: ecdsa-with-SHA256",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
    // The attribute's value is an OCTET STRING of the document's bytes and nothing else.
    let dump = openssl(&["asn1parse"], &pem);
    let octets = dump.lines().find(|line| line.contains("OCTET STRING") && line.contains("[HEX DUMP]:8444A1013822A0")).unwrap();
    assert!(octets.contains(&format!("l={}", FORTANIX.len())), "{octets}");
    assert!(dump.lines().any(|line| line.contains("UTF8STRING") && line.contains("fortanix.com")));

    let bare = build(&key, &CsrRequest::default(), None).unwrap();
    let text = openssl(&["req", "-noout", "-verify", "-text"], &bare);
    assert!(text.contains("verify OK") && !text.contains("Alternative Name") && !text.contains("49690"), "{text}");
}

#[test]
fn the_key_is_the_one_openssl_sees() {
    let key = KeyPair::generate().unwrap();
    let pem = build(&key, &CsrRequest::default(), None).unwrap();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("csr-key-{}", std::process::id()));
    std::fs::write(&dir, key.pkcs8_der().unwrap()).unwrap();
    let of_private = openssl(&["pkey", "-inform", "DER", "-in", dir.to_str().unwrap(), "-pubout"], "");
    std::fs::remove_file(&dir).unwrap();
    assert_eq!(of_private, openssl(&["req", "-noout", "-pubkey"], &pem));
    assert_eq!(format!("{key:?}"), "KeyPair { .. }");
}

#[test]
fn what_we_write_we_read() {
    let key = KeyPair::generate().unwrap();
    let pem = build(&key, &request(Some("fortanix.com"), &["a.example", "b.example"]), Some(b"document")).unwrap();
    let csr = Csr::parse_pem(&pem).unwrap();
    assert_eq!(csr.spki_der, key.spki_der());
    assert_eq!(csr.common_name.as_deref(), Some("fortanix.com"));
    assert_eq!(csr.dns_names, ["a.example", "b.example"]);
    assert_eq!(csr.attestation.as_deref(), Some(b"document".as_slice()));
    let bare = Csr::parse_pem(&build(&key, &CsrRequest::default(), None).unwrap()).unwrap();
    assert_eq!((bare.common_name, bare.dns_names, bare.attestation), (None, vec![], None));
    let refused = build(&key, &request(None, &["größe.example"]), None).unwrap_err();
    assert_eq!(refused.rule(), "request");
}

#[test]
fn openssls_requests_of_every_served_kind() {
    let kinds: [(&[&str], &str); 6] = [
        (&["rsa:2048"], "-sha256"),
        (&["rsa:3072"], "-sha384"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha256"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "-sha384"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "-sha512"),
        (&["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha512"),
    ];
    for (kind, digest) in kinds {
        let args = [
            &["req", "-new", "-nodes", "-keyout", "/dev/null", "-newkey"],
            kind,
            &[digest, "-subj", "/C=DE/O=Example/CN=fortanix.com", "-addext", "subjectAltName=DNS:fortanix.com"],
        ];
        let pem = openssl(&args.concat(), "");
        let csr = Csr::parse_pem(&pem).unwrap();
        assert_eq!((csr.common_name.as_deref(), csr.dns_names, csr.attestation), (Some("fortanix.com"), vec!["fortanix.com".into()], None));
        let public = openssl(&["req", "-noout", "-pubkey"], &pem);
        let (_, public) = x509_cert::der::pem::decode_vec(public.as_bytes()).unwrap();
        assert_eq!(csr.spki_der, public);
    }
}

#[test]
fn what_is_not_served_is_named() {
    let made = |args: &[&str]| {
        let fixed = ["req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"];
        let pem = openssl(&[fixed.as_slice(), args].concat(), "");
        problem(&pem)
    };
    for (seen, expected) in [
        (made(&["-newkey", "ed25519"]), "its key (1.3.101.112) or signature algorithm (1.3.101.112) is not served"),
        (made(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]), "on curve 1.3.132.0.10) or signature algorithm"),
        (made(&["-newkey", "rsa:2048", "-sha1"]), "signature algorithm (1.2.840.113549.1.1.5) is not served"),
        (made(&["-newkey", "rsa:1024"]), "own signature does not fit"),
        (made(&["-newkey", "rsa:2048", "-addext", "subjectAltName=IP:127.0.0.1"]), "a subjectAltName that is no DNS name"),
        (problem("no PEM"), "it holds no PEM block CERTIFICATE REQUEST"),
        (problem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "no PEM block CERTIFICATE REQUEST"),
        (problem("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"), "it is no PKCS#10 request"),
    ] {
        assert!(seen.contains(expected), "{expected:?} is expected, and seen was: {seen}");
    }
    let long = "A".repeat(64 * 1024 + 1);
    assert!(matches!(Csr::parse_pem(&long), Err(Error::TooLarge { limit: 65_536, .. })));
    assert!(matches!(Csr::parse_der(long.as_bytes()), Err(Error::TooLarge { limit: 32_768, .. })));
}

/// Another's key in one's own request, another's document, or a changed name: the request's own signature holds them together.
#[test]
fn no_byte_can_be_changed() {
    let key = KeyPair::generate().unwrap();
    let pem = build(&key, &request(Some("fortanix.com"), &["fortanix.com"]), Some(b"document")).unwrap();
    let (_, der) = x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap();
    Csr::parse_der(&der).unwrap();
    let mut refusals = std::collections::BTreeSet::new();
    for place in 0..der.len() {
        let mut tampered = der.clone();
        tampered[place] ^= 1 << (place % 8);
        refusals.insert(Csr::parse_der(&tampered).map(|_| place).unwrap_err().rule());
    }
    assert_eq!(refusals.into_iter().collect::<Vec<_>>(), ["request", "request signature"]);
    let trailing = [der.as_slice(), &[0]].concat();
    assert!(Csr::parse_der(&trailing).is_err());
    let renamed = String::from_utf8_lossy(&der).contains("fortanix.com");
    assert!(renamed);
}

#[test]
fn a_document_belongs_to_one_key() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let pki = Pki::new(&usual());
    let with = |user_data: Option<&[u8]>| {
        let value = user_data.map_or(ciborium::Value::Null, |bytes| ciborium::Value::Bytes(bytes.to_vec()));
        Document::parse(&pki.document(|fields| support::set(fields, "user_data", value))).unwrap()
    };
    let plain = with(Some(&binding::user_data(key.spki_der(), None)));
    assert_eq!(binding::check(&plain, key.spki_der()).unwrap(), None);
    let stolen = binding::check(&plain, other.spki_der()).unwrap_err();
    assert!(matches!(stolen, Error::Binding { .. }) && stolen.to_string().contains("the hash of another key"), "{stolen}");
    let configured = with(Some(&binding::user_data(key.spki_der(), Some(&[7; 32]))));
    assert_eq!(binding::check(&configured, key.spki_der()).unwrap(), Some([7; 32]));
    // A configuration cannot be added to a document that was made without.
    let mut spliced = binding::user_data(key.spki_der(), None);
    spliced[32..].copy_from_slice(&[7; 32]);
    assert_eq!(binding::check(&with(Some(&spliced)), key.spki_der()).unwrap_err().rule(), "binding");
    assert!(binding::check(&with(None), key.spki_der()).unwrap_err().to_string().contains("null"));
    assert!(binding::check(&with(Some(&[1; 32])), key.spki_der()).unwrap_err().to_string().contains("has 32 bytes"));
}
