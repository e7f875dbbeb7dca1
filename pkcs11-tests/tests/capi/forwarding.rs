//! Keys that DSM does not let out: the same calls, done in DSM.

use serde_json::json;

use crate::api::{
    AES_GCM, AUTHENTICATION, BUFFER_TOO_SMALL, CipherParams, ECDSA_DER, ECDSA_FIXED, RSA_OAEP, RSA_PSS, SHA256, SIGNATURE_INVALID,
    SignatureParams, random,
};
use crate::openssl::Openssl;
use crate::stack::Bench;

#[test]
fn a_key_that_may_not_leave_is_used_in_dsm() {
    let bench = Bench::start();
    let (key, kid) = bench.generate(json!({"obj_type": "AES", "key_size": 256, "key_ops": ["ENCRYPT", "DECRYPT"]}));
    let iv = random(12);
    let mut tag = [0; 16];
    let params = CipherParams::new(AES_GCM, &iv).aad(b"aad").tag(&mut tag);
    let cipher = key.encrypt(&params, b"forwarded").expect("encrypts");
    assert_eq!(cipher.len(), 9);
    // The question for the length did not go to DSM.
    assert_eq!(bench.stack.dsm().uses_of(&kid, "encrypt"), 1);
    assert_ne!(tag, [0; 16]);
    let params = CipherParams::new(AES_GCM, &iv).aad(b"aad").tag(&mut tag);
    assert_eq!(key.decrypt(&params, &cipher).expect("decrypts"), b"forwarded");
    assert_eq!(bench.stack.dsm().exports_of(&kid), 0);
    assert!(bench.client.stats().forwards >= 2, "{:?}", bench.client.stats());

    let (short, needed) = key.decrypt_into(&params, &cipher, 8);
    assert_eq!((short.expect_err("no room").code, needed), (BUFFER_TOO_SMALL, 9));

    tag[0] ^= 1;
    let params = CipherParams::new(AES_GCM, &iv).aad(b"aad").tag(&mut tag);
    assert_eq!(key.decrypt(&params, &cipher).expect_err("a wrong tag").code, AUTHENTICATION);
}

#[test]
fn a_signature_made_in_dsm_is_a_signature() {
    let bench = Bench::start();
    let (key, kid) = bench.generate(json!({"obj_type": "EC", "elliptic_curve": "NistP256", "key_ops": ["SIGN", "VERIFY"]}));
    let described = bench.stack.dsm().request("GET", &format!("/crypto/v1/keys/{kid}"), None).success().json();
    let public = base64_simd::STANDARD.decode_to_vec(described["pub_key"].as_str().expect("a public key")).expect("base64");
    let openssl = Openssl::new();
    openssl.write("public.der", &public).write("message", b"message");
    openssl.run("pkey -pubin -inform DER -in public.der -pubout -out public.pem");

    let der = SignatureParams { scheme: ECDSA_DER, hash: SHA256, ..SignatureParams::default() };
    openssl.write("ours", &key.sign(&der, b"message").expect("signs")).run("dgst -sha256 -verify public.pem -signature ours message");
    assert_eq!(bench.stack.dsm().uses_of(&kid, "sign"), 1);
    let fixed = SignatureParams { scheme: ECDSA_FIXED, ..der };
    let signature = key.sign(&fixed, b"message").expect("signs");
    assert_eq!(signature.len(), 64);
    key.verify(&fixed, b"message", &signature).expect("holds");
    assert_eq!(key.verify(&fixed, b"other", &signature).expect_err("does not hold").code, SIGNATURE_INVALID);
    assert_eq!(bench.stack.dsm().exports_of(&kid), 0);
}

#[test]
fn rsa_lengths_are_known_before_dsm_is_asked() {
    let bench = Bench::start();
    let (key, kid) = bench.generate(json!({"obj_type": "RSA", "key_size": 2048, "key_ops": ["SIGN", "VERIFY", "ENCRYPT", "DECRYPT"]}));
    let pss = SignatureParams { scheme: RSA_PSS, hash: SHA256, ..SignatureParams::default() };
    let signature = key.sign(&pss, b"message").expect("signs");
    assert_eq!(signature.len(), 256);
    key.verify(&pss, b"message", &signature).expect("holds");
    let oaep = CipherParams { hash: SHA256, ..CipherParams::new(RSA_OAEP, &[]) };
    let (short, needed) = key.encrypt_into(&oaep, b"text", 255);
    assert_eq!((short.expect_err("no room").code, needed), (BUFFER_TOO_SMALL, 256));
    let cipher = key.encrypt(&oaep, b"text").expect("encrypts");
    assert_eq!(key.decrypt(&oaep, &cipher).expect("decrypts"), b"text");
    assert_eq!((bench.stack.dsm().exports_of(&kid), bench.stack.dsm().uses_of(&kid, "encrypt")), (0, 1));
}
