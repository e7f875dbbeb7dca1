//! Key pairs that DSM makes.

use cryptoki_sys::CK_OBJECT_HANDLE;

use super::super::dsm::Part;
use super::super::key::LocalKey;
use super::super::stored::{self, Shown};
use super::super::{KeyKind, undo};
use super::Draft;
use crate::pkcs11::sessions::Session;
use crate::pkcs11::{Error, Result};

/// A key pair whose private key is to be a token object.
pub(in crate::pkcs11) struct NewPair<'o> {
    pub(in crate::pkcs11) public: Draft<'o>,
    pub(in crate::pkcs11) private: Draft<'o>,
    pub(in crate::pkcs11) kind: KeyKind,
    /// RSA: bits of the modulus and the public exponent.
    pub(in crate::pkcs11) rsa: Option<(u32, u32)>,
}

/// Has DSM make a key pair and returns the handles of the public and the private key. A public key that is not to be a token object
/// becomes a session object.
///
/// # Errors
/// As [`Draft::generate_in_dsm`].
pub(in crate::pkcs11) fn generate_in_dsm(session: &Session, pair: NewPair<'_>) -> Result<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
    let mut request = stored::of_kind(pair.kind, None)?;
    if let (Some(rsa), Some((bits, exponent))) = (&mut request.rsa, pair.rsa) {
        (rsa.key_size, rsa.public_exponent) = (Some(bits), Some(exponent));
        request.key_size = Some(bits);
    }
    let private = pair.private.completed(session, pair.kind)?;
    let shown = Shown { part: Part::Private, attributes: &private };
    if pair.public.is_token() {
        let public = pair.public.completed(session, pair.kind)?;
        let handles = stored::generate(session, request, pair.kind, &[shown, Shown { part: Part::Public, attributes: &public }])?;
        return match handles[..] {
            [private, public] => Ok((public, private)),
            _ => Err(Error::GeneralError),
        };
    }
    let (private, spki) = stored::generate_private(session, request, pair.kind, shown)?;
    let key = LocalKey::public(pair.kind.key_type(), &spki);
    let public = key.and_then(|key| pair.public.finish_with(session, Some(key)));
    // A pair is made whole or not at all.
    Ok((public.inspect_err(|_| undo(session, private))?, private))
}
