//! SHA-1 and SHA-2 as plain state: no allocation, nothing to fail, a clone is a copy.

use std::ffi::c_int;
use std::mem::MaybeUninit;

use aws_lc_sys as sys;

use crate::digest::Hash;

/// A running hash. The library's contexts are plain numbers without pointers, so moving and copying them is sound.
#[derive(Clone)]
pub(crate) enum HashState {
    Sha1(sys::SHA_CTX),
    Sha224(sys::SHA256_CTX),
    Sha256(sys::SHA256_CTX),
    Sha384(sys::SHA512_CTX),
    Sha512(sys::SHA512_CTX),
}

/// One arm a hash: the function of the library on the context of that arm.
macro_rules! per_hash {
    ($state:expr, $context:ident => $sha1:expr, $sha224:expr, $sha256:expr, $sha384:expr, $sha512:expr) => {
        match $state {
            HashState::Sha1($context) => $sha1,
            HashState::Sha224($context) => $sha224,
            HashState::Sha256($context) => $sha256,
            HashState::Sha384($context) => $sha384,
            HashState::Sha512($context) => $sha512,
        }
    };
}

impl HashState {
    pub(crate) fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(start(sys::SHA1_Init)),
            Hash::Sha224 => Self::Sha224(start(sys::SHA224_Init)),
            Hash::Sha256 => Self::Sha256(start(sys::SHA256_Init)),
            Hash::Sha384 => Self::Sha384(start(sys::SHA384_Init)),
            Hash::Sha512 => Self::Sha512(start(sys::SHA512_Init)),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        // SAFETY: the context was initialised by its own function in `new`, and pointer and length are one slice's. These functions
        // cannot fail.
        unsafe {
            per_hash!(
                self,
                context => sys::SHA1_Update(context, bytes, len),
                sys::SHA224_Update(context, bytes, len),
                sys::SHA256_Update(context, bytes, len),
                sys::SHA384_Update(context, bytes, len),
                sys::SHA512_Update(context, bytes, len)
            );
        }
    }

    /// Writes the digest to the start of `out`.
    pub(crate) fn finish(&mut self, out: &mut [u8; 64]) {
        let out = out.as_mut_ptr();
        // SAFETY: the context is initialised; the longest digest has 64 bytes, which is the array's length.
        unsafe {
            per_hash!(
                self,
                context => sys::SHA1_Final(out, context),
                sys::SHA224_Final(out, context),
                sys::SHA256_Final(out, context),
                sys::SHA384_Final(out, context),
                sys::SHA512_Final(out, context)
            );
        }
    }
}

impl Drop for HashState {
    /// The context holds the last bytes of the message and a state from which a MAC's key could be used.
    fn drop(&mut self) {
        // SAFETY: the context is plain data within `self`, is overwritten in its own length, and is not read again.
        unsafe { per_hash!(self, context => cleanse(context), cleanse(context), cleanse(context), cleanse(context), cleanse(context)) }
    }
}

/// A context, initialised by the library.
fn start<T>(initialise: unsafe extern "C" fn(*mut T) -> c_int) -> T {
    let mut context = MaybeUninit::uninit();
    // SAFETY: the function is one of the SHA*_Init of the library with the context type that it takes: it writes the whole context,
    // reads nothing, and cannot fail.
    unsafe {
        initialise(context.as_mut_ptr());
        context.assume_init()
    }
}

/// # Safety
/// `T` is plain data and is not read afterwards.
unsafe fn cleanse<T>(context: &mut T) {
    // SAFETY: the reference covers the range; all bit patterns may be left behind, because nobody reads it again (caller's promise).
    unsafe { sys::OPENSSL_cleanse(std::ptr::from_mut(context).cast(), size_of::<T>()) }
}

/// The library's description of a hash, a constant of the program.
pub(super) fn message_digest(hash: Hash) -> *const sys::EVP_MD {
    // SAFETY: these take nothing and return pointers to constants.
    unsafe {
        match hash {
            Hash::Sha1 => sys::EVP_sha1(),
            Hash::Sha224 => sys::EVP_sha224(),
            Hash::Sha256 => sys::EVP_sha256(),
            Hash::Sha384 => sys::EVP_sha384(),
            Hash::Sha512 => sys::EVP_sha512(),
        }
    }
}

/// The library's number of a hash.
pub(super) fn nid(hash: Hash) -> c_int {
    match hash {
        Hash::Sha1 => sys::NID_sha1,
        Hash::Sha224 => sys::NID_sha224,
        Hash::Sha256 => sys::NID_sha256,
        Hash::Sha384 => sys::NID_sha384,
        Hash::Sha512 => sys::NID_sha512,
    }
}
