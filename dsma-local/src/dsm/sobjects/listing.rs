//! `GET /crypto/v1/keys`.
//!
//! Published clients of the classic interface cannot read newer types (ML-DSA, ML-KEM) and newer key operations: one such sobject fails
//! their whole listing. So these types are listed for a client that shows that it knows them: it asks for one by `obj_type`, it sends a
//! `filter` expression (newer than the classic interface), or it says `show_newer_types=true`, an addition of ours.

use dsma_api::{ApiError, SecretBlob, Sobject, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{material, policies, shown};
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::store::{Condition, Order, Page, SobjectFilter, compile};

const DEFAULT_LIMIT: u32 = 1000;
/// The document names no limit of what may be asked for; one answer is one piece of memory.
const MAX_LIMIT: u32 = 10_000;

/// A bare array, or, with `with_metadata=true`, `{"metadata":{..},"items":[..]}`.
pub(crate) fn list(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let query = &call.query;
    let group_id = query.parsed::<Uuid>("group_id")?;
    let groups = match group_id {
        Some(group_id) => Some(caller.permissions(group_id).map(|_| group_id).into_iter().collect()),
        None => (!caller.sees_all()).then(|| caller.groups().collect()),
    };
    let hidden = caller.gate.hidden()?;
    let groups: Option<Vec<Uuid>> = match groups {
        None if !hidden.is_empty() => Some(call.store().groups()?.into_iter().map(|group| group.group_id).collect()),
        groups => groups,
    };
    let groups = groups.map(|groups| groups.into_iter().filter(|group_id| !hidden.contains(group_id)).collect());
    let show_value = query.flag("show_value");
    let filter = SobjectFilter {
        groups,
        conditions: conditions(call)?,
        order: order(query.get("sort"))?,
        start: query.get("start").map(str::to_owned),
        limit: limit(query.parsed("limit")?)?,
        offset: query.parsed("offset")?.unwrap_or(0),
        with_material: show_value,
    };
    let with_metadata = query.flag("with_metadata");
    let page = call.store().list_sobjects(&filter, with_metadata)?;
    let page = if query.flag("compliant_with_policies") { compliant(call, filter, page)? } else { page };
    let items = page.rows.into_iter().map(|row| {
        let value = if show_value && material::is_public(row.sobject.obj_type) { call.store().material(&row)? } else { None };
        Ok(Sobject { value: value.map(SecretBlob), ..shown(row.sobject) })
    });
    let items: Vec<Sobject> = items.collect::<Result<_, ApiError>>()?;
    if with_metadata {
        Reply::ok(&json!({"metadata": {"total_count": page.total, "filtered_count": page.filtered}, "items": items}))
    } else {
        Reply::ok(&items)
    }
}

/// The page with sobjects in the place of those that do not comply with their groups' policies, as far as there are others.
fn compliant(call: &Call, mut filter: SobjectFilter, mut page: Page) -> Result<Page, ApiError> {
    let (limit, mut kept) = (filter.limit as usize, Vec::new());
    loop {
        let full = page.rows.len() >= filter.limit as usize;
        // From there on, and by whole pages however few are asked for: each page is a search of its own.
        filter.start = page.rows.last().map(|row| filter.order.place(row));
        (filter.offset, filter.limit) = (0, DEFAULT_LIMIT);
        for row in page.rows {
            if kept.len() < limit && policies::complies(call.store(), row.group_id, &row.sobject)? {
                kept.push(row);
            }
        }
        if !full || kept.len() >= limit {
            return Ok(Page { rows: kept, ..page });
        }
        page = Page { rows: call.store().list_sobjects(&filter, false)?.rows, ..page };
    }
}

fn limit(asked: Option<u32>) -> Result<u32, ApiError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit if limit <= MAX_LIMIT => Ok(limit),
        _ => Err(ApiError::bad_request(format!("Invalid limit: at most {MAX_LIMIT}; go on with `start` or `offset`"))),
    }
}

fn conditions(call: &Call) -> Result<Vec<Condition>, ApiError> {
    let query = &call.query;
    let mut conditions = Vec::new();
    if let Some(name) = query.get("name") {
        conditions.push(Condition::name(name));
    }
    if let Some(obj_type) = query.get("obj_type") {
        conditions.push(Condition::obj_type(&obj_type.to_uppercase()));
    } else if query.get("filter").is_none() && !query.flag("show_newer_types") {
        conditions.push(Condition::classic());
    }
    if let Some(creator) = query.parsed("creator")? {
        conditions.push(Condition::creator(creator));
    }
    conditions.extend(query.with_prefix("custom_metadata.").map(|(key, value)| Condition::metadata(key, value)));
    if let Some(label) = query.get("pkcs11_label") {
        conditions.push(Condition::pkcs11_label(call.store().acct_id(), label));
    }
    if let Some(id) = query.get("pkcs11_id") {
        // A client that does not encode the plus of base64 means no space.
        conditions.push(Condition::metadata("pkcs11_id", &id.replace(' ', "+")));
    }
    if !query.flag("show_destroyed") && !query.flag("show_deleted") {
        conditions.push(Condition::not_destroyed());
    }
    if let Some(filter) = query.get("filter") {
        let invalid = |problem: String| ApiError::bad_request(format!("Invalid filter: {problem}"));
        let expression: Value = serde_json::from_str(filter).map_err(|error| invalid(error.to_string()))?;
        conditions.push(compile(&expression, Time::now()).map_err(invalid)?);
    }
    Ok(conditions)
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
