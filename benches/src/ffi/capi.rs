//! Our C API, by the declarations of include/dsma.h.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use libloading::Library;

const DSMA_OK: u32 = 0;
const DSMA_AES_GCM: u32 = 1;
const DSMA_RSA_PKCS1_SIGNATURE: u32 = 1;
const DSMA_ECDSA_FIXED: u32 = 4;
const DSMA_SHA256: u32 = 3;

/// `dsma_cipher_params`.
#[repr(C)]
struct CipherParams {
    mode: u32,
    hash: u32,
    mgf1_hash: u32,
    iv_len: usize,
    iv: *const u8,
    aad_len: usize,
    aad: *const u8,
    tag_len: usize,
    tag: *mut u8,
    label_len: usize,
    label: *const u8,
    reserved: [u64; 4],
}

/// `dsma_signature_params`.
#[repr(C)]
struct SignatureParams {
    scheme: u32,
    hash: u32,
    data_is_digest: u32,
    mgf1_hash: u32,
    salt_len: u32,
    reserved: [u32; 7],
}

type Handle = *mut c_void;
type Open = unsafe extern "C" fn(*const c_char, *mut Handle, *mut Handle) -> u32;
type OpenKey = unsafe extern "C" fn(Handle, *const c_char, *mut Handle, *mut Handle) -> u32;
type Encrypt = unsafe extern "C" fn(Handle, *const CipherParams, *const u8, usize, *mut u8, *mut usize, *mut Handle) -> u32;
type Sign = unsafe extern "C" fn(Handle, *const SignatureParams, *const u8, usize, *mut u8, *mut usize, *mut Handle) -> u32;
type Free = unsafe extern "C" fn(Handle);
type ErrorMessage = unsafe extern "C" fn(Handle) -> *const c_char;

struct Functions {
    open: Open,
    free: Free,
    key_by_kid: OpenKey,
    key_free: Free,
    encrypt: Encrypt,
    sign: Sign,
    error_message: ErrorMessage,
    error_free: Free,
    _library: ManuallyDrop<Library>,
}

impl Functions {
    fn load(path: &Path) -> Result<Self, String> {
        let library = super::load(path)?;
        // SAFETY: each type above is the header's declaration of that name; the library stays loaded.
        unsafe {
            Ok(Self {
                open: symbol(&library, c"dsma_client_open")?,
                free: symbol(&library, c"dsma_client_free")?,
                key_by_kid: symbol(&library, c"dsma_key_by_kid")?,
                key_free: symbol(&library, c"dsma_key_free")?,
                encrypt: symbol(&library, c"dsma_encrypt")?,
                sign: symbol(&library, c"dsma_sign")?,
                error_message: symbol(&library, c"dsma_error_message")?,
                error_free: symbol(&library, c"dsma_error_free")?,
                _library: library,
            })
        }
    }

    /// The outcome of a call as a `Result`, with the library's sentence.
    fn check(&self, result: u32, error: Handle) -> Result<(), String> {
        if result == DSMA_OK {
            return Ok(());
        }
        // SAFETY: the error is null or the one that the failed call made, which is ours to free; the message is copied before that.
        unsafe {
            let message = CStr::from_ptr((self.error_message)(error)).to_string_lossy().into_owned();
            (self.error_free)(error);
            Err(format!("{message} (dsma_result {result})"))
        }
    }
}

/// # Safety
/// `T` is the type of the function of this name, and the library is never unloaded.
unsafe fn symbol<T: Copy>(library: &Library, name: &CStr) -> Result<T, String> {
    // SAFETY: the caller's promise.
    let symbol = unsafe { library.get::<T>(name.to_bytes_with_nul()) };
    symbol.map(|symbol| *symbol).map_err(|error| error.to_string())
}

/// An open `dsma_client`.
pub(crate) struct Client {
    functions: Functions,
    handle: Handle,
}

// SAFETY: the header: a handle may be used by many threads at once.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub(crate) fn open(library: &Path, config: &Path) -> Result<Self, String> {
        let functions = Functions::load(library)?;
        let config = CString::new(config.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        let (mut handle, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the path is NUL-terminated, both places are writable.
        let result = unsafe { (functions.open)(config.as_ptr(), &mut handle, &mut error) };
        functions.check(result, error)?;
        Ok(Self { functions, handle })
    }

    pub(crate) fn key(self: &Arc<Self>, kid: &str) -> Result<ClientKey, String> {
        let kid = CString::new(kid).map_err(|error| error.to_string())?;
        let (mut handle, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the client is open, the kid is NUL-terminated, both places are writable.
        let result = unsafe { (self.functions.key_by_kid)(self.handle, kid.as_ptr(), &mut handle, &mut error) };
        self.functions.check(result, error)?;
        Ok(ClientKey { client: self.clone(), handle })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and this is its last use.
        unsafe { (self.functions.free)(self.handle) }
    }
}

/// An open `dsma_key`.
pub(crate) struct ClientKey {
    client: Arc<Client>,
    handle: Handle,
}

// SAFETY: the header: a handle may be used by many threads at once.
unsafe impl Send for ClientKey {}
// SAFETY: as above.
unsafe impl Sync for ClientKey {}

impl ClientKey {
    pub(crate) fn encrypt_gcm(&self, iv: &[u8; 12], plain: &[u8], out: &mut [u8], tag: &mut [u8; 16]) -> Result<(), String> {
        let params = CipherParams {
            mode: DSMA_AES_GCM,
            hash: 0,
            mgf1_hash: 0,
            iv_len: iv.len(),
            iv: iv.as_ptr(),
            aad_len: 0,
            aad: ptr::null(),
            tag_len: tag.len(),
            tag: tag.as_mut_ptr(),
            label_len: 0,
            label: ptr::null(),
            reserved: [0; 4],
        };
        let (mut len, mut error) = (out.len(), ptr::null_mut());
        // SAFETY: the handle is open; every pointer is a live slice's with its length.
        let result = unsafe {
            let encrypt = self.client.functions.encrypt;
            encrypt(self.handle, &params, plain.as_ptr(), plain.len(), out.as_mut_ptr(), &mut len, &mut error)
        };
        self.client.functions.check(result, error)
    }

    pub(crate) fn sign_rsa_pkcs1_sha256(&self, message: &[u8], signature: &mut [u8]) -> Result<(), String> {
        self.sign(DSMA_RSA_PKCS1_SIGNATURE, 0, message, signature)
    }

    pub(crate) fn sign_ecdsa_digest(&self, digest: &[u8; 32], signature: &mut [u8; 64]) -> Result<(), String> {
        self.sign(DSMA_ECDSA_FIXED, 1, digest, signature)
    }

    fn sign(&self, scheme: u32, data_is_digest: u32, data: &[u8], signature: &mut [u8]) -> Result<(), String> {
        let params = SignatureParams { scheme, hash: DSMA_SHA256, data_is_digest, mgf1_hash: 0, salt_len: 0, reserved: [0; 7] };
        let (mut len, mut error) = (signature.len(), ptr::null_mut());
        // SAFETY: the handle is open; every pointer is a live slice's with its length.
        let result = unsafe {
            let sign = self.client.functions.sign;
            sign(self.handle, &params, data.as_ptr(), data.len(), signature.as_mut_ptr(), &mut len, &mut error)
        };
        self.client.functions.check(result, error)
    }
}

impl Drop for ClientKey {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and this is its last use.
        unsafe { (self.client.functions.key_free)(self.handle) }
    }
}
