//! ML-DSA and ML-KEM. DSM's form of `value` is not published: it is PKCS #8 here, with the seed, as for Ed25519.

use dsma_api::{ApiError, MlDsaOptions, MlDsaParamSet, MlKemOptions, MlKemParamSet, ObjectType};
use dsma_crypto::{Error, MlDsaPrivateKey, MlDsaPublicKey, MlDsaSet, MlKemPrivateKey, MlKemPublicKey, MlKemSet};

use super::{Material, internal, invalid};

const ML_DSA: &[(MlDsaParamSet, MlDsaSet)] = &[
    (MlDsaParamSet::MlDsa44, MlDsaSet::MlDsa44),
    (MlDsaParamSet::MlDsa65, MlDsaSet::MlDsa65),
    (MlDsaParamSet::MlDsa87, MlDsaSet::MlDsa87),
];
const ML_KEM: &[(MlKemParamSet, MlKemSet)] = &[
    (MlKemParamSet::MlKem512, MlKemSet::MlKem512),
    (MlKemParamSet::MlKem768, MlKemSet::MlKem768),
    (MlKemParamSet::MlKem1024, MlKemSet::MlKem1024),
];

pub(super) fn generate_ml_dsa(options: Option<MlDsaOptions>) -> Result<Material, ApiError> {
    let wanted = options.ok_or_else(|| ApiError::bad_request("Missing field `mldsa`"))?.param_set;
    let set = ML_DSA.iter().find(|(name, _)| *name == wanted).map(|(_, set)| *set);
    ml_dsa(&set.ok_or(Error::Unsupported).and_then(MlDsaPrivateKey::generate).map_err(internal)?)
}

pub(super) fn generate_ml_kem(options: Option<MlKemOptions>) -> Result<Material, ApiError> {
    let wanted = options.ok_or_else(|| ApiError::bad_request("Missing field `mlkem`"))?.param_set;
    let set = ML_KEM.iter().find(|(name, _)| *name == wanted).map(|(_, set)| *set);
    ml_kem(&set.ok_or(Error::Unsupported).and_then(MlKemPrivateKey::generate).map_err(internal)?)
}

/// PKCS #8, or a public key alone.
pub(super) fn import_ml_dsa(value: &[u8]) -> Result<Material, ApiError> {
    match MlDsaPrivateKey::from_der(value) {
        Ok(key) => ml_dsa(&key),
        Err(_) => ml_dsa_public(&MlDsaPublicKey::from_spki_der(value).map_err(|error| invalid("ML-DSA key", error))?),
    }
}

/// PKCS #8, or a public key alone.
pub(super) fn import_ml_kem(value: &[u8]) -> Result<Material, ApiError> {
    match MlKemPrivateKey::from_der(value) {
        Ok(key) => ml_kem(&key),
        Err(_) => ml_kem_public(&MlKemPublicKey::from_spki_der(value).map_err(|error| invalid("ML-KEM key", error))?),
    }
}

fn ml_dsa(key: &MlDsaPrivateKey) -> Result<Material, ApiError> {
    Ok(Material { value: Some(key.to_pkcs8_der().map_err(internal)?), ..ml_dsa_public(&key.public())? })
}

fn ml_dsa_public(key: &MlDsaPublicKey) -> Result<Material, ApiError> {
    let name = ML_DSA.iter().find(|(_, set)| *set == key.set()).ok_or_else(|| internal(Error::Unsupported))?.0;
    let mldsa = Some(MlDsaOptions { param_set: name });
    Ok(Material { mldsa, pub_key: Some(key.to_spki_der()), ..Material::new(ObjectType::Mldsa) })
}

fn ml_kem(key: &MlKemPrivateKey) -> Result<Material, ApiError> {
    Ok(Material { value: Some(key.to_pkcs8_der().map_err(internal)?), ..ml_kem_public(&key.public())? })
}

fn ml_kem_public(key: &MlKemPublicKey) -> Result<Material, ApiError> {
    let name = ML_KEM.iter().find(|(_, set)| *set == key.set()).ok_or_else(|| internal(Error::Unsupported))?.0;
    let mlkem = Some(MlKemOptions { param_set: name });
    Ok(Material { mlkem, pub_key: Some(key.to_spki_der()), ..Material::new(ObjectType::Mlkem) })
}
