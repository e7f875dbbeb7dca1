//! Deterministic ECDSA (RFC 6979, FIPS 186-5, 6.3.2), which aws-lc does not have: RustCrypto's curves, in constant time as well.

use ecdsa::EcdsaCurve;
use ecdsa::elliptic_curve::ops::Invert;
use ecdsa::elliptic_curve::subtle::CtOption;
use ecdsa::elliptic_curve::{CurveArithmetic, NonZeroScalar, Scalar};
use ecdsa::hazmat::sign_prehashed_rfc6979;
use sha2::digest::Digest;
use sha2::digest::block_api::BlockSizeUser;

use crate::digest::Hash;
use crate::{Curve, Error};

/// Signs a digest of `hash`, which also drives the choice of the nonce, and returns r and s side by side. `scalar` is the private key, as
/// long as a coordinate. On secp256k1 s is the lower of the two that hold, as that curve's users want it.
///
/// # Errors
/// [`Error::Unsupported`] for a hash other than SHA-1 and SHA-2.
pub(crate) fn sign(curve: Curve, scalar: &[u8], hash: Hash, digest: &[u8]) -> Result<Vec<u8>, Error> {
    match curve {
        Curve::P256 => with_curve::<p256::NistP256>(scalar, hash, digest),
        Curve::P384 => with_curve::<p384::NistP384>(scalar, hash, digest),
        Curve::P521 => with_curve::<p521::NistP521>(scalar, hash, digest),
        Curve::K256 => with_curve::<k256::Secp256k1>(scalar, hash, digest),
    }
}

fn with_curve<C>(scalar: &[u8], hash: Hash, digest: &[u8]) -> Result<Vec<u8>, Error>
where
    C: EcdsaCurve + CurveArithmetic,
    Scalar<C>: Invert<Output = CtOption<Scalar<C>>>,
{
    let scalar = NonZeroScalar::<C>::try_from(scalar).map_err(|_| Error::Malformed)?;
    match hash {
        Hash::Sha1 => Ok(with_hash::<C, sha1::Sha1>(&scalar, digest)),
        Hash::Sha224 => Ok(with_hash::<C, sha2::Sha224>(&scalar, digest)),
        Hash::Sha256 => Ok(with_hash::<C, sha2::Sha256>(&scalar, digest)),
        Hash::Sha384 => Ok(with_hash::<C, sha2::Sha384>(&scalar, digest)),
        Hash::Sha512 => Ok(with_hash::<C, sha2::Sha512>(&scalar, digest)),
        _ => Err(Error::Unsupported),
    }
}

fn with_hash<C, D>(scalar: &NonZeroScalar<C>, digest: &[u8]) -> Vec<u8>
where
    C: EcdsaCurve + CurveArithmetic,
    D: Digest + BlockSizeUser,
{
    sign_prehashed_rfc6979::<C, D>(scalar, digest, &[]).0.to_bytes().to_vec()
}
