//! AES and triple DES through the library's streaming interface: parts, unusual IVs and tags, and the modes without authentication.

use std::ffi::{c_int, c_void};
use std::ptr;

use aws_lc_sys as sys;

use super::buffers::{Buffers, InPlace};
use super::owned::Owned;
use super::{check, clear_errors};
use crate::{CipherParams, Error};

/// Bytes of the longest block, AES'.
pub(crate) const MAX_BLOCK: usize = 16;
/// The library counts in `int`; longer inputs are passed in pieces of this many bytes (whole blocks).
const PIECE: usize = 1 << 30;

/// Which way a context runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Encrypt,
    Decrypt,
}

/// A running encryption or decryption with its own copy of the key.
pub(crate) struct CipherContext {
    context: Owned<sys::EVP_CIPHER_CTX>,
    direction: Direction,
    family: Family,
    /// Bytes of a block.
    block: usize,
    /// Bytes taken in whose result has not come out yet: less than a block, or up to one where the last is held back for its padding.
    pending: usize,
}

// SAFETY: the context is plain heap data, bound to no thread; it is only used through `&mut`.
unsafe impl Send for CipherContext {}
// SAFETY: `&CipherContext` gives access to numbers of our own only, never to the library's object.
unsafe impl Sync for CipherContext {}

/// How a mode treats lengths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    /// GCM, CTR, CFB and OFB: a byte in is a byte out.
    Stream,
    /// Whole blocks.
    Blocks,
    /// Whole blocks with PKCS#7 padding.
    Padded,
}

impl CipherContext {
    /// Starts with a key of 16, 24 or 32 bytes for AES, of 24 for triple DES. Parameters that are not a mode in parts are `Unsupported`.
    pub(crate) fn new(key: &[u8], params: &CipherParams<'_>, direction: Direction) -> Result<Self, Error> {
        let family = match params {
            CipherParams::AesGcm { .. }
            | CipherParams::AesCtr { .. }
            | CipherParams::AesCfb { .. }
            | CipherParams::AesCfb8 { .. }
            | CipherParams::AesCfb1 { .. }
            | CipherParams::AesOfb { .. } => Family::Stream,
            CipherParams::AesEcb | CipherParams::Des3Ecb => Family::Blocks,
            CipherParams::AesCbc { padding, .. } | CipherParams::Des3Cbc { padding, .. } => {
                if *padding {
                    Family::Padded
                } else {
                    Family::Blocks
                }
            }
            _ => return Err(Error::Unsupported),
        };
        let block = params.block_len();
        let iv: &[u8] = match *params {
            CipherParams::AesGcm { iv: [], .. } => return Err(Error::IvLength),
            CipherParams::AesGcm { iv, .. } => iv,
            CipherParams::AesCbc { iv, .. }
            | CipherParams::AesCtr { iv }
            | CipherParams::AesCfb { iv }
            | CipherParams::AesCfb8 { iv }
            | CipherParams::AesCfb1 { iv }
            | CipherParams::AesOfb { iv }
            | CipherParams::Des3Cbc { iv, .. } => {
                if iv.len() != block {
                    return Err(Error::IvLength);
                }
                iv
            }
            _ => &[],
        };
        let iv_len = c_int::try_from(iv.len()).map_err(|_| Error::IvLength)?;
        let algorithm = algorithm(key.len(), params)?;
        // SAFETY: takes nothing, returns null or a context that is ours.
        let context = unsafe { Owned::new(sys::EVP_CIPHER_CTX_new(), Error::Internal)? };
        let raw = context.as_ptr();
        let (none, encrypt) = (ptr::null_mut(), c_int::from(direction == Direction::Encrypt));
        // SAFETY: the context is fresh; the algorithm is a constant that takes a key of this length. Key and IV are read within the calls: the
        // IV has the length just set (GCM) or the mode's own, and modes without IV ignore it.
        unsafe {
            check(sys::EVP_CipherInit_ex(raw, algorithm, none, ptr::null(), ptr::null(), encrypt), Error::Internal)?;
            if matches!(params, CipherParams::AesGcm { .. }) {
                check(sys::EVP_CIPHER_CTX_ctrl(raw, sys::EVP_CTRL_AEAD_SET_IVLEN, iv_len, ptr::null_mut()), Error::IvLength)?;
            }
            check(sys::EVP_CipherInit_ex(raw, ptr::null(), none, key.as_ptr(), iv.as_ptr(), encrypt), Error::Internal)?;
            sys::EVP_CIPHER_CTX_set_padding(raw, c_int::from(family == Family::Padded));
        }
        let mut this = Self { context, direction, family, block, pending: 0 };
        if let CipherParams::AesGcm { aad, .. } = params {
            this.authenticate(aad)?;
        }
        Ok(this)
    }

    /// Bytes that [`CipherContext::update`] writes for so much input.
    pub(crate) fn update_len(&self, input_len: usize) -> Result<usize, Error> {
        let total = self.pending.checked_add(input_len).ok_or(Error::TooLong)?;
        Ok(match (self.family, self.direction) {
            (Family::Stream, _) => input_len,
            // The last full block waits, for it may hold the padding.
            (Family::Padded, Direction::Decrypt) => total.saturating_sub(1) / self.block * self.block,
            _ => total / self.block * self.block,
        })
    }

    /// Processes a part and returns the bytes written, exactly [`CipherContext::update_len`]. On `OutputTooSmall` nothing has happened.
    pub(crate) fn update(&mut self, data: &mut Buffers<'_>) -> Result<usize, Error> {
        let input_len = data.input_len();
        let written = self.update_len(input_len)?;
        // With bytes pending, the output of a block mode runs ahead of the input, which it would overwrite.
        let in_place = if self.family == Family::Stream || self.pending == 0 { InPlace::Borne } else { InPlace::Copied };
        let ready = data.prepare(written, in_place)?;
        let (mut taken, mut made) = (0, 0);
        while taken < input_len {
            let piece = PIECE.min(input_len - taken);
            let mut piece_made: c_int = 0;
            // SAFETY: `piece` bytes at `taken` lie within the input. What the library writes altogether is `written` bytes, which `prepare`
            // made sure of: this release never writes past the length it reports (crypto/fipsmodule/cipher/cipher.c withholds the
            // block that may be padding in the context). The ranges are equal or disjoint. The pointer is never null.
            let outcome = unsafe {
                sys::EVP_CipherUpdate(
                    self.context.as_ptr(),
                    ready.output.add(made),
                    &mut piece_made,
                    ready.input.add(taken),
                    c_int::try_from(piece).map_err(|_| Error::TooLong)?,
                )
            };
            // The one limit that the library enforces here is GCM's.
            check(outcome, Error::TooLong)?;
            taken += piece;
            made += usize::try_from(piece_made).map_err(|_| Error::Internal)?;
        }
        debug_assert_eq!(made, written, "the library writes what update_len says");
        self.pending = self.pending + input_len - made;
        if self.family == Family::Stream {
            self.pending = 0;
        }
        Ok(made)
    }

    /// Ends it and returns the bytes of the last block: what the padding adds, or leaves. A wrong tag (see [`CipherContext::expect_tag`])
    /// or padding is `Authentication`; a broken last block is `InputLength`.
    pub(crate) fn finish(&mut self, last: &mut [u8; MAX_BLOCK]) -> Result<usize, Error> {
        let failure = match (self.family, self.direction) {
            (Family::Blocks, _) if self.pending != 0 => return Err(Error::InputLength),
            (Family::Padded, Direction::Decrypt) if self.pending != self.block => return Err(Error::InputLength),
            (_, Direction::Decrypt) => Error::Authentication,
            _ => Error::Internal,
        };
        let mut made: c_int = 0;
        // SAFETY: the library writes at most one block, which `last` holds.
        check(unsafe { sys::EVP_CipherFinal_ex(self.context.as_ptr(), last.as_mut_ptr(), &mut made) }, failure)?;
        usize::try_from(made).map_err(|_| Error::Internal)
    }

    /// The tag of a finished GCM encryption, as long as the slice (4 to 16 bytes).
    pub(crate) fn tag(&mut self, tag: &mut [u8]) -> Result<(), Error> {
        self.control(sys::EVP_CTRL_AEAD_GET_TAG, tag.as_mut_ptr(), tag.len())
    }

    /// Sets the tag that the end of a GCM decryption must meet.
    pub(crate) fn expect_tag(&mut self, tag: &[u8]) -> Result<(), Error> {
        // The library reads through this pointer although its type does not say so.
        self.control(sys::EVP_CTRL_AEAD_SET_TAG, tag.as_ptr().cast_mut(), tag.len())
    }

    /// Upper bound of what [`CipherContext::finish`] writes.
    pub(crate) fn pending_len(&self) -> usize {
        if self.family == Family::Padded { self.block } else { 0 }
    }

    fn control(&mut self, command: c_int, tag: *mut u8, len: usize) -> Result<(), Error> {
        let len = c_int::try_from(len).ok().filter(|len| (4..=16).contains(len)).ok_or(Error::TagLength)?;
        // SAFETY: called with the pointer and the length of one slice; GET_TAG writes and SET_TAG reads exactly `len` bytes. Contexts of other
        // modes refuse both commands.
        check(unsafe { sys::EVP_CIPHER_CTX_ctrl(self.context.as_ptr(), command, len, tag.cast::<c_void>()) }, Error::TagLength)
    }

    /// Takes GCM's additional data.
    fn authenticate(&mut self, aad: &[u8]) -> Result<(), Error> {
        for piece in aad.chunks(PIECE) {
            let mut ignored: c_int = 0;
            let len = c_int::try_from(piece.len()).map_err(|_| Error::TooLong)?;
            // SAFETY: a null output marks additional data (nothing is written); pointer and length are one slice's.
            let outcome = unsafe { sys::EVP_CipherUpdate(self.context.as_ptr(), ptr::null_mut(), &mut ignored, piece.as_ptr(), len) };
            check(outcome, Error::TooLong)?;
        }
        Ok(())
    }
}

fn algorithm(key_len: usize, params: &CipherParams<'_>) -> Result<*const sys::EVP_CIPHER, Error> {
    let by_len = |functions: [unsafe extern "C" fn() -> *const sys::EVP_CIPHER; 3]| match key_len {
        16 => Ok(functions[0]),
        24 => Ok(functions[1]),
        32 => Ok(functions[2]),
        _ => Err(Error::KeySize),
    };
    let triple_des =
        |function: unsafe extern "C" fn() -> *const sys::EVP_CIPHER| if key_len == 24 { Ok(function) } else { Err(Error::KeySize) };
    let function = match params {
        CipherParams::AesGcm { .. } => by_len([sys::EVP_aes_128_gcm, sys::EVP_aes_192_gcm, sys::EVP_aes_256_gcm]),
        CipherParams::AesCbc { .. } => by_len([sys::EVP_aes_128_cbc, sys::EVP_aes_192_cbc, sys::EVP_aes_256_cbc]),
        CipherParams::AesEcb => by_len([sys::EVP_aes_128_ecb, sys::EVP_aes_192_ecb, sys::EVP_aes_256_ecb]),
        CipherParams::AesCtr { .. } => by_len([sys::EVP_aes_128_ctr, sys::EVP_aes_192_ctr, sys::EVP_aes_256_ctr]),
        CipherParams::AesCfb { .. } => by_len([sys::EVP_aes_128_cfb128, sys::EVP_aes_192_cfb128, sys::EVP_aes_256_cfb128]),
        CipherParams::AesCfb8 { .. } => by_len([sys::EVP_aes_128_cfb8, sys::EVP_aes_192_cfb8, sys::EVP_aes_256_cfb8]),
        CipherParams::AesCfb1 { .. } => by_len([sys::EVP_aes_128_cfb1, sys::EVP_aes_192_cfb1, sys::EVP_aes_256_cfb1]),
        CipherParams::AesOfb { .. } => by_len([sys::EVP_aes_128_ofb, sys::EVP_aes_192_ofb, sys::EVP_aes_256_ofb]),
        CipherParams::Des3Ecb => triple_des(sys::EVP_des_ede3_ecb),
        CipherParams::Des3Cbc { .. } => triple_des(sys::EVP_des_ede3_cbc),
        _ => Err(Error::Unsupported),
    }?;
    // SAFETY: takes nothing and returns a pointer to a constant (null only out of memory).
    let algorithm = unsafe { function() };
    if algorithm.is_null() {
        clear_errors();
        return Err(Error::Internal);
    }
    Ok(algorithm)
}
