//! Ed25519 and X25519 on plain 32-byte keys.

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::owned::Owned;
use super::{check, der, holds};
use crate::Error;
use crate::rfc8410::Kind;

/// The private key inside PKCS#8, version 1 or 2. A public key beside it (version 2) must be its own.
pub(crate) fn private_from_der(kind: Kind, encoded: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
    // SAFETY: `parse` hands a valid reader over for the length of the call.
    let key = of_kind(kind, der::parse(encoded, |cbs| unsafe { sys::EVP_parse_private_key(cbs) })?)?;
    let mut private = Zeroizing::new([0; 32]);
    let mut len = private.len();
    // SAFETY: the output's length is passed with its pointer; the key is only read.
    check(unsafe { sys::EVP_PKEY_get_raw_private_key(key.as_ptr(), private.as_mut_ptr(), &mut len) }, Error::Malformed)?;
    Ok(private)
}

/// The public key inside SubjectPublicKeyInfo.
pub(crate) fn public_from_der(kind: Kind, encoded: &[u8]) -> Result<[u8; 32], Error> {
    // SAFETY: `parse` hands a valid reader over for the length of the call.
    let key = of_kind(kind, der::parse(encoded, |cbs| unsafe { sys::EVP_parse_public_key(cbs) })?)?;
    let mut public = [0; 32];
    let mut len = public.len();
    // SAFETY: the output's length is passed with its pointer; the key is only read.
    check(unsafe { sys::EVP_PKEY_get_raw_public_key(key.as_ptr(), public.as_mut_ptr(), &mut len) }, Error::Malformed)?;
    Ok(public)
}

/// The public key of a seed, and the library's private form: seed and public key side by side.
pub(crate) fn ed25519_expand(seed: &[u8; 32]) -> ([u8; 32], Zeroizing<[u8; 64]>) {
    let (mut public, mut private) = ([0; 32], Zeroizing::new([0; 64]));
    // SAFETY: the arrays have the lengths that the function reads and writes. It cannot fail.
    unsafe { sys::ED25519_keypair_from_seed(public.as_mut_ptr(), private.as_mut_ptr(), seed.as_ptr()) };
    (public, private)
}

pub(crate) fn ed25519_sign(private: &[u8; 64], message: &[u8]) -> Result<[u8; 64], Error> {
    let mut signature = [0; 64];
    // SAFETY: signature and key have the lengths that the function writes and reads; the message's pointer and length are one slice's.
    let outcome = unsafe { sys::ED25519_sign(signature.as_mut_ptr(), message.as_ptr(), message.len(), private.as_ptr()) };
    check(outcome, Error::Internal)?;
    Ok(signature)
}

pub(crate) fn ed25519_verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    // SAFETY: signature and key have the lengths that the function reads; the message's pointer and length are one slice's.
    holds(unsafe { sys::ED25519_verify(message.as_ptr(), message.len(), signature.as_ptr(), public.as_ptr()) })
}

/// Ed25519ctx; the context has 1 to 255 bytes.
pub(crate) fn ed25519ctx_sign(private: &[u8; 64], message: &[u8], context: &[u8]) -> Result<[u8; 64], Error> {
    let mut signature = [0; 64];
    // SAFETY: signature and key have the lengths that the function writes and reads; the other pointers and lengths are of one slice each.
    let outcome = unsafe {
        let (out, key) = (signature.as_mut_ptr(), private.as_ptr());
        sys::ED25519ctx_sign(out, message.as_ptr(), message.len(), key, context.as_ptr(), context.len())
    };
    check(outcome, Error::Internal)?;
    Ok(signature)
}

pub(crate) fn ed25519ctx_verify(public: &[u8; 32], message: &[u8], context: &[u8], signature: &[u8; 64]) -> bool {
    // SAFETY: signature and key have the lengths that the function reads; the other pointers and lengths are of one slice each.
    holds(unsafe {
        let (signature, key) = (signature.as_ptr(), public.as_ptr());
        sys::ED25519ctx_verify(message.as_ptr(), message.len(), signature, key, context.as_ptr(), context.len())
    })
}

/// Ed25519ph, from the message's SHA-512; the context has at most 255 bytes.
pub(crate) fn ed25519ph_sign(private: &[u8; 64], digest: &[u8; 64], context: &[u8]) -> Result<[u8; 64], Error> {
    let mut signature = [0; 64];
    // SAFETY: signature, digest and key have the lengths that the function writes and reads; the context's pointer and length are one slice's.
    let outcome =
        unsafe { sys::ED25519ph_sign_digest(signature.as_mut_ptr(), digest.as_ptr(), private.as_ptr(), context.as_ptr(), context.len()) };
    check(outcome, Error::Internal)?;
    Ok(signature)
}

pub(crate) fn ed25519ph_verify(public: &[u8; 32], digest: &[u8; 64], context: &[u8], signature: &[u8; 64]) -> bool {
    // SAFETY: signature, digest and key have the lengths that the function reads; the context's pointer and length are one slice's.
    holds(unsafe { sys::ED25519ph_verify_digest(digest.as_ptr(), signature.as_ptr(), public.as_ptr(), context.as_ptr(), context.len()) })
}

pub(crate) fn x25519_public(private: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    // SAFETY: the arrays have the lengths that the function reads and writes. It cannot fail.
    unsafe { sys::X25519_public_from_private(public.as_mut_ptr(), private.as_ptr()) };
    public
}

/// The shared secret; a peer of low order, with which it would be zero, is `Malformed`.
pub(crate) fn x25519(private: &[u8; 32], peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut secret = Zeroizing::new([0; 32]);
    // SAFETY: the arrays have the lengths that the function reads and writes.
    check(unsafe { sys::X25519(secret.as_mut_ptr(), private.as_ptr(), peer.as_ptr()) }, Error::Malformed)?;
    Ok(secret)
}

fn of_kind(kind: Kind, key: Owned<sys::EVP_PKEY>) -> Result<Owned<sys::EVP_PKEY>, Error> {
    let wanted = match kind {
        Kind::Ed25519 => sys::EVP_PKEY_ED25519,
        Kind::X25519 => sys::EVP_PKEY_X25519,
    };
    // SAFETY: reads a valid key.
    if unsafe { sys::EVP_PKEY_id(key.as_ptr()) } == wanted { Ok(key) } else { Err(Error::Malformed) }
}
