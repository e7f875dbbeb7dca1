//! Authentication codes against OpenSSL's, in parts, and what is refused.

use proptest::prelude::*;

use super::aes;
use super::openssl::OpenSsl;
use crate::digest::Hash;
use crate::{Curve, EcPrivateKey, Error, HmacKey, Key, MacScheme};

const HMAC: MacScheme = MacScheme::Hmac { hash: Hash::Sha256 };

fn hmac_key(len: usize) -> Key {
    Key::Hmac(HmacKey::from_bytes(&vec![0x5a; len]).unwrap())
}

/// RFC 4493's second example: AES-CMAC of one block. Wycheproof has the rest.
#[test]
fn cmac_matches_the_rfc() {
    let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
    let key = Key::Aes(crate::AesKey::from_bytes(&key).unwrap());
    let message = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
    assert_eq!(hex::encode(key.mac(&MacScheme::Cmac, &message).unwrap()), "070a16b46b4d4144f79bdd9dd04a287c");
}

#[test]
fn openssl_makes_the_same_codes() {
    let openssl = OpenSsl::new();
    for (hash, name) in
        [(Hash::Sha1, "sha1"), (Hash::Sha224, "sha224"), (Hash::Sha256, "sha256"), (Hash::Sha384, "sha384"), (Hash::Sha512, "sha512")]
    {
        // Shorter than a block, a block, and longer, where the key is hashed first.
        for len in [14, 64, 128, 1024] {
            let option = format!("hexkey:{}", "5a".repeat(len));
            let theirs = openssl.output(&["dgst", &format!("-{name}"), "-mac", "HMAC", "-macopt", &option, "-binary"], b"message");
            assert!(hmac_key(len).verify_mac(&MacScheme::Hmac { hash }, b"message", &theirs).unwrap(), "{hash:?} {len}");
        }
    }
}

#[test]
fn only_the_whole_code_matches() {
    let (key, mac) = (hmac_key(32), hmac_key(32).mac(&HMAC, b"message").unwrap());
    let mut given = mac.as_ref().to_vec();
    assert!(mac.matches(&given));
    assert!(!mac.matches(&given[..31]));
    assert_eq!(key.verify_mac(&HMAC, b"another", &given), Ok(false));
    given[31] ^= 1;
    assert_eq!(key.verify_mac(&HMAC, b"message", &given), Ok(false));
    assert_eq!(key.verify_mac(&HMAC, b"message", b""), Ok(false));
}

#[test]
fn a_scheme_of_another_kind_of_key_is_refused() {
    assert_eq!(HmacKey::from_bytes(b"").err(), Some(Error::KeySize));
    let ec = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    for (key, scheme) in [(&hmac_key(32), MacScheme::Cmac), (&aes(32), HMAC), (&ec, HMAC), (&ec, MacScheme::Cmac)] {
        assert_eq!(key.start_mac(&scheme).err(), Some(Error::Unsupported));
    }
    let key = hmac_key(32);
    assert!(key.public().is_none());
    assert_eq!(key.start_encrypt(&crate::CipherParams::AesEcb).err(), Some(Error::Unsupported));
}

proptest! {
    #[test]
    fn parts_do_not_matter(data in prop::collection::vec(any::<u8>(), 0..300), cut in 0..300usize) {
        let (left, right) = data.split_at(cut.min(data.len()));
        for (key, scheme) in [(hmac_key(20), HMAC), (aes(24), MacScheme::Cmac)] {
            let mut stream = key.start_mac(&scheme).unwrap();
            stream.update(left).unwrap();
            stream.update(right).unwrap();
            prop_assert!(stream.finish().unwrap().matches(key.mac(&scheme, &data).unwrap().as_ref()));
        }
    }
}
