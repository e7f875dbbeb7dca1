//! Keys made from keys within DSM: neither the one nor the other is ever here.
//!
//! A chapter comes here where its key is a sobject and DSM can do all of it; what must pass through this process goes through
//! [`super::key_use`].

use std::sync::Arc;

use cryptoki_sys::*;
use dsma_api::{Operation, Sobject, SobjectRequest};
use dsma_core::{Accelerator, Error as Engine, KeyFrom, dsm_wraps};

use super::error::During;
use super::mechanisms::{CipherSpec, Wrapping};
use super::objects::{Draft, DsmObject, KeyKind, KeySource, Object, Part};
use super::sessions::Session;
use super::{Error, Result};

/// A token key of so many bytes.
pub(super) fn derive(session: &Session, base: &Object, from: KeyFrom<'_>, draft: Draft<'_>, len: usize) -> Result<CK_OBJECT_HANDLE> {
    let KeySource::Dsm(base) = base.source()? else { return Err(Error::GeneralError) };
    draft.derive_in_dsm(session, len, |engine, request| ask(engine, base, from, request, During::Deriving))
}

/// Whether DSM does all of it: with this key, for a token key of so many bytes.
pub(super) fn does(key: &Object, draft: &Draft<'_>, len: usize) -> Result<bool> {
    Ok(matches!(key.source()?, KeySource::Dsm(_)) && draft.is_derived_by_dsm(len))
}

/// A fresh token key of so many bytes for the owner of the key, and its encapsulation.
pub(super) fn encapsulate(session: &Session, public: &Object, draft: Draft<'_>, len: usize) -> Result<(CK_OBJECT_HANDLE, Vec<u8>)> {
    let (KeySource::Dsm(public), Some(KeyKind::MlKem(set))) = (public.source()?, public.kind()) else { return Err(Error::GeneralError) };
    let mut ciphertext = Vec::new();
    let key = draft.derive_in_dsm(session, len, |engine, request| {
        let made = engine.encapsulate_in_dsm(&public.key_ref(), request, set.ciphertext_len());
        let (made, encapsulated) = made.map_err(|error| Error::from_engine(&error, During::Deriving))?;
        ciphertext = encapsulated;
        Ok(made)
    })?;
    Ok((key, ciphertext))
}

/// A key of DSM as another one wraps it, where that one stays there; `None` elsewhere.
pub(super) fn wrap(wrapping: &Object, how: &Wrapping, subject: &Object) -> Result<Option<Vec<u8>>> {
    let (KeySource::Dsm(by), KeySource::Dsm(subject), Wrapping::Cipher(spec)) = (wrapping.source()?, subject.source()?, how) else {
        return Ok(None);
    };
    let (engine, key, params) = (by.engine(), by.key_ref(), spec.params.as_params());
    let refused = |error: Engine| match Error::from_engine(&error, During::Wrapping) {
        Error::DataInvalid | Error::DataLenRange => Error::KeyNotWrappable,
        error => error,
    };
    if by.part != Part::Secret || !engine.stays_in_dsm(&key, Operation::WrapKey, &params).map_err(refused)? {
        return Ok(None);
    }
    engine.wrap_sobject(&key, &params, subject.kid, spec.tag_len).map(Some).map_err(refused)
}

/// Whether DSM unwraps so.
pub(super) fn unwraps(how: &Wrapping) -> bool {
    match how {
        Wrapping::Cipher(spec) | Wrapping::RsaAes { oaep: spec, .. } => dsm_wraps(&spec.params.as_params()),
    }
}

/// A token key of wrapped material.
pub(super) fn unwrap(
    session: &Session,
    by: &DsmObject,
    how: &Wrapping,
    wrapped: &[u8],
    draft: Draft<'_>,
    kind: KeyKind,
) -> Result<CK_OBJECT_HANDLE> {
    let (first, rest) = match how {
        Wrapping::Cipher(spec) => wrapped.split_at_checked(wrapped.len() - spec.tag_len.min(wrapped.len())),
        Wrapping::RsaAes { .. } => wrapped.split_at_checked(by.modulus_len()),
    }
    .ok_or(Error::WrappedKeyLenRange)?;
    let (params, len) = match how {
        Wrapping::Cipher(spec) => (spec.params.as_params(), material_len(spec, wrapped.len())?),
        Wrapping::RsaAes { oaep, .. } => (oaep.params.as_params(), material_len(&CipherSpec::key_wrap_padded(), rest.len())?),
    };
    let from = match how {
        Wrapping::Cipher(_) => KeyFrom::Unwrapping { params: &params, wrapped: first, tag: rest },
        Wrapping::RsaAes { .. } => KeyFrom::UnwrappingTwice { oaep: &params, aes_key: first, wrapped: rest },
    };
    draft.unwrap_in_dsm(session, kind, len, |engine, request| {
        ask(engine, by, from, request, During::Unwrapping).map_err(|error| match error {
            Error::EncryptedDataInvalid => Error::WrappedKeyInvalid,
            Error::EncryptedDataLenRange => Error::WrappedKeyLenRange,
            error => error,
        })
    })
}

fn ask(engine: &Accelerator, key: &DsmObject, from: KeyFrom<'_>, request: SobjectRequest, during: During) -> Result<Arc<Sobject>> {
    engine.make_from(&key.key_ref(), from, request).map_err(|error| Error::from_engine(&error, during))
}

/// Length of the material; `None` where padding hides it.
fn material_len(spec: &CipherSpec, wrapped_len: usize) -> Result<Option<usize>> {
    let longest = spec.decrypted_len(wrapped_len).map_err(|_| Error::WrappedKeyLenRange)?;
    Ok((!spec.hides_length()).then_some(longest))
}
