//! Streams: in whatever parts the text arrives, the result is that of one call.

use proptest::prelude::*;

use super::{aes, decrypt, encrypt};
use crate::{Buffers, CipherParams, CipherStream, Des3Key, Error, Key};

const IV: [u8; 16] = [9; 16];

fn modes() -> Vec<(CipherParams<'static>, usize)> {
    vec![
        (CipherParams::AesGcm { iv: &IV[..12], aad: b"additional" }, 16),
        (CipherParams::AesGcm { iv: &IV, aad: b"" }, 13),
        (CipherParams::AesCbc { iv: &IV, padding: true }, 0),
        (CipherParams::AesCbc { iv: &IV, padding: false }, 0),
        (CipherParams::AesEcb, 0),
        (CipherParams::AesCtr { iv: &IV }, 0),
        (CipherParams::AesCfb { iv: &IV }, 0),
        (CipherParams::AesCfb8 { iv: &IV }, 0),
        (CipherParams::AesCfb1 { iv: &IV }, 0),
        (CipherParams::AesOfb { iv: &IV }, 0),
        (CipherParams::Des3Cbc { iv: &IV[..8], padding: true }, 0),
        (CipherParams::Des3Cbc { iv: &IV[..8], padding: false }, 0),
        (CipherParams::Des3Ecb, 0),
    ]
}

/// Feeds `data` in parts of the given lengths (the rest at the end), each to an output of exactly what it needs, every other part in
/// place.
fn feed(stream: &mut CipherStream, mut data: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut result = Vec::new();
    let mut cuts = cuts.iter();
    let mut in_place = false;
    while !data.is_empty() {
        let (part, rest) = data.split_at(cuts.next().map_or(data.len(), |cut| *cut.min(&data.len())));
        let probe = stream.update(Buffers::new(part, &mut []));
        let needed = match probe {
            Ok(written) => {
                assert_eq!(written, 0);
                data = rest;
                continue;
            }
            Err(Error::OutputTooSmall { needed }) => needed,
            Err(other) => panic!("{other}"),
        };
        in_place = !in_place;
        if in_place && needed <= part.len() {
            let mut buffer = part.to_vec();
            let written = stream.update(Buffers::in_place(&mut buffer)).unwrap();
            assert_eq!(written, needed);
            result.extend_from_slice(&buffer[..written]);
        } else {
            let mut out = vec![0; needed];
            assert_eq!(stream.update(Buffers::new(part, &mut out)), Ok(needed));
            result.extend_from_slice(&out);
        }
        data = rest;
    }
    result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn parts_do_not_matter(
        mode in 0..modes().len(),
        plain in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0..60usize, 0..20),
    ) {
        let (params, tag_len) = modes()[mode];
        let key = match params {
            CipherParams::Des3Ecb | CipherParams::Des3Cbc { .. } => Key::Des3(Des3Key::from_bytes(b"a triple DES key 24 long").unwrap()),
            _ => aes(32),
        };
        let mut plain = plain;
        if params.keeps_len() && !matches!(params, CipherParams::AesGcm { .. }) {
            plain.truncate(plain.len() / 16 * 16);
        }
        let mut tag = vec![0; tag_len];
        let expected = encrypt(&key, &params, &plain, &mut tag).unwrap();

        let mut stream = key.start_encrypt(&params).unwrap();
        let mut encrypted = feed(&mut stream, &plain, &cuts);
        let (mut last, mut stream_tag) = (vec![0; stream.pending_len()], vec![0; tag_len]);
        let last_len = stream.finish_encrypt(&mut last, &mut stream_tag).unwrap();
        encrypted.extend_from_slice(&last[..last_len]);
        prop_assert_eq!(&encrypted, &expected);
        prop_assert_eq!(&stream_tag, &tag);

        let mut stream = key.start_decrypt(&params).unwrap();
        let mut decrypted = feed(&mut stream, &encrypted, &cuts);
        let mut last = vec![0; stream.pending_len()];
        let last_len = stream.finish_decrypt(&mut last, &tag).unwrap();
        decrypted.extend_from_slice(&last[..last_len]);
        prop_assert_eq!(&decrypted, &plain);
    }
}

#[test]
fn a_wrong_end_is_refused() {
    let key = aes(16);
    let gcm = CipherParams::AesGcm { iv: &IV[..12], aad: b"" };
    let mut stream = key.start_decrypt(&gcm).unwrap();
    stream.update(Buffers::new(&[1; 20], &mut [0; 20])).unwrap();
    assert_eq!(stream.finish_decrypt(&mut [], &[0; 16]), Err(Error::Authentication));
    assert_eq!(key.start_decrypt(&gcm).unwrap().finish_decrypt(&mut [], &[]), Err(Error::TagLength));
    assert_eq!(key.start_encrypt(&gcm).unwrap().finish_encrypt(&mut [], &mut [0; 17]), Err(Error::TagLength));
    assert_eq!(key.start_encrypt(&gcm).unwrap().finish_decrypt(&mut [], &[0; 16]), Err(Error::Unsupported));

    let blocks = CipherParams::AesEcb;
    let mut stream = key.start_encrypt(&blocks).unwrap();
    assert_eq!(stream.update(Buffers::new(&[1; 20], &mut [0; 16])), Ok(16));
    assert_eq!(stream.finish_encrypt(&mut [], &mut []), Err(Error::InputLength));

    let padded = CipherParams::AesCbc { iv: &IV, padding: true };
    assert_eq!(key.start_decrypt(&padded).unwrap().finish_decrypt(&mut [0; 16], &[]), Err(Error::InputLength));
    let encrypted = encrypt(&key, &padded, &[0; 16], &mut []).unwrap();
    let mut stream = key.start_decrypt(&padded).unwrap();
    assert_eq!(stream.update(Buffers::new(&encrypted[..16], &mut [])), Ok(0), "the block that may be padding waits");
    assert_eq!(stream.finish_decrypt(&mut [0; 16], &[]), Err(Error::Authentication));
}

#[test]
fn a_stream_outlives_its_key() {
    let params = CipherParams::AesCtr { iv: &IV };
    let key = aes(32);
    let expected = encrypt(&key, &params, b"text", &mut []).unwrap();
    let mut stream = key.start_encrypt(&params).unwrap();
    drop(key);
    let mut out = [0; 4];
    stream.update(Buffers::new(b"text", &mut out)).unwrap();
    assert_eq!(out[..], expected);
    assert_eq!(decrypt(&aes(32), &params, &expected, &[]).unwrap(), b"text");
}
