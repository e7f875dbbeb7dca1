//! Pages of listings that fit in memory: accounts, users, groups, apps. Order, start, offset and limit, or a token to go on with.
//!
//! Source: `AppSort`, `GroupSort`, `UserSort`, `AccountSort` and `CollectionMetadata` of the OpenAPI.

use base64_simd::URL_SAFE_NO_PAD;
use dsma_api::{ApiError, Time};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::reply::Reply;
use crate::http::query::Query;
use crate::store::{Condition, Fields, compile_for};

/// How a listing's parameters are called.
pub(super) struct Names {
    sort: &'static str,
    by_id: &'static str,
    /// Empty where it is not sorted by name.
    by_name: &'static str,
    after_id: &'static str,
    after_name: &'static str,
    default_by_name: bool,
    default_limit: usize,
}

pub(super) const APPS: Names = Names {
    sort: "sort",
    by_id: "app_id",
    by_name: "app_name",
    after_id: "start",
    after_name: "start",
    default_by_name: false,
    default_limit: 1001,
};
pub(super) const GROUPS: Names = Names {
    sort: "sort_by",
    by_id: "group_id",
    by_name: "group_name",
    after_id: "previous_id",
    after_name: "previous_sort_value",
    default_by_name: true,
    default_limit: usize::MAX,
};
pub(super) const USERS: Names =
    Names { sort: "sort", by_id: "user_id", by_name: "", after_id: "start", after_name: "", default_by_name: false, default_limit: 1000 };
pub(super) const ACCOUNTS: Names = Names {
    sort: "sort_by",
    by_id: "acct_id",
    by_name: "",
    after_id: "previous_id",
    after_name: "",
    default_by_name: false,
    default_limit: usize::MAX,
};

/// What a request asks for.
pub(super) struct Paging {
    by_name: bool,
    descending: bool,
    after: Option<String>,
    offset: usize,
    limit: usize,
    /// Whether the answer carries metadata: the parameter is there, if only empty.
    with_token: bool,
}

impl Paging {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for an order or a token that this listing does not know.
    pub(super) fn read(query: &Query, names: &Names) -> Result<Self, ApiError> {
        let invalid = || {
            let by_name = if names.by_name.is_empty() { String::new() } else { format!(", {}", names.by_name) };
            ApiError::bad_request(format!("Invalid {}: {}{by_name}, each with :asc or :desc, are possible", names.sort, names.by_id))
        };
        let (by_name, descending) = match query.get(names.sort) {
            None => (names.default_by_name || query.get(names.after_name).is_some() && names.after_name != names.after_id, false),
            Some(sort) => {
                let (field, order) = sort.split_once(':').unwrap_or((sort, "asc"));
                let by_name = field == names.by_name && !field.is_empty();
                if !by_name && field != names.by_id || !matches!(order, "asc" | "desc") {
                    return Err(invalid());
                }
                (by_name, order == "desc")
            }
        };
        let after = query.get(if by_name { names.after_name } else { names.after_id });
        let mut paging = Self {
            by_name,
            descending,
            after: after.map(str::to_owned),
            offset: query.parsed("offset")?.unwrap_or(0),
            limit: query.parsed("limit")?.unwrap_or(names.default_limit),
            with_token: query.with_prefix("continuation_token").any(|(rest, _)| rest.is_empty()),
        };
        if let Some(token) = query.get("continuation_token") {
            let known = read_token(token).ok_or_else(|| ApiError::bad_request("Invalid continuation_token: none that DSM gave"))?;
            (paging.by_name, paging.descending, paging.after) = (known.0, known.1, Some(known.2));
        }
        Ok(paging)
    }

    /// The page, as the answer to the request. `key` is an item's id and name, each unique.
    pub(super) fn cut<T: Serialize>(self, items: Vec<T>, key: impl Fn(&T) -> (Uuid, &str)) -> Result<Reply, ApiError> {
        let by = |item: &T| {
            let (id, name) = key(item);
            if self.by_name { name.to_owned() } else { id.to_string() }
        };
        let mut keyed: Vec<(String, T)> = items.into_iter().map(|item| (by(&item), item)).collect();
        keyed.sort_by(|(one, _), (other, _)| if self.descending { other.cmp(one) } else { one.cmp(other) });
        let count = keyed.len();
        if let Some(after) = &self.after {
            keyed.retain(|(key, _)| if self.descending { key < after } else { key > after });
        }
        let left = keyed.len().saturating_sub(self.offset);
        let page: Vec<(String, T)> = keyed.into_iter().skip(self.offset).take(self.limit).collect();
        let next = page.last().filter(|_| left > page.len()).map(|(key, _)| self.token(key));
        let items: Vec<T> = page.into_iter().map(|(_, item)| item).collect();
        if !self.with_token {
            return Reply::ok(&items);
        }
        let mut metadata = json!({"count": count, "count_accuracy": {"$type": "Exact"}});
        if let Some(next) = next {
            metadata["continuation_token"] = next.into();
        }
        Reply::ok(&json!({"items": items, "metadata": metadata}))
    }

    fn token(&self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode_to_string(json!([self.by_name, self.descending, last]).to_string())
    }
}

/// The `filter` expression of a listing, where there is one.
///
/// # Errors
/// 400 that says what is wrong with it.
pub(super) fn filter(query: &Query, fields: Fields) -> Result<Option<Condition>, ApiError> {
    let invalid = |problem: String| ApiError::bad_request(format!("Invalid filter: {problem}"));
    let Some(text) = query.get("filter") else {
        return Ok(None);
    };
    let expression: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    compile_for(&expression, Time::now(), fields).map(Some).map_err(invalid)
}

fn read_token(token: &str) -> Option<(bool, bool, String)> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Value {
        let names = ["c", "a", "b", "d"];
        let items: Vec<(Uuid, &str)> = (1..).map(Uuid::from_u128).zip(names).collect();
        let paging = Paging::read(&Query::parse(query), &APPS).unwrap();
        paging.cut(items, |item| (item.0, item.1)).unwrap().into_parts().1
    }

    fn names(page: &Value) -> String {
        page.as_array().unwrap().iter().map(|item| item[1].as_str().unwrap()).collect()
    }

    #[test]
    fn orders_starts_and_limits() {
        for (query, expected) in [
            ("", "cabd"),
            ("sort=app_id:desc", "dbac"),
            ("sort=app_name:asc", "abcd"),
            ("sort=app_name:desc&limit=2", "dc"),
            ("sort=app_name:asc&start=b", "cd"),
            ("sort=app_name:desc&start=b", "a"),
            ("start=00000000-0000-0000-0000-000000000003", "d"),
            ("offset=1&limit=2", "ab"),
            ("offset=9", ""),
            ("limit=0", ""),
        ] {
            assert_eq!(names(&page(query)), expected, "{query}");
        }
        for bad in ["sort=colour:asc", "sort=app_id:up", "continuation_token=x", "limit=-1"] {
            assert_eq!(Paging::read(&Query::parse(bad), &APPS).err().unwrap().status, 400, "{bad}");
        }
    }

    #[test]
    fn tokens_lead_through_everything_once() {
        let mut query = "continuation_token=&limit=3&sort=app_name:desc".to_owned();
        let mut all = String::new();
        for _ in 0..4 {
            let page = page(&query);
            assert_eq!(page["metadata"]["count"], 4);
            all += &names(&page["items"]);
            match page["metadata"]["continuation_token"].as_str() {
                Some(token) => query = format!("limit=1&continuation_token={token}"),
                None => break,
            }
        }
        assert_eq!(all, "dcba");
    }
}
