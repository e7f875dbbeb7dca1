//! `/sys/v1/plugins`: outside this product, and said so.

use dsma_api::ApiError;
use serde_json::json;

use super::call::Call;
use super::reply::Reply;

/// `GET /sys/v1/plugins`: there are none. No refusal, for the published command line asks before it shows the audit log.
pub(super) fn list(call: &Call) -> Result<Reply, ApiError> {
    call.login()?;
    Reply::ok(&json!([]))
}

/// Every other plugin endpoint. 404 and no 5xx: a client must not take this for an outage.
pub(super) fn none(call: &Call) -> Result<Reply, ApiError> {
    call.login()?;
    Err(ApiError::not_found("Plugins are outside this product: this DSM keeps and runs none"))
}
