//! An ECDSA signature from one encoding into the other.

use std::ptr;

use aws_lc_sys as sys;
use zeroize::Zeroizing;

use super::owned::Owned;
use super::{check, der};
use crate::{Curve, Error};

/// From `SEQUENCE { r, s }` to r and s side by side, each as long as the curve's order.
pub(crate) fn to_fixed(curve: Curve, signature: &[u8]) -> Result<Vec<u8>, Error> {
    // SAFETY: `parse` hands a valid reader over for the length of the call.
    let parsed = der::parse(signature, |cbs| unsafe { sys::ECDSA_SIG_parse(cbs) })?;
    let number = curve.coordinate_len();
    let mut fixed = vec![0; 2 * number];
    let (r, s) = fixed.split_at_mut(number);
    let (mut r_number, mut s_number) = (ptr::null(), ptr::null());
    // SAFETY: the numbers belong to the signature, which lives to the end; each slice's length is passed with its pointer.
    unsafe {
        sys::ECDSA_SIG_get0(parsed.as_ptr(), &mut r_number, &mut s_number);
        check(sys::BN_bn2bin_padded(r.as_mut_ptr(), number, r_number), Error::Malformed)?;
        check(sys::BN_bn2bin_padded(s.as_mut_ptr(), number, s_number), Error::Malformed)?;
    }
    Ok(fixed)
}

/// From r and s side by side to `SEQUENCE { r, s }`.
pub(crate) fn to_der(curve: Curve, signature: &[u8]) -> Result<Vec<u8>, Error> {
    if signature.len() != 2 * curve.coordinate_len() {
        return Err(Error::InputLength);
    }
    let (r, s) = signature.split_at(curve.coordinate_len());
    let (r, s) = (der::number_from_bytes(r)?, der::number_from_bytes(s)?);
    // SAFETY: the signature is null or ours, and takes both numbers over, which it can refuse only if one is null.
    let joined = unsafe {
        let joined = Owned::new(sys::ECDSA_SIG_new(), Error::Internal)?;
        check(sys::ECDSA_SIG_set0(joined.as_ptr(), r.into_raw(), s.into_raw()), Error::Internal)?;
        joined
    };
    // SAFETY: the builder is valid during the call; the signature is only read.
    let der: Zeroizing<Vec<u8>> = der::marshal(|cbb| unsafe { sys::ECDSA_SIG_marshal(cbb, joined.as_ptr()) })?;
    Ok(der.to_vec())
}
