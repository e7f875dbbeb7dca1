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
        ("BLAKE2B512", "-blake2b512"),
        ("Blake2s256", "-blake2s256"),
        ("SSL3", "-md5-sha1"),
    ] {
        for message in [&b""[..], b"a message"] {
            let digest = post(&dsm, "digest", json!({"alg": alg, "data": b64(message)})).success().json();
            assert_eq!(bytes(&digest["digest"]), openssl(&["dgst", name, "-binary"], message), "{alg}");
        }
    }
    // OpenSSL has no such lengths of BLAKE2b (b2sum -l 256 has), and Streebog only with an engine: published digests.
    for (alg, message, expected) in [
        ("Blake2b256", "abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
        ("BLAKE2B384", "abc", "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4"),
        ("STREEBOG256", "", "3f539a213e97c802cc229d474c6aa32a825a360b2a933a949fd925208d9ce1bb"),
        (
            "Streebog512",
            "",
            "8e945da209aa869f0455928529bcae4679e9873ab707b55315f56ceb98bef0a7362f715528356ee83cda5f2aac4c6ad2ba3a715c1bcd81cb8e9f90bf4c1c1a8a",
        ),
    ] {
        let digest = post(&dsm, "digest", json!({"alg": alg, "data": b64(message.as_bytes())})).success().json();
        assert_eq!(to_hex(&digest["digest"]), expected, "{alg}");
    }
}

#[test]
fn bad_input() {
    let stack = Stack::start();
    all_refused(
        &stack.dsm(),
        &[
            ("digest", json!({"alg": "MD5", "data": ""}), "MD5"),
            ("digest", json!({"alg": "SHA256"}), "data"),
            ("digest", json!({"alg": null, "data": ""}), "alg"),
            ("digest", json!({"alg": "SHA256", "data": 7}), "base64"),
        ],
    );
}
