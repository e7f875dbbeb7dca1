//! `include/dsma.h` in Rust, written by hand, and the handles that tests use.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr;
use std::sync::LazyLock;

use libloading::Library;

pub(crate) const OK: u32 = 0;
pub(crate) const NULL_ARGUMENT: u32 = 101;
pub(crate) const INVALID_ARGUMENT: u32 = 102;
pub(crate) const BUFFER_TOO_SMALL: u32 = 103;
pub(crate) const CONFIG: u32 = 201;
pub(crate) const UNREACHABLE: u32 = 301;
pub(crate) const CREDENTIAL: u32 = 302;
pub(crate) const NOT_ALLOWED: u32 = 303;
pub(crate) const NOT_FOUND: u32 = 304;
pub(crate) const DSM: u32 = 306;
pub(crate) const AUTHENTICATION: u32 = 401;
pub(crate) const SIGNATURE_INVALID: u32 = 402;
pub(crate) const IV_LENGTH: u32 = 403;
pub(crate) const TAG_LENGTH: u32 = 404;
pub(crate) const INPUT_LENGTH: u32 = 405;
pub(crate) const UNSUPPORTED: u32 = 406;

pub(crate) const AES_GCM: u32 = 1;
pub(crate) const AES_CBC: u32 = 2;
pub(crate) const AES_CBC_NOPAD: u32 = 3;
pub(crate) const AES_CTR: u32 = 4;
pub(crate) const AES_ECB: u32 = 5;
pub(crate) const RSA_OAEP: u32 = 16;
pub(crate) const RSA_PKCS1: u32 = 17;

pub(crate) const RSA_PKCS1_SIGNATURE: u32 = 1;
pub(crate) const RSA_PSS: u32 = 2;
pub(crate) const ECDSA_DER: u32 = 3;
pub(crate) const ECDSA_FIXED: u32 = 4;

pub(crate) const SHA1: u32 = 1;
pub(crate) const SHA256: u32 = 3;
pub(crate) const SHA384: u32 = 4;

pub(crate) enum RawClient {}
pub(crate) enum RawKey {}
pub(crate) enum RawError {}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CipherParams {
    pub(crate) mode: u32,
    pub(crate) hash: u32,
    pub(crate) mgf1_hash: u32,
    pub(crate) iv_len: usize,
    pub(crate) iv: *const u8,
    pub(crate) aad_len: usize,
    pub(crate) aad: *const u8,
    pub(crate) tag_len: usize,
    pub(crate) tag: *mut u8,
    pub(crate) label_len: usize,
    pub(crate) label: *const u8,
    pub(crate) reserved: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct SignatureParams {
    pub(crate) scheme: u32,
    pub(crate) hash: u32,
    pub(crate) data_is_digest: u32,
    pub(crate) mgf1_hash: u32,
    pub(crate) salt_len: u32,
    pub(crate) reserved: [u32; 7],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) exports: u64,
    pub(crate) hits: u64,
    pub(crate) forwards: u64,
    pub(crate) served_in_outage: u64,
    pub(crate) cached_keys: u64,
    pub(crate) reserved: [u64; 3],
}

type Cipher = unsafe extern "C" fn(*const RawKey, *const CipherParams, *const u8, usize, *mut u8, *mut usize, *mut *mut RawError) -> u32;

/// The exported functions.
pub(crate) struct Api {
    pub(crate) version: unsafe extern "C" fn() -> *const c_char,
    pub(crate) client_open: unsafe extern "C" fn(*const c_char, *mut *mut RawClient, *mut *mut RawError) -> u32,
    pub(crate) client_free: unsafe extern "C" fn(*mut RawClient),
    pub(crate) client_login: unsafe extern "C" fn(*const RawClient, *mut *mut RawError) -> u32,
    pub(crate) cache_clear: unsafe extern "C" fn(*const RawClient, *const *const c_char, usize, *mut usize, *mut *mut RawError) -> u32,
    pub(crate) client_stats: unsafe extern "C" fn(*const RawClient, *mut Stats, *mut *mut RawError) -> u32,
    pub(crate) key_by_name: unsafe extern "C" fn(*const RawClient, *const c_char, *mut *mut RawKey, *mut *mut RawError) -> u32,
    pub(crate) key_by_kid: unsafe extern "C" fn(*const RawClient, *const c_char, *mut *mut RawKey, *mut *mut RawError) -> u32,
    pub(crate) key_free: unsafe extern "C" fn(*mut RawKey),
    pub(crate) key_load: unsafe extern "C" fn(*const RawKey, *mut *mut RawError) -> u32,
    pub(crate) key_kid: unsafe extern "C" fn(*const RawKey, *mut c_char, *mut usize, *mut *mut RawError) -> u32,
    pub(crate) encrypt: Cipher,
    pub(crate) decrypt: Cipher,
    pub(crate) sign:
        unsafe extern "C" fn(*const RawKey, *const SignatureParams, *const u8, usize, *mut u8, *mut usize, *mut *mut RawError) -> u32,
    pub(crate) verify:
        unsafe extern "C" fn(*const RawKey, *const SignatureParams, *const u8, usize, *const u8, usize, *mut *mut RawError) -> u32,
    pub(crate) random: unsafe extern "C" fn(*mut u8, usize, *mut *mut RawError) -> u32,
    pub(crate) error_message: unsafe extern "C" fn(*const RawError) -> *const c_char,
    pub(crate) error_free: unsafe extern "C" fn(*mut RawError),
}

/// The library, loaded once.
pub(crate) static API: LazyLock<Api> = LazyLock::new(|| {
    // SAFETY: our own library, whose initialisers do nothing but register themselves.
    let library = unsafe { Library::new(dsma_testkit::library()) }.expect("libdsma.so loads");
    let library: &'static Library = Box::leak(Box::new(library));
    macro_rules! symbol {
        ($name:literal) => {
            // SAFETY: the types above are those of the header; `header.rs` compiles it, and the round trips use each of them.
            *unsafe { library.get($name) }.expect("an exported function")
        };
    }
    Api {
        version: symbol!(b"dsma_version"),
        client_open: symbol!(b"dsma_client_open"),
        client_free: symbol!(b"dsma_client_free"),
        client_login: symbol!(b"dsma_client_login"),
        cache_clear: symbol!(b"dsma_cache_clear"),
        client_stats: symbol!(b"dsma_client_stats"),
        key_by_name: symbol!(b"dsma_key_by_name"),
        key_by_kid: symbol!(b"dsma_key_by_kid"),
        key_free: symbol!(b"dsma_key_free"),
        key_load: symbol!(b"dsma_key_load"),
        key_kid: symbol!(b"dsma_key_kid"),
        encrypt: symbol!(b"dsma_encrypt"),
        decrypt: symbol!(b"dsma_decrypt"),
        sign: symbol!(b"dsma_sign"),
        verify: symbol!(b"dsma_verify"),
        random: symbol!(b"dsma_random"),
        error_message: symbol!(b"dsma_error_message"),
        error_free: symbol!(b"dsma_error_free"),
    }
});

/// A failed call: its code and its sentence.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: u32,
    pub(crate) text: String,
}

/// Runs a call that takes a place for an error.
pub(crate) fn call(function: impl FnOnce(*mut *mut RawError) -> u32) -> Result<(), Failed> {
    // What is not NULL shows that the library never reads the place.
    let mut error = ptr::without_provenance_mut(1);
    let code = function(&mut error);
    if code == OK {
        assert!(error.is_null(), "success leaves no error");
        return Ok(());
    }
    assert!(!error.is_null(), "failure {code} comes with an error");
    // SAFETY: an error of the library, freed once, and its text copied before.
    let text = unsafe {
        let text = CStr::from_ptr((API.error_message)(error)).to_str().expect("UTF-8").to_owned();
        (API.error_free)(error);
        text
    };
    Err(Failed { code, text })
}

/// An open client.
pub(crate) struct Client(pub(crate) *mut RawClient);

// SAFETY: the header allows any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    pub(crate) fn open(config: &Path) -> Result<Self, Failed> {
        let path = CString::new(config.as_os_str().as_encoded_bytes()).expect("no NUL in a path");
        let mut client = ptr::without_provenance_mut(1);
        // SAFETY: a string and two places.
        let outcome = call(|error| unsafe { (API.client_open)(path.as_ptr(), &mut client, error) });
        assert_eq!(client.is_null(), outcome.is_err(), "a handle comes with success alone");
        outcome.map(|()| Self(client))
    }

    pub(crate) fn login(&self) -> Result<(), Failed> {
        // SAFETY: an open client.
        call(|error| unsafe { (API.client_login)(self.0, error) })
    }

    pub(crate) fn key(&self, name: &str) -> Result<Key, Failed> {
        self.open_key(API.key_by_name, name)
    }

    pub(crate) fn kid(&self, kid: &str) -> Result<Key, Failed> {
        self.open_key(API.key_by_kid, kid)
    }

    fn open_key(
        &self,
        function: unsafe extern "C" fn(*const RawClient, *const c_char, *mut *mut RawKey, *mut *mut RawError) -> u32,
        text: &str,
    ) -> Result<Key, Failed> {
        let text = CString::new(text).expect("no NUL");
        let mut key = ptr::without_provenance_mut(1);
        // SAFETY: an open client, a string, two places.
        let outcome = call(|error| unsafe { function(self.0, text.as_ptr(), &mut key, error) });
        assert_eq!(key.is_null(), outcome.is_err(), "a handle comes with success alone");
        outcome.map(|()| Key(key))
    }

    /// `None`: all keys.
    pub(crate) fn clear(&self, kids: Option<&[&str]>) -> Result<usize, Failed> {
        let texts: Option<Vec<CString>> = kids.map(|kids| kids.iter().map(|kid| CString::new(*kid).expect("no NUL")).collect());
        let pointers: Option<Vec<*const c_char>> = texts.as_ref().map(|texts| texts.iter().map(|text| text.as_ptr()).collect());
        let (list, count) = pointers.as_ref().map_or((ptr::null(), 0), |list| (list.as_ptr(), list.len()));
        let mut cleared = usize::MAX;
        // SAFETY: an open client, a list of that many strings, a place.
        call(|error| unsafe { (API.cache_clear)(self.0, list, count, &mut cleared, error) }).map(|()| cleared)
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        // SAFETY: an open client and a place.
        call(|error| unsafe { (API.client_stats)(self.0, &mut stats, error) }).expect("stats");
        stats
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the handle's last use.
        unsafe { (API.client_free)(self.0) }
    }
}

/// An open key.
pub(crate) struct Key(pub(crate) *mut RawKey);

// SAFETY: the header allows any thread.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Key {
    pub(crate) fn load(&self) -> Result<(), Failed> {
        // SAFETY: an open key.
        call(|error| unsafe { (API.key_load)(self.0, error) })
    }

    pub(crate) fn kid(&self) -> Result<String, Failed> {
        let (mut room, mut len) = ([0_u8; 37], 37);
        // SAFETY: an open key and room of that length.
        call(|error| unsafe { (API.key_kid)(self.0, room.as_mut_ptr().cast(), &mut len, error) })?;
        assert_eq!(len, 37);
        Ok(CStr::from_bytes_with_nul(&room).expect("a final NUL").to_str().expect("ASCII").to_owned())
    }

    /// Encrypts into exactly `room` bytes of output; returns what was written, and the stored length even on failure.
    pub(crate) fn encrypt_into(&self, params: &CipherParams, input: &[u8], room: usize) -> (Result<Vec<u8>, Failed>, usize) {
        self.cipher(API.encrypt, params, input, room)
    }

    pub(crate) fn decrypt_into(&self, params: &CipherParams, input: &[u8], room: usize) -> (Result<Vec<u8>, Failed>, usize) {
        self.cipher(API.decrypt, params, input, room)
    }

    /// Asks for the length first, as a C program does.
    pub(crate) fn encrypt(&self, params: &CipherParams, input: &[u8]) -> Result<Vec<u8>, Failed> {
        self.asked(API.encrypt, params, input)
    }

    pub(crate) fn decrypt(&self, params: &CipherParams, input: &[u8]) -> Result<Vec<u8>, Failed> {
        self.asked(API.decrypt, params, input)
    }

    pub(crate) fn sign(&self, params: &SignatureParams, data: &[u8]) -> Result<Vec<u8>, Failed> {
        let mut len = 0;
        // SAFETY: an open key, parameters, data; NULL with length 0 is room for nothing.
        match call(|error| unsafe { (API.sign)(self.0, params, data.as_ptr(), data.len(), ptr::null_mut(), &mut len, error) }) {
            Err(Failed { code: BUFFER_TOO_SMALL, .. }) => {}
            other => return other.map(|()| Vec::new()),
        }
        let mut signature = vec![0; len];
        // SAFETY: as above, with room of that length.
        call(|error| unsafe { (API.sign)(self.0, params, data.as_ptr(), data.len(), signature.as_mut_ptr(), &mut len, error) })?;
        signature.truncate(len);
        Ok(signature)
    }

    pub(crate) fn verify(&self, params: &SignatureParams, data: &[u8], signature: &[u8]) -> Result<(), Failed> {
        // SAFETY: an open key, parameters, data, a signature.
        call(|error| unsafe { (API.verify)(self.0, params, data.as_ptr(), data.len(), signature.as_ptr(), signature.len(), error) })
    }

    fn asked(&self, function: Cipher, params: &CipherParams, input: &[u8]) -> Result<Vec<u8>, Failed> {
        match self.cipher(function, params, input, 0) {
            (Err(Failed { code: BUFFER_TOO_SMALL, .. }), needed) => self.cipher(function, params, input, needed).0,
            (outcome, _) => outcome,
        }
    }

    fn cipher(&self, function: Cipher, params: &CipherParams, input: &[u8], room: usize) -> (Result<Vec<u8>, Failed>, usize) {
        let mut output = vec![0; room];
        let mut len = room;
        let place = if room == 0 { ptr::null_mut() } else { output.as_mut_ptr() };
        // SAFETY: an open key, parameters of live memory, input, and output of that length.
        let outcome = call(|error| unsafe { function(self.0, params, input.as_ptr(), input.len(), place, &mut len, error) });
        (
            outcome.map(|()| {
                output.truncate(len);
                output
            }),
            len,
        )
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the handle's last use.
        unsafe { (API.key_free)(self.0) }
    }
}

impl CipherParams {
    /// All zero but the mode and the IV, as `{0}` in C. The caller keeps the IV alive.
    pub(crate) fn new(mode: u32, iv: &[u8]) -> Self {
        Self {
            mode,
            hash: 0,
            mgf1_hash: 0,
            iv_len: iv.len(),
            iv: iv.as_ptr(),
            aad_len: 0,
            aad: ptr::null(),
            tag_len: 0,
            tag: ptr::null_mut(),
            label_len: 0,
            label: ptr::null(),
            reserved: [0; 4],
        }
    }

    pub(crate) fn aad(self, aad: &[u8]) -> Self {
        Self { aad_len: aad.len(), aad: aad.as_ptr(), ..self }
    }

    pub(crate) fn tag(self, tag: &mut [u8]) -> Self {
        Self { tag_len: tag.len(), tag: tag.as_mut_ptr(), ..self }
    }
}

/// Random bytes of the library.
pub(crate) fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    // SAFETY: a buffer of that length.
    call(|error| unsafe { (API.random)(bytes.as_mut_ptr(), bytes.len(), error) }).expect("random");
    bytes
}
