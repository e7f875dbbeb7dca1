//! Keys on Curve25519 and key agreement against OpenSSL: formats, signatures, shared secrets.

use super::openssl::OpenSsl;
use crate::{
    Curve, EcPrivateKey, EcPublicKey, Ed25519PrivateKey, Ed25519PublicKey, Error, Key, Message, SignatureScheme, X25519PrivateKey,
    X25519PublicKey,
};

#[test]
fn keys_on_curve25519_are_read_and_written_as_openssl_does() {
    let openssl = OpenSsl::new();
    let [(ed_pkcs8, ed_spki), (x_pkcs8, x_spki)] = ["ED25519", "X25519"].map(|algorithm| {
        let pkcs8 = openssl.output(&["genpkey", "-algorithm", algorithm, "-outform", "DER"], b"");
        let spki = openssl.output(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
        assert_eq!((pkcs8.len(), spki.len()), (48, 44), "the form that DSM has");
        (pkcs8, spki)
    });
    let ed = Ed25519PrivateKey::from_der(&ed_pkcs8).unwrap();
    assert_eq!((&ed.to_pkcs8_der()[..], &ed.public().to_spki_der()[..]), (&ed_pkcs8[..], &ed_spki[..]));
    assert_eq!(Ed25519PublicKey::from_spki_der(&ed_spki).unwrap(), ed.public());
    assert_eq!(Ed25519PrivateKey::from_seed(ed_pkcs8[16..].try_into().unwrap()).public(), ed.public());
    let x = X25519PrivateKey::from_der(&x_pkcs8).unwrap();
    assert_eq!((&x.to_pkcs8_der()[..], &x.public().to_spki_der()[..]), (&x_pkcs8[..], &x_spki[..]));
    assert_eq!(X25519PublicKey::from_spki_der(&x_spki).unwrap(), x.public());

    for der in [&x_pkcs8[..], &ed_spki, &ed_pkcs8[..47], b""] {
        assert_eq!(Ed25519PrivateKey::from_der(der).err(), Some(Error::Malformed));
    }
    assert_eq!(X25519PrivateKey::from_der(&ed_pkcs8).err(), Some(Error::Malformed));
    assert_eq!(X25519PublicKey::from_spki_der(&ed_spki).err(), Some(Error::Malformed));
    assert_eq!(EcPrivateKey::from_der(&ed_pkcs8).err(), Some(Error::Malformed));
}

/// RFC 8410, 10.3: the same key without and with its public key, which must be its own.
#[test]
fn version_2_of_pkcs8_is_read() {
    let v1 = hex::decode("302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842").unwrap();
    let v2 = hex::decode(concat!(
        "3072020101300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842",
        "a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273",
        "81210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
    ))
    .unwrap();
    let (first, second) = (Ed25519PrivateKey::from_der(&v1).unwrap(), Ed25519PrivateKey::from_der(&v2).unwrap());
    assert_eq!(first.public(), second.public());
    assert_eq!(*second.to_pkcs8_der(), v1);
    let mut wrong = v2;
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(Ed25519PrivateKey::from_der(&wrong).err(), Some(Error::Malformed));
}

/// RFC 8032, 7.1, test 2; and that the scheme takes whole messages only.
#[test]
fn ed25519_signs_as_the_rfc_does() {
    let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
    let key = Key::Ed25519(Ed25519PrivateKey::from_seed(seed[..].try_into().unwrap()));
    let mut signature = [0; 64];
    assert_eq!(key.signature_len(&SignatureScheme::EdDsa), 64);
    assert_eq!(key.sign(&SignatureScheme::EdDsa, Message::Data(&[0x72]), &mut signature), Ok(64));
    assert_eq!(
        hex::encode(signature),
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    );
    let public = key.public().unwrap();
    for key in [&key, &public] {
        assert_eq!(key.verify(&SignatureScheme::EdDsa, Message::Data(&[0x72]), &signature), Ok(true));
        assert_eq!(key.verify(&SignatureScheme::EdDsa, Message::Data(&[0x73]), &signature), Ok(false));
        assert_eq!(key.verify(&SignatureScheme::EdDsa, Message::Data(&[0x72]), &signature[1..]), Ok(false));
        assert_eq!(key.verify(&SignatureScheme::EdDsa, Message::Digest(&[0x72]), &signature), Err(Error::Unsupported));
    }
    assert_eq!(key.sign(&SignatureScheme::EdDsa, Message::Data(b""), &mut [0; 63]), Err(Error::OutputTooSmall { needed: 64 }));
    assert_eq!(public.sign(&SignatureScheme::EdDsa, Message::Data(b""), &mut signature), Err(Error::Unsupported));
    let ec = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    assert_eq!(ec.sign(&SignatureScheme::EdDsa, Message::Data(b""), &mut signature), Err(Error::Unsupported));
}

/// Ours with theirs, theirs with ours.
#[test]
fn openssl_agrees_on_the_same_secret() {
    let openssl = OpenSsl::new();
    let derive = |private: &[u8], public: &[u8]| {
        let (private, public) = (openssl.file("private.der", private), openssl.file("public.der", public));
        openssl.output(&["pkeyutl", "-derive", "-keyform", "DER", "-inkey", &private, "-peerform", "DER", "-peerkey", &public], b"")
    };
    for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::K256] {
        let [a, b] = [0; 2].map(|_| EcPrivateKey::generate(curve).unwrap());
        let secret = a.agree(&b.public()).unwrap();
        assert_eq!(secret.len(), curve.coordinate_len());
        assert_eq!(*secret, *b.agree(&a.public()).unwrap());
        assert_eq!(*secret, derive(&a.to_sec1_der(), &b.public().to_spki_der()));
    }
    let [a, b] = [0; 2].map(|_| X25519PrivateKey::generate().unwrap());
    let secret = a.agree(&b.public()).unwrap();
    assert_eq!(*secret, *b.agree(&a.public()).unwrap());
    assert_eq!(secret[..], derive(&a.to_pkcs8_der(), &b.public().to_spki_der()));
}

#[test]
fn curves_do_not_mix() {
    let (a, b) = (EcPrivateKey::generate(Curve::P256).unwrap(), EcPrivateKey::generate(Curve::K256).unwrap());
    assert_eq!(a.agree(&b.public()).err(), Some(Error::Unsupported));
    let reparsed = EcPublicKey::from_spki_der(&a.public().to_spki_der()).unwrap();
    assert!(a.agree(&reparsed).is_ok());
}
