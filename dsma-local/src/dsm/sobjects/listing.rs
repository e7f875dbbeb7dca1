//! `GET /crypto/v1/keys`.

use dsma_api::ApiError;
use serde_json::json;
use uuid::Uuid;

use super::shown;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::store::{Order, SobjectFilter};

const DEFAULT_LIMIT: u32 = 1000;
/// Filters of the published interface that this version does not know. Ignoring one would answer with too much.
const UNKNOWN_FILTERS: &[&str] = &["filter", "creator", "pkcs11_label", "pkcs11_id", "compliant_with_policies"];

/// A bare array, or, with `with_metadata=true`, `{"metadata":{..},"items":[..]}`.
pub(crate) fn list(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let query = &call.query;
    if let Some(name) = UNKNOWN_FILTERS.iter().find(|name| query.get(name).is_some()) {
        return Err(ApiError::bad_request(format!("Query parameter {name} is not supported by this version")));
    }
    let visible: Vec<Uuid> = if caller.is_admin() {
        call.store().groups()?.into_iter().map(|group| group.group_id).collect()
    } else {
        caller.groups().collect()
    };
    let group_id = query.parsed::<Uuid>("group_id")?;
    let filter = SobjectFilter {
        groups: visible.into_iter().filter(|id| group_id.is_none_or(|wanted| wanted == *id)).collect(),
        name: query.get("name").map(str::to_owned),
        obj_type: query.get("obj_type").map(str::to_uppercase),
        metadata: query.with_prefix("custom_metadata.").map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        show_destroyed: query.flag("show_destroyed"),
        order: order(query.get("sort"))?,
        start: query.get("start").map(str::to_owned),
        limit: query.parsed("limit")?.unwrap_or(DEFAULT_LIMIT),
        offset: query.parsed("offset")?.unwrap_or(0),
    };
    let with_metadata = query.flag("with_metadata");
    let page = call.store().list_sobjects(&filter, with_metadata)?;
    let items: Vec<_> = page.sobjects.into_iter().map(shown).collect();
    if with_metadata {
        Reply::ok(&json!({"metadata": {"total_count": page.total, "filtered_count": page.filtered}, "items": items}))
    } else {
        Reply::ok(&items)
    }
}

fn order(sort: Option<&str>) -> Result<Order, ApiError> {
    match sort {
        None | Some("kid" | "kid:asc") => Ok(Order::Kid { descending: false }),
        Some("kid:desc") => Ok(Order::Kid { descending: true }),
        Some("name" | "name:asc") => Ok(Order::Name { descending: false }),
        Some("name:desc") => Ok(Order::Name { descending: true }),
        Some(_) => Err(ApiError::bad_request("Invalid sort: kid:asc, kid:desc, name:asc or name:desc")),
    }
}
