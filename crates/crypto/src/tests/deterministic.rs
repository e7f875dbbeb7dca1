//! Deterministic ECDSA, against RFC 6979 and against the library that verifies it.

use crate::digest::Hash;
use crate::{Curve, EcPrivateKey, Encoding, Error, Key, Message, SignatureScheme};

/// RFC 6979, appendix A.2: the message "sample".
#[test]
fn the_examples_of_the_rfc() {
    let p256 = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let p384 = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5";
    let p521 = "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538";
    for (curve, scalar, hash, r, s) in [
        (
            Curve::P256,
            p256,
            Hash::Sha1,
            "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32",
            "6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb",
        ),
        (
            Curve::P256,
            p256,
            Hash::Sha256,
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            Curve::P384,
            p384,
            Hash::Sha384,
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
        ),
        (
            Curve::P521,
            p521,
            Hash::Sha512,
            "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
            "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
        ),
    ] {
        let key = from_scalar(curve, scalar);
        let signature = key.sign_deterministic(hash, Message::Data(b"sample")).unwrap();
        assert_eq!(hex::encode(curve.signature_to_fixed(&signature).unwrap()), format!("{r}{s}"), "{curve:?} {hash:?}");
        let digest = hash.digest(b"sample");
        assert_eq!(key.sign_deterministic(hash, Message::Digest(digest.as_ref())), Ok(signature));
        assert_eq!(key.sign_deterministic(hash, Message::Digest(b"short")), Err(Error::InputLength));
        assert_eq!(key.sign_deterministic(Hash::Sha3_256, Message::Data(b"")), Err(Error::Unsupported));
    }
}

/// With hashes shorter and longer than the curve.
#[test]
fn the_library_verifies_them_on_every_curve() {
    for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::K256] {
        let key = EcPrivateKey::generate(curve).unwrap();
        for hash in [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let scheme = SignatureScheme::Ecdsa { hash: Some(hash), encoding: Encoding::Der };
            let signature = key.sign_deterministic(hash, Message::Data(b"message")).unwrap();
            assert_eq!(Key::EcPublic(key.public()).verify(&scheme, Message::Data(b"message"), &signature), Ok(true), "{curve:?} {hash:?}");
            assert_eq!(key.sign_deterministic(hash, Message::Data(b"message")), Ok(signature));
        }
    }
}

/// SEC1 with the private number and the curve alone.
fn from_scalar(curve: Curve, scalar: &str) -> EcPrivateKey {
    let (scalar, oid) = (hex::decode(scalar).unwrap(), curve.oid_der());
    let octets = [&[0x02, 0x01, 0x01, 0x04, scalar.len() as u8][..], &scalar, &[0xa0, oid.len() as u8], oid].concat();
    EcPrivateKey::from_der(&[&[0x30, octets.len() as u8], &octets[..]].concat()).unwrap()
}
