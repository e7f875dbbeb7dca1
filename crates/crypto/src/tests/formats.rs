//! Formats, byte for byte against OpenSSL: keys in and out, signatures and ciphertexts across.

use super::openssl::OpenSsl;
use super::{decrypt, encrypt};
use crate::digest::Hash;
use crate::{CipherParams, Curve, EcPrivateKey, EcPublicKey, Encoding, Error, Key, Message, RsaPrivateKey, RsaPublicKey, SignatureScheme};

/// From whatever private key in DER.
const TO_PKCS8: [&str; 7] = ["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER"];

#[test]
fn rsa_keys_are_read_and_written_as_openssl_does() {
    let openssl = OpenSsl::new();
    let args = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"];
    // `genpkey` writes PKCS#1 in DER.
    let pkcs8 = openssl.output(&TO_PKCS8, &openssl.output(&args, b""));
    let pkcs1 = openssl.output(&["rsa", "-inform", "DER", "-traditional", "-outform", "DER"], &pkcs8);
    let spki = openssl.output(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
    let public_pkcs1 = openssl.output(&["rsa", "-inform", "DER", "-RSAPublicKey_out", "-outform", "DER"], &pkcs8);
    for der in [&pkcs8, &pkcs1] {
        let key = RsaPrivateKey::from_der(der).unwrap();
        assert_eq!(*key.to_pkcs1_der(), pkcs1);
        assert_eq!(*key.to_pkcs8_der().unwrap(), pkcs8);
        assert_eq!(key.public().to_spki_der(), spki);
        assert_eq!(key.modulus_len(), 256);
    }
    for der in [&spki, &public_pkcs1] {
        let key = RsaPublicKey::from_der(der).unwrap();
        assert_eq!(key.to_spki_der(), spki);
        assert_eq!((key.bits(), key.public_exponent()), (2048, vec![1, 0, 1]));
        let modulus = openssl.output(&["rsa", "-inform", "DER", "-noout", "-modulus"], &pkcs8);
        assert_eq!(format!("Modulus={}\n", hex::encode_upper(key.modulus())).as_bytes(), modulus);
    }
    let ours = RsaPrivateKey::generate(3072, 65537).unwrap();
    openssl.output(&["rsa", "-inform", "DER", "-check", "-noout"], &ours.to_pkcs1_der());
}

#[test]
fn ec_keys_are_read_and_written_as_openssl_does() {
    let openssl = OpenSsl::new();
    let names = [("prime256v1", Curve::P256), ("secp384r1", Curve::P384), ("secp521r1", Curve::P521), ("secp256k1", Curve::K256)];
    for (name, curve) in names {
        let curve_option = format!("ec_paramgen_curve:{name}");
        let key = openssl.output(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve_option, "-outform", "DER"], b"");
        let pkcs8 = openssl.output(&TO_PKCS8, &key);
        let sec1 = openssl.output(&["ec", "-inform", "DER", "-outform", "DER"], &pkcs8);
        let spki = openssl.output(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
        for der in [&pkcs8, &sec1] {
            let key = EcPrivateKey::from_der(der).unwrap();
            assert_eq!(key.curve(), curve);
            assert_eq!(*key.to_sec1_der(), sec1, "with [0] the curve and [1] the public key");
            assert_eq!(*key.to_pkcs8_der().unwrap(), pkcs8);
            assert_eq!(key.public().to_spki_der(), spki);
        }
        let public = EcPublicKey::from_spki_der(&spki).unwrap();
        assert_eq!(public.curve(), curve);
        assert!(spki.ends_with(&public.point()) && public.point().len() == 1 + 2 * curve.coordinate_len());
        let oid = openssl.output(&["ecparam", "-name", name, "-outform", "DER"], b"");
        assert_eq!(oid, curve.oid_der());
        let ours = EcPrivateKey::generate(curve).unwrap();
        openssl.output(&["ec", "-inform", "DER", "-check", "-noout"], &ours.to_sec1_der());
    }
}

#[test]
fn what_is_not_a_key_is_malformed() {
    let rsa = RsaPrivateKey::generate(1024, 65537).unwrap();
    let ec = EcPrivateKey::generate(Curve::P256).unwrap();
    let (rsa_der, ec_der) = (rsa.to_pkcs1_der(), ec.to_sec1_der());
    let trailing: Vec<u8> = rsa_der.iter().chain(b"x").copied().collect();
    let mut broken = rsa_der.to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    for der in [&b""[..], b"junk", &rsa_der[..100], &trailing, &broken, &ec_der, &rsa.public().to_spki_der()] {
        assert_eq!(RsaPrivateKey::from_der(der).err(), Some(Error::Malformed));
    }
    for der in [&b""[..], &ec_der[1..], &rsa_der, &ec.public().to_spki_der()] {
        assert_eq!(EcPrivateKey::from_der(der).err(), Some(Error::Malformed));
    }
    for der in [&b""[..], &rsa_der, &ec_der, &ec.public().to_spki_der()] {
        assert_eq!(RsaPublicKey::from_der(der).err(), Some(Error::Malformed));
    }
    assert_eq!(EcPublicKey::from_spki_der(&rsa.public().to_spki_der()).err(), Some(Error::Malformed));
    // P-224 parses in the library but is not one of ours.
    let openssl = OpenSsl::new();
    let p224 = openssl.output(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224", "-outform", "DER"], b"");
    assert_eq!(EcPrivateKey::from_der(&p224).err(), Some(Error::Unsupported));
}

#[test]
fn openssl_verifies_what_we_sign() {
    let openssl = OpenSsl::new();
    let rsa = Key::Rsa(RsaPrivateKey::generate(2048, 65537).unwrap());
    let ec = Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap());
    let pss = SignatureScheme::RsaPss { hash: Hash::Sha384, mgf1: Hash::Sha256, salt_len: 20 };
    let ecdsa = SignatureScheme::Ecdsa { hash: Some(Hash::Sha256), encoding: Encoding::Der };
    let message = b"what both must agree on";
    let pss_options = ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20", "-sigopt", "rsa_mgf1_md:sha256"];
    for (key, scheme, options) in [
        (&rsa, SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 }, &["-sha256"][..]),
        (&rsa, pss, &pss_options[..]),
        (&ec, ecdsa, &["-sha256"][..]),
    ] {
        let public = match key.public() {
            Some(Key::RsaPublic(key)) => key.to_spki_der(),
            Some(Key::EcPublic(key)) => key.to_spki_der(),
            _ => unreachable!(),
        };
        let mut signature = vec![0; key.signature_len(&scheme)];
        let len = key.sign(&scheme, Message::Data(message), &mut signature).unwrap();
        signature.truncate(len);
        let pem = openssl.output(&["pkey", "-pubin", "-inform", "DER"], &public);
        let public = openssl.file("public.pem", &pem);
        let signature = openssl.file("signature", &signature);
        let mut args = vec!["dgst"];
        args.extend_from_slice(options);
        args.extend_from_slice(&["-verify", &public, "-signature", &signature]);
        openssl.output(&args, message);
        assert!(!openssl.run(&args, b"another message").1);
    }
}

#[test]
fn openssl_and_we_encrypt_for_each_other() {
    let openssl = OpenSsl::new();
    let key = RsaPrivateKey::generate(2048, 65537).unwrap();
    let pem = openssl.output(&["rsa", "-inform", "DER"], &key.to_pkcs1_der());
    let pem = openssl.file("key.pem", &pem);
    let key = Key::Rsa(key);
    let oaep = CipherParams::RsaOaep { hash: Hash::Sha256, mgf1: Hash::Sha1, label: b"\xab\xcd" };
    let oaep_options = [
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha1",
        "-pkeyopt",
        "rsa_oaep_label:abcd",
    ];
    for (params, options) in [(CipherParams::RsaPkcs1, &[][..]), (oaep, &oaep_options[..])] {
        let mut args = vec!["pkeyutl", "-encrypt", "-inkey", &pem];
        args.extend_from_slice(options);
        let theirs = openssl.output(&args, b"secret");
        assert_eq!(decrypt(&key, &params, &theirs, &[]).unwrap(), b"secret");
        args[1] = "-decrypt";
        let ours = encrypt(&key, &params, b"secret", &mut []).unwrap();
        assert_eq!(openssl.output(&args, &ours), b"secret");
    }
}
