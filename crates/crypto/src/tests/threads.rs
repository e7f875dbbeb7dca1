//! One key, many threads: the promise that lets the cache hand out shared references.

use crate::digest::Hash;
use crate::{Buffers, CipherParams, Curve, EcPrivateKey, Encoding, Key, Message, RsaPrivateKey, SignatureScheme};

const THREADS: usize = 8;

fn assert_shared<T: Send + Sync>() {}

#[test]
fn keys_are_shared_and_streams_move() {
    assert_shared::<Key>();
    assert_shared::<crate::MlDsaPrivateKey>();
    assert_shared::<crate::MlKemPrivateKey>();
    assert_shared::<crate::Ff1>();
    fn assert_send<T: Send>() {}
    assert_send::<crate::CipherStream>();
    assert_send::<crate::MacStream>();
    assert_send::<crate::digest::Hasher>();
}

/// A fresh key, so that the first uses (where Montgomery contexts and blinding are made) run at once.
#[test]
fn one_rsa_key_in_eight_threads() {
    let parsed = RsaPrivateKey::generate(2048, 65537).unwrap().to_pkcs1_der();
    let key = Key::Rsa(RsaPrivateKey::from_der(&parsed).unwrap());
    let start = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (key, start) = (&key, &start);
            scope.spawn(move || {
                start.wait();
                let pss = SignatureScheme::RsaPss { hash: Hash::Sha256, mgf1: Hash::Sha256, salt_len: 32 };
                for round in 0..40u8 {
                    let message = [thread as u8, round];
                    for scheme in [SignatureScheme::RsaPkcs1 { hash: Hash::Sha256 }, pss] {
                        let mut signature = [0; 256];
                        key.sign(&scheme, Message::Data(&message), &mut signature).unwrap();
                        assert_eq!(key.verify(&scheme, Message::Data(&message), &signature), Ok(true));
                    }
                    let (mut encrypted, mut plain) = ([0; 256], [0; 256]);
                    key.encrypt(&CipherParams::RsaPkcs1, Buffers::new(&message, &mut encrypted), &mut []).unwrap();
                    let len = key.decrypt(&CipherParams::RsaPkcs1, Buffers::new(&encrypted, &mut plain), &[]).unwrap();
                    assert_eq!(plain[..len], message);
                }
            });
        }
    });
}

#[test]
fn one_aes_and_one_ec_key_in_eight_threads() {
    let (aes, ec) = (super::aes(32), Key::Ec(EcPrivateKey::generate(Curve::P256).unwrap()));
    let scheme = SignatureScheme::Ecdsa { hash: Some(Hash::Sha256), encoding: Encoding::Fixed };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (aes, ec) = (&aes, &ec);
            scope.spawn(move || {
                for round in 0..200u8 {
                    let mut iv = [0; 12];
                    iv[..2].copy_from_slice(&[thread as u8, round]);
                    let params = CipherParams::AesGcm { iv: &iv, aad: b"" };
                    let (mut data, mut tag) = ([round; 1000], [0; 16]);
                    aes.encrypt(&params, Buffers::in_place(&mut data), &mut tag).unwrap();
                    aes.decrypt(&params, Buffers::in_place(&mut data), &tag).unwrap();
                    assert_eq!(data, [round; 1000]);
                    let mut signature = [0; 64];
                    ec.sign(&scheme, Message::Data(&data), &mut signature).unwrap();
                    assert_eq!(ec.verify(&scheme, Message::Data(&data), &signature), Ok(true));
                }
            });
        }
    });
}
