//! `GET /sys/v1/logs`: the audit log.

use dsma_api::{ApiError, AuditLog, AuditRecord};
use serde::Serialize;
use uuid::Uuid;

use super::call::Call;
use super::reply::Reply;
use crate::store::{AuditFilter, Visible, line_number};

/// The most lines of one answer, and the default.
const MAX_SIZE: u32 = 1000;

/// Lines, newest first: all of the account for an app with role admin, else the caller's own acts and those in its groups.
pub(super) fn query(call: &Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let query = &call.query;
    let size = query.parsed("size")?.unwrap_or(MAX_SIZE);
    if size > MAX_SIZE {
        return Err(ApiError::bad_request(format!("Invalid size: at most {MAX_SIZE}")));
    }
    let text = |key| query.get(key).map(str::to_owned);
    let filter = AuditFilter {
        size,
        from: query.parsed("from")?.unwrap_or(0),
        previous_id: query.parsed::<Uuid>("previous_id")?.map(line_number),
        range_from: query.parsed("range_from")?,
        range_to: query.parsed("range_to")?,
        action_type: text("action_type"),
        actor_type: text("actor_type"),
        actor_id: query.parsed("actor_id")?,
        object_id: query.parsed("object_id")?,
        severity: text("severity"),
        visible: (!caller.sees_all()).then(|| Visible { actor_id: caller.id(), groups: caller.groups().collect() }),
    };
    Reply::ok(&Lines::from(call.store().audit_log(&filter)?))
}

/// [`AuditLog`] with the members that the vendor's command line reads without asking whether they are there.
#[derive(Serialize)]
struct Lines {
    hits: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    source: Source,
}

#[derive(Serialize)]
struct Source {
    #[serde(flatten)]
    record: AuditRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<Option<String>>,
    response_time: Option<u64>,
}

impl From<AuditLog> for Lines {
    fn from(log: AuditLog) -> Self {
        let line = |hit: dsma_api::AuditHit| {
            // `flatten` writes an address that is known; a null must come from here.
            let client_ip = hit.source.client_ip.is_none().then_some(None);
            Line { id: hit.id, source: Source { record: hit.source, client_ip, response_time: None } }
        };
        Self { hits: log.hits.into_iter().map(line).collect() }
    }
}
