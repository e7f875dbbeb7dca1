//! Elliptic-curve keys and ECDSA.

use std::ffi::{c_int, c_uint};
use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::owned::Owned;
use super::{check, clear_errors, der, holds};
use crate::{Curve, Error};

/// Longest DER-encoded signature: two numbers of 66 bytes (P-521) with their headers.
pub(crate) const MAX_SIGNATURE: usize = 141;

/// A key on one of the four curves, private or public.
pub(crate) struct EcKey {
    key: Owned<sys::EC_KEY>,
    curve: Curve,
}

// SAFETY: the object is not bound to a thread. ec_key.h: it may be used concurrently by non-mutating functions, those that take a const
// pointer, which is all that is called after `wrap`.
unsafe impl Send for EcKey {}
// SAFETY: as above.
unsafe impl Sync for EcKey {}

impl EcKey {
    /// From PKCS#8 or SEC1 (with its curve named inside).
    pub(crate) fn from_private_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        let pkcs8 = der::parse(encoded, |cbs| unsafe { sys::EVP_parse_private_key(cbs) });
        match pkcs8 {
            Ok(key) => Self::unwrap_pkey(&key),
            // SAFETY: as above; a null group means that the encoding names its curve.
            Err(_) => Self::wrap(der::parse(encoded, |cbs| unsafe { sys::EC_KEY_parse_private_key(cbs, ptr::null()) })?),
        }
    }

    /// From SubjectPublicKeyInfo.
    pub(crate) fn from_spki_der(encoded: &[u8]) -> Result<Self, Error> {
        // SAFETY: `parse` hands a valid reader over for the length of the call.
        let key = der::parse(encoded, |cbs| unsafe { sys::EVP_parse_public_key(cbs) })?;
        Self::unwrap_pkey(&key)
    }

    /// A new key pair.
    pub(crate) fn generate(curve: Curve) -> Result<Self, Error> {
        // SAFETY: the constructor returns null or a key of ours, which the generator fills.
        let key = unsafe {
            let key = Owned::new(sys::EC_KEY_new_by_curve_name(nid(curve)), Error::Internal)?;
            check(sys::EC_KEY_generate_key(key.as_ptr()), Error::Internal)?;
            key
        };
        Self::wrap(key)
    }

    /// The public half as a key of its own.
    pub(crate) fn to_public(&self) -> Result<Self, Error> {
        // SAFETY: the point belongs to this key and is copied into the new one, which is ours.
        let key = unsafe {
            let key = Owned::new(sys::EC_KEY_new_by_curve_name(nid(self.curve)), Error::Internal)?;
            check(sys::EC_KEY_set_public_key(key.as_ptr(), sys::EC_KEY_get0_public_key(self.key.as_ptr())), Error::Internal)?;
            key
        };
        Ok(Self { key, curve: self.curve })
    }

    /// SEC1's ECPrivateKey with the curve's name and the public key.
    pub(crate) fn to_sec1_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // SAFETY: the builder is valid during the call, the key is only read; no flag leaves anything out.
        der::marshal(|cbb| unsafe { sys::EC_KEY_marshal_private_key(cbb, self.key.as_ptr(), 0) })
    }

    /// SubjectPublicKeyInfo with an uncompressed point.
    pub(crate) fn to_spki_der(&self) -> Result<Vec<u8>, Error> {
        let key = self.general()?;
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_public_key(cbb, key.as_ptr()) }).map(|mut der| std::mem::take(&mut *der))
    }

    /// PKCS#8 with the public key inside.
    pub(crate) fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = self.general()?;
        // SAFETY: the builder is valid during the call, the key is only read.
        der::marshal(|cbb| unsafe { sys::EVP_marshal_private_key(cbb, key.as_ptr()) })
    }

    /// The public point, uncompressed: 0x04, x, y.
    pub(crate) fn point(&self) -> Result<Vec<u8>, Error> {
        let mut point = vec![0; 1 + 2 * self.curve.coordinate_len()];
        let form = sys::point_conversion_form_t::POINT_CONVERSION_UNCOMPRESSED;
        // SAFETY: group and point belong to the key; the output's length is passed with its pointer. No scratch context is needed.
        let len = unsafe {
            let (group, public) = (sys::EC_KEY_get0_group(self.key.as_ptr()), sys::EC_KEY_get0_public_key(self.key.as_ptr()));
            sys::EC_POINT_point2oct(group, public, form, point.as_mut_ptr(), point.len(), ptr::null_mut())
        };
        if len != point.len() {
            clear_errors();
            return Err(Error::Internal);
        }
        Ok(point)
    }

    /// The private number, as long as a coordinate.
    pub(crate) fn scalar(&self, out: &mut [u8]) -> Result<(), Error> {
        // SAFETY: reads a valid key; the number, where there is one, belongs to it. The output's length is passed with its pointer.
        unsafe {
            let scalar = sys::EC_KEY_get0_private_key(self.key.as_ptr());
            if scalar.is_null() {
                return Err(Error::Unsupported);
            }
            check(sys::BN_bn2bin_padded(out.as_mut_ptr(), out.len(), scalar), Error::Internal)
        }
    }

    pub(crate) fn curve(&self) -> Curve {
        self.curve
    }

    /// Signs a digest and returns the length of the DER encoding.
    pub(crate) fn sign_der(&self, digest: &[u8], out: &mut [u8; MAX_SIGNATURE]) -> Result<usize, Error> {
        let mut len: c_uint = 0;
        // SAFETY: the output holds the longest signature of any of our curves; the digest is a live slice.
        let outcome = unsafe { sys::ECDSA_sign(0, digest.as_ptr(), digest.len(), out.as_mut_ptr(), &mut len, self.key.as_ptr()) };
        check(outcome, Error::Internal)?;
        Ok(len as usize)
    }

    /// Signs a digest; `r` and `s` have the curve's length each.
    pub(crate) fn sign_fixed(&self, digest: &[u8], r: &mut [u8], s: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the digest is a live slice; the signature is null or ours.
        let signature = unsafe { Owned::new(sys::ECDSA_do_sign(digest.as_ptr(), digest.len(), self.key.as_ptr()), Error::Internal)? };
        let (mut r_number, mut s_number) = (ptr::null(), ptr::null());
        // SAFETY: the numbers belong to the signature, which lives to the end; each slice's length is passed with its pointer.
        unsafe {
            sys::ECDSA_SIG_get0(signature.as_ptr(), &mut r_number, &mut s_number);
            check(sys::BN_bn2bin_padded(r.as_mut_ptr(), r.len(), r_number), Error::Internal)?;
            check(sys::BN_bn2bin_padded(s.as_mut_ptr(), s.len(), s_number), Error::Internal)
        }
    }

    pub(crate) fn verify_der(&self, digest: &[u8], signature: &[u8]) -> bool {
        // SAFETY: both are live slices and only read.
        let outcome =
            unsafe { sys::ECDSA_verify(0, digest.as_ptr(), digest.len(), signature.as_ptr(), signature.len(), self.key.as_ptr()) };
        holds(outcome)
    }

    pub(crate) fn verify_fixed(&self, digest: &[u8], r: &[u8], s: &[u8]) -> Result<bool, Error> {
        let (r, s) = (der::number_from_bytes(r)?, der::number_from_bytes(s)?);
        // SAFETY: the signature is null or ours, and takes both numbers over, which it can refuse only if one is null.
        let signature = unsafe {
            let signature = Owned::new(sys::ECDSA_SIG_new(), Error::Internal)?;
            check(sys::ECDSA_SIG_set0(signature.as_ptr(), r.into_raw(), s.into_raw()), Error::Internal)?;
            signature
        };
        // SAFETY: the digest is a live slice; all is only read.
        Ok(holds(unsafe { sys::ECDSA_do_verify(digest.as_ptr(), digest.len(), signature.as_ptr(), self.key.as_ptr()) }))
    }

    /// The x-coordinate of this private key times the other's point, `secret` being as long as a coordinate.
    pub(crate) fn agree(&self, peer: &Self, secret: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the peer's point belongs to its key, which outlives the call; the output's length is passed with its pointer; no KDF. Both
        // keys are only read.
        let len = unsafe {
            let point = sys::EC_KEY_get0_public_key(peer.key.as_ptr());
            sys::ECDH_compute_key(secret.as_mut_ptr().cast(), secret.len(), point, self.key.as_ptr(), None)
        };
        let whole = usize::try_from(len).is_ok_and(|len| len == secret.len());
        check(c_int::from(whole), Error::Malformed)
    }

    /// The key in the library's general form.
    fn general(&self) -> Result<Owned<sys::EVP_PKEY>, Error> {
        // SAFETY: the new object is null or ours and takes a reference of its own on the key (the count is atomic).
        unsafe {
            let key = Owned::new(sys::EVP_PKEY_new(), Error::Internal)?;
            check(sys::EVP_PKEY_set1_EC_KEY(key.as_ptr(), self.key.as_ptr()), Error::Internal)?;
            Ok(key)
        }
    }

    fn unwrap_pkey(key: &Owned<sys::EVP_PKEY>) -> Result<Self, Error> {
        // SAFETY: reads a valid key; the result is null (not an EC key) or a reference of our own.
        Self::wrap(unsafe { Owned::new(sys::EVP_PKEY_get1_EC_KEY(key.as_ptr()), Error::Malformed)? })
    }

    /// Takes a key with a public point on one of our curves.
    fn wrap(key: Owned<sys::EC_KEY>) -> Result<Self, Error> {
        // SAFETY: reads a valid key; a parsed or generated one has a group.
        let (curve, public) = unsafe {
            let group = sys::EC_KEY_get0_group(key.as_ptr());
            (sys::EC_GROUP_get_curve_name(group), sys::EC_KEY_get0_public_key(key.as_ptr()))
        };
        if public.is_null() {
            return Err(Error::Malformed);
        }
        let curve = [Curve::P256, Curve::P384, Curve::P521, Curve::K256].into_iter().find(|known| nid(*known) == curve);
        Ok(Self { key, curve: curve.ok_or(Error::Unsupported)? })
    }
}

/// The library's number of a curve.
fn nid(curve: Curve) -> c_int {
    match curve {
        Curve::P256 => sys::NID_X9_62_prime256v1,
        Curve::P384 => sys::NID_secp384r1,
        Curve::P521 => sys::NID_secp521r1,
        Curve::K256 => sys::NID_secp256k1,
    }
}
