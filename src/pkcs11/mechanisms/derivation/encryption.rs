//! CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_CBC_ENCRYPT_DATA and their kin of triple DES (section 6.17): the ciphertext of given data is the key.

use cryptoki_sys::*;
use dsma_crypto::Buffers;
use zeroize::Zeroizing;

use super::super::super::ffi::Mechanism;
use super::super::super::objects::Object;
use super::super::params::OwnedParams;
use super::{Error, Result, Secret, beginning, failed, given};

pub(super) struct Encryption {
    params: OwnedParams,
    data: Box<[u8]>,
}

impl Encryption {
    pub(super) fn read(kind: CK_MECHANISM_TYPE, mechanism: Mechanism<'_>) -> Result<Self> {
        let (params, data, block) = match kind {
            CKM_AES_CBC_ENCRYPT_DATA => {
                let (iv, data) = mechanism.aes_cbc_data()?;
                (OwnedParams::AesCbc { iv, padding: false }, data, 16)
            }
            CKM_DES3_CBC_ENCRYPT_DATA => {
                let (iv, data) = mechanism.des3_cbc_data()?;
                (OwnedParams::Des3Cbc { iv, padding: false }, data, 8)
            }
            CKM_AES_ECB_ENCRYPT_DATA => (OwnedParams::AesEcb, mechanism.string_data()?, 16),
            CKM_DES3_ECB_ENCRYPT_DATA => (OwnedParams::Des3Ecb, mechanism.string_data()?, 8),
            _ => return Err(Error::MechanismInvalid),
        };
        let data = given(&data)?;
        if data.is_empty() || !data.len().is_multiple_of(block) {
            return Err(Error::MechanismParamInvalid);
        }
        Ok(Self { params, data: data.into() })
    }

    pub(super) fn run(&self, base: &Object, len: Option<usize>) -> Result<Secret> {
        if len.is_some_and(|len| len > self.data.len()) {
            return Err(Error::DataLenRange);
        }
        let mut encrypted = Zeroizing::new(vec![0; self.data.len()]);
        base.with_base_key(|key| {
            key.encrypt(&self.params.as_params(), Buffers::new(&self.data, &mut encrypted), &mut []).map(drop).map_err(failed)
        })?;
        beginning(&encrypted, len)
    }
}
