//! DSM's names of the parameter sets of ML-DSA and ML-KEM.

use dsma_api::{MlDsaParamSet, MlKemParamSet};
use dsma_crypto::{MlDsaSet, MlKemSet};

/// The set that DSM's name means.
pub(super) const fn ml_dsa(name: MlDsaParamSet) -> MlDsaSet {
    match name {
        MlDsaParamSet::MlDsa44 => MlDsaSet::MlDsa44,
        MlDsaParamSet::MlDsa65 => MlDsaSet::MlDsa65,
        MlDsaParamSet::MlDsa87 => MlDsaSet::MlDsa87,
    }
}

/// As [`ml_dsa`].
pub(super) const fn ml_kem(name: MlKemParamSet) -> MlKemSet {
    match name {
        MlKemParamSet::MlKem512 => MlKemSet::MlKem512,
        MlKemParamSet::MlKem768 => MlKemSet::MlKem768,
        MlKemParamSet::MlKem1024 => MlKemSet::MlKem1024,
    }
}
