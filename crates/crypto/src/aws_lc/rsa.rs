//! RSA: parsing, signing, verifying, encrypting, decrypting.

use std::ffi::{c_int, c_uint};
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::owned::Owned;
use super::{check, clear_errors, der, hash, holds};
use crate::Error;
use crate::digest::Hash;

/// Longest modulus that the library takes, in bytes; results go through the stack in buffers of this size.
pub(crate) const MAX_MODULUS: usize = 2048;

/// An RSA key, private or public.
pub(crate) struct RsaKey {
    key: Owned<sys::EVP_PKEY>,
    /// The RSA object inside `key`, which owns it.
    rsa: *mut sys::RSA,
}

// SAFETY: the object is not bound to a thread. rsa.h: it may be used concurrently by non-mutating functions, and expressly counts encrypt,
// decrypt, sign and verify among them (the blinding cache and the lazily made Montgomery contexts are behind a lock of the object).
unsafe impl Send for RsaKey {}
// SAFETY: as above; nothing here mutates the object after `wrap`.
unsafe impl Sync for RsaKey {}

/// Padding of an encryption.
#[derive(Clone, Copy)]
pub(crate) enum Padding<'a> {
    None,
    Pkcs1,
    Oaep { hash: Hash, mgf1: Hash, label: &'a [u8] },
}

impl RsaKey {
    /// From PKCS#8 or PKCS#1. Costs a consistency check of about 200 microseconds.
    pub(crate) fn from_private_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        let pkcs8 = der::parse(encoded, |cbs| unsafe { sys::EVP_parse_private_key(cbs) });
        let key = match pkcs8 {
            Ok(key) => Self::wrap(key),
            // SAFETY: as above.
            Err(_) => Self::wrap_rsa(der::parse(encoded, |cbs| unsafe { sys::RSA_parse_private_key(cbs) })?),
        }?;
        // SAFETY: reads a valid key.
        let complete = unsafe { !sys::RSA_get0_p(key.rsa).is_null() && !sys::RSA_get0_iqmp(key.rsa).is_null() };
        // The library would also take a key of n and d alone, which is slow, unblinded, and cannot be written as PKCS#1.
        if complete { Ok(key) } else { Err(Error::Unsupported) }
    }

    /// From SubjectPublicKeyInfo or PKCS#1.
    pub(crate) fn from_public_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        let spki = der::parse(encoded, |cbs| unsafe { sys::EVP_parse_public_key(cbs) });
        match spki {
            Ok(key) => Self::wrap(key),
            // SAFETY: as above.
            Err(_) => Self::wrap_rsa(der::parse(encoded, |cbs| unsafe { sys::RSA_parse_public_key(cbs) })?),
        }
    }

    /// A new key pair.
    pub(crate) fn generate(bits: c_int, exponent: u32) -> Result<Self, Error> {
        let exponent = der::number_from_bytes(&exponent.to_be_bytes())?;
        // SAFETY: `RSA_new` returns null or an object of ours, which the generator fills; the exponent is read only; no callback.
        let rsa = unsafe {
            let rsa = Owned::new(sys::RSA_new(), Error::Internal)?;
            check(sys::RSA_generate_key_ex(rsa.as_ptr(), bits, exponent.as_ptr(), ptr::null_mut()), Error::KeySize)?;
            rsa
        };
        Self::wrap_rsa(rsa)
    }

    /// The public half as a key of its own.
    pub(crate) fn to_public(&self) -> Result<Self, Error> {
        // SAFETY: reads a valid key; the result is ours.
        Self::wrap_rsa(unsafe { Owned::new(sys::RSAPublicKey_dup(self.rsa), Error::Malformed)? })
    }

    /// PKCS#1's RSAPrivateKey.
    pub(crate) fn to_pkcs1_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::RSA_marshal_private_key(cbb, self.rsa) })
    }

    /// PKCS#8.
    pub(crate) fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_private_key(cbb, self.key.as_ptr()) })
    }

    /// SubjectPublicKeyInfo.
    pub(crate) fn to_spki_der(&self) -> Result<Vec<u8>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_public_key(cbb, self.key.as_ptr()) }).map(|mut der| std::mem::take(&mut *der))
    }

    pub(crate) fn modulus(&self) -> Vec<u8> {
        // SAFETY: the number belongs to the key, which outlives the call; a parsed key has a modulus.
        unsafe { der::number_to_bytes(sys::RSA_get0_n(self.rsa)) }
    }

    pub(crate) fn public_exponent(&self) -> Vec<u8> {
        // SAFETY: as for the modulus: public keys and complete private ones have it.
        unsafe { der::number_to_bytes(sys::RSA_get0_e(self.rsa)) }
    }

    /// Length of the modulus in bytes: of every signature and ciphertext.
    pub(crate) fn size(&self) -> usize {
        // SAFETY: reads a valid key.
        unsafe { sys::RSA_size(self.rsa) as usize }
    }

    pub(crate) fn bits(&self) -> u32 {
        // SAFETY: reads a valid key.
        unsafe { sys::RSA_bits(self.rsa) }
    }

    /// Signs a digest, which has the hash's length, with the DigestInfo made here.
    pub(crate) fn sign_pkcs1(&self, hash: Hash, digest: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (nid, out) = (hash::nid(hash)?, self.room(out)?);
        let mut len: c_uint = 0;
        // SAFETY: the output has the modulus' length, which is the most that is written; the digest is a live slice.
        let outcome = unsafe { sys::RSA_sign(nid, digest.as_ptr(), digest.len(), out.as_mut_ptr(), &mut len, self.rsa) };
        check(outcome, Error::KeySize)?;
        Ok(len as usize)
    }

    /// Pads bytes as given for a signature; they are at most eleven bytes shorter than the modulus.
    pub(crate) fn sign_raw(&self, input: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let out = self.room(out)?;
        let mut len = 0;
        // SAFETY: the output's length is passed with its pointer, the input is a live slice.
        let outcome = unsafe {
            let padding = sys::RSA_PKCS1_PADDING;
            sys::RSA_sign_raw(self.rsa, &mut len, out.as_mut_ptr(), out.len(), input.as_ptr(), input.len(), padding)
        };
        check(outcome, Error::InputLength)?;
        Ok(len)
    }

    pub(crate) fn sign_pss(&self, hash: Hash, mgf1: Hash, salt_len: c_int, digest: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let out = self.room(out)?;
        let (hash, mgf1) = (hash::message_digest(hash)?, hash::message_digest(mgf1)?);
        let mut len = 0;
        // SAFETY: the output's length is passed with its pointer, the digest is a live slice, the hashes are constants.
        let outcome = unsafe {
            sys::RSA_sign_pss_mgf1(self.rsa, &mut len, out.as_mut_ptr(), out.len(), digest.as_ptr(), digest.len(), hash, mgf1, salt_len)
        };
        check(outcome, Error::KeySize)?;
        Ok(len)
    }

    pub(crate) fn verify_pkcs1(&self, hash: Hash, digest: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let nid = hash::nid(hash)?;
        // SAFETY: both are live slices and only read.
        Ok(holds(unsafe { sys::RSA_verify(nid, digest.as_ptr(), digest.len(), signature.as_ptr(), signature.len(), self.rsa) }))
    }

    /// Whether the signature holds exactly these bytes under PKCS#1 padding.
    pub(crate) fn verify_raw(&self, input: &[u8], signature: &[u8]) -> bool {
        self.recover(signature).is_some_and(|recovered| recovered == input)
    }

    /// The bytes that a signature holds under PKCS#1 padding; none where it does not hold.
    pub(crate) fn recover(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let mut recovered = [0; MAX_MODULUS];
        let mut len = 0;
        // SAFETY: the output's length is passed with its pointer, the signature is a live slice.
        let outcome = unsafe {
            let (padding, room) = (sys::RSA_PKCS1_PADDING, recovered.len());
            sys::RSA_verify_raw(self.rsa, &mut len, recovered.as_mut_ptr(), room, signature.as_ptr(), signature.len(), padding)
        };
        if holds(outcome) { recovered.get(..len).map(<[u8]>::to_vec) } else { None }
    }

    pub(crate) fn verify_pss(&self, hash: Hash, mgf1: Hash, salt_len: c_int, digest: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let (hash, mgf1) = (hash::message_digest(hash)?, hash::message_digest(mgf1)?);
        // SAFETY: both are live slices and only read; the hashes are constants.
        Ok(holds(unsafe {
            let (signature, len) = (signature.as_ptr(), signature.len());
            sys::RSA_verify_pss_mgf1(self.rsa, digest.as_ptr(), digest.len(), hash, mgf1, salt_len, signature, len)
        }))
    }

    /// Encrypts into `out` and returns the length, the modulus'.
    pub(crate) fn encrypt(&self, padding: Padding<'_>, input: &[u8], out: &mut [u8; MAX_MODULUS]) -> Result<usize, Error> {
        // SAFETY: starts an operation on a fresh context.
        let context = self.context(padding, |context| unsafe { sys::EVP_PKEY_encrypt_init(context) })?;
        let mut len = out.len();
        // SAFETY: the output's length is passed with its pointer, the input is a live slice; the context is set up.
        let outcome = unsafe { sys::EVP_PKEY_encrypt(context.as_ptr(), out.as_mut_ptr(), &mut len, input.as_ptr(), input.len()) };
        check(outcome, Error::InputLength)?;
        Ok(len)
    }

    /// Decrypts a ciphertext of the modulus' length into `out` and returns the length. All failures are one.
    pub(crate) fn decrypt(&self, padding: Padding<'_>, input: &[u8], out: &mut [u8; MAX_MODULUS]) -> Result<usize, Error> {
        // SAFETY: starts an operation on a fresh context.
        let context = self.context(padding, |context| unsafe { sys::EVP_PKEY_decrypt_init(context) })?;
        let mut len = out.len();
        // SAFETY: the output's length is passed with its pointer, the input is a live slice; the context is set up.
        let outcome = unsafe { sys::EVP_PKEY_decrypt(context.as_ptr(), out.as_mut_ptr(), &mut len, input.as_ptr(), input.len()) };
        check(outcome, Error::Authentication)?;
        Ok(len)
    }

    /// An encryption context, started and given its padding.
    fn context(
        &self,
        padding: Padding<'_>,
        start: impl FnOnce(*mut sys::EVP_PKEY_CTX) -> c_int,
    ) -> Result<Owned<sys::EVP_PKEY_CTX>, Error> {
        // SAFETY: takes a reference of its own on the key (the count is atomic); the result is null or ours. No engine.
        let context = unsafe { Owned::new(sys::EVP_PKEY_CTX_new(self.key.as_ptr(), ptr::null_mut()), Error::Internal)? };
        let raw = context.as_ptr();
        check(start(raw), Error::Unsupported)?;
        match padding {
            // SAFETY: the context is valid and started.
            Padding::None => check(unsafe { sys::EVP_PKEY_CTX_set_rsa_padding(raw, sys::RSA_NO_PADDING) }, Error::Internal)?,
            // SAFETY: as above.
            Padding::Pkcs1 => check(unsafe { sys::EVP_PKEY_CTX_set_rsa_padding(raw, sys::RSA_PKCS1_PADDING) }, Error::Internal)?,
            Padding::Oaep { hash, mgf1, label } => {
                let (hash, mgf1) = (hash::message_digest(hash)?, hash::message_digest(mgf1)?);
                // SAFETY: the context is valid and started, the hashes are constants.
                unsafe {
                    check(sys::EVP_PKEY_CTX_set_rsa_padding(raw, sys::RSA_PKCS1_OAEP_PADDING), Error::Internal)?;
                    check(sys::EVP_PKEY_CTX_set_rsa_oaep_md(raw, hash), Error::Internal)?;
                    check(sys::EVP_PKEY_CTX_set_rsa_mgf1_md(raw, mgf1), Error::Internal)?;
                }
                set_label(&context, label)?;
            }
        }
        Ok(context)
    }

    /// The output cut to the modulus' length, or what is needed.
    fn room<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], Error> {
        let needed = self.size();
        out.get_mut(..needed).ok_or(Error::OutputTooSmall { needed })
    }

    fn wrap_rsa(rsa: Owned<sys::RSA>) -> Result<Self, Error> {
        // SAFETY: `EVP_PKEY_new` returns null or an object of ours, which takes a reference of its own on the RSA object.
        let key = unsafe {
            let key = Owned::new(sys::EVP_PKEY_new(), Error::Internal)?;
            check(sys::EVP_PKEY_set1_RSA(key.as_ptr(), rsa.as_ptr()), Error::Internal)?;
            key
        };
        Self::wrap(key)
    }

    /// Takes a parsed key, which must be RSA without restriction of its use (not RSASSA-PSS keys).
    fn wrap(key: Owned<sys::EVP_PKEY>) -> Result<Self, Error> {
        // SAFETY: reads a valid key; the inner pointer lives as long as the key does, which moves into the result together with it.
        let (kind, rsa) = unsafe { (sys::EVP_PKEY_id(key.as_ptr()), sys::EVP_PKEY_get0_RSA(key.as_ptr())) };
        if kind != sys::EVP_PKEY_RSA || rsa.is_null() {
            clear_errors();
            return Err(Error::Malformed);
        }
        let this = Self { key, rsa };
        if this.size() > MAX_MODULUS { Err(Error::KeySize) } else { Ok(this) }
    }
}

fn set_label(context: &Owned<sys::EVP_PKEY_CTX>, label: &[u8]) -> Result<(), Error> {
    if label.is_empty() {
        return Ok(());
    }
    // SAFETY: the label is copied into memory of the library, which the context takes over; if it refuses, the memory is freed here.
    unsafe {
        let copy = sys::OPENSSL_memdup(label.as_ptr().cast(), label.len());
        if copy.is_null() {
            clear_errors();
            return Err(Error::Internal);
        }
        let outcome = sys::EVP_PKEY_CTX_set0_rsa_oaep_label(context.as_ptr(), copy.cast(), label.len());
        if outcome != 1 {
            sys::OPENSSL_free(copy);
        }
        check(outcome, Error::Internal)
    }
}
