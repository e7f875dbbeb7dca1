//! Wrapping and unwrapping functions (section 5.18): key material that leaves and enters encrypted by another key.
//!
//! Secret keys are wrapped as their bytes, private keys as PKCS #8. Only a key with CKA_EXTRACTABLE leaves.

use cryptoki_sys::*;
use dsma_crypto::{AesKey, Buffers, CipherParams, Key, random};
use zeroize::Zeroizing;

use super::error::During;
use super::ffi::{Input, Mechanism, Output, Place, Room, Template};
use super::mechanisms::{self, CipherSpec, Wrapping};
use super::objects::{Draft, KeySource, LocalKey, Object, Origin};
use super::{Error, Result, in_dsm, session_table};

/// The longest wrapped key: far above an RSA-8192 key in PKCS #8.
const LONGEST: usize = 64 << 10;
/// The longest tag.
const TAG: usize = 16;

/// C_WrapKey, and C_WrapKeyAuthenticated with `associated` data.
pub(super) fn wrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    wrapping_key: CK_OBJECT_HANDLE,
    key: CK_OBJECT_HANDLE,
    associated: Option<Input<'_>>,
    mut wrapped: Output<'_>,
) -> Result {
    let session = session_table::get(session)?;
    let (wrapping, how, mut beside) =
        mechanisms::wrapping(&session, mechanism, wrapping_key, CKF_WRAP, associated.as_ref()).map_err(|error| match error {
            Error::KeyHandleInvalid => Error::WrappingKeyHandleInvalid,
            Error::KeyTypeInconsistent => Error::WrappingKeyTypeInconsistent,
            error => error,
        })?;
    let key = session.key(key)?;
    if !matches!(key.class(), CKO_SECRET_KEY | CKO_PRIVATE_KEY) {
        return Err(Error::KeyNotWrappable);
    }
    if !key.is_true(CKA_EXTRACTABLE) {
        return Err(Error::KeyUnextractable);
    }
    if wrapping.template(CKA_WRAP_TEMPLATE).is_some_and(|wanted| !key.has_all(&wanted)) {
        // So the standard says of this function; SoftHSM2 answers CKR_KEY_NOT_WRAPPABLE.
        return Err(Error::KeyHandleInvalid);
    }
    if key.is_true(CKA_WRAP_WITH_TRUSTED) && !wrapping.is_true(CKA_TRUSTED) {
        return Err(Error::KeyNotWrappable);
    }
    let tag_len = beside.tag_len()?;
    let mut room = |len: usize| wrapped.room(len.checked_sub(tag_len).ok_or(Error::GeneralError)?);
    // Where the length is known, who asks for it makes DSM do nothing.
    if let Some(len) = key.value_len()
        && let Room::Told(answer) = room(wrapped_len(&wrapping, &how, len)?)?
    {
        return answer;
    }
    if let Some(mut made) = in_dsm::wrap(&wrapping, &how, &key)? {
        // Of a private key only what DSM made tells how long it is.
        if let Room::Told(answer) = room(made.len())? {
            return answer;
        }
        beside.tell(&mut made)?;
        return wrapped.write(&made);
    }
    // RSA has room for a secret key alone.
    if let Wrapping::Cipher(spec) = &how
        && spec.hides_length()
        && wrapping.modulus_len() > 0
        && key.class() != CKO_SECRET_KEY
    {
        return Err(Error::KeyNotWrappable);
    }
    let material = material(&key)?;
    if let Room::Told(answer) = room(wrapped_len(&wrapping, &how, material.len())?)? {
        return answer;
    }
    let mut made = match &how {
        Wrapping::Cipher(spec) => seal(&wrapping, spec, &material)?,
        Wrapping::RsaAes { aes_len, oaep } => {
            // A key of its own for each wrapping, itself wrapped by RSA (section 6.4.13 of the standard).
            let mut bytes = Zeroizing::new(vec![0; *aes_len]);
            random::fill(&mut bytes).map_err(|_| Error::FunctionFailed)?;
            let mut made = seal(&wrapping, oaep, &bytes)?;
            made.extend(wrap_padded(&bytes, &material)?);
            made
        }
    };
    beside.tell(&mut made)?;
    wrapped.write(&made)
}

/// C_UnwrapKey, and C_UnwrapKeyAuthenticated with `associated` data.
pub(super) fn unwrap_key(
    session: CK_SESSION_HANDLE,
    mechanism: Mechanism<'_>,
    unwrapping_key: CK_OBJECT_HANDLE,
    wrapped: Input<'_>,
    associated: Option<Input<'_>>,
    template: &Template<'_>,
    mut key: Place<'_, CK_OBJECT_HANDLE>,
) -> Result {
    let session = session_table::get(session)?;
    let (unwrapping, how, mut beside) = mechanisms::wrapping(&session, mechanism, unwrapping_key, CKF_UNWRAP, associated.as_ref())
        .map_err(|error| match error {
            Error::KeyHandleInvalid => Error::UnwrappingKeyHandleInvalid,
            Error::KeyTypeInconsistent => Error::UnwrappingKeyTypeInconsistent,
            error => error,
        })?;
    key.check()?;
    let draft = Draft::new(&session, template, None, None, Origin::Unwrapped(&unwrapping))?;
    if !(1..=LONGEST).contains(&wrapped.len()?) {
        return Err(Error::WrappedKeyLenRange);
    }
    let whole;
    let wrapped = match beside.tag()? {
        [] => wrapped.bytes()?,
        tag => {
            whole = [wrapped.bytes()?, tag].concat();
            &whole
        }
    };
    if let Some(kind) = draft.unwrapped_by_dsm()
        && let KeySource::Dsm(by) = unwrapping.source()?
        && in_dsm::unwraps(&how)
    {
        return key.set(in_dsm::unwrap(&session, by, &how, wrapped, draft, kind)?);
    }
    let material = match &how {
        Wrapping::Cipher(spec) => open(&unwrapping, spec, wrapped)?,
        Wrapping::RsaAes { oaep, .. } => {
            let (first, second) = wrapped.split_at_checked(unwrapping.modulus_len()).ok_or(Error::WrappedKeyLenRange)?;
            let bytes = open(&unwrapping, oaep, first)?;
            unwrap_padded(&bytes, second)?
        }
    };
    // Where its length is another than the template says, this section has a code of its own.
    if draft.class() == CKO_SECRET_KEY && draft.value_len().is_some_and(|len| len != material.len()) {
        return Err(Error::WrappedKeyLenRange);
    }
    let made = match draft.class() {
        CKO_SECRET_KEY => draft.finish_secret(&session, &material),
        CKO_PRIVATE_KEY => draft.finish_private(&session, &material),
        _ => return Err(Error::TemplateInconsistent),
    };
    // What came out is no such key: wrapped by another key, or not one.
    key.set(made.map_err(|error| match error {
        Error::AttributeValueInvalid => Error::WrappedKeyInvalid,
        Error::KeySizeRange => Error::WrappedKeyLenRange,
        error => error,
    })?)
}

/// Length of the wrapped key of so many bytes.
fn wrapped_len(wrapping: &Object, how: &Wrapping, len: usize) -> Result<usize> {
    match how {
        Wrapping::Cipher(spec) => spec.encrypted_len(len).map_err(|_| Error::KeySizeRange),
        Wrapping::RsaAes { .. } => Ok(wrapping.modulus_len() + padded_wrap_len(len)),
    }
}

/// The key as it is wrapped.
fn material(key: &Object) -> Result<Zeroizing<Vec<u8>>> {
    match key.source()? {
        KeySource::Local(key) => match key.secret_bytes() {
            Some(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
            None => key.pkcs8(),
        },
        // A token key is extractable under `allow_plaintext` alone.
        KeySource::Dsm(key) => {
            let kind = key.kind.ok_or(Error::KeyHandleInvalid)?;
            let value = key.engine().value(key.kid).map_err(|error| Error::from_engine(&error, During::Wrapping))?;
            if kind.is_secret() {
                return Ok(Zeroizing::new(value.as_ref().to_vec()));
            }
            LocalKey::private(kind.key_type(), value.as_ref())?.pkcs8()
        }
    }
}

fn seal(key: &Object, spec: &CipherSpec, material: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; spec.encrypted_len(material.len()).map_err(|_| Error::KeySizeRange)?];
    let mut tag = [0; TAG];
    let tag = &mut tag[..spec.tag_len];
    let written = key.wrap(&spec.params.as_params(), Buffers::new(material, &mut out), tag).map_err(|error| match error {
        Error::DataInvalid => Error::KeyNotWrappable,
        Error::DataLenRange => Error::KeySizeRange,
        error => error,
    })?;
    out.truncate(written);
    out.extend_from_slice(tag);
    Ok(out)
}

fn open(key: &Object, spec: &CipherSpec, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let most = spec.decrypted_len(wrapped.len()).map_err(|_| Error::WrappedKeyLenRange)?;
    let (data, tag) = wrapped.split_at(wrapped.len() - spec.tag_len);
    let mut out = Zeroizing::new(vec![0; most.max(data.len())]);
    let opened = key.unwrap(&spec.params.as_params(), Buffers::new(data, &mut out), tag);
    let len = opened.map_err(|error| match error {
        Error::EncryptedDataInvalid | Error::DataInvalid => Error::WrappedKeyInvalid,
        Error::EncryptedDataLenRange | Error::DataLenRange => Error::WrappedKeyLenRange,
        error => error,
    })?;
    out.truncate(len);
    Ok(out)
}

/// AES-KWP adds at most a unit of padding and one of integrity check (RFC 5649).
const fn padded_wrap_len(len: usize) -> usize {
    len.next_multiple_of(8) + 8
}

fn wrap_padded(key: &[u8], material: &[u8]) -> Result<Vec<u8>> {
    let key = Key::Aes(AesKey::from_bytes(key).map_err(|_| Error::KeySizeRange)?);
    let mut out = vec![0; padded_wrap_len(material.len())];
    key.encrypt(&CipherParams::AesKwp, Buffers::new(material, &mut out), &mut [])
        .map_err(|error| Error::from_crypto(error, During::Wrapping))?;
    Ok(out)
}

fn unwrap_padded(key: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let key = Key::Aes(AesKey::from_bytes(key).map_err(|_| Error::WrappedKeyInvalid)?);
    let mut out = Zeroizing::new(vec![0; wrapped.len()]);
    let opened = key.decrypt(&CipherParams::AesKwp, Buffers::new(wrapped, &mut out), &[]);
    out.truncate(opened.map_err(|_| Error::WrappedKeyInvalid)?);
    Ok(out)
}
