//! Key derivation against published vectors and against compositions that are simpler to see through.

use crate::digest::Hash;
use crate::kdf::{Field, Mode, hkdf, hkdf_expand, hkdf_extract, single_step, sp800_108, x9_63};
use crate::{AesKey, Error, HmacKey, Key, MacScheme};

/// NIST CAVP, ANSI X9.63 (800-135) vectors, SHA-256 with shared information of 0 and SHA-256 of 128 bits.
#[test]
fn x9_63_as_nist_has_it() {
    for (secret, info, key) in [
        ("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08", "", "443024c3dae66b95e6f5670601558f71"),
        (
            "22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d",
            "75eef81aa3041e33b80971203d2c0c52",
            "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21",
        ),
    ] {
        let key = hex::decode(key).unwrap();
        let mut made = vec![0; key.len()];
        x9_63(Hash::Sha256, &hex::decode(secret).unwrap(), &hex::decode(info).unwrap(), &mut made).unwrap();
        assert_eq!(made, key);
    }
}

#[test]
fn hkdf_in_two_steps_is_hkdf() {
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512, Hash::Sha3_256] {
        let (mut whole, mut steps) = ([0; 70], [0; 70]);
        hkdf(hash, b"secret", b"salt", b"info", &mut whole).unwrap();
        let key = hkdf_extract(hash, b"secret", b"salt").unwrap();
        assert_eq!(key.len(), hash.len());
        hkdf_expand(hash, &key, b"info", &mut steps).unwrap();
        assert_eq!(whole, steps);
        assert_eq!(hkdf_expand(hash, &key, b"", &mut vec![0; 255 * hash.len() + 1]), Err(Error::TooLong));
    }
}

/// The definition, written out.
#[test]
fn sp800_108_is_the_function_over_its_fields() {
    let key = Key::Hmac(HmacKey::from_bytes(&[7; 32]).unwrap());
    let prf = MacScheme::Hmac { hash: Hash::Sha256 };
    let counter = Field::Counter { width: 4, little_endian: false };
    let mut made = [0; 50];
    sp800_108(
        &key,
        &prf,
        Mode::Counter,
        &[counter, Field::Fixed(b"label\0context"), Field::Length { width: 4, little_endian: false }],
        400,
        &mut made,
    )
    .unwrap();
    let round = |number: u32| {
        let input = [&number.to_be_bytes()[..], b"label\0context", &400_u32.to_be_bytes()].concat();
        key.mac(&prf, &input).unwrap().as_ref().to_vec()
    };
    assert_eq!(made[..], [round(1), round(2)].concat()[..50]);

    // Feedback: the round before, then the counter with its lowest byte first.
    let little = Field::Counter { width: 2, little_endian: true };
    let feedback = Mode::Feedback { initial: b"initial value" };
    sp800_108(&key, &prf, feedback, &[Field::Iteration, little, Field::Fixed(b"fixed")], 400, &mut made).unwrap();
    let first = key.mac(&prf, b"initial value\x01\x00fixed").unwrap();
    let second = key.mac(&prf, &[first.as_ref(), b"\x02\x00fixed"].concat()).unwrap();
    assert_eq!(made[..], [first.as_ref(), second.as_ref()].concat()[..50]);

    // Two pipelines: the first begins with what is the same in all rounds.
    let length = Field::Length { width: 4, little_endian: false };
    sp800_108(&key, &prf, Mode::DoublePipeline, &[Field::Fixed(b"fixed"), Field::Iteration, little, length], 400, &mut made).unwrap();
    let a1 = key.mac(&prf, b"fixed\0\0\x01\x90").unwrap();
    let a2 = key.mac(&prf, a1.as_ref()).unwrap();
    let first = key.mac(&prf, &[b"fixed", a1.as_ref(), b"\x01\x00\0\0\x01\x90"].concat()).unwrap();
    let second = key.mac(&prf, &[b"fixed", a2.as_ref(), b"\x02\x00\0\0\x01\x90"].concat()).unwrap();
    assert_eq!(made[..], [first.as_ref(), second.as_ref()].concat()[..50]);

    let cmac = Key::Aes(AesKey::from_bytes(&[9; 16]).unwrap());
    sp800_108(&cmac, &MacScheme::Cmac, Mode::Counter, &[counter], 400, &mut made).unwrap();
    assert_eq!(made[..16], *cmac.mac(&MacScheme::Cmac, &[0, 0, 0, 1]).unwrap().as_ref());

    let narrow = [Field::Counter { width: 1, little_endian: false }];
    assert_eq!(sp800_108(&key, &prf, Mode::Counter, &narrow, 0, &mut vec![0; 256 * 32]), Err(Error::TooLong));
    let wide = [Field::Counter { width: 9, little_endian: false }];
    assert_eq!(sp800_108(&key, &prf, Mode::Counter, &wide, 0, &mut made), Err(Error::Unsupported));
    assert_eq!(sp800_108(&key, &MacScheme::Cmac, Mode::Counter, &narrow, 0, &mut made), Err(Error::Unsupported));
}

/// The definition, written out, and the vector of RFC 7518, appendix C.
#[test]
fn single_step_is_the_digest_of_counter_secret_and_information() {
    let mut made = [0; 50];
    single_step(Hash::Sha3_256, b"secret", b"information", &mut made).unwrap();
    let rounds = [1, 2].map(|round| Hash::Sha3_256.digest(&[&[0, 0, 0, round], &b"secretinformation"[..]].concat()).as_ref().to_vec());
    assert_eq!(made[..], rounds.concat()[..50]);

    let secret = hex::decode("9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4").unwrap();
    let information = [&b"\0\0\0\x07A128GCM\0\0\0\x05Alice\0\0\0\x03Bob\0\0\0\x80"[..]].concat();
    let mut key = [0; 16];
    single_step(Hash::Sha256, &secret, &information, &mut key).unwrap();
    assert_eq!(hex::encode(key), "56aa8deaf8236d205c2228cd71a7101a");
}
