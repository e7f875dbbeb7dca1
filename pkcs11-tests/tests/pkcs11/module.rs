//! The library behind its function table, with the few helpers that keep tests short. Raw calls stay visible: `call!(module, C_Sign(..))`.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{null_mut, without_provenance_mut};

use cryptoki_sys::*;

/// Calls a function through the newest table.
macro_rules! call {
    ($module:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let function = $module.table().$function.expect("every entry of the table is set");
        // SAFETY: the test passes pointers that are valid, or NULL where the standard has an answer to it.
        unsafe { function($($argument),*) }
    }};
}
pub(crate) use call;

/// A copy of the library of its own, so that each test has its own state. Not yet initialised.
pub(crate) struct Module {
    table: *const CK_FUNCTION_LIST_3_2,
    library: libloading::Library,
}

// SAFETY: the table is a static of a library that is never unmapped.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    pub(crate) fn load() -> Self {
        // Only loading needs the file: a module that a test keeps for good in a static would leave it behind.
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("libdsma.so");
        std::fs::copy(dsma_testkit::library(), &path).expect("the library is copied");
        // SAFETY: loading runs no code of ours but Rust's and aws-lc's own initialisers.
        let library = unsafe { libloading::Library::new(&path) }.expect("the library loads");
        let mut interface = null_mut();
        // SAFETY: symbol and signature are the standard's; the name is NUL-terminated, the version lives over the call.
        let code = unsafe {
            let get: libloading::Symbol<'_, GetInterface> = library.get(b"C_GetInterface").expect("the symbol is there");
            let mut version = CK_VERSION { major: 3, minor: 2 };
            get(c"PKCS 11".as_ptr().cast_mut().cast(), &raw mut version, &raw mut interface, CKF_INTERFACE_FORK_SAFE)
        };
        assert_eq!(code, CKR_OK);
        // SAFETY: the call succeeded, so the pointer is to an interface with a table of the version that was asked for.
        let table = unsafe { (*interface).pFunctionList }.cast::<CK_FUNCTION_LIST_3_2>();
        Self { table, library }
    }

    /// Loaded and initialised with this configuration.
    pub(crate) fn with_config(config: &Path) -> Self {
        let module = Self::load();
        assert_eq!(module.initialize(config), CKR_OK);
        module
    }

    pub(crate) fn table(&self) -> &CK_FUNCTION_LIST_3_2 {
        // SAFETY: a static of the library, see above.
        unsafe { &*self.table }
    }

    pub(crate) fn library(&self) -> &libloading::Library {
        &self.library
    }

    /// C_Initialize with the configuration's path in `pReserved`, as p11-kit and OpenSSL's provider pass it.
    pub(crate) fn initialize(&self, config: &Path) -> CK_RV {
        let path = CString::new(config.as_os_str().as_bytes()).expect("a path without NUL");
        let mut args = init_args(CKF_OS_LOCKING_OK);
        args.pReserved = path.as_ptr().cast_mut().cast();
        call!(self, C_Initialize((&raw mut args).cast()))
    }

    pub(crate) fn open(&self, flags: CK_FLAGS) -> CK_SESSION_HANDLE {
        let mut session = 0;
        assert_eq!(call!(self, C_OpenSession(0, flags, null_mut(), None, &raw mut session)), CKR_OK);
        session
    }

    /// A read-write session of a user who is logged in.
    pub(crate) fn logged_in(&self) -> CK_SESSION_HANDLE {
        let session = self.open(CKF_SERIAL_SESSION | CKF_RW_SESSION);
        let code = self.login(session, None);
        assert!(matches!(code, CKR_OK | CKR_USER_ALREADY_LOGGED_IN), "{code:#x}");
        session
    }

    pub(crate) fn login(&self, session: CK_SESSION_HANDLE, pin: Option<&str>) -> CK_RV {
        let (pointer, len) = pin.map_or((null_mut(), 0), |pin| (pin.as_ptr().cast_mut(), pin.len() as CK_ULONG));
        call!(self, C_Login(session, CKU_USER, pointer, len))
    }

    pub(crate) fn find(&self, session: CK_SESSION_HANDLE, template: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Vec<CK_OBJECT_HANDLE> {
        let mut template = attributes(template);
        assert_eq!(call!(self, C_FindObjectsInit(session, template.as_mut_ptr(), template.len() as CK_ULONG)), CKR_OK);
        let mut found = Vec::new();
        loop {
            let (mut page, mut count) = ([0; 3], 0);
            assert_eq!(call!(self, C_FindObjects(session, page.as_mut_ptr(), 3, &raw mut count)), CKR_OK);
            if count == 0 {
                break;
            }
            found.extend(&page[..count as usize]);
        }
        assert_eq!(call!(self, C_FindObjectsFinal(session)), CKR_OK);
        found
    }

    /// The one object of this class with this label.
    pub(crate) fn object(&self, session: CK_SESSION_HANDLE, class: CK_OBJECT_CLASS, label: &str) -> CK_OBJECT_HANDLE {
        let found = self.find(session, &[(CKA_CLASS, &class.to_ne_bytes()), (CKA_LABEL, label.as_bytes())]);
        assert_eq!(found.len(), 1, "{label}");
        found[0]
    }

    pub(crate) fn attribute(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        kind: CK_ATTRIBUTE_TYPE,
    ) -> Result<Vec<u8>, CK_RV> {
        let mut attribute = CK_ATTRIBUTE { type_: kind, pValue: null_mut(), ulValueLen: 0 };
        ok(call!(self, C_GetAttributeValue(session, object, &raw mut attribute, 1)))?;
        let mut value = vec![0; attribute.ulValueLen as usize];
        attribute.pValue = value.as_mut_ptr().cast();
        ok(call!(self, C_GetAttributeValue(session, object, &raw mut attribute, 1)))?;
        Ok(value)
    }

    pub(crate) fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> Result<Vec<u8>, CK_RV> {
        ok(mechanism.with(|mechanism| call!(self, C_SignInit(session, mechanism, key))))?;
        output(|out, len| call!(self, C_Sign(session, bytes(data), data.len() as CK_ULONG, out, len)))
    }

    pub(crate) fn verify(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        signature: &[u8],
    ) -> CK_RV {
        match mechanism.with(|mechanism| call!(self, C_VerifyInit(session, mechanism, key))) {
            CKR_OK => {
                call!(self, C_Verify(session, bytes(data), data.len() as CK_ULONG, bytes(signature), signature.len() as CK_ULONG))
            }
            code => code,
        }
    }

    pub(crate) fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> Result<Vec<u8>, CK_RV> {
        ok(mechanism.with(|mechanism| call!(self, C_EncryptInit(session, mechanism, key))))?;
        output(|out, len| call!(self, C_Encrypt(session, bytes(data), data.len() as CK_ULONG, out, len)))
    }

    /// C_DeriveKey.
    pub(crate) fn derive_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        base: CK_OBJECT_HANDLE,
        template: &[(CK_ATTRIBUTE_TYPE, &[u8])],
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        let (mut template, mut key) = (attributes(template), 0);
        let count = template.len() as CK_ULONG;
        ok(mechanism.with(|m| call!(self, C_DeriveKey(session, m, base, template.as_mut_ptr(), count, &raw mut key))))?;
        Ok(key)
    }

    /// The same; the derived key's value.
    pub(crate) fn derive(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        base: CK_OBJECT_HANDLE,
        template: &[(CK_ATTRIBUTE_TYPE, &[u8])],
    ) -> Result<Vec<u8>, CK_RV> {
        self.attribute(session, self.derive_key(session, mechanism, base, template)?, CKA_VALUE)
    }

    pub(crate) fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> Result<Vec<u8>, CK_RV> {
        ok(mechanism.with(|mechanism| call!(self, C_DecryptInit(session, mechanism, key))))?;
        output(|out, len| call!(self, C_Decrypt(session, bytes(data), data.len() as CK_ULONG, out, len)))
    }
}

type GetInterface = unsafe extern "C" fn(*mut CK_UTF8CHAR, *mut CK_VERSION, *mut *mut CK_INTERFACE, CK_FLAGS) -> CK_RV;

/// A mechanism with its parameter.
#[derive(Clone)]
pub(crate) enum Mechanism {
    Plain(CK_MECHANISM_TYPE),
    /// The parameter is a number.
    Number(CK_MECHANISM_TYPE, CK_ULONG),
    /// The parameter as bytes.
    With(CK_MECHANISM_TYPE, Vec<u8>),
    Gcm {
        iv: Vec<u8>,
        aad: Vec<u8>,
        tag_bits: CK_ULONG,
    },
    Pss(CK_MECHANISM_TYPE, CK_RSA_PKCS_PSS_PARAMS),
    /// SHA-256 twice, no label.
    Oaep,
    Ctr([u8; 16]),
    OaepOf {
        hash: CK_MECHANISM_TYPE,
        mgf: CK_RSA_PKCS_MGF_TYPE,
        label: Vec<u8>,
    },
    /// HKDF to this kind of object, whose salt is a key.
    HkdfSalted(CK_MECHANISM_TYPE, CK_OBJECT_HANDLE),
    /// With the keys' own secret, or through a function of ANSI X9.63.
    Ecdh {
        kdf: CK_EC_KDF_TYPE,
        shared: Vec<u8>,
        point: Vec<u8>,
    },
    Hkdf {
        hash: CK_MECHANISM_TYPE,
        steps: (bool, bool),
        salt: Vec<u8>,
        info: Vec<u8>,
    },
    ChaCha20 {
        nonce: Vec<u8>,
        aad: Vec<u8>,
    },
    /// CCM of any tag.
    CcmOf {
        nonce: Vec<u8>,
        aad: Vec<u8>,
        data_len: CK_ULONG,
        tag_len: CK_ULONG,
    },
    /// ML-DSA with a context.
    MlDsa(CK_MECHANISM_TYPE, Vec<u8>),
    /// The same with a wish for random bytes.
    MlDsaHedged(CK_MECHANISM_TYPE, CK_HEDGE_TYPE, Vec<u8>),
    /// ML-DSA over a digest of this hash.
    MlDsaDigest(CK_MECHANISM_TYPE, CK_HEDGE_TYPE, Vec<u8>),
    /// EdDSA over a digest or not, with a context.
    EdDsa(bool, Vec<u8>),
    /// Data to derive from.
    Data(CK_MECHANISM_TYPE, Vec<u8>),
    /// Data to encrypt in CBC of AES.
    AesCbcData([u8; 16], Vec<u8>),
    /// Data to encrypt in CBC of triple DES.
    Des3CbcData([u8; 8], Vec<u8>),
    /// RSA-AES key wrap with a key of so many bits.
    RsaAes(CK_ULONG),
    /// A counter of so many bits.
    CtrOf(CK_ULONG, [u8; 16]),
    /// With a tag of 16 bytes, for so much data.
    Ccm {
        nonce: Vec<u8>,
        aad: Vec<u8>,
        data_len: CK_ULONG,
    },
}

impl Mechanism {
    /// Its type.
    pub(crate) fn kind(&self) -> CK_MECHANISM_TYPE {
        // SAFETY: the structure lives while it is lent.
        self.with(|mechanism| unsafe { (*mechanism).mechanism })
    }

    /// Lends the C structure.
    pub(crate) fn with<T>(&self, lend: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
        fn lend_param<P, T>(kind: CK_MECHANISM_TYPE, mut param: P, lend: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
            let mut mechanism =
                CK_MECHANISM { mechanism: kind, pParameter: (&raw mut param).cast(), ulParameterLen: size_of::<P>() as CK_ULONG };
            lend(&raw mut mechanism)
        }
        match self {
            Self::Plain(kind) => lend(&mut CK_MECHANISM { mechanism: *kind, pParameter: null_mut(), ulParameterLen: 0 }),
            Self::Number(kind, number) => lend_param(*kind, *number, lend),
            Self::With(kind, param) => {
                lend(&mut CK_MECHANISM { mechanism: *kind, pParameter: bytes(param).cast(), ulParameterLen: param.len() as CK_ULONG })
            }
            Self::Gcm { iv, aad, tag_bits } => {
                let param = CK_GCM_PARAMS {
                    pIv: bytes(iv),
                    ulIvLen: iv.len() as CK_ULONG,
                    // Garbage, as many callers leave here.
                    ulIvBits: 0xdead_beef,
                    pAAD: bytes(aad),
                    ulAADLen: aad.len() as CK_ULONG,
                    ulTagBits: *tag_bits,
                };
                lend_param(CKM_AES_GCM, param, lend)
            }
            Self::Pss(kind, param) => lend_param(*kind, *param, lend),
            Self::Oaep => {
                let param = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: CKM_SHA256,
                    mgf: CKG_MGF1_SHA256,
                    source: CKZ_DATA_SPECIFIED,
                    pSourceData: null_mut(),
                    ulSourceDataLen: 0,
                };
                lend_param(CKM_RSA_PKCS_OAEP, param, lend)
            }
            Self::OaepOf { hash, mgf, label } => {
                let param = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: *hash,
                    mgf: *mgf,
                    source: CKZ_DATA_SPECIFIED,
                    pSourceData: bytes(label).cast(),
                    ulSourceDataLen: label.len() as CK_ULONG,
                };
                lend_param(CKM_RSA_PKCS_OAEP, param, lend)
            }
            Self::Ecdh { kdf, shared, point } => {
                let param = CK_ECDH1_DERIVE_PARAMS {
                    kdf: *kdf,
                    ulSharedDataLen: shared.len() as CK_ULONG,
                    pSharedData: bytes(shared),
                    ulPublicDataLen: point.len() as CK_ULONG,
                    pPublicData: bytes(point),
                };
                lend_param(CKM_ECDH1_DERIVE, param, lend)
            }
            Self::Hkdf { hash, steps, salt, info } => {
                let param = CK_HKDF_PARAMS {
                    bExtract: steps.0.into(),
                    bExpand: steps.1.into(),
                    prfHashMechanism: *hash,
                    ulSaltType: if salt.is_empty() { CKF_HKDF_SALT_NULL } else { CKF_HKDF_SALT_DATA },
                    pSalt: bytes(salt),
                    ulSaltLen: salt.len() as CK_ULONG,
                    hSaltKey: 0,
                    pInfo: bytes(info),
                    ulInfoLen: info.len() as CK_ULONG,
                };
                lend_param(CKM_HKDF_DERIVE, param, lend)
            }
            Self::ChaCha20 { nonce, aad } => {
                let param = CK_SALSA20_CHACHA20_POLY1305_PARAMS {
                    pNonce: bytes(nonce),
                    ulNonceLen: nonce.len() as CK_ULONG,
                    pAAD: bytes(aad),
                    ulAADLen: aad.len() as CK_ULONG,
                };
                lend_param(CKM_CHACHA20_POLY1305, param, lend)
            }
            Self::CcmOf { nonce, aad, data_len, tag_len } => {
                let param = CK_CCM_PARAMS {
                    ulDataLen: *data_len,
                    pNonce: bytes(nonce),
                    ulNonceLen: nonce.len() as CK_ULONG,
                    pAAD: bytes(aad),
                    ulAADLen: aad.len() as CK_ULONG,
                    ulMACLen: *tag_len,
                };
                lend_param(CKM_AES_CCM, param, lend)
            }
            Self::MlDsa(kind, context) => Self::MlDsaHedged(*kind, CKH_HEDGE_PREFERRED, context.clone()).with(lend),
            Self::MlDsaHedged(kind, hedge, context) => {
                let len = context.len() as CK_ULONG;
                lend_param(*kind, CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant: *hedge, pContext: bytes(context), ulContextLen: len }, lend)
            }
            Self::MlDsaDigest(hash, hedge, context) => {
                let len = context.len() as CK_ULONG;
                let param =
                    CK_HASH_SIGN_ADDITIONAL_CONTEXT { hedgeVariant: *hedge, pContext: bytes(context), ulContextLen: len, hash: *hash };
                lend_param(CKM_HASH_ML_DSA, param, lend)
            }
            Self::EdDsa(over_digest, context) => {
                let len = context.len() as CK_ULONG;
                let param = CK_EDDSA_PARAMS { phFlag: (*over_digest).into(), ulContextDataLen: len, pContextData: bytes(context) };
                lend_param(CKM_EDDSA, param, lend)
            }
            Self::Data(kind, data) => {
                lend_param(*kind, CK_KEY_DERIVATION_STRING_DATA { pData: bytes(data), ulLen: data.len() as CK_ULONG }, lend)
            }
            Self::AesCbcData(iv, data) => {
                let param = CK_AES_CBC_ENCRYPT_DATA_PARAMS { iv: *iv, pData: bytes(data), length: data.len() as CK_ULONG };
                lend_param(CKM_AES_CBC_ENCRYPT_DATA, param, lend)
            }
            Self::Des3CbcData(iv, data) => {
                let param = CK_DES_CBC_ENCRYPT_DATA_PARAMS { iv: *iv, pData: bytes(data), length: data.len() as CK_ULONG };
                lend_param(CKM_DES3_CBC_ENCRYPT_DATA, param, lend)
            }
            Self::HkdfSalted(kind, salt) => {
                let param = CK_HKDF_PARAMS {
                    bExtract: CK_TRUE,
                    bExpand: CK_TRUE,
                    prfHashMechanism: CKM_SHA256,
                    ulSaltType: CKF_HKDF_SALT_KEY,
                    pSalt: null_mut(),
                    ulSaltLen: 0,
                    hSaltKey: *salt,
                    pInfo: null_mut(),
                    ulInfoLen: 0,
                };
                lend_param(*kind, param, lend)
            }
            Self::RsaAes(bits) => {
                let mut oaep = CK_RSA_PKCS_OAEP_PARAMS {
                    hashAlg: CKM_SHA256,
                    mgf: CKG_MGF1_SHA256,
                    source: CKZ_DATA_SPECIFIED,
                    pSourceData: null_mut(),
                    ulSourceDataLen: 0,
                };
                lend_param(CKM_RSA_AES_KEY_WRAP, CK_RSA_AES_KEY_WRAP_PARAMS { ulAESKeyBits: *bits, pOAEPParams: &raw mut oaep }, lend)
            }
            Self::CtrOf(bits, counter) => lend_param(CKM_AES_CTR, CK_AES_CTR_PARAMS { ulCounterBits: *bits, cb: *counter }, lend),
            Self::Ccm { nonce, aad, data_len } => {
                let param = CK_CCM_PARAMS {
                    ulDataLen: *data_len,
                    pNonce: bytes(nonce),
                    ulNonceLen: nonce.len() as CK_ULONG,
                    pAAD: bytes(aad),
                    ulAADLen: aad.len() as CK_ULONG,
                    ulMACLen: 16,
                };
                lend_param(CKM_AES_CCM, param, lend)
            }
            Self::Ctr(counter) => lend_param(CKM_AES_CTR, CK_AES_CTR_PARAMS { ulCounterBits: 128, cb: *counter }, lend),
        }
    }
}

/// GCM with a fixed IV and a full tag.
pub(crate) fn gcm() -> Mechanism {
    Mechanism::Gcm { iv: vec![7; 12], aad: b"associated".to_vec(), tag_bits: 128 }
}

/// An argument structure for C_Initialize without callbacks.
pub(crate) const fn init_args(flags: CK_FLAGS) -> CK_C_INITIALIZE_ARGS {
    CK_C_INITIALIZE_ARGS { CreateMutex: None, DestroyMutex: None, LockMutex: None, UnlockMutex: None, flags, pReserved: null_mut() }
}

/// A parameter of GCM's message functions, with IV and tag in this memory.
pub(crate) const fn message_parameter(memory: &mut [u8; 32]) -> CK_GCM_MESSAGE_PARAMS {
    let iv = memory.as_mut_ptr();
    CK_GCM_MESSAGE_PARAMS {
        pIv: iv,
        ulIvLen: 12,
        ulIvFixedBits: 0,
        ivGenerator: CKG_NO_GENERATE,
        pTag: iv.wrapping_add(16),
        ulTagBits: 128,
    }
}

/// A C template over borrowed values.
pub(crate) fn attributes(template: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Vec<CK_ATTRIBUTE> {
    let attribute = |(kind, value): &(CK_ATTRIBUTE_TYPE, &[u8])| CK_ATTRIBUTE {
        type_: *kind,
        pValue: bytes(value).cast(),
        ulValueLen: value.len() as CK_ULONG,
    };
    template.iter().map(attribute).collect()
}

/// C's idea of an input: a pointer that nobody writes to.
pub(crate) const fn bytes(data: &[u8]) -> *mut u8 {
    data.as_ptr().cast_mut()
}

/// A pointer that must not be followed: for lengths that no memory has.
pub(crate) fn nowhere() -> *mut u8 {
    without_provenance_mut(1)
}

/// Asks for the length, then for the output.
pub(crate) fn output(function: impl Fn(*mut u8, *mut CK_ULONG) -> CK_RV) -> Result<Vec<u8>, CK_RV> {
    let mut len = 0;
    ok(function(null_mut(), &raw mut len))?;
    // An empty vector's pointer is not NULL, which would be another query.
    let mut out = vec![0; len as usize];
    ok(function(out.as_mut_ptr(), &raw mut len))?;
    out.truncate(len as usize);
    Ok(out)
}

pub(crate) const fn ok(code: CK_RV) -> Result<(), CK_RV> {
    if code == CKR_OK { Ok(()) } else { Err(code) }
}
