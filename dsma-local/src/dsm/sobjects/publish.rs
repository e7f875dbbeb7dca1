//! `GET /crypto/v1/pubkey/{acct_id}/{name}`: public keys that anybody may read.

use std::collections::BTreeMap;

use dsma_api::{ApiError, Blob, KeyFacts, PublishPublicKey, SobjectDescriptor, SobjectState, Time, text};
use uuid::Uuid;

use crate::dsm::call::Call;
use crate::dsm::query::decode_path;
use crate::dsm::reply::Reply;
use crate::store::SobjectRow;

/// A map from names to public keys: the key's own, and that of the version before it where the key says so.
pub(crate) fn public_key(call: &Call) -> Result<Reply, ApiError> {
    let unknown = || ApiError::not_found(text::NO_SOBJECT);
    let mut segments = call.path().splitn(6, '/').skip(4);
    let acct_id = segments.next().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(unknown)?;
    let name = decode_path(segments.next().unwrap_or_default());
    let store = call.dsm.store.in_account(acct_id);
    let row = store.sobject(&SobjectDescriptor::Name(name))?.ok_or_else(unknown)?;
    let Some(PublishPublicKey::Enabled { list_previous_version }) = row.sobject.publish_public_key else {
        return Err(unknown());
    };
    let mut keys: BTreeMap<String, Blob> = entry(&row).into_iter().collect();
    if keys.is_empty() {
        return Err(unknown());
    }
    let previous = row.sobject.links.as_ref().and_then(|links| links.replaced).filter(|_| list_previous_version);
    if let Some(previous) = previous.map(|kid| store.sobject(&SobjectDescriptor::Kid(kid))).transpose()?.flatten() {
        keys.extend(entry(&previous));
    }
    Reply::ok(&keys)
}

/// Nothing of a key that is compromised or gone.
fn entry(row: &SobjectRow) -> Option<(String, Blob)> {
    let state = KeyFacts::from(&row.sobject).state_at(Time::now());
    if matches!(state, SobjectState::Compromised | SobjectState::Destroyed | SobjectState::Deleted) {
        return None;
    }
    Some((row.sobject.name.clone()?, row.sobject.pub_key.clone()?))
}
