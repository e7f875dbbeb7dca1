//! `POST /crypto/v1/keys/batch/*`: many operations of one kind. Each item is answered on its own; the whole is always 200.

use dsma_api::{
    ApiError, BatchItem, BatchReply, DecryptRequest, EncryptRequest, MacRequest, SignRequest, SobjectDescriptor, VerifyMacRequest,
    VerifyRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cipher::{decrypt_one, encrypt_one};
use super::mac::{mac_one, mac_verify_one};
use super::signature::{sign_one, verify_one};
use crate::dsm::authentication::Caller;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;

/// `POST /crypto/v1/keys/batch/encrypt`.
pub(crate) fn batch_encrypt(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, item: BatchItem<EncryptRequest>| encrypt_one(call, caller, &SobjectDescriptor::Kid(item.kid), &item.request))
}

/// `POST /crypto/v1/keys/batch/decrypt`.
pub(crate) fn batch_decrypt(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, item: BatchItem<DecryptRequest>| decrypt_one(call, caller, &SobjectDescriptor::Kid(item.kid), &item.request))
}

/// `POST /crypto/v1/keys/batch/sign`.
pub(crate) fn batch_sign(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, mut item: SignRequest| {
        let key = item.key.take().ok_or_else(no_key)?;
        sign_one(call, caller, &key, &item)
    })
}

/// `POST /crypto/v1/keys/batch/verify`.
pub(crate) fn batch_verify(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, mut item: VerifyRequest| {
        let key = item.key.take().ok_or_else(no_key)?;
        verify_one(call, caller, &key, &item)
    })
}

/// `POST /crypto/v1/keys/batch/mac`.
pub(crate) fn batch_mac(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, mut item: MacRequest| {
        let key = item.key.take().ok_or_else(no_key)?;
        mac_one(call, caller, &key, &item)
    })
}

/// `POST /crypto/v1/keys/batch/macverify`.
pub(crate) fn batch_mac_verify(call: &Call) -> Result<Reply, ApiError> {
    each(call, |caller, mut item: VerifyMacRequest| {
        let key = item.key.take().ok_or_else(no_key)?;
        mac_verify_one(call, caller, &key, &item)
    })
}

fn each<T: DeserializeOwned, R: Serialize>(call: &Call, run: impl Fn(&Caller, T) -> Result<R, ApiError>) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let replies = call.json_items()?.into_iter().map(|item| {
        let item = serde_json::from_value(item).map_err(|error| ApiError::bad_request(format!("Invalid request body: {error}")));
        match item.and_then(|item| run(&caller, item)) {
            Ok(body) => BatchReply { status: 200, body: Some(body), error: None },
            Err(error) => BatchReply { status: error.status, body: None, error: Some(error.message.into_owned()) },
        }
    });
    Reply::ok(&replies.collect::<Vec<_>>())
}

fn no_key() -> ApiError {
    ApiError::bad_request("Missing field `key`")
}
