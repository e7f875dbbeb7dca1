//! Any PKCS#11 module through C_GetFunctionList, by the types of cryptoki-sys.

use std::ffi::{CString, c_void};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_ATTRIBUTE_TYPE, CK_BBOOL, CK_C_GetFunctionList, CK_C_INITIALIZE_ARGS, CK_FALSE, CK_FUNCTION_LIST, CK_GCM_PARAMS,
    CK_MECHANISM, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CK_SLOT_ID, CK_TRUE, CK_ULONG, CKA_CLASS, CKA_EC_PARAMS,
    CKA_ENCRYPT, CKA_LABEL, CKA_MODULUS_BITS, CKA_PRIVATE, CKA_PUBLIC_EXPONENT, CKA_SENSITIVE, CKA_SIGN, CKA_TOKEN, CKA_VALUE_LEN,
    CKF_OS_LOCKING_OK, CKF_RW_SESSION, CKF_SERIAL_SESSION, CKM_AES_GCM, CKM_AES_KEY_GEN, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA,
    CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_SHA256_RSA_PKCS, CKO_PRIVATE_KEY, CKO_SECRET_KEY, CKR_OK, CKU_SO, CKU_USER,
};
use libloading::Library;

/// Calls a function of the list and turns its CK_RV into a `Result`; a missing function is an error too.
macro_rules! call {
    ($module:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        // SAFETY: the list belongs to the module, which stays loaded; the arguments are described where the macro is used.
        let function = unsafe { (*$module.functions).$function };
        match function {
            // SAFETY: as above.
            Some(function) => match unsafe { function($($argument),*) } {
                CKR_OK => Ok(()),
                code => Err(format!(concat!(stringify!($function), " answered CKR {:#x}"), code)),
            },
            None => Err(concat!("the module has no ", stringify!($function)).to_owned()),
        }
    }};
}

/// A loaded and initialised module.
pub(crate) struct Module {
    functions: *const CK_FUNCTION_LIST,
    _library: ManuallyDrop<Library>,
}

// SAFETY: the list is constant, and the module was initialised with CKF_OS_LOCKING_OK, which allows calls from any thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Loads and initialises it; `reserved` is the text of `pReserved`.
    pub(crate) fn load(path: &Path, reserved: Option<&Path>) -> Result<Arc<Self>, String> {
        let library = super::load(path)?;
        let mut functions = ptr::null_mut();
        // SAFETY: the symbol's type is the standard's; the place is writable.
        let code = unsafe {
            let get = library.get::<CK_C_GetFunctionList>(c"C_GetFunctionList".to_bytes_with_nul()).map_err(|error| error.to_string())?;
            (*get).map(|get| get(&mut functions))
        };
        if code != Some(CKR_OK) || functions.is_null() {
            return Err(format!("C_GetFunctionList of {} failed", path.display()));
        }
        let module = Self { functions, _library: library };
        let reserved = reserved.map(|text| CString::new(text.as_os_str().as_bytes())).transpose().map_err(|error| error.to_string())?;
        let mut arguments = CK_C_INITIALIZE_ARGS {
            flags: CKF_OS_LOCKING_OK,
            pReserved: reserved.as_ref().map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut().cast()),
            ..Default::default()
        };
        call!(module, C_Initialize(ptr::from_mut(&mut arguments).cast()))?;
        Ok(Arc::new(module))
    }

    /// Initialises the token of the first slot, its user's PIN included (SoftHSM2).
    pub(crate) fn init_token(self: &Arc<Self>, label: &str, pin: &str) -> Result<(), String> {
        let mut padded = [b' '; 32];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        let slot = self.slot(CK_FALSE)?;
        let (pin, pin_len) = (pin.as_ptr().cast_mut(), ulong(pin.len()));
        call!(self, C_InitToken(slot, pin, pin_len, padded.as_mut_ptr()))?;
        // SoftHSM2 moves an initialised token to a slot of another number.
        let session = self.session()?;
        call!(self, C_Login(session.handle, CKU_SO, pin, pin_len))?;
        call!(self, C_InitPIN(session.handle, pin, pin_len))?;
        call!(self, C_Logout(session.handle))
    }

    /// A session on the first slot with a token.
    pub(crate) fn session(self: &Arc<Self>) -> Result<Session, String> {
        let slot = self.slot(CK_TRUE)?;
        let mut handle = 0;
        call!(self, C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, ptr::null_mut(), None, &mut handle))?;
        Ok(Session { module: self.clone(), handle })
    }

    fn slot(&self, token_present: CK_BBOOL) -> Result<CK_SLOT_ID, String> {
        let (mut slots, mut count) = ([0; 16], 16);
        call!(self, C_GetSlotList(token_present, slots.as_mut_ptr(), &mut count))?;
        if count == 0 { Err("the module has no slot".to_owned()) } else { Ok(slots[0]) }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = call!(self, C_Finalize(ptr::null_mut()));
    }
}

/// Which half of a key is looked for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Secret,
    Private,
}

/// An open session. One thread at a time.
pub(crate) struct Session {
    module: Arc<Module>,
    handle: CK_SESSION_HANDLE,
}

impl Session {
    /// Logs the user in; `None` where the module has the credential in its configuration.
    pub(crate) fn login(&self, pin: Option<&str>) -> Result<(), String> {
        let (pin, len) = pin.map_or((ptr::null_mut(), 0), |pin| (pin.as_ptr().cast_mut(), ulong(pin.len())));
        call!(self.module, C_Login(self.handle, CKU_USER, pin, len))
    }

    /// The key with this label.
    pub(crate) fn find(&self, kind: Kind, label: &str) -> Result<CK_OBJECT_HANDLE, String> {
        let mut class = match kind {
            Kind::Secret => CKO_SECRET_KEY,
            Kind::Private => CKO_PRIVATE_KEY,
        };
        let mut template = [value(CKA_CLASS, &mut class), text(CKA_LABEL, label)];
        call!(self.module, C_FindObjectsInit(self.handle, template.as_mut_ptr(), ulong(template.len())))?;
        let (mut object, mut count) = (0, 0);
        call!(self.module, C_FindObjects(self.handle, &mut object, 1, &mut count))?;
        call!(self.module, C_FindObjectsFinal(self.handle))?;
        if count == 1 { Ok(object) } else { Err(format!("there is no key {label:?}")) }
    }

    pub(crate) fn generate_rsa_2048(&self, label: &str) -> Result<(), String> {
        let (mut bits, mut exponent): (CK_ULONG, _) = (2048, [1u8, 0, 1]);
        self.generate_pair(
            CKM_RSA_PKCS_KEY_PAIR_GEN,
            label,
            &mut [value(CKA_MODULUS_BITS, &mut bits), value(CKA_PUBLIC_EXPONENT, &mut exponent)],
        )
    }

    pub(crate) fn generate_p256(&self, label: &str) -> Result<(), String> {
        let oid = dsma_crypto::Curve::P256.oid_der();
        let parameters = CK_ATTRIBUTE { type_: CKA_EC_PARAMS, pValue: oid.as_ptr().cast_mut().cast(), ulValueLen: ulong(oid.len()) };
        self.generate_pair(CKM_EC_KEY_PAIR_GEN, label, &mut [parameters])
    }

    pub(crate) fn generate_aes_256(&self, label: &str) -> Result<(), String> {
        let (mut yes, mut len): (_, CK_ULONG) = (CK_TRUE, 32);
        let mut template = [
            value(CKA_VALUE_LEN, &mut len),
            text(CKA_LABEL, label),
            value(CKA_TOKEN, &mut yes),
            value(CKA_ENCRYPT, &mut yes),
            value(CKA_SENSITIVE, &mut yes),
        ];
        let mut key = 0;
        let mut mechanism = bare(CKM_AES_KEY_GEN);
        call!(self.module, C_GenerateKey(self.handle, &mut mechanism, template.as_mut_ptr(), ulong(template.len()), &mut key))
    }

    pub(crate) fn sign_rsa_pkcs1_sha256(&self, key: CK_OBJECT_HANDLE, message: &[u8], signature: &mut [u8]) -> Result<(), String> {
        self.sign(CKM_SHA256_RSA_PKCS, key, message, signature)
    }

    pub(crate) fn sign_ecdsa_digest(&self, key: CK_OBJECT_HANDLE, digest: &[u8], signature: &mut [u8]) -> Result<(), String> {
        self.sign(CKM_ECDSA, key, digest, signature)
    }

    /// C_EncryptInit and C_Encrypt; `out` receives the text and the tag.
    pub(crate) fn encrypt_gcm(&self, key: CK_OBJECT_HANDLE, iv: &mut [u8; 12], plain: &[u8], out: &mut [u8]) -> Result<(), String> {
        let mut parameters = CK_GCM_PARAMS {
            pIv: iv.as_mut_ptr(),
            ulIvLen: ulong(iv.len()),
            ulIvBits: 8 * ulong(iv.len()),
            pAAD: ptr::null_mut(),
            ulAADLen: 0,
            ulTagBits: 128,
        };
        let mut mechanism = CK_MECHANISM {
            mechanism: CKM_AES_GCM,
            pParameter: ptr::from_mut(&mut parameters).cast(),
            ulParameterLen: ulong(size_of::<CK_GCM_PARAMS>()),
        };
        let mut len = ulong(out.len());
        call!(self.module, C_EncryptInit(self.handle, &mut mechanism, key))?;
        call!(self.module, C_Encrypt(self.handle, plain.as_ptr().cast_mut(), ulong(plain.len()), out.as_mut_ptr(), &mut len))
    }

    /// C_SignInit and C_Sign.
    fn sign(&self, mechanism: CK_MECHANISM_TYPE, key: CK_OBJECT_HANDLE, data: &[u8], signature: &mut [u8]) -> Result<(), String> {
        let (mut mechanism, mut len) = (bare(mechanism), ulong(signature.len()));
        call!(self.module, C_SignInit(self.handle, &mut mechanism, key))?;
        call!(self.module, C_Sign(self.handle, data.as_ptr().cast_mut(), ulong(data.len()), signature.as_mut_ptr(), &mut len))
    }

    /// A token key pair that signs. The public template is completed here.
    fn generate_pair(&self, mechanism: CK_MECHANISM_TYPE, label: &str, public: &mut [CK_ATTRIBUTE]) -> Result<(), String> {
        let mut yes = CK_TRUE;
        let mut private = [
            text(CKA_LABEL, label),
            value(CKA_TOKEN, &mut yes),
            value(CKA_PRIVATE, &mut yes),
            value(CKA_SENSITIVE, &mut yes),
            value(CKA_SIGN, &mut yes),
        ];
        let (mut mechanism, mut public_key, mut private_key) = (bare(mechanism), 0, 0);
        let (public_count, private_count) = (ulong(public.len()), ulong(private.len()));
        call!(
            self.module,
            C_GenerateKeyPair(
                self.handle,
                &mut mechanism,
                public.as_mut_ptr(),
                public_count,
                private.as_mut_ptr(),
                private_count,
                &mut public_key,
                &mut private_key,
            )
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = call!(self.module, C_CloseSession(self.handle));
    }
}

fn bare(mechanism: CK_MECHANISM_TYPE) -> CK_MECHANISM {
    CK_MECHANISM { mechanism, pParameter: ptr::null_mut(), ulParameterLen: 0 }
}

/// An attribute that points to a live value.
fn value<T>(type_: CK_ATTRIBUTE_TYPE, value: &mut T) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_, pValue: ptr::from_mut(value).cast::<c_void>(), ulValueLen: ulong(size_of::<T>()) }
}

fn text(type_: CK_ATTRIBUTE_TYPE, text: &str) -> CK_ATTRIBUTE {
    CK_ATTRIBUTE { type_, pValue: text.as_ptr().cast_mut().cast(), ulValueLen: ulong(text.len()) }
}

/// Lengths here are far below any limit of CK_ULONG.
fn ulong(len: usize) -> CK_ULONG {
    len as CK_ULONG
}
