//! Encryption and decryption in every mode, against published vectors and openssl.

use serde_json::json;

use crate::api::{
    AES_CBC, AES_CBC_NOPAD, AES_CTR, AES_ECB, AES_GCM, API, CipherParams, Failed, Key, RSA_OAEP, RSA_PKCS1, SHA1, SHA256, call, random,
};
use crate::openssl::Openssl;
use crate::stack::{AES_OPS, hex, shared};

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test case 4.
#[test]
fn gcm_vector() {
    let key = shared().import("AES", &hex("feffe9928665731c6d6a8f9467308308"), &AES_OPS);
    let text =
        hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let expected =
        hex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091");
    let (iv, aad) = (hex("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
    let mut tag = [0; 16];
    let params = CipherParams::new(AES_GCM, &iv).aad(&aad).tag(&mut tag);
    assert_eq!(key.encrypt(&params, &text).expect("encrypts"), expected);
    assert_eq!(tag.to_vec(), hex("5bc94fbc3221a5db94fae95ae7121a47"));
    assert_eq!(key.decrypt(&params, &expected).expect("decrypts"), text);
}

/// NIST SP 800-38A, appendix F, the first two blocks of F.1.1, F.2.1 and F.5.1.
#[test]
fn block_mode_vectors() {
    let key = shared().import("AES", &hex("2b7e151628aed2a6abf7158809cf4f3c"), &AES_OPS);
    let text = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    let cases = [
        (AES_ECB, "", "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"),
        (AES_CBC_NOPAD, "000102030405060708090a0b0c0d0e0f", "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"),
        (AES_CTR, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"),
    ];
    for (mode, iv, expected) in cases {
        let iv = hex(iv);
        let params = CipherParams::new(mode, &iv);
        assert_eq!(key.encrypt(&params, &text).expect("encrypts"), hex(expected), "mode {mode}");
        assert_eq!(key.decrypt(&params, &hex(expected)).expect("decrypts"), text, "mode {mode}");
    }
}

#[test]
fn padded_cbc_is_that_of_openssl() {
    let secret = random(32);
    let key = shared().import("AES", &secret, &AES_OPS);
    let openssl = Openssl::new();
    let text_of = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for len in [0, 1, 15, 16, 17, 1000] {
        let (text, iv) = (random(len), random(16));
        let params = CipherParams::new(AES_CBC, &iv);
        let ours = key.encrypt(&params, &text).expect("encrypts");
        openssl.write("text", &text);
        let theirs = openssl.run(&format!("enc -aes-256-cbc -K {} -iv {} -in text", text_of(&secret), text_of(&iv)));
        assert_eq!(ours, theirs, "{len} bytes");
        assert_eq!(key.decrypt(&params, &ours).expect("decrypts"), text, "{len} bytes");
    }
}

#[test]
fn in_place_and_overlapping_buffers_are_legal() {
    let (key, _) = shared().aes();
    let iv = random(16);
    let text = random(100);
    for (mode, iv) in [(AES_GCM, &iv[..12]), (AES_CBC, &iv[..]), (AES_CTR, &iv[..])] {
        let mut tag = [0; 16];
        let mut params = CipherParams::new(mode, iv);
        if mode == AES_GCM {
            params = params.tag(&mut tag);
        }
        let expected = key.encrypt(&params, &text).expect("encrypts");
        // From `from` to `to` within one buffer: the same place, a little ahead, a little behind.
        for (from, to) in [(0, 0), (0, 7), (7, 0)] {
            let mut buffer = vec![0; 160];
            buffer[from..from + 100].copy_from_slice(&text);
            let mut len = buffer.len() - to;
            let start = buffer.as_mut_ptr();
            // SAFETY: both ranges lie in `buffer`.
            let (input, output) = unsafe { (start.add(from), start.add(to)) };
            // SAFETY: an open key and buffers that live; they may overlap.
            call(|error| unsafe { (API.encrypt)(key.0, &params, input, 100, output, &mut len, error) }).expect("encrypts");
            assert_eq!(buffer[to..to + len], expected, "mode {mode}, {from} to {to}");
        }
    }
}

/// The layout that most formats have: IV, ciphertext, tag, one after the other, and room to the end of the buffer told.
#[test]
fn the_tag_may_lie_behind_the_text_in_the_same_buffer() {
    let (key, _) = shared().aes();
    let iv = random(12);
    let mut buffer = vec![7; 64 + 16];
    let start = buffer.as_mut_ptr();
    let mut params = CipherParams::new(AES_GCM, &iv);
    params.tag_len = 16;
    // SAFETY: the last 16 bytes of the buffer.
    params.tag = unsafe { start.add(64) };
    let mut len = 64 + 16;
    // SAFETY: in place, on the first 64 bytes.
    call(|error| unsafe { (API.encrypt)(key.0, &params, start, 64, start, &mut len, error) }).expect("encrypts");
    assert_eq!(len, 64);
    let mut tag = buffer[64..].to_vec();
    let params = CipherParams::new(AES_GCM, &iv).tag(&mut tag);
    assert_eq!(key.decrypt(&params, &buffer[..64]).expect("decrypts"), [7; 64]);
}

/// No text at all is legal in GCM, and NULL with length 0 is then a buffer and no question.
#[test]
fn gcm_without_text_makes_a_tag() {
    let (key, _) = shared().aes();
    let iv = random(12);
    let mut tag = [0; 16];
    let params = CipherParams::new(AES_GCM, &iv).aad(b"only authenticated").tag(&mut tag);
    assert_eq!(key.encrypt_into(&params, b"", 0).0.expect("encrypts"), b"");
    assert_ne!(tag, [0; 16]);
    assert_eq!(key.decrypt_into(&params, b"", 0).0.expect("decrypts"), b"");
}

#[test]
fn rsa_encryption_is_that_of_openssl() {
    let openssl = Openssl::new();
    openssl.run("genrsa -out key.pem 2048");
    openssl.run("pkey -in key.pem -outform DER -out key.der");
    openssl.run("rsa -in key.pem -outform DER -traditional -out pkcs1.der");
    let key = shared().import("RSA", &openssl.read("pkcs1.der"), &AES_OPS);
    openssl.write("text", b"thirty-two bytes of a symmetric.");
    let cases = [
        (RSA_PKCS1, 0, 0, "-pkeyopt rsa_padding_mode:pkcs1"),
        (RSA_OAEP, SHA256, 0, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256"),
        (RSA_OAEP, SHA256, SHA1, "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha1"),
    ];
    for (mode, hash, mgf1_hash, options) in cases {
        let params = CipherParams { hash, mgf1_hash, ..CipherParams::new(mode, &[]) };
        openssl.write("ours", &key.encrypt(&params, &openssl.read("text")).expect("encrypts"));
        assert_eq!(openssl.run(&format!("pkeyutl -decrypt -inkey key.pem -in ours {options}")), openssl.read("text"), "{options}");
        openssl.run(&format!("pkeyutl -encrypt -inkey key.pem -in text -out theirs {options}"));
        assert_eq!(key.decrypt(&params, &openssl.read("theirs")).expect("decrypts"), openssl.read("text"), "{options}");
    }
}

/// What DSM itself encrypts over REST, the library decrypts, and the other way round.
#[test]
fn dsm_and_the_library_understand_each_other() {
    let (key, kid) = shared().aes();
    let dsm = shared().stack.dsm();
    let encode = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let decode = |value: &serde_json::Value| base64_simd::STANDARD.decode_to_vec(value.as_str().expect("text")).expect("base64");

    let request = json!({"alg": "AES", "mode": "GCM", "plain": encode(b"from DSM"), "ad": encode(b"aad"), "tag_len": 128});
    let reply = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/encrypt"), Some(request)).success().json();
    let (iv, mut tag) = (decode(&reply["iv"]), decode(&reply["tag"]));
    let params = CipherParams::new(AES_GCM, &iv).aad(b"aad").tag(&mut tag);
    assert_eq!(key.decrypt(&params, &decode(&reply["cipher"])).expect("decrypts"), b"from DSM");

    let iv = random(12);
    let mut tag = [0; 16];
    let params = CipherParams::new(AES_GCM, &iv).aad(b"aad").tag(&mut tag);
    let cipher = key.encrypt(&params, b"from here").expect("encrypts");
    let request =
        json!({"alg": "AES", "mode": "GCM", "cipher": encode(&cipher), "iv": encode(&iv), "ad": encode(b"aad"), "tag": encode(&tag)});
    let reply = dsm.request("POST", &format!("/crypto/v1/keys/{kid}/decrypt"), Some(request)).success().json();
    assert_eq!(decode(&reply["plain"]), b"from here");
}

#[test]
fn a_key_is_found_by_name_and_by_kid() {
    let (by_name, kid) = shared().aes();
    assert_eq!(by_name.kid().expect("the name resolves"), kid);
    let by_kid = shared().client.kid(&kid).expect("opens");
    assert_eq!(by_kid.kid().expect("known"), kid);
    let by_kid = shared().client.kid(&kid.replace('-', "")).expect("opens without hyphens");
    let iv = random(16);
    let params = CipherParams::new(AES_CBC, &iv);
    let encrypt = |key: &Key| -> Result<Vec<u8>, Failed> { key.encrypt(&params, b"the same key") };
    assert_eq!(encrypt(&by_name).expect("encrypts"), encrypt(&by_kid).expect("encrypts"));
}

#[test]
fn a_key_keeps_its_client_alive() {
    let bench = shared();
    let (name, _) = bench.make("POST", json!({"obj_type": "AES", "key_size": 128, "key_ops": AES_OPS}));
    let client = crate::api::Client::open(&bench.stack.pkcs11_conf()).expect("opens");
    let key = client.key(&name).expect("opens");
    drop(client);
    let iv = random(16);
    key.encrypt(&CipherParams::new(AES_CTR, &iv), b"still here").expect("encrypts");
}

#[test]
fn random_bytes_differ_and_the_version_is_told() {
    assert_ne!(random(32), random(32));
    // SAFETY: takes nothing, returns a static string.
    let version = unsafe { std::ffi::CStr::from_ptr((API.version)()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}
