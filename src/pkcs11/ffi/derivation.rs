//! Parameters of key derivation and of the combined key wrap: structures that point to structures.

use cryptoki_sys::*;

use super::mechanism::OaepParams;
use super::{Error, Input, Mechanism, Result, read};

/// The longest password of PBKDF2.
const LONGEST_PASSWORD: CK_ULONG = 64 << 10;
/// Below it no position-independent program has memory, and above it no length is one.
const LOWEST_ADDRESS: CK_ULONG = 1 << 32;

/// `CK_ECDH1_DERIVE_PARAMS`.
pub(in crate::pkcs11) struct Ecdh<'a> {
    pub(in crate::pkcs11) kdf: CK_EC_KDF_TYPE,
    pub(in crate::pkcs11) shared_data: Input<'a>,
    pub(in crate::pkcs11) public_data: Input<'a>,
}

/// `CK_HKDF_PARAMS`.
pub(in crate::pkcs11) struct Hkdf<'a> {
    pub(in crate::pkcs11) extract: bool,
    pub(in crate::pkcs11) expand: bool,
    pub(in crate::pkcs11) hash: CK_MECHANISM_TYPE,
    pub(in crate::pkcs11) salt: HkdfSalt<'a>,
    pub(in crate::pkcs11) info: Input<'a>,
}

/// The salt of HKDF.
pub(in crate::pkcs11) enum HkdfSalt<'a> {
    None,
    Data(Input<'a>),
    Key(CK_OBJECT_HANDLE),
}

/// `CK_PKCS5_PBKD2_PARAMS2`.
pub(in crate::pkcs11) struct Pbkdf2<'a> {
    pub(in crate::pkcs11) salt: Input<'a>,
    pub(in crate::pkcs11) iterations: CK_ULONG,
    pub(in crate::pkcs11) prf: CK_PKCS5_PBKD2_PSEUDO_RANDOM_FUNCTION_TYPE,
    pub(in crate::pkcs11) password: Input<'a>,
}

/// `CK_RSA_AES_KEY_WRAP_PARAMS`.
pub(in crate::pkcs11) struct RsaAes<'a> {
    pub(in crate::pkcs11) aes_bits: CK_ULONG,
    pub(in crate::pkcs11) oaep: OaepParams<'a>,
}

impl<'a> Mechanism<'a> {
    /// For `CKM_ECDH1_DERIVE`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn ecdh(&self) -> Result<Ecdh<'a>> {
        let given: CK_ECDH1_DERIVE_PARAMS = self.param()?;
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        unsafe {
            Ok(Ecdh {
                kdf: given.kdf,
                shared_data: Input::new(given.pSharedData, given.ulSharedDataLen),
                public_data: Input::new(given.pPublicData, given.ulPublicDataLen),
            })
        }
    }

    /// For `CKM_HKDF_DERIVE` and `CKM_HKDF_DATA`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length, and for a kind of salt that there is not.
    pub(in crate::pkcs11) fn hkdf(&self) -> Result<Hkdf<'a>> {
        let given: CK_HKDF_PARAMS = self.param()?;
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (salt, info) = unsafe { (Input::new(given.pSalt, given.ulSaltLen), Input::new(given.pInfo, given.ulInfoLen)) };
        let salt = match given.ulSaltType {
            // Nothing needs a salt where nothing is extracted, and some callers leave the kind 0 there.
            CKF_HKDF_SALT_NULL => HkdfSalt::None,
            0 if given.bExtract == CK_FALSE => HkdfSalt::None,
            CKF_HKDF_SALT_DATA => HkdfSalt::Data(salt),
            CKF_HKDF_SALT_KEY => HkdfSalt::Key(given.hSaltKey),
            _ => return Err(Error::MechanismParamInvalid),
        };
        Ok(Hkdf { extract: given.bExtract != CK_FALSE, expand: given.bExpand != CK_FALSE, hash: given.prfHashMechanism, salt, info })
    }

    /// For the mechanisms that join a key and data, and for the encryption of data in ECB: `CK_KEY_DERIVATION_STRING_DATA`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn string_data(&self) -> Result<Input<'a>> {
        let given: CK_KEY_DERIVATION_STRING_DATA = self.param()?;
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointer is NULL or valid for its length.
        Ok(unsafe { Input::new(given.pData, given.ulLen) })
    }

    /// IV and data for `CKM_AES_CBC_ENCRYPT_DATA`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn aes_cbc_data(&self) -> Result<([u8; 16], Input<'a>)> {
        let given: CK_AES_CBC_ENCRYPT_DATA_PARAMS = self.param()?;
        // SAFETY: as for `string_data`.
        Ok((given.iv, unsafe { Input::new(given.pData, given.length) }))
    }

    /// IV and data for `CKM_DES3_CBC_ENCRYPT_DATA`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn des3_cbc_data(&self) -> Result<([u8; 8], Input<'a>)> {
        let given: CK_DES_CBC_ENCRYPT_DATA_PARAMS = self.param()?;
        // SAFETY: as for `string_data`.
        Ok((given.iv, unsafe { Input::new(given.pData, given.length) }))
    }

    /// For `CKM_CONCATENATE_BASE_AND_KEY`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length.
    pub(in crate::pkcs11) fn other_key(&self) -> Result<CK_OBJECT_HANDLE> {
        self.param()
    }

    /// For `CKM_PKCS5_PBKD2`. NSS still gives the structure of 2.20, `CK_PKCS5_PBKD2_PARAMS`, in which the password's length is a pointer.
    /// Both have the same size: what no password has as its length, and what is aligned, is taken for a pointer where programs have memory
    /// (position-independent ones, as all of today's).
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length, for another source of salt, and for data beside the function.
    pub(in crate::pkcs11) fn pbkdf2(&self) -> Result<Pbkdf2<'a>> {
        let given: CK_PKCS5_PBKD2_PARAMS2 = self.param()?;
        if given.saltSource != CKZ_SALT_SPECIFIED || given.ulPrfDataLen != 0 {
            return Err(Error::MechanismParamInvalid);
        }
        let pointer = given.ulPasswordLen as *const CK_ULONG;
        let password_len = match given.ulPasswordLen {
            len if len <= LONGEST_PASSWORD => len,
            // SAFETY: by `Mechanism::new`'s contract the structure is one of the two. In the newer one this would be a length, and the
            // password at least so long: no caller has 4 GiB of one. So it is the older one, whose pointer is valid.
            len if len >= LOWEST_ADDRESS && pointer.is_aligned() => unsafe { read(pointer) }?,
            _ => return Err(Error::MechanismParamInvalid),
        };
        if password_len > LONGEST_PASSWORD {
            return Err(Error::MechanismParamInvalid);
        }
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointers are NULL or valid for their lengths.
        let (salt, password) =
            unsafe { (Input::new(given.pSaltSourceData.cast(), given.ulSaltSourceDataLen), Input::new(given.pPassword, password_len)) };
        Ok(Pbkdf2 { salt, iterations: given.iterations, prf: given.prf, password })
    }

    /// For `CKM_RSA_AES_KEY_WRAP`.
    ///
    /// # Errors
    /// [`Error::MechanismParamInvalid`] for any other length, and without parameters of OAEP.
    pub(in crate::pkcs11) fn rsa_aes(&self) -> Result<RsaAes<'a>> {
        let given: CK_RSA_AES_KEY_WRAP_PARAMS = self.param()?;
        // SAFETY: by `Mechanism::new`'s contract the structure is the standard's, so its pointer is NULL or to parameters of OAEP.
        let oaep = unsafe { read(given.pOAEPParams) }.map_err(|_| Error::MechanismParamInvalid)?;
        // SAFETY: as above, for the pointer inside.
        Ok(RsaAes { aes_bits: given.ulAESKeyBits, oaep: unsafe { OaepParams::new(&oaep) } })
    }
}
