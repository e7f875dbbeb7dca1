//! Key wrapping: the RFCs' examples, lengths, and what is refused.

use super::{aes, decrypt, encrypt};
use crate::{AesKey, Buffers, CipherParams, Error, Key};

/// RFC 3394, 4.6, and RFC 5649, 6 (20 bytes under a 192-bit key).
#[test]
fn the_examples_of_the_rfcs() {
    let key = Key::Aes(AesKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap());
    let plain = hex::decode("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f").unwrap();
    let wrapped = encrypt(&key, &CipherParams::AesKw, &plain, &mut []).unwrap();
    assert_eq!(hex::encode(&wrapped), "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");

    let key = hex::decode("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8").unwrap();
    let key = Key::Aes(AesKey::from_bytes(&key).unwrap());
    let plain = hex::decode("c37b7e6492584340bed12207808941155068f738").unwrap();
    let wrapped = encrypt(&key, &CipherParams::AesKwp, &plain, &mut []).unwrap();
    assert_eq!(hex::encode(&wrapped), "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a");
}

#[test]
fn every_length_goes_there_and_back() {
    let key = aes(32);
    for len in 0..100 {
        let plain = vec![0x33; len];
        for params in [CipherParams::AesKw, CipherParams::AesKwp] {
            let wrapped = encrypt(&key, &params, &plain, &mut []);
            let takes = if params == CipherParams::AesKw { len >= 16 && len % 8 == 0 } else { len > 0 };
            if !takes {
                assert_eq!(wrapped, Err(Error::InputLength));
                continue;
            }
            let mut wrapped = wrapped.unwrap();
            assert_eq!(decrypt(&key, &params, &wrapped, &[]).unwrap(), plain);
            // A room of the plaintext's own length is enough, and one byte less is refused with the need.
            let mut out = vec![0; len];
            assert_eq!(key.decrypt(&params, Buffers::new(&wrapped, &mut out), &[]), Ok(len));
            let refused = key.decrypt(&params, Buffers::new(&wrapped, &mut out[1..]), &[]);
            assert_eq!(refused, Err(Error::OutputTooSmall { needed: len }));
            wrapped[len / 2] ^= 1;
            assert_eq!(decrypt(&key, &params, &wrapped, &[]), Err(Error::Authentication));
            assert_eq!(decrypt(&key, &params, &wrapped[1..], &[]), Err(Error::InputLength));
        }
    }
}

#[test]
fn key_wrapping_has_neither_tag_nor_parts() {
    let key = aes(16);
    for params in [CipherParams::AesKw, CipherParams::AesKwp, CipherParams::AesCcm { iv: &[0; 12], aad: b"" }] {
        assert_eq!(key.start_encrypt(&params).err(), Some(Error::Unsupported));
        assert_eq!(key.start_decrypt(&params).err(), Some(Error::Unsupported));
    }
    assert_eq!(encrypt(&key, &CipherParams::AesKw, &[0; 16], &mut [0; 16]), Err(Error::TagLength));
    assert!(!CipherParams::AesKw.keeps_len());
}
