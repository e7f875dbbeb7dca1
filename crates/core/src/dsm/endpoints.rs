//! The endpoints that the engine itself calls.

use std::collections::HashSet;
use std::time::Duration;

use dsma_api::{
    AgreeKeyRequest, DecapsulateKeyRequest, DecryptFinalRequest, DecryptFinalResponse, DecryptInitRequest, DecryptInitResponse,
    DecryptRequest, DecryptResponse, DecryptUpdateRequest, DecryptUpdateResponse, DeriveKeyRequest, EncapsulateKeyRequest,
    EncapsulateKeyResponse, EncryptFinalRequest, EncryptFinalResponse, EncryptInitRequest, EncryptInitResponse, EncryptRequest,
    EncryptResponse, EncryptUpdateRequest, EncryptUpdateResponse, MacRequest, MacResponse, SignRequest, SignResponse, Sobject,
    SobjectDescriptor, SobjectRequest, UnwrapKeyRequest, VerifyMacRequest, VerifyRequest, VerifyResponse, WrapKeyRequest, WrapKeyResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Dsm, Repeat};
use crate::{Error, KeyRef};

/// DSM's own limit on one page.
const PAGE: usize = 1000;

const LISTING: &str = "/crypto/v1/keys";
/// The most that a whole listing may be, in bytes of JSON: a million sobjects. One that never ends is none.
const LONGEST_LISTING: usize = 1 << 30;

/// The pages of a listing that were read. Each begins after the last kid of the one before: what is deleted meanwhile moves nothing.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) sobjects: Vec<Sobject>,
    seen: HashSet<Uuid>,
    last: Option<Uuid>,
    bytes: usize,
}

impl Dsm {
    /// `POST /crypto/v1/keys/info`: the sobject without its `value`.
    pub(crate) fn info(&self, key: &KeyRef, within: Duration) -> Result<Sobject, Error> {
        self.call("POST", "/crypto/v1/keys/info", Some(&SobjectDescriptor::from(key)), within)
    }

    /// `POST /crypto/v1/keys`: a new key, made in DSM.
    pub(crate) fn generate(&self, request: &SobjectRequest) -> Result<Sobject, Error> {
        self.make_sobject("POST", "/crypto/v1/keys", request, request)
    }

    /// `PUT /crypto/v1/keys`: a new sobject of this value.
    pub(crate) fn import(&self, request: &SobjectRequest) -> Result<Sobject, Error> {
        self.make_sobject("PUT", "/crypto/v1/keys", request, request)
    }

    /// `PATCH /crypto/v1/keys/{kid}`.
    pub(crate) fn update(&self, kid: Uuid, request: &SobjectRequest) -> Result<Sobject, Error> {
        self.call("PATCH", &format!("/crypto/v1/keys/{kid}"), Some(request), self.retry_timeout)
    }

    /// `DELETE /crypto/v1/keys/{kid}`.
    pub(crate) fn delete(&self, kid: Uuid) -> Result<(), Error> {
        self.call("DELETE", &format!("/crypto/v1/keys/{kid}"), None::<&()>, self.retry_timeout)
    }

    /// The next page of `GET /crypto/v1/keys`, with lattice keys, and with the values of certificates and opaque objects, which are no
    /// secrets. True where it was the last one.
    pub(crate) fn list(&self, pages: &mut Pages, within: Duration) -> Result<bool, Error> {
        let start = pages.last.map(|last| format!("&start={last}")).unwrap_or_default();
        let path = format!("{LISTING}?limit={PAGE}{start}&sort=kid:asc&show_newer_types=true&show_value=true");
        let reply = self.request_within("GET", &path, None::<&()>, within, Repeat::Always)?;
        pages.bytes += reply.body.len();
        if pages.bytes > LONGEST_LISTING {
            return Err(self.bad_reply(LISTING, "a listing without end"));
        }
        let page: Vec<Sobject> = self.parse(LISTING, &reply)?;
        let (length, before) = (page.len(), pages.sobjects.len());
        pages.sobjects.extend(page.into_iter().filter(|sobject| sobject.kid.is_some_and(|kid| pages.seen.insert(kid))));
        pages.last = pages.sobjects.last().and_then(|last| last.kid);
        match length {
            PAGE.. if pages.sobjects.len() == before => {
                Err(self.bad_reply(LISTING, "a page of a listing that shows what the one before showed"))
            }
            length => Ok(length < PAGE),
        }
    }

    pub(crate) fn encrypt(&self, request: &EncryptRequest) -> Result<EncryptResponse, Error> {
        self.forward("encrypt", request.key.as_ref(), request)
    }

    pub(crate) fn decrypt(&self, request: &DecryptRequest) -> Result<DecryptResponse, Error> {
        self.forward("decrypt", request.key.as_ref(), request)
    }

    pub(crate) fn encrypt_init(&self, request: &EncryptInitRequest) -> Result<EncryptInitResponse, Error> {
        self.forward("encrypt/init", request.key.as_ref(), request)
    }

    pub(crate) fn encrypt_update(&self, request: &EncryptUpdateRequest) -> Result<EncryptUpdateResponse, Error> {
        self.forward_once("encrypt/update", request.key.as_ref(), request)
    }

    pub(crate) fn encrypt_final(&self, request: &EncryptFinalRequest) -> Result<EncryptFinalResponse, Error> {
        self.forward_once("encrypt/final", request.key.as_ref(), request)
    }

    pub(crate) fn decrypt_init(&self, request: &DecryptInitRequest) -> Result<DecryptInitResponse, Error> {
        self.forward("decrypt/init", request.key.as_ref(), request)
    }

    pub(crate) fn decrypt_update(&self, request: &DecryptUpdateRequest) -> Result<DecryptUpdateResponse, Error> {
        self.forward_once("decrypt/update", request.key.as_ref(), request)
    }

    pub(crate) fn decrypt_final(&self, request: &DecryptFinalRequest) -> Result<DecryptFinalResponse, Error> {
        self.forward_once("decrypt/final", request.key.as_ref(), request)
    }

    pub(crate) fn sign(&self, request: &SignRequest) -> Result<SignResponse, Error> {
        self.forward("sign", request.key.as_ref(), request)
    }

    pub(crate) fn verify(&self, request: &VerifyRequest) -> Result<VerifyResponse, Error> {
        self.forward("verify", request.key.as_ref(), request)
    }

    pub(crate) fn mac(&self, request: &MacRequest) -> Result<MacResponse, Error> {
        self.forward("mac", request.key.as_ref(), request)
    }

    pub(crate) fn verify_mac(&self, request: &VerifyMacRequest) -> Result<VerifyResponse, Error> {
        self.forward("macverify", request.key.as_ref(), request)
    }

    pub(crate) fn agree(&self, request: &AgreeKeyRequest) -> Result<Sobject, Error> {
        self.forward_making("agree", Some(&request.private_key), request, &request.request)
    }

    pub(crate) fn derive(&self, request: &DeriveKeyRequest) -> Result<Sobject, Error> {
        self.forward_making("derive", request.key.as_ref(), request, &request.request)
    }

    pub(crate) fn encapsulate(&self, request: &EncapsulateKeyRequest) -> Result<EncapsulateKeyResponse, Error> {
        self.forward_making("encapsulate", Some(&request.key), request, &request.request)
    }

    pub(crate) fn decapsulate(&self, request: &DecapsulateKeyRequest) -> Result<Sobject, Error> {
        self.forward_making("decapsulate", Some(&request.key), request, &request.request)
    }

    pub(crate) fn wrap_key(&self, request: &WrapKeyRequest) -> Result<WrapKeyResponse, Error> {
        self.forward("wrapkey", request.key.as_ref(), request)
    }

    pub(crate) fn unwrap_key(&self, request: &UnwrapKeyRequest) -> Result<Sobject, Error> {
        self.forward_making("unwrapkey", request.key.as_ref(), request, &request.request)
    }

    /// `POST /crypto/v1/keys/export` of a key that DSM does not keep.
    pub(crate) fn export_transient(&self, transient_key: &str) -> Result<Sobject, Error> {
        self.forward("keys/export", None, &SobjectDescriptor::TransientKey(transient_key.to_owned()))
    }

    fn forward<T: DeserializeOwned>(&self, operation: &str, key: Option<&SobjectDescriptor>, request: &impl Serialize) -> Result<T, Error> {
        self.explain(key, self.call("POST", &format!("/crypto/v1/{operation}"), Some(request), self.retry_timeout))
    }

    /// The same for a step that leads to another state: it is not sent again once it may have been done.
    fn forward_once<T: DeserializeOwned>(
        &self,
        operation: &str,
        key: Option<&SobjectDescriptor>,
        request: &impl Serialize,
    ) -> Result<T, Error> {
        self.explain(key, self.make("POST", &format!("/crypto/v1/{operation}"), request, self.retry_timeout))
    }

    /// The same for an operation that makes a sobject, as `made` says.
    fn forward_making<T: DeserializeOwned>(
        &self,
        operation: &str,
        key: Option<&SobjectDescriptor>,
        request: &impl Serialize,
        made: &SobjectRequest,
    ) -> Result<T, Error> {
        self.explain(key, self.make_sobject("POST", &format!("/crypto/v1/{operation}"), request, made))
    }

    /// DSM keeps nothing of a transient key, so that may be made twice.
    fn make_sobject<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        request: &impl Serialize,
        made: &SobjectRequest,
    ) -> Result<T, Error> {
        match made.transient {
            Some(true) => self.call(method, path, Some(request), self.retry_timeout),
            _ => self.make(method, path, request, self.retry_timeout),
        }
    }

    fn explain<T>(&self, key: Option<&SobjectDescriptor>, answer: Result<T, Error>) -> Result<T, Error> {
        answer.map_err(|error| match key {
            Some(SobjectDescriptor::Kid(kid)) => self.explained(*kid, error),
            _ => error,
        })
    }
}

impl From<&KeyRef> for SobjectDescriptor {
    fn from(key: &KeyRef) -> Self {
        match key {
            KeyRef::Kid(kid) => Self::Kid(*kid),
            KeyRef::Name(name) => Self::Name(name.clone()),
        }
    }
}
