//! Lists: a search, an order, a page, and the numbers that tell where it stands.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::call::Call;
use super::refusal::{Code, Refusal};
use crate::http::reply::Reply;

/// Items of a page where the request names no number.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The page of `items` that the query asks for. `search` names the members that `all_search` looks in.
pub(crate) fn page(call: &Call, items: Vec<Value>, search: &[&str]) -> Result<Reply, Refusal> {
    let limit = call.parameter::<usize>("limit")?.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let offset = call.parameter::<usize>("offset")?.unwrap_or(0);
    let total = items.len();
    let mut kept: Vec<Value> = match call.query.get("all_search") {
        Some(text) => items.into_iter().filter(|item| search.iter().any(|path| contains(at(item, path), text))).collect(),
        None => items,
    };
    if let Some(keys) = call.query.get("sort_by") {
        sort(&mut kept, keys)?;
    }
    let filtered = kept.len();
    let items: Vec<Value> = kept.into_iter().skip(offset).take(limit).collect();
    let metadata = json!({
        "page": offset / limit + 1,
        "pages": filtered.div_ceil(limit),
        "limit": limit,
        "total_count": total,
        "filtered_count": filtered,
    });
    Reply::ok(&json!({ "metadata": metadata, "items": items }))
}

/// Keeps the items whose member contains the text of a query parameter, in any letter case, where there is such a parameter.
pub(crate) fn search(call: &Call, parameter: &str, path: &str, items: &mut Vec<Value>) {
    if let Some(text) = call.query.get(parameter) {
        items.retain(|item| contains(at(item, path), text));
    }
}

/// Keeps the items whose member is the value of a query parameter, where there is such a parameter.
pub(crate) fn only(call: &Call, parameter: &str, path: &str, items: &mut Vec<Value>) {
    if let Some(wanted) = call.query.get(parameter) {
        items.retain(|item| at(item, path).as_str() == Some(wanted));
    }
}

/// A member, by a path with dots.
pub(crate) fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(item, |value, name| &value[name])
}

fn contains(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|value| value.to_lowercase().contains(&text.to_lowercase()))
}

/// `key1:ASC,key2:DESC`.
fn sort(items: &mut [Value], keys: &str) -> Result<(), Refusal> {
    let invalid = || Refusal::new(Code::InvalidQueryParameter, "Invalid sort_by: key1:ASC,key2:DESC is expected");
    let keys: Vec<(&str, bool)> = keys
        .split(',')
        .map(|key| match key.trim().split_once(':') {
            None => Ok((key.trim(), false)),
            Some((key, "ASC")) => Ok((key, false)),
            Some((key, "DESC")) => Ok((key, true)),
            Some(_) => Err(invalid()),
        })
        .collect::<Result<_, _>>()?;
    items.sort_by(|left, right| {
        let each = keys.iter().map(|(key, descending)| {
            let order = compare(at(left, key), at(right, key));
            if *descending { order.reverse() } else { order }
        });
        each.fold(Ordering::Equal, Ordering::then)
    });
    Ok(())
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_str().cmp(&right.as_str()),
    }
}
