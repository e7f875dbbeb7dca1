//! `/sys/v1/plugins`: outside this product, and said so.

use dsma_api::ApiError;

use super::call::Call;
use super::reply::Reply;

/// Every plugin endpoint. 404 and no 5xx: a client must not take this for an outage.
pub(super) fn none(call: &Call) -> Result<Reply, ApiError> {
    call.login()?;
    Err(ApiError::not_found("Plugins are outside this product: this DSM keeps and runs none"))
}
