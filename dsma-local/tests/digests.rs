//! Digests, against OpenSSL, in the spellings of newer and older clients.

mod openssl;
mod wire;

use dsma_testkit::Stack;
use openssl::openssl;
use serde_json::json;
use wire::{all_refused, b64, bytes, post, to_hex};

#[test]
fn digests_agree_with_openssl() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (alg, name) in [
        ("SHA1", "-sha1"),
        ("Sha224", "-sha224"),
        ("sha256", "-sha256"),
        ("SHA384", "-sha384"),
        ("SHA512", "-sha512"),
        ("SHA3_224", "-sha3-224"),
        ("Sha3_256", "-sha3-256"),
        ("SHA3_384", "-sha3-384"),
        ("SHA3_512", "-sha3-512"),
        ("RIPEMD160", "-ripemd160"),
        ("Ripemd160", "-ripemd160"),
    ] {
        for message in [&b""[..], b"a message"] {
            let digest = post(&dsm, "digest", json!({"alg": alg, "data": b64(message)})).success().json();
            assert_eq!(bytes(&digest["digest"]), openssl(&["dgst", name, "-binary"], message), "{alg}");
        }
    }
    // As b2sum -l 256 gives it; OpenSSL has no such length.
    let digest = post(&dsm, "digest", json!({"alg": "Blake2b256", "data": b64(b"abc")})).success().json();
    assert_eq!(to_hex(&digest["digest"]), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    all_refused(
        &stack.dsm(),
        &[
            ("digest", json!({"alg": "SSL3", "data": ""}), "not supported"),
            ("digest", json!({"alg": "STREEBOG512", "data": ""}), "not supported"),
            ("digest", json!({"alg": "MD5", "data": ""}), "MD5"),
            ("digest", json!({"alg": "SHA256"}), "data"),
            ("digest", json!({"alg": null, "data": ""}), "alg"),
            ("digest", json!({"alg": "SHA256", "data": 7}), "base64"),
        ],
    );
}
