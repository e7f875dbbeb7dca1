//! The cipher modes beyond the usual ones, against OpenSSL and published vectors.

mod openssl;
mod wire;

use dsma_testkit::Stack;
use openssl::openssl;
use serde_json::json;
use wire::{all_refused, b64, both, bytes, from_hex, import, post, to_hex};

#[test]
fn stream_modes_agree_with_openssl() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let (key, iv) = ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f");
    let kid = import(&dsm, "AES", &hex::decode(key).unwrap());
    for plain in [&b"a text of some 37 bytes, no whole block"[..], b""] {
        for (mode, cipher) in [("CFB", "-aes-256-cfb"), ("OFB", "-aes-256-ofb")] {
            let expected = openssl(&["enc", cipher, "-K", key, "-iv", iv], plain);
            for reply in both(&dsm, &kid, "encrypt", &json!({"alg": "AES", "mode": mode, "iv": from_hex(iv), "plain": b64(plain)})) {
                assert_eq!(bytes(&reply["cipher"]), expected, "{mode}");
            }
            for reply in both(&dsm, &kid, "decrypt", &json!({"mode": mode, "iv": from_hex(iv), "cipher": b64(&expected)})) {
                assert_eq!(bytes(&reply["plain"]), plain, "{mode}");
            }
            let reply =
                post(&dsm, &format!("keys/{kid}/encrypt"), json!({"alg": "AES", "mode": mode, "plain": b64(plain)})).success().json();
            assert_eq!(bytes(&reply["iv"]).len(), 16, "{mode}");
        }
    }
}

/// NIST SP 800-38C, appendix C, example 2.
#[test]
fn ccm_gives_the_published_vector() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &hex::decode("404142434445464748494a4b4c4d4e4f").unwrap());
    let (iv, ad) = (from_hex("1011121314151617"), from_hex("000102030405060708090a0b0c0d0e0f"));
    let plain = "202122232425262728292a2b2c2d2e2f";
    let (cipher, tag) = ("d2a1f0e051ea5f62081a7792073d593d", "1fc64fbfaccd");
    let body = json!({"alg": "AES", "mode": "CCM", "iv": iv, "ad": ad, "plain": from_hex(plain), "tag_len": 48});
    for reply in both(&dsm, &kid, "encrypt", &body) {
        assert_eq!((to_hex(&reply["cipher"]).as_str(), to_hex(&reply["tag"]).as_str()), (cipher, tag));
    }
    let body = json!({"mode": "CCM", "iv": iv, "ad": ad, "cipher": from_hex(cipher), "tag": from_hex(tag)});
    for reply in both(&dsm, &kid, "decrypt", &body) {
        assert_eq!(to_hex(&reply["plain"]), plain);
    }
    let mut wrong = body;
    wrong["tag"] = json!(from_hex("1fc64fbfaccc"));
    let refused = post(&dsm, &format!("keys/{kid}/decrypt"), wrong);
    assert_eq!((refused.status, refused.text.as_str()), (400, "Decryption failed"));
}

/// RFC 3394, section 4.6, and RFC 5649, section 6.
#[test]
fn key_wrap_gives_the_published_vectors() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    for (key, mode, plain, cipher) in [
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "KW",
            "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
        (
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
            "KWP",
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "KWP", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let kid = import(&dsm, "AES", &hex::decode(key).unwrap());
        for reply in both(&dsm, &kid, "encrypt", &json!({"alg": "AES", "mode": mode, "plain": from_hex(plain)})) {
            assert_eq!(to_hex(&reply["cipher"]), cipher, "{mode}");
            assert!(reply["iv"].is_null());
        }
        for reply in both(&dsm, &kid, "decrypt", &json!({"mode": mode, "cipher": from_hex(cipher)})) {
            assert_eq!(to_hex(&reply["plain"]), plain, "{mode}");
        }
        let broken = cipher.replacen(&cipher[..2], "ff", 1);
        let refused = post(&dsm, &format!("keys/{kid}/decrypt"), json!({"mode": mode, "cipher": from_hex(&broken)}));
        assert_eq!((refused.status, refused.text.as_str()), (400, "Decryption failed"), "{mode}");
    }
}

#[test]
fn parameters_that_a_mode_does_not_take() {
    let stack = Stack::start();
    let dsm = stack.dsm();
    let kid = import(&dsm, "AES", &[1; 16]);
    let (encrypt, decrypt) = (format!("keys/{kid}/encrypt"), format!("keys/{kid}/decrypt"));
    let iv = from_hex("000102030405060708090a0b0c0d0e0f");
    all_refused(
        &dsm,
        &[
            (&encrypt, json!({"alg": "AES", "mode": "KW", "plain": "AAAA"}), "length"),
            (&encrypt, json!({"alg": "AES", "mode": "KWP", "plain": ""}), "length"),
            (&encrypt, json!({"alg": "AES", "mode": "KW", "iv": iv, "plain": "AAAAAAAAAAAAAAAAAAAAAA=="}), "`iv`"),
            (&encrypt, json!({"alg": "AES", "mode": "CFB", "iv": iv, "plain": "AAAA", "tag_len": 128}), "`tag_len`"),
            (&encrypt, json!({"alg": "AES", "mode": "CFB", "iv": iv, "plain": "AAAA", "ad": "AAAA"}), "`ad`"),
            (&encrypt, json!({"alg": "AES", "mode": "CFB", "iv": "AAAA", "plain": "AAAA"}), "IV"),
            (&encrypt, json!({"alg": "AES", "mode": "CFB", "label": "AAAA", "plain": "AAAA"}), "`label`"),
            (&encrypt, json!({"alg": "AES", "mode": "CCM", "plain": "AAAA"}), "Missing field `tag_len`"),
            (&encrypt, json!({"alg": "AES", "mode": "CCM", "plain": "AAAA", "tag_len": 40}), "tag_len"),
            (&encrypt, json!({"alg": "AES", "mode": "CCM", "iv": iv, "plain": "AAAA", "tag_len": 128}), "IV"),
            (&encrypt, json!({"alg": "AES", "mode": "XTS", "plain": "AAAA"}), "XTS"),
            (&encrypt, json!({"alg": "AES", "mode": {"OAEP": {}}, "plain": "AAAA"}), "mode"),
            (&encrypt, json!({"alg": "AES", "mode": 7, "plain": "AAAA"}), "mode"),
            (&decrypt, json!({"mode": "OFB", "cipher": "AAAA"}), "Missing field `iv`"),
            (&decrypt, json!({"mode": "CCM", "iv": "AAAAAAAAAAAAAAAA", "cipher": "AAAA"}), "Missing field `tag`"),
            (&decrypt, json!({"mode": "OFB", "iv": iv, "cipher": "AAAA", "tag": "AAAA"}), "`tag`"),
            (&decrypt, json!({"mode": "KW", "cipher": "AAAA"}), "length"),
        ],
    );
}
