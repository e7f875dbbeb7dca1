//! Hashes: SHA-1 and SHA-2 as plain state, where a clone is a copy; the others in contexts of the library.

use std::alloc::Layout;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::check;
use super::owned::Owned;
use crate::Error;
use crate::digest::Hash;

/// A running hash. The contexts of SHA-1 and SHA-2 are plain numbers without pointers, so moving and copying them is sound.
#[derive(Clone)]
pub(crate) enum HashState {
    Sha1(sys::SHA_CTX),
    Sha224(sys::SHA256_CTX),
    Sha256(sys::SHA256_CTX),
    Sha384(sys::SHA512_CTX),
    Sha512(sys::SHA512_CTX),
    Other(Context),
}

/// One arm a hash: the function of the library on the context of that arm.
macro_rules! per_hash {
    ($state:expr, $context:ident => $sha1:expr, $sha224:expr, $sha256:expr, $sha384:expr, $sha512:expr, $other:expr) => {
        match $state {
            HashState::Sha1($context) => $sha1,
            HashState::Sha224($context) => $sha224,
            HashState::Sha256($context) => $sha256,
            HashState::Sha384($context) => $sha384,
            HashState::Sha512($context) => $sha512,
            HashState::Other($context) => $other,
        }
    };
}

impl HashState {
    /// An empty message of a hash that the library has.
    pub(crate) fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(start(sys::SHA1_Init)),
            Hash::Sha224 => Self::Sha224(start(sys::SHA224_Init)),
            Hash::Sha256 => Self::Sha256(start(sys::SHA256_Init)),
            Hash::Sha384 => Self::Sha384(start(sys::SHA384_Init)),
            Hash::Sha512 => Self::Sha512(start(sys::SHA512_Init)),
            _ => Self::Other(Context::new(hash)),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        let (bytes, len) = (data.as_ptr().cast(), data.len());
        // SAFETY: the context was initialised by its own function in `new`, and pointer and length are one slice's. These functions
        // cannot fail on such contexts.
        unsafe {
            per_hash!(
                self,
                context => sys::SHA1_Update(context, bytes, len),
                sys::SHA224_Update(context, bytes, len),
                sys::SHA256_Update(context, bytes, len),
                sys::SHA384_Update(context, bytes, len),
                sys::SHA512_Update(context, bytes, len),
                sys::EVP_DigestUpdate(context.0.as_ptr(), bytes, len)
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
                sys::SHA512_Final(out, context),
                sys::EVP_DigestFinal_ex(context.0.as_ptr(), out, ptr::null_mut())
            );
        }
    }
}

impl HashState {
    /// The bytes of a plain context.
    pub(crate) fn save(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Sha1(context) => Some(bytes_of(context)),
            Self::Sha224(context) | Self::Sha256(context) => Some(bytes_of(context)),
            Self::Sha384(context) | Self::Sha512(context) => Some(bytes_of(context)),
            Self::Other(_) => None,
        }
    }

    /// A plain context from its bytes. The numbers that the library takes as lengths are checked; any others are a state.
    pub(crate) fn restore(hash: Hash, bytes: &[u8]) -> Option<Self> {
        let mut state = Self::new(hash);
        let sound = match &mut state {
            Self::Sha1(context) => fill(context, bytes) && context.num < 64,
            Self::Sha224(context) | Self::Sha256(context) => {
                let len = context.md_len;
                fill(context, bytes) && context.num < 64 && context.md_len == len
            }
            Self::Sha384(context) | Self::Sha512(context) => {
                let len = context.md_len;
                fill(context, bytes) && context.num < 128 && context.md_len == len
            }
            Self::Other(_) => false,
        };
        sound.then_some(state)
    }
}

/// A context of plain numbers, without padding between them.
trait Plain: Copy {}
impl Plain for sys::SHA_CTX {}
impl Plain for sys::SHA256_CTX {}
impl Plain for sys::SHA512_CTX {}

fn bytes_of<T: Plain>(context: &T) -> Zeroizing<Vec<u8>> {
    // SAFETY: the reference covers the range, and every byte of it is initialised: `start` zeroes what the library leaves.
    let bytes = unsafe { std::slice::from_raw_parts(ptr::from_ref(context).cast::<u8>(), size_of::<T>()) };
    Zeroizing::new(bytes.to_vec())
}

/// Overwrites a context, where there are as many bytes as it has.
fn fill<T: Plain>(context: &mut T, bytes: &[u8]) -> bool {
    if bytes.len() != size_of::<T>() {
        return false;
    }
    // SAFETY: both ranges have this length, and they are apart; every bit pattern is a context of numbers.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), ptr::from_mut(context).cast::<u8>(), bytes.len()) };
    true
}

impl Drop for HashState {
    /// The context holds the last bytes of the message and a state from which a MAC's key could be used. The library overwrites its own.
    fn drop(&mut self) {
        // SAFETY: the context is plain data within `self`, is overwritten in its own length, and is not read again.
        unsafe {
            match self {
                Self::Sha1(context) => cleanse(context),
                Self::Sha224(context) | Self::Sha256(context) => cleanse(context),
                Self::Sha384(context) | Self::Sha512(context) => cleanse(context),
                Self::Other(_) => {}
            }
        }
    }
}

/// A context on the heap. Nothing but want of memory can make it fail, which ends the program as it does for Rust's own allocations.
pub(crate) struct Context(Owned<sys::EVP_MD_CTX>);

// SAFETY: the context is plain heap data, bound to no thread; it is only changed through `&mut`.
unsafe impl Send for Context {}
// SAFETY: `&Context` gives access to copying only, which reads.
unsafe impl Sync for Context {}

impl Context {
    fn new(hash: Hash) -> Self {
        let Ok(digest) = message_digest(hash) else { unreachable!("`RareHash` has what the library lacks") };
        Self::made(|context| {
            // SAFETY: the context is fresh, the digest a constant; no engine.
            unsafe { sys::EVP_DigestInit_ex(context, digest, ptr::null_mut()) }
        })
    }

    fn made(fill: impl FnOnce(*mut sys::EVP_MD_CTX) -> c_int) -> Self {
        // SAFETY: takes nothing, returns null or a context that is ours.
        let context = unsafe { Owned::new(sys::EVP_MD_CTX_new(), Error::Internal) };
        match context.and_then(|context| check(fill(context.as_ptr()), Error::Internal).map(|()| context)) {
            Ok(context) => Self(context),
            Err(_) => std::alloc::handle_alloc_error(Layout::new::<sys::EVP_MD_CTX>()),
        }
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        Self::made(|context| {
            // SAFETY: a fresh context takes the copy of an initialised one, which is only read.
            unsafe { sys::EVP_MD_CTX_copy_ex(context, self.0.as_ptr()) }
        })
    }
}

/// The first 64 bytes of SHAKE256 (FIPS 202) over the parts one after the other.
pub(crate) fn shake256(parts: &[&[u8]]) -> Result<[u8; 64], Error> {
    let mut out = [0; 64];
    // SAFETY: the context is null or ours, the function a constant; each pointer is passed with its slice's length.
    unsafe {
        let context = Owned::new(sys::EVP_MD_CTX_new(), Error::Internal)?;
        check(sys::EVP_DigestInit_ex(context.as_ptr(), sys::EVP_shake256(), ptr::null_mut()), Error::Internal)?;
        for part in parts {
            check(sys::EVP_DigestUpdate(context.as_ptr(), part.as_ptr().cast(), part.len()), Error::Internal)?;
        }
        check(sys::EVP_DigestFinalXOF(context.as_ptr(), out.as_mut_ptr(), out.len()), Error::Internal)?;
    }
    Ok(out)
}

/// A context, initialised by the library.
fn start<T>(initialise: unsafe extern "C" fn(*mut T) -> c_int) -> T {
    // Zeroed, because some initialisers leave the buffer as it is until there is something in it.
    let mut context = MaybeUninit::zeroed();
    // SAFETY: the function is one of the SHA*_Init of the library with the context type that it takes: it reads nothing, and cannot fail.
    unsafe {
        initialise(context.as_mut_ptr());
        context.assume_init()
    }
}

/// # Safety
/// `T` is plain data and is not read afterwards.
unsafe fn cleanse<T>(context: &mut T) {
    // SAFETY: the reference covers the range; all bit patterns may be left behind, because nobody reads it again (caller's promise).
    unsafe { sys::OPENSSL_cleanse(ptr::from_mut(context).cast(), size_of::<T>()) }
}

/// The library's description of a hash, a constant of the program; `Unsupported` for one that it lacks.
pub(super) fn message_digest(hash: Hash) -> Result<*const sys::EVP_MD, Error> {
    // SAFETY: these take nothing and return pointers to constants.
    Ok(unsafe {
        match hash {
            Hash::Sha1 => sys::EVP_sha1(),
            Hash::Sha224 => sys::EVP_sha224(),
            Hash::Sha256 => sys::EVP_sha256(),
            Hash::Sha384 => sys::EVP_sha384(),
            Hash::Sha512 => sys::EVP_sha512(),
            Hash::Sha3_224 => sys::EVP_sha3_224(),
            Hash::Sha3_256 => sys::EVP_sha3_256(),
            Hash::Sha3_384 => sys::EVP_sha3_384(),
            Hash::Sha3_512 => sys::EVP_sha3_512(),
            Hash::Blake2b256 => sys::EVP_blake2b256(),
            Hash::Ripemd160 => sys::EVP_ripemd160(),
            Hash::Md5Sha1 => sys::EVP_md5_sha1(),
            Hash::Blake2b384 | Hash::Blake2b512 | Hash::Blake2s256 | Hash::Streebog256 | Hash::Streebog512 => {
                return Err(Error::Unsupported);
            }
        }
    })
}

/// The library's number of a hash that it can write into a DigestInfo; the others are `Unsupported` for PKCS #1 signatures.
pub(super) fn nid(hash: Hash) -> Result<c_int, Error> {
    Ok(match hash {
        Hash::Sha1 => sys::NID_sha1,
        Hash::Sha224 => sys::NID_sha224,
        Hash::Sha256 => sys::NID_sha256,
        Hash::Sha384 => sys::NID_sha384,
        Hash::Sha512 => sys::NID_sha512,
        Hash::Sha3_224 => sys::NID_sha3_224,
        Hash::Sha3_256 => sys::NID_sha3_256,
        Hash::Sha3_384 => sys::NID_sha3_384,
        Hash::Sha3_512 => sys::NID_sha3_512,
        Hash::Md5Sha1 => sys::NID_md5_sha1,
        Hash::Blake2b256
        | Hash::Blake2b384
        | Hash::Blake2b512
        | Hash::Blake2s256
        | Hash::Ripemd160
        | Hash::Streebog256
        | Hash::Streebog512 => return Err(Error::Unsupported),
    })
}
