//! Permission names and memberships in requests.

use std::collections::BTreeMap;

use dsma_api::{ApiError, GroupNames, Permissions};
use uuid::Uuid;

/// Memberships by group. Ids alone stand for the classic permissions, all of them.
pub(super) fn memberships(groups: &GroupNames) -> Result<BTreeMap<Uuid, Permissions>, ApiError> {
    match groups {
        GroupNames::Ids(ids) => Ok(ids.iter().map(|id| (*id, Permissions::CLASSIC)).collect()),
        GroupNames::Permissions(by_group) => by_group.iter().map(|(id, names)| Ok((*id, permissions(names)?))).collect(),
    }
}

fn permissions(names: &[String]) -> Result<Permissions, ApiError> {
    Permissions::from_names(names.iter().map(String::as_str))
        .map_err(|name| ApiError::bad_request(format!("Unknown app permission `{name}`")))
}
