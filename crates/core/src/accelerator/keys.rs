//! Keys that DSM makes from other keys, and material that goes through DSM because the key that works on it stays there.
//!
//! A new sobject never leaves DSM. Bytes that shall come here are those of a transient key, which DSM seals for our session and does not
//! keep: it is exported at once, where DSM's policies let such a key be exported. Fortanix's own sq-dsm takes an agreed secret this way.

use std::cell::RefCell;
use std::sync::Arc;

use dsma_api::{
    AgreeKeyMechanism, AgreeKeyRequest, Blob, DecapsulateKeyRequest, DeriveKeyMechanism, DeriveKeyRequest, EllipticCurve,
    EncapsulateKeyRequest, Hkdf, KeyFormat, KeyOperation, ObjectType, SecretBlob, Sobject, SobjectDescriptor, SobjectRequest,
    UnwrapKeyRequest, WrapKeyRequest,
};
use dsma_crypto::digest::Hash;
use dsma_crypto::{CipherParams, Curve};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::forward::{Cipher, wire_hash};
use super::{Accelerator, EXPORT, Peer};
use crate::{Error, KeyRef};

const WRAP: &str = "crypto/v1/wrapkey";

/// How a key comes from another one.
#[derive(Clone, Copy)]
pub enum KeyFrom<'a> {
    /// The end of the secret that it has in common with this public key (ECDH, X25519).
    Agreement(&'a Peer),
    /// HKDF (RFC 5869), both steps.
    #[expect(missing_docs, reason = "the RFC's names")]
    Hkdf { hash: Hash, salt: &'a [u8], info: &'a [u8] },
    /// The beginning of the secret in an encapsulation (ML-KEM).
    Decapsulation(&'a [u8]),
    /// Key material that was encrypted by it.
    #[expect(missing_docs, reason = "as in a decryption")]
    Unwrapping { params: &'a CipherParams<'a>, wrapped: &'a [u8], tag: &'a [u8] },
    /// Key material in AES-KWP under an AES key that it has encrypted itself (CKM_RSA_AES_KEY_WRAP).
    #[expect(missing_docs, reason = "its two parts")]
    UnwrappingTwice { oaep: &'a CipherParams<'a>, aes_key: &'a [u8], wrapped: &'a [u8] },
}

impl Accelerator {
    /// Has DSM make a key as `request` says, whose `obj_type` is its type; the name as in [`Accelerator::generate`].
    ///
    /// # Errors
    /// DSM's refusal, [`Error::Unreachable`], or [`Error::Unsupported`] for parameters that DSM does not have.
    pub fn make_from(&self, key: &KeyRef, from: KeyFrom<'_>, request: SobjectRequest) -> Result<Arc<Sobject>, Error> {
        let key = SobjectDescriptor::from(key);
        self.add(request, |request| self.ask_for(&key, from, request.clone()))
    }

    /// Has DSM make a fresh secret for the owner of an ML-KEM key, keep it as `request` says, and tell its encapsulation, which has
    /// `ciphertext_len` bytes.
    ///
    /// # Errors
    /// DSM's refusal, [`Error::Unreachable`], or [`Error::BadReply`] for an encapsulation of another length; its secret is deleted.
    pub fn encapsulate_in_dsm(
        &self,
        key: &KeyRef,
        request: SobjectRequest,
        ciphertext_len: usize,
    ) -> Result<(Arc<Sobject>, Vec<u8>), Error> {
        let ciphertext = RefCell::default();
        let made = self.add(request, |request| {
            let (key_type, request) = typed(request.clone());
            let reply = self.counted().dsm.encapsulate(&EncapsulateKeyRequest { key: key.into(), key_type, request })?;
            ciphertext.replace(reply.ciphertext.0);
            Ok(reply.key)
        })?;
        let ciphertext: Vec<u8> = ciphertext.into_inner();
        // After the kid was found to be of a new sobject: nothing else is deleted on the word of such a reply.
        if let Err(bad) = self.0.checked_len("crypto/v1/encapsulate", "ciphertext", ciphertext.len() == ciphertext_len) {
            if let Some(Err(error)) = made.kid.map(|kid| self.delete(kid)) {
                tracing::warn!(%error, "a secret stays in DSM whose encapsulation is none");
            }
            return Err(bad);
        }
        Ok((made, ciphertext))
    }

    /// The bytes of such a key: `request` has its type and, but for unwrapping, its size.
    ///
    /// # Errors
    /// As [`Accelerator::make_from`].
    pub fn reveal_from(&self, key: &KeyRef, from: KeyFrom<'_>, request: SobjectRequest) -> Result<SecretBlob, Error> {
        let made = self.ask_for(&key.into(), from, transient(KeyOperation::Export, request))?;
        let exported = self.0.dsm.export_transient(&self.handle(made)?)?;
        exported.value.ok_or_else(|| self.0.dsm.bad_reply(EXPORT, "`value` is missing"))
    }

    /// Has DSM encrypt key material that is here by a key that stays there.
    pub(super) fn wrap_in_dsm(&self, key: &KeyRef, params: &CipherParams<'_>, material: &[u8], tag_len: usize) -> Result<Wrapped, Error> {
        let value = Some(SecretBlob::from(material.to_vec()));
        let secret = SobjectRequest { obj_type: Some(ObjectType::Secret), value, ..SobjectRequest::default() };
        let subject = self.counted().dsm.import(&transient(KeyOperation::Export, secret))?;
        let subject = SobjectDescriptor::TransientKey(self.handle(subject)?);
        let wrapped = self.wrap_subject(key, params, subject, KeyFormat::Default, tag_len)?;
        let len = params.encrypted_len(material.len());
        self.0.checked_len(WRAP, "wrapped_key", len.map_or(!wrapped.data.is_empty(), |len| wrapped.data.len() == len))?;
        Ok(wrapped)
    }

    /// Has DSM encrypt one of its keys by another; private keys as PKCS #8. Returns the tag after the ciphertext.
    ///
    /// # Errors
    /// As [`Accelerator::make_from`].
    pub fn wrap_sobject(&self, key: &KeyRef, params: &CipherParams<'_>, subject: Uuid, tag_len: usize) -> Result<Vec<u8>, Error> {
        let described = self.0.dsm.info(&KeyRef::Kid(subject), self.0.config.retry_timeout)?;
        let format = if matches!(described.obj_type, ObjectType::Rsa | ObjectType::Ec) { KeyFormat::Pkcs8 } else { KeyFormat::Default };
        let Wrapped { mut data, tag } = self.wrap_subject(key, params, SobjectDescriptor::Kid(subject), format, tag_len)?;
        // An encoding's length is not known; it has one.
        let len = described.key_size.filter(|_| format == KeyFormat::Default && is_raw(described.obj_type));
        let len = len.and_then(|bits| params.encrypted_len(usize::try_from(bits).ok()?.div_ceil(8)));
        self.0.checked_len(WRAP, "wrapped_key", len.map_or(!data.is_empty(), |len| data.len() == len))?;
        data.extend(tag);
        Ok(data)
    }

    fn wrap_subject(
        &self,
        key: &KeyRef,
        params: &CipherParams<'_>,
        subject: SobjectDescriptor,
        format: KeyFormat,
        tag_len: usize,
    ) -> Result<Wrapped, Error> {
        let Cipher { alg, mode, iv, ad, .. } = wrapping(params)?;
        let given = iv.clone();
        let reply = self.counted().dsm.wrap_key(&WrapKeyRequest {
            key: Some(key.into()),
            subject: Some(subject),
            kid: None,
            alg,
            mode: Some(mode),
            iv,
            ad,
            tag_len: (tag_len != 0).then_some(8 * tag_len),
            key_format: Some(format),
        })?;
        if reply.iv.is_some_and(|used| Some(used.0) != given.map(|iv| iv.0)) {
            return Err(self.0.dsm.bad_reply(WRAP, "`iv` is another than was given"));
        }
        let tag = reply.tag.unwrap_or_default().0;
        self.0.checked_len(WRAP, "tag", tag.len() == tag_len)?;
        Ok(Wrapped { data: reply.wrapped_key.0, tag })
    }

    fn ask_for(&self, key: &SobjectDescriptor, from: KeyFrom<'_>, request: SobjectRequest) -> Result<Sobject, Error> {
        match from {
            KeyFrom::Agreement(peer) => {
                let public = self.0.dsm.import(&transient(KeyOperation::AgreeKey, peer.request()))?;
                let (private_key, public_key) = (key.clone(), SobjectDescriptor::TransientKey(self.handle(public)?));
                let ((key_type, request), mechanism) = (typed(request), AgreeKeyMechanism::DiffieHellman);
                self.counted().dsm.agree(&AgreeKeyRequest { private_key, public_key, mechanism, key_type, request })
            }
            KeyFrom::Hkdf { hash, salt, info } => {
                let hkdf = Hkdf { hash_alg: wire_hash(hash), info: Some(Blob::from(info)), salt: Some(Blob::from(salt)) };
                let mechanism = DeriveKeyMechanism { hkdf: Some(hkdf), ..DeriveKeyMechanism::default() };
                let (key_type, request) = typed(request);
                self.counted().dsm.derive(&DeriveKeyRequest { key: Some(key.clone()), key_type, mechanism, request })
            }
            KeyFrom::Decapsulation(ciphertext) => {
                let (key_type, request) = typed(request);
                let ciphertext = Blob::from(ciphertext);
                self.counted().dsm.decapsulate(&DecapsulateKeyRequest { key: key.clone(), ciphertext, key_type, request })
            }
            KeyFrom::Unwrapping { params, wrapped, tag } => self.unwrap_key(key, params, wrapped, tag, request),
            KeyFrom::UnwrappingTwice { oaep, aes_key, wrapped } => {
                let aes = SobjectRequest { obj_type: Some(ObjectType::Aes), ..SobjectRequest::default() };
                let aes = self.unwrap_key(key, oaep, aes_key, &[], transient(KeyOperation::UnwrapKey, aes))?;
                let aes = SobjectDescriptor::TransientKey(self.handle(aes)?);
                self.unwrap_key(&aes, &CipherParams::AesKwp, wrapped, &[], request)
            }
        }
    }

    fn unwrap_key(
        &self,
        key: &SobjectDescriptor,
        params: &CipherParams<'_>,
        wrapped: &[u8],
        tag: &[u8],
        request: SobjectRequest,
    ) -> Result<Sobject, Error> {
        let Cipher { alg, mode, iv, ad, .. } = wrapping(params)?;
        self.counted().dsm.unwrap_key(&UnwrapKeyRequest {
            key: Some(key.clone()),
            alg,
            wrapped_key: Blob::from(wrapped),
            mode: Some(mode),
            iv,
            ad,
            tag: (!tag.is_empty()).then(|| Blob::from(tag)),
            request,
        })
    }

    fn handle(&self, made: Sobject) -> Result<String, Error> {
        made.transient_key.ok_or_else(|| self.0.dsm.bad_reply("crypto/v1", "`transient_key` of a new transient key is missing"))
    }
}

/// Whether a key of this type is wrapped as its bytes are.
const fn is_raw(obj_type: ObjectType) -> bool {
    matches!(obj_type, ObjectType::Aes | ObjectType::Hmac)
}

/// What wrapping gives.
pub(super) struct Wrapped {
    pub(super) data: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl Peer {
    fn request(&self) -> SobjectRequest {
        let (curve, spki) = match self {
            Self::Ec(key) => (
                match key.curve() {
                    Curve::P256 => EllipticCurve::NistP256,
                    Curve::P384 => EllipticCurve::NistP384,
                    Curve::P521 => EllipticCurve::NistP521,
                    Curve::K256 => EllipticCurve::SecP256K1,
                },
                key.to_spki_der(),
            ),
            Self::X25519(key) => (EllipticCurve::X25519, key.to_spki_der()),
        };
        let (obj_type, value) = (Some(ObjectType::Ec), Some(SecretBlob(Zeroizing::new(spki))));
        SobjectRequest { obj_type, elliptic_curve: Some(curve), value, ..SobjectRequest::default() }
    }
}

/// DSM's requests for keys from keys name the type apart.
fn typed(request: SobjectRequest) -> (ObjectType, SobjectRequest) {
    (request.obj_type.unwrap_or(ObjectType::Secret), SobjectRequest { obj_type: None, ..request })
}

fn transient(may: KeyOperation, request: SobjectRequest) -> SobjectRequest {
    SobjectRequest { transient: Some(true), key_ops: Some(vec![may.name().to_owned()]), ..request }
}

/// Whether DSM wraps and unwraps keys so.
#[must_use]
pub fn dsm_wraps(params: &CipherParams<'_>) -> bool {
    wrapping(params).is_ok()
}

/// DSM's wrapping has no field for a label.
fn wrapping(params: &CipherParams<'_>) -> Result<Cipher, Error> {
    let cipher = Cipher::new(params)?;
    match cipher.label {
        None => Ok(cipher),
        Some(_) => Err(Error::Unsupported { what: "wrapping in OAEP with a label by a key that stays in DSM" }),
    }
}
