//! One-shot encryption: round trips in every mode, in place, and what is refused.

use proptest::prelude::*;

use super::openssl::OpenSsl;
use super::{aes, decrypt, encrypt};
use crate::digest::Hash;
use crate::{AesKey, Buffers, CipherParams, Curve, EcPrivateKey, Error, Key, RsaPrivateKey};

const IV: [u8; 16] = [7; 16];

/// Each AES mode with the length of its tag.
fn modes() -> Vec<(CipherParams<'static>, usize)> {
    vec![
        (CipherParams::AesGcm { iv: &IV[..12], aad: b"" }, 16),
        (CipherParams::AesGcm { iv: &IV[..12], aad: b"aad" }, 12),
        (CipherParams::AesGcm { iv: &IV[..1], aad: b"aad" }, 16),
        (CipherParams::AesGcm { iv: &IV, aad: b"" }, 4),
        (CipherParams::AesCbc { iv: &IV, padding: true }, 0),
        (CipherParams::AesCbc { iv: &IV, padding: false }, 0),
        (CipherParams::AesEcb, 0),
        (CipherParams::AesCtr { iv: &IV }, 0),
        (CipherParams::AesCfb { iv: &IV }, 0),
        (CipherParams::AesCfb8 { iv: &IV }, 0),
        (CipherParams::AesCfb1 { iv: &IV }, 0),
        (CipherParams::AesOfb { iv: &IV }, 0),
        (CipherParams::AesCcm { iv: &IV[..13], aad: b"aad" }, 16),
        (CipherParams::AesCcm { iv: &IV[..7], aad: b"" }, 4),
    ]
}

fn whole_blocks(params: &CipherParams<'_>) -> bool {
    matches!(params, CipherParams::AesEcb | CipherParams::AesCbc { padding: false, .. })
}

#[test]
fn every_mode_returns_what_it_was_given() {
    for key in [16, 24, 32].map(aes) {
        for (params, tag_len) in modes() {
            for len in [0, 1, 15, 16, 17, 32, 1024, 5000] {
                let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let mut tag = vec![0; tag_len];
                let encrypted = encrypt(&key, &params, &plain, &mut tag);
                if whole_blocks(&params) && len % 16 != 0 {
                    assert_eq!(encrypted, Err(Error::InputLength));
                    continue;
                }
                let encrypted = encrypted.unwrap();
                assert_eq!(decrypt(&key, &params, &encrypted, &tag).as_deref(), Ok(&plain[..]), "{params:?} {len}");

                let mut data = plain.clone();
                data.resize(encrypted.len(), 0);
                if encrypted.len() == plain.len() {
                    let mut tag_in_place = vec![0; tag_len];
                    key.encrypt(&params, Buffers::in_place(&mut data), &mut tag_in_place).unwrap();
                    assert_eq!((&data, &tag_in_place), (&encrypted, &tag));
                }
                data.copy_from_slice(&encrypted);
                let written = key.decrypt(&params, Buffers::in_place(&mut data), &tag).unwrap();
                assert_eq!(&data[..written], &plain);
            }
        }
    }
}

/// NIST SP 800-38A, F.1.5, F.2.5, F.3.17, F.4.5 and F.5.5: AES-256, the same key and the first two blocks.
#[test]
fn unpadded_modes_match_the_standard() {
    let key = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
    let key = Key::Aes(AesKey::from_bytes(&key).unwrap());
    let plain = hex::decode("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51").unwrap();
    let iv = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
    let counter = hex::decode("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").unwrap();
    for (params, expected) in [
        (CipherParams::AesEcb, "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"),
        (CipherParams::AesCbc { iv: &iv, padding: false }, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"),
        (CipherParams::AesCfb { iv: &iv }, "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"),
        (CipherParams::AesOfb { iv: &iv }, "dc7e84bfda79164b7ecd8486985d38604febdc6740d20b3ac88f6ad82a4fb08d"),
        (CipherParams::AesCtr { iv: &counter }, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"),
    ] {
        assert_eq!(hex::encode(encrypt(&key, &params, &plain, &mut []).unwrap()), expected, "{params:?}");
    }
}

#[test]
fn a_changed_tag_or_text_is_refused_and_the_output_wiped() {
    let key = aes(32);
    for (params, tag_len) in modes().into_iter().filter(|(_, tag_len)| *tag_len > 0) {
        let mut tag = vec![0; tag_len];
        let encrypted = encrypt(&key, &params, &[0x55; 100], &mut tag).unwrap();
        tag[0] ^= 1;
        let mut out = [0xaa; 100];
        assert_eq!(key.decrypt(&params, Buffers::new(&encrypted, &mut out), &tag), Err(Error::Authentication));
        assert_eq!(out, [0; 100], "nothing unauthenticated is left");
        tag[0] ^= 1;
        let mut changed = encrypted.clone();
        changed[50] ^= 1;
        assert_eq!(decrypt(&key, &params, &changed, &tag), Err(Error::Authentication));
        // The memory and the queue of errors are as before: the right one still works.
        assert!(decrypt(&key, &params, &encrypted, &tag).is_ok());
    }
}

#[test]
fn bad_padding_is_one_error() {
    let key = aes(16);
    let padded = CipherParams::AesCbc { iv: &IV, padding: true };
    let raw = CipherParams::AesCbc { iv: &IV, padding: false };
    for last in [0u8, 17, 255] {
        let mut plain = [0x11; 32];
        plain[31] = last;
        let encrypted = encrypt(&key, &raw, &plain, &mut []).unwrap();
        assert_eq!(decrypt(&key, &padded, &encrypted, &[]), Err(Error::Authentication));
    }
    assert_eq!(decrypt(&key, &padded, &[], &[]), Err(Error::InputLength));
    assert_eq!(decrypt(&key, &padded, &[0; 17], &[]), Err(Error::InputLength));
}

#[test]
fn wrong_lengths_are_named() {
    let key = aes(16);
    let gcm = CipherParams::AesGcm { iv: &IV[..12], aad: b"" };
    for len in [0, 1, 3, 17] {
        assert_eq!(encrypt(&key, &gcm, b"x", &mut vec![0; len]), Err(Error::TagLength));
        assert_eq!(decrypt(&key, &gcm, b"x", &vec![0; len]), Err(Error::TagLength));
    }
    assert_eq!(encrypt(&key, &CipherParams::AesGcm { iv: b"", aad: b"" }, b"x", &mut [0; 16]), Err(Error::IvLength));
    for iv in [&IV[..0], &IV[..12], &IV[..15]] {
        assert_eq!(encrypt(&key, &CipherParams::AesCbc { iv, padding: true }, b"x", &mut []), Err(Error::IvLength));
        assert_eq!(encrypt(&key, &CipherParams::AesCtr { iv }, b"x", &mut []), Err(Error::IvLength));
        assert_eq!(encrypt(&key, &CipherParams::AesCfb { iv }, b"x", &mut []), Err(Error::IvLength));
        assert_eq!(encrypt(&key, &CipherParams::AesOfb { iv }, b"x", &mut []), Err(Error::IvLength));
    }
    assert_eq!(encrypt(&key, &CipherParams::AesCtr { iv: &IV }, b"x", &mut [0; 16]), Err(Error::TagLength));
    assert_eq!(encrypt(&key, &CipherParams::RsaPkcs1, b"x", &mut []), Err(Error::Unsupported));
    for len in [0, 15, 31, 33] {
        assert_eq!(AesKey::from_bytes(&[0; 33][..len]).err(), Some(Error::KeySize));
    }
}

#[test]
fn a_small_output_names_the_need_and_is_not_touched() {
    let key = aes(16);
    for (params, tag_len) in modes() {
        let (mut tag, mut out) = (vec![0; tag_len], [0xaa; 31]);
        let need = key.encrypted_len(&params, 32);
        let refused = key.encrypt(&params, Buffers::new(&[1; 32], &mut out), &mut tag);
        assert_eq!(refused, Err(Error::OutputTooSmall { needed: need }), "{params:?}");
        assert_eq!(out, [0xaa; 31]);
    }
    // The plaintext of a padded message needs its own length only.
    let params = CipherParams::AesCbc { iv: &IV, padding: true };
    let encrypted = encrypt(&key, &params, b"0123456789abcdefgh", &mut []).unwrap();
    let mut out = [0; 18];
    assert_eq!(key.decrypt(&params, Buffers::new(&encrypted, &mut out), &[]), Ok(18));
    let refused = key.decrypt(&params, Buffers::new(&encrypted, &mut out[..17]), &[]);
    assert_eq!(refused, Err(Error::OutputTooSmall { needed: 18 }));
    assert_eq!(&out, b"0123456789abcdefgh", "the refused call left the output of the one before");
}

#[test]
fn rsa_encrypts_both_ways() {
    let key = Key::Rsa(RsaPrivateKey::generate(2048, 65537).unwrap());
    let public = key.public().unwrap();
    let oaep = |label| CipherParams::RsaOaep { hash: Hash::Sha256, mgf1: Hash::Sha1, label };
    // What begins with no 00 02 is no PKCS#1 block. A ciphertext that was changed at random is one about once in a hundred thousand times.
    let no_block = encrypt(&public, &CipherParams::RsaRaw, &[0x42; 256], &mut []).unwrap();
    for params in [CipherParams::RsaPkcs1, oaep(b""), oaep(b"label")] {
        for len in [0, 1, 190] {
            let plain = vec![0x42; len];
            let encrypted = encrypt(&public, &params, &plain, &mut []).unwrap();
            assert_eq!(decrypt(&key, &params, &encrypted, &[]).as_deref(), Ok(&plain[..]));
            let mut changed = encrypted.clone();
            changed[128] ^= 1;
            if matches!(params, CipherParams::RsaPkcs1) {
                changed.clone_from(&no_block);
            }
            assert_eq!(decrypt(&key, &params, &changed, &[]).map(|_| ()), Err(Error::Authentication));
            assert_eq!(decrypt(&key, &params, &encrypted[1..], &[]), Err(Error::InputLength));
            assert_eq!(decrypt(&public, &params, &encrypted, &[]), Err(Error::Unsupported));
        }
        assert_eq!(encrypt(&public, &params, &[0; 246], &mut []), Err(Error::InputLength));
    }
    let encrypted = encrypt(&key, &oaep(b"one"), b"x", &mut []).unwrap();
    assert_eq!(decrypt(&key, &oaep(b"two"), &encrypted, &[]), Err(Error::Authentication));
    let mut small = [0; 4];
    let encrypted = encrypt(&key, &oaep(b""), b"12345", &mut []).unwrap();
    let refused = key.decrypt(&oaep(b""), Buffers::new(&encrypted, &mut small), &[]);
    assert_eq!(refused, Err(Error::OutputTooSmall { needed: 5 }));
    // In place: the ciphertext gives way to the plaintext.
    let mut data = encrypted;
    assert_eq!(key.decrypt(&oaep(b""), Buffers::in_place(&mut data), &[]), Ok(5));
    assert_eq!(&data[..5], b"12345");
}

/// Without padding, OpenSSL's number is ours; a number of another length, or not below the modulus, is refused.
#[test]
fn raw_rsa_is_the_bare_number() {
    let openssl = OpenSsl::new();
    let private = RsaPrivateKey::generate(2048, 65537).unwrap();
    let pem = openssl.file("key.pem", &openssl.output(&["rsa", "-inform", "DER"], &private.to_pkcs1_der()));
    let modulus = private.public().modulus();
    let key = Key::Rsa(private);
    let plain = [0x5a; 256];
    let encrypted = encrypt(&key, &CipherParams::RsaRaw, &plain, &mut []).unwrap();
    let theirs = openssl.output(&["pkeyutl", "-encrypt", "-inkey", &pem, "-pkeyopt", "rsa_padding_mode:none"], &plain);
    assert_eq!(encrypted, theirs);
    assert_eq!(decrypt(&key, &CipherParams::RsaRaw, &theirs, &[]).unwrap(), plain);
    for text in [&plain[1..], &modulus, &[]] {
        assert_eq!(encrypt(&key, &CipherParams::RsaRaw, text, &mut []), Err(Error::InputLength));
    }
    assert_eq!(decrypt(&key, &CipherParams::RsaRaw, &modulus, &[]), Err(Error::Authentication));
}

#[test]
fn curves_do_not_encrypt() {
    let key = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    let mut out = [0; 256];
    for params in [CipherParams::RsaPkcs1, CipherParams::AesEcb] {
        assert_eq!(key.encrypt(&params, Buffers::new(&[0; 16], &mut out), &mut []), Err(Error::Unsupported));
        assert_eq!(key.start_encrypt(&params).err(), Some(Error::Unsupported));
    }
}

proptest! {
    /// GCM by the fast path and by the general one are the same function.
    #[test]
    fn fast_and_general_gcm_agree(plain in prop::collection::vec(any::<u8>(), 0..300), aad in prop::collection::vec(any::<u8>(), 0..50)) {
        let key = aes(32);
        let params = CipherParams::AesGcm { iv: &IV[..12], aad: &aad };
        let (mut full, mut short) = ([0; 16], [0; 15]);
        let fast = encrypt(&key, &params, &plain, &mut full).unwrap();
        let general = encrypt(&key, &params, &plain, &mut short).unwrap();
        prop_assert_eq!(&fast, &general);
        prop_assert_eq!(&full[..15], &short[..]);
        prop_assert_eq!(decrypt(&key, &params, &fast, &short), Ok(plain));
    }
}
