//! In parts, written down after each: the same as in one call.

use super::*;
use crate::{AesKey, Des3Key};

/// Runs a message through parts of these lengths (again and again), writing the state down after each one.
fn in_parts(key: &Key, params: &CipherParams<'_>, encrypt: bool, input: &[u8], step: usize, tag: &mut [u8]) -> Result<Vec<u8>, Error> {
    let mut state = CipherParts::start(key, params, encrypt)?.to_bytes();
    let mut output = Vec::new();
    for part in input.chunks(step) {
        let mut parts = CipherParts::from_bytes(&state)?;
        output.extend_from_slice(&parts.update(key, part)?);
        state = parts.to_bytes();
        assert!(state.len() <= 100);
    }
    let parts = CipherParts::from_bytes(&state)?;
    output.extend_from_slice(&if encrypt { parts.finish_encrypt(key, tag)? } else { parts.finish_decrypt(key, tag)? });
    Ok(output)
}

#[test]
fn parts_give_what_one_call_gives() {
    let iv = [0xfe; 16];
    // The last four bytes of the IV let CTR's counter carry over, and GCM's wrap around.
    let long_iv: Vec<u8> = (0..=250).collect();
    let aad = b"additional data of 27 bytes";
    for key_len in [16, 24, 32] {
        let key = Key::Aes(AesKey::from_bytes(&[key_len; 32][..usize::from(key_len)]).unwrap());
        for len in [0, 1, 15, 16, 17, 32, 64, 100, 1000] {
            let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            for params in [
                CipherParams::AesCbc { iv: &iv, padding: true },
                CipherParams::AesCbc { iv: &iv, padding: false },
                CipherParams::AesCtr { iv: &[0xff; 16] },
                CipherParams::AesGcm { iv: &iv[..12], aad },
                CipherParams::AesGcm { iv: &long_iv, aad: &[] },
                CipherParams::AesGcm { iv: &[1], aad },
            ] {
                let mut tag = vec![0; if matches!(params, CipherParams::AesGcm { .. }) { 13 } else { 0 }];
                let mut whole = vec![0; plain.len() + 16];
                let mut expected_tag = tag.clone();
                let expected = key.encrypt(&params, Buffers::new(&plain, &mut whole), &mut expected_tag).map(|len| whole[..len].to_vec());
                for step in [1, 7, 16, 33, 1000] {
                    let got = in_parts(&key, &params, true, &plain, step, &mut tag);
                    assert_eq!((&got, &tag), (&expected, &expected_tag), "{params:?} {len} {step}");
                    let Ok(cipher) = got else { continue };
                    assert_eq!(in_parts(&key, &params, false, &cipher, step, &mut tag).as_ref(), Ok(&plain), "{params:?} {len} {step}");
                    if !tag.is_empty() {
                        tag[0] ^= 1;
                        let refused = in_parts(&key, &params, false, &cipher, step, &mut tag);
                        assert_eq!(refused, Err(Error::Authentication));
                        tag[0] ^= 1;
                    }
                }
            }
        }
    }
}

#[test]
fn the_counter_of_gcm_wraps_at_32_bits() {
    let key = Key::Aes(AesKey::from_bytes(&[3; 16]).unwrap());
    // An IV whose J0 ends in 32 bits close to the edge, found by search.
    let iv = (0_u32..).map(u32::to_be_bytes).find(|iv| {
        let j0 = hash_blocks(&key, hash_blocks(&key, [0; BLOCK], iv).unwrap(), &lengths(0, 4)).unwrap();
        j0[12..14] == [0xff; 2] && j0[14] >= 0xf0
    });
    let iv = iv.unwrap();
    let plain = vec![5; 16 * 5000];
    let (mut whole, mut tag, mut expected) = (vec![0; plain.len()], vec![0; 16], [0; 16]);
    let params = CipherParams::AesGcm { iv: &iv, aad: b"" };
    key.encrypt(&params, Buffers::new(&plain, &mut whole), &mut expected).unwrap();
    assert_eq!(in_parts(&key, &params, true, &plain, 9999, &mut tag).unwrap(), whole);
    assert_eq!(tag, expected);
}

#[test]
fn bad_states_and_bad_ends() {
    let key = Key::Aes(AesKey::from_bytes(&[3; 16]).unwrap());
    let params = CipherParams::AesCbc { iv: &[0; 16], padding: true };
    assert_eq!(CipherParts::start(&key, &CipherParams::AesEcb, true).err(), Some(Error::Unsupported));
    assert_eq!(CipherParts::start(&key, &CipherParams::AesCtr { iv: &[0; 12] }, true).err(), Some(Error::IvLength));
    let parts = CipherParts::start(&key, &params, true).unwrap();
    let state = parts.to_bytes();
    assert_eq!(parts.finish_decrypt(&key, &[]).err(), Some(Error::Unsupported));
    for bad in [&state[..0], &state[..40], &[state.as_slice(), &[0; 17]].concat(), &[&[9], &state[1..]].concat()] {
        assert_eq!(CipherParts::from_bytes(bad).err(), Some(Error::Malformed));
    }
    let empty = CipherParts::start(&key, &params, false).unwrap();
    assert!(empty.finish_decrypt(&key, &[]).is_err(), "padded text has at least one block");
}

#[test]
fn triple_des_in_parts_gives_what_one_call_gives() {
    let key = Key::Des3(Des3Key::from_bytes(b"three keys of 8 bytes ea").unwrap());
    for (len, padding) in [(0, true), (1, true), (8, true), (23, true), (24, false), (800, false), (801, true)] {
        let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        let params = CipherParams::Des3Cbc { iv: b"iv of 8.", padding };
        let mut whole = vec![0; plain.len() + 8];
        let length = key.encrypt(&params, Buffers::new(&plain, &mut whole), &mut []).unwrap();
        whole.truncate(length);
        for step in [1, 7, 8, 9, 16, 1000] {
            assert_eq!(in_parts(&key, &params, true, &plain, step, &mut []).unwrap(), whole, "{len} {step}");
            assert_eq!(in_parts(&key, &params, false, &whole, step, &mut []).unwrap(), plain, "{len} {step}");
        }
    }
    let start = |params: &CipherParams<'_>| CipherParts::start(&key, params, true).err();
    assert_eq!(start(&CipherParams::Des3Cbc { iv: &[0; 16], padding: true }), Some(Error::IvLength));
    assert_eq!(start(&CipherParams::AesCtr { iv: &[0; 16] }), Some(Error::Unsupported));
    assert_eq!(start(&CipherParams::Des3Ecb), Some(Error::Unsupported));
}
