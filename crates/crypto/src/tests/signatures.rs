//! Signatures: every scheme verifies with both halves of the key, and nothing else does.

use crate::digest::{Hash, Hasher};
use crate::{Curve, EcPrivateKey, Ed25519PrivateKey, Encoding, Error, Key, Message, RsaPrivateKey, SignatureScheme};

fn sign(key: &Key, scheme: &SignatureScheme, message: Message<'_>) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; key.signature_len(scheme)];
    let len = key.sign(scheme, message, &mut out)?;
    out.truncate(len);
    Ok(out)
}

/// Signs data and its digest, and verifies each with each and with each half; a changed message, signature or length does not hold.
fn exercise(key: &Key, scheme: &SignatureScheme, hash: Hash) {
    let public = key.public().unwrap();
    let message = b"message to be signed";
    let digest = hash.digest(message);
    let (data, ready) = (Message::Data(message), Message::Digest(digest.as_ref()));
    for signature in [sign(key, scheme, data).unwrap(), sign(key, scheme, ready).unwrap()] {
        for key in [key, &public] {
            assert_eq!(key.verify(scheme, data, &signature), Ok(true), "{scheme:?}");
            assert_eq!(key.verify(scheme, ready, &signature), Ok(true), "{scheme:?}");
            assert_eq!(key.verify(scheme, Message::Data(b"another"), &signature), Ok(false));
            let mut changed = signature.clone();
            changed[signature.len() / 2] ^= 1;
            assert_eq!(key.verify(scheme, data, &changed), Ok(false));
            assert_eq!(key.verify(scheme, data, &signature[1..]), Ok(false));
            assert_eq!(key.verify(scheme, data, &[]), Ok(false));
        }
    }
    assert_eq!(sign(key, scheme, Message::Digest(&digest.as_ref()[1..])), Err(Error::InputLength));
    assert_eq!(sign(&public, scheme, data), Err(Error::Unsupported));
    let needed = key.signature_len(scheme);
    assert_eq!(key.sign(scheme, data, &mut []), Err(Error::OutputTooSmall { needed }));
}

const HASHES: [Hash; 9] =
    [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha3_224, Hash::Sha3_256, Hash::Sha3_384, Hash::Sha3_512];

#[test]
fn rsa_signs_in_every_scheme() {
    let key = Key::Rsa(RsaPrivateKey::generate(2048, 65537).unwrap());
    for hash in HASHES {
        exercise(&key, &SignatureScheme::RsaPkcs1 { hash }, hash);
        for salt_len in [0, 11, hash.len(), 254 - hash.len()] {
            exercise(&key, &SignatureScheme::RsaPss { hash, mgf1: Hash::Sha256, salt_len }, hash);
        }
        let too_long = SignatureScheme::RsaPss { hash, mgf1: hash, salt_len: 255 - hash.len() };
        assert_eq!(sign(&key, &too_long, Message::Data(b"")), Err(Error::KeySize));
    }
    let small = Key::Rsa(RsaPrivateKey::generate(1024, 3).unwrap());
    let scheme = SignatureScheme::RsaPss { hash: Hash::Sha512, mgf1: Hash::Sha512, salt_len: 64 };
    assert_eq!(sign(&small, &scheme, Message::Data(b"")), Err(Error::KeySize));
}

/// CKM_RSA_PKCS on a DigestInfo is the same signature as CKM_SHA256_RSA_PKCS.
#[test]
fn raw_pkcs1_signs_a_digest_info() {
    let key = Key::Rsa(RsaPrivateKey::generate(2048, 65537).unwrap());
    let mut info = hex::decode("3031300d060960864801650304020105000420").unwrap();
    info.extend_from_slice(Hash::Sha256.digest(b"data").as_ref());
    let raw = sign(&key, &SignatureScheme::RsaPkcs1Raw, Message::Data(&info)).unwrap();
    let hashed = sign(&key, &SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 }, Message::Data(b"data")).unwrap();
    assert_eq!(raw, hashed);
    assert_eq!(key.verify(&SignatureScheme::RsaPkcs1Raw, Message::Digest(&info), &raw), Ok(true));
    assert_eq!(key.verify(&SignatureScheme::RsaPkcs1Raw, Message::Data(b"other"), &raw), Ok(false));
    // TLS 1.1 signs 36 bytes, and nothing forbids an empty or the longest text.
    for len in [0, 36, 245] {
        let signature = sign(&key, &SignatureScheme::RsaPkcs1Raw, Message::Data(&vec![1; len])).unwrap();
        assert_eq!(key.verify(&SignatureScheme::RsaPkcs1Raw, Message::Data(&vec![1; len]), &signature), Ok(true));
    }
    assert_eq!(sign(&key, &SignatureScheme::RsaPkcs1Raw, Message::Data(&[1; 246])), Err(Error::InputLength));
}

#[test]
fn ecdsa_signs_on_every_curve_and_hash() {
    for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::K256] {
        let key = Key::Ec(EcPrivateKey::generate(curve).unwrap());
        for hash in HASHES {
            for encoding in [Encoding::Der, Encoding::Fixed] {
                exercise(&key, &SignatureScheme::Ecdsa { hash: Some(hash), encoding }, hash);
            }
        }
        // The announced maximum holds, and is reached by the fixed form.
        for encoding in [Encoding::Der, Encoding::Fixed] {
            let scheme = SignatureScheme::Ecdsa { hash: None, encoding };
            for _ in 0..50 {
                let signature = sign(&key, &scheme, Message::Digest(&[3; 32])).unwrap();
                assert!(signature.len() <= key.signature_len(&scheme));
                if encoding == Encoding::Fixed {
                    assert_eq!(signature.len(), 2 * curve.coordinate_len());
                }
            }
        }
    }
}

/// A raw digest may have any length; only its first bits, as many as the order has, count.
#[test]
fn a_raw_digest_is_cut_to_the_order() {
    let key = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    let scheme = SignatureScheme::Ecdsa { hash: None, encoding: Encoding::Fixed };
    let signature = sign(&key, &scheme, Message::Digest(&[5; 64])).unwrap();
    assert_eq!(key.verify(&scheme, Message::Digest(&[5; 32]), &signature), Ok(true));
    assert_eq!(key.verify(&scheme, Message::Digest(&[5; 31]), &signature), Ok(false));
    let signature = sign(&key, &scheme, Message::Digest(&[5; 20])).unwrap();
    assert_eq!(key.verify(&scheme, Message::Digest(&[5; 20]), &signature), Ok(true));
    assert_eq!(sign(&key, &scheme, Message::Data(&[5; 32])), Err(Error::Unsupported), "data is never cut");
}

#[test]
fn a_scheme_of_another_kind_is_refused() {
    let rsa = Key::Rsa(RsaPrivateKey::generate(1024, 65537).unwrap());
    let ec = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    let ecdsa = SignatureScheme::Ecdsa { hash: Some(Hash::Sha256), encoding: Encoding::Der };
    let pkcs1 = SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 };
    assert_eq!(sign(&rsa, &ecdsa, Message::Data(b"")), Err(Error::Unsupported));
    assert_eq!(sign(&ec, &pkcs1, Message::Data(b"")), Err(Error::Unsupported));
    assert_eq!(super::aes(16).verify(&pkcs1, Message::Data(b""), b""), Err(Error::Unsupported));
    assert_eq!(RsaPrivateKey::generate(1000, 65537).err(), Some(Error::KeySize));
    assert_eq!(RsaPrivateKey::generate(16384, 65537).err(), Some(Error::KeySize));
    assert_eq!(RsaPrivateKey::generate(2048, 65536).err(), Some(Error::Unsupported));
}

/// The standards' examples ("abc": FIPS 180-4, NIST's for FIPS 202, RFC 7693's for another length, RIPEMD-160's paper), and the clone of
/// a hash in parts.
#[test]
fn digests_match_the_standard() {
    for (hash, expected) in [
        (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Hash::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (Hash::Sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
        (
            Hash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Hash::Sha3_224, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
        (Hash::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (Hash::Sha3_384, "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"),
        (
            Hash::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
        (Hash::Blake2b256, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
        // As Python's hashlib has them.
        (Hash::Blake2b384, "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4"),
        (
            Hash::Blake2b512,
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
        (Hash::Blake2s256, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
        (Hash::Ripemd160, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (Hash::Md5Sha1, "900150983cd24fb0d6963f7d28e17f72a9993e364706816aba3e25717850c26c9cd0d89d"),
    ] {
        assert_eq!(hex::encode(hash.digest(b"abc").as_ref()), expected);
        assert_eq!(hash.len() * 2, expected.len());
        let mut parts = Hasher::new(hash);
        parts.update(b"a");
        parts.update(b"");
        let mut clone = parts.clone();
        parts.update(b"XYZ");
        clone.update(b"bc");
        assert_eq!(hex::encode(clone.finish().as_ref()), expected);
        assert_eq!(parts.finish().as_ref(), hash.digest(b"aXYZ").as_ref());
    }
}

/// Neither has a DigestInfo or an HMAC in the library; ECDSA and PSS take any hash.
#[test]
fn blake2_and_ripemd_have_no_digest_info() {
    let rsa = Key::Rsa(RsaPrivateKey::generate(1024, 65537).unwrap());
    let ec = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    let der = |hash| SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der };
    for hash in [Hash::Blake2b384, Hash::Blake2b512, Hash::Blake2s256, Hash::Streebog256, Hash::Streebog512] {
        exercise(&ec, &der(hash), hash);
        for (hash, mgf1) in [(hash, Hash::Sha256), (Hash::Sha256, hash)] {
            let pss = SignatureScheme::RsaPss { hash, mgf1, salt_len: 20 };
            assert_eq!(sign(&rsa, &pss, Message::Data(b"")), Err(Error::Unsupported));
            assert_eq!(rsa.verify(&pss, Message::Data(b""), &[1; 128]), Err(Error::Unsupported));
        }
        let hmac = Key::Hmac(crate::HmacKey::from_bytes(b"key").unwrap());
        assert_eq!(hmac.mac(&crate::MacScheme::Hmac { hash }, b"").err(), Some(Error::Unsupported));
        assert_eq!(crate::kdf::hkdf(hash, b"secret", b"", b"", &mut [0; 8]), Err(Error::Unsupported));
    }
    for hash in [Hash::Blake2b256, Hash::Ripemd160] {
        assert_eq!(sign(&rsa, &SignatureScheme::RsaPkcs1 { hash }, Message::Data(b"")), Err(Error::Unsupported));
        assert_eq!(rsa.verify(&SignatureScheme::RsaPkcs1 { hash }, Message::Data(b""), &[1; 128]), Err(Error::Unsupported));
        exercise(&rsa, &SignatureScheme::RsaPss { hash, mgf1: Hash::Sha256, salt_len: 20 }, hash);
        exercise(&ec, &SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der }, hash);
        let hmac = Key::Hmac(crate::HmacKey::from_bytes(b"key").unwrap());
        assert_eq!(hmac.mac(&crate::MacScheme::Hmac { hash }, b"").err(), Some(Error::Unsupported));
        assert_eq!(crate::kdf::hkdf(hash, b"secret", b"", b"", &mut [0; 8]), Err(Error::Unsupported));
        assert_eq!(crate::kdf::pbkdf2(hash, b"secret", b"", 1, &mut [0; 8]), Err(Error::Unsupported));
    }
}

/// The empty message's, as the standard's readers publish them (RFC 6986 has no shorter example than 63 bytes).
#[test]
fn streebog_of_the_empty_message() {
    for (hash, expected) in [
        (Hash::Streebog256, "3f539a213e97c802cc229d474c6aa32a825a360b2a933a949fd925208d9ce1bb"),
        (
            Hash::Streebog512,
            "8e945da209aa869f0455928529bcae4679e9873ab707b55315f56ceb98bef0a7362f715528356ee83cda5f2aac4c6ad2ba3a715c1bcd81cb8e9f90bf4c1c1a8a",
        ),
    ] {
        assert_eq!(hex::encode(hash.digest(b"").as_ref()), expected);
    }
}

/// RFC 8032, 7.2 ("foo") and 7.3.
#[test]
fn ed25519_with_a_context_and_over_a_digest() {
    let key = |seed: &str| Ed25519PrivateKey::from_seed(&hex::decode(seed).unwrap().try_into().unwrap());
    let with_context = key("0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6");
    let message = hex::decode("f726936d19c800494e3fdaff20b276a8").unwrap();
    let data = Message::Data(&message);
    let signature = with_context.sign_with_context(data, b"foo").unwrap();
    assert_eq!(
        hex::encode(signature),
        "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d"
    );
    let public = with_context.public();
    assert_eq!(public.verify_with_context(data, b"foo", &signature), Ok(true));
    assert_eq!(public.verify_with_context(data, b"bar", &signature), Ok(false));
    assert_eq!(public.verify_with_context(data, b"foo", &signature[1..]), Ok(false));
    let digest = Hash::Sha512.digest(&message);
    assert_eq!(public.verify_with_context(Message::Digest(digest.as_ref()), b"foo", &signature), Ok(false), "another scheme");
    assert_eq!(Key::Ed25519Public(public).verify(&SignatureScheme::EdDsa, data, &signature), Ok(false), "another scheme");

    let over_digest = key("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let digest = Hash::Sha512.digest(b"abc");
    let digest = Message::Digest(digest.as_ref());
    let signature = over_digest.sign_with_context(digest, b"").unwrap();
    assert_eq!(
        hex::encode(signature),
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    );
    assert_eq!(over_digest.public().verify_with_context(digest, b"", &signature), Ok(true));

    for (message, context) in [(data, &[][..]), (data, &[0; 256]), (digest, &[0; 256]), (Message::Digest(&[0; 63]), b"foo")] {
        assert_eq!(over_digest.sign_with_context(message, context), Err(Error::InputLength));
        assert_eq!(public.verify_with_context(message, context, &signature), Err(Error::InputLength));
    }
}
