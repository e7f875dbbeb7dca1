//! Format-preserving encryption: NIST's samples and the bounds.

use crate::{AesKey, Error, Ff1};

fn ff1(key: &str, radix: u32) -> Ff1 {
    AesKey::from_bytes(&hex::decode(key).unwrap()).unwrap().ff1(radix).unwrap()
}

/// Numerals of a text in the alphabet of the digits and the small letters.
fn numerals(text: &str) -> Vec<u16> {
    text.chars().map(|letter| letter.to_digit(36).unwrap() as u16).collect()
}

/// NIST's nine samples for FF1 ("FF1 samples" beside SP 800-38G).
#[test]
fn the_samples_of_nist() {
    let aes128 = "2b7e151628aed2a6abf7158809cf4f3c";
    let aes192 = "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f";
    let aes256 = "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94";
    let (digits, letters, reverse) = ("0123456789", "0123456789abcdefghi", "39383736353433323130");
    for (key, radix, tweak, text, expected) in [
        (aes128, 10, "", digits, "2433477484"),
        (aes128, 10, reverse, digits, "6124200773"),
        (aes128, 36, "3737373770717273373737", letters, "a9tv40mll9kdu509eum"),
        (aes192, 10, "", digits, "2830668132"),
        (aes192, 10, reverse, digits, "2496655549"),
        (aes192, 36, "3737373770717273373737", letters, "xbj3kv35jrawxv32ysr"),
        (aes256, 10, "", digits, "6657667009"),
        (aes256, 10, reverse, digits, "1001623463"),
        (aes256, 36, "3737373770717273373737", letters, "xs8a0azh2avyalyzuwd"),
    ] {
        let (key, tweak) = (ff1(key, radix), hex::decode(tweak).unwrap());
        let encrypted = key.encrypt(&tweak, &numerals(text)).unwrap();
        assert_eq!(encrypted, numerals(expected));
        assert_eq!(*key.decrypt(&tweak, &encrypted).unwrap(), numerals(text));
    }
}

#[test]
fn texts_out_of_bounds_are_refused() {
    let key = AesKey::from_bytes(&[1; 16]).unwrap();
    for radix in [0, 1, 65537, u32::MAX] {
        assert_eq!(key.ff1(radix).err(), Some(Error::Unsupported));
    }
    let decimal = key.ff1(10).unwrap();
    for text in [&[][..], &[1; 5], &[10; 6], &[1; 4097]] {
        assert_eq!(decimal.encrypt(b"", text), Err(Error::Numerals), "{}", text.len());
        assert_eq!(decimal.decrypt(b"", text).err(), Some(Error::Numerals));
    }
    assert_eq!(decimal.encrypt(&[0; (1 << 16) + 1], &[1; 6]), Err(Error::TooLong));
    let longest = decimal.encrypt(&[0; 1 << 16], &[9; 4096]).unwrap();
    assert_eq!(*decimal.decrypt(&[0; 1 << 16], &longest).unwrap(), [9; 4096]);
}
