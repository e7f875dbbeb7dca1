//! Triple DES against the standards and OpenSSL.

use super::openssl::OpenSsl;
use super::{aes, decrypt, encrypt};
use crate::{CipherParams, Des3Key, Error, Key, MacScheme};

const IV: [u8; 8] = [7; 8];

fn key(hex: &str) -> Key {
    Key::Des3(Des3Key::from_bytes(&hex::decode(hex).unwrap()).unwrap())
}

/// NIST SP 800-67, appendix B.1, and SP 800-38B, D.4, example 13.
#[test]
fn the_standards_examples() {
    let blocks = key("0123456789abcdef23456789abcdef01456789abcdef0123");
    let encrypted = encrypt(&blocks, &CipherParams::Des3Ecb, b"The qufck brown fox jump", &mut []).unwrap();
    assert_eq!(hex::encode(encrypted), "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900");
    let cmac = key("8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5");
    assert_eq!(hex::encode(cmac.mac(&MacScheme::Cmac, b"").unwrap()), "b7a688e122ffaf95");
}

#[test]
fn openssl_encrypts_the_same_with_two_and_three_keys() {
    let openssl = OpenSsl::new();
    let plain: Vec<u8> = (0..40).collect();
    let (two, three) = ("0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba98765432101122334455667788");
    for (hex, name) in [(two, "des-ede"), (three, "des-ede3")] {
        let key = key(hex);
        for (params, suffix, options) in [
            (CipherParams::Des3Ecb, "-ecb", &["-nopad"][..]),
            (CipherParams::Des3Cbc { iv: &IV, padding: false }, "-cbc", &["-nopad", "-iv", "0707070707070707"]),
            (CipherParams::Des3Cbc { iv: &IV, padding: true }, "-cbc", &["-iv", "0707070707070707"]),
        ] {
            // OpenSSL calls ECB by the cipher's bare name.
            let cipher = format!("-{name}{}", suffix.strip_prefix("-ecb").unwrap_or(suffix));
            let mut args = vec!["enc", &cipher, "-K", hex];
            args.extend_from_slice(options);
            let theirs = openssl.output(&args, &plain);
            assert_eq!(encrypt(&key, &params, &plain, &mut []).unwrap(), theirs, "{name} {params:?}");
            assert_eq!(decrypt(&key, &params, &theirs, &[]).unwrap(), plain);
        }
    }
}

#[test]
fn wrong_lengths_and_other_ciphers_are_refused() {
    let key = key("0123456789abcdeffedcba98765432101122334455667788");
    for len in [0, 8, 15, 23, 25, 32] {
        assert_eq!(Des3Key::from_bytes(&vec![1; len]).err(), Some(Error::KeySize));
    }
    let cbc = |iv| CipherParams::Des3Cbc { iv, padding: true };
    assert_eq!(encrypt(&key, &cbc(&[0; 16]), b"x", &mut []), Err(Error::IvLength));
    assert_eq!(encrypt(&key, &CipherParams::Des3Ecb, &[0; 9], &mut []), Err(Error::InputLength));
    assert_eq!(encrypt(&key, &CipherParams::Des3Ecb, &[0; 8], &mut [0; 8]), Err(Error::TagLength));
    assert_eq!(decrypt(&key, &cbc(&IV), &[], &[]), Err(Error::InputLength));
    // 24 bytes would do for both, so the kind of key decides.
    for params in [CipherParams::AesEcb, CipherParams::AesKw, CipherParams::RsaPkcs1] {
        assert_eq!(encrypt(&key, &params, &[0; 16], &mut []), Err(Error::Unsupported));
        assert_eq!(key.start_encrypt(&params).err(), Some(Error::Unsupported));
    }
    for params in [CipherParams::Des3Ecb, cbc(&IV)] {
        assert_eq!(aes(24).start_decrypt(&params).err(), Some(Error::Unsupported));
        assert_eq!(decrypt(&aes(24), &params, &[0; 16], &[]), Err(Error::Unsupported));
    }
    assert_eq!(key.encrypted_len(&CipherParams::RsaPkcs1, 10), 0);
    assert_eq!(Des3Key::from_bytes(&[1; 16]).unwrap().len(), 16);
}
