//! Signatures in every scheme, each checked by the other side: openssl verifies ours, we verify openssl's.

use crate::api::{ECDSA_DER, ECDSA_FIXED, INPUT_LENGTH, RSA_PKCS1_SIGNATURE, RSA_PSS, SHA256, SHA384, SIGNATURE_INVALID, SignatureParams};
use crate::openssl::Openssl;
use crate::stack::{SIGN_OPS, shared};

const MESSAGE: &[u8] = b"a message of no importance";

#[test]
fn rsa() {
    let openssl = Openssl::new();
    openssl.write("message", MESSAGE).run("genrsa -out key.pem 2048");
    openssl.run("rsa -in key.pem -outform DER -traditional -out key.der");
    openssl.run("pkey -in key.pem -pubout -out public.pem");
    let key = shared().import("RSA", &openssl.read("key.der"), &SIGN_OPS);
    let pss = |salt_len| SignatureParams { scheme: RSA_PSS, hash: SHA256, salt_len, ..SignatureParams::default() };
    let cases = [
        (SignatureParams { scheme: RSA_PKCS1_SIGNATURE, hash: SHA256, ..SignatureParams::default() }, "-sha256"),
        (SignatureParams { scheme: RSA_PKCS1_SIGNATURE, hash: SHA384, ..SignatureParams::default() }, "-sha384"),
        (pss(0), "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"),
        (pss(u32::MAX), "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:0"),
        (pss(20), "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20"),
    ];
    for (params, options) in cases {
        let ours = key.sign(&params, MESSAGE).expect("signs");
        openssl.write("ours", &ours).run(&format!("dgst {options} -verify public.pem -signature ours message"));
        let theirs = openssl.run(&format!("dgst {options} -sign key.pem message"));
        key.verify(&params, MESSAGE, &theirs).expect("holds");
        let refused = key.verify(&params, b"another message", &theirs).expect_err("does not hold");
        assert_eq!(refused.code, SIGNATURE_INVALID);
        assert!(refused.text.contains("the signature does not hold; check"), "{}", refused.text);
    }
}

#[test]
fn ecdsa() {
    let openssl = Openssl::new();
    openssl.write("message", MESSAGE).run("ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    openssl.run("pkey -in key.pem -pubout -out public.pem");
    let key = shared().import("EC", &openssl.read("key.der"), &SIGN_OPS);
    let der = SignatureParams { scheme: ECDSA_DER, hash: SHA256, ..SignatureParams::default() };
    let fixed = SignatureParams { scheme: ECDSA_FIXED, ..der };

    openssl.write("ours", &key.sign(&der, MESSAGE).expect("signs")).run("dgst -sha256 -verify public.pem -signature ours message");
    key.verify(&der, MESSAGE, &openssl.run("dgst -sha256 -sign key.pem message")).expect("holds");

    let signature = key.sign(&fixed, MESSAGE).expect("signs");
    assert_eq!(signature.len(), 64);
    key.verify(&fixed, MESSAGE, &signature).expect("holds");
    openssl.write("ours", &to_der(&signature)).run("dgst -sha256 -verify public.pem -signature ours message");
    assert_eq!(key.verify(&der, MESSAGE, &signature).expect_err("another encoding").code, SIGNATURE_INVALID);
}

#[test]
fn a_ready_digest_is_signed_as_it_is() {
    let openssl = Openssl::new();
    openssl.write("message", MESSAGE).run("ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl.run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    let key = shared().import("EC", &openssl.read("key.der"), &SIGN_OPS);
    let digest = openssl.run("dgst -sha256 -binary message");
    let params = SignatureParams { scheme: ECDSA_DER, hash: SHA256, data_is_digest: 1, ..SignatureParams::default() };
    let signature = key.sign(&params, &digest).expect("signs");
    key.verify(&SignatureParams { data_is_digest: 0, ..params }, MESSAGE, &signature).expect("holds over the message");

    let failed = key.sign(&params, &digest[1..]).expect_err("a digest of 31 bytes");
    assert_eq!(failed.code, INPUT_LENGTH);
    assert!(failed.text.contains("digest"), "{}", failed.text);
}

/// r and s of 32 bytes each as a DER sequence of two integers.
fn to_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut content = number[zeros..].to_vec();
        if content.first().is_none_or(|byte| *byte >= 0x80) {
            content.insert(0, 0);
        }
        [&[2, content.len() as u8], &content[..]].concat()
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}
