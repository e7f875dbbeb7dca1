//! Health, version, and what is no endpoint.

use dsma_api::{ApiError, VersionResponse};

use super::call::Call;
use super::reply::Reply;

/// 404.
pub(super) const NO_ENDPOINT: &str = "No such endpoint";

/// `GET /sys/v1/health`, for anybody: 204 while the store answers.
pub(super) fn health(call: &Call) -> Result<Reply, ApiError> {
    call.store().groups()?;
    Ok(Reply::nothing())
}

/// `GET /sys/v1/version`, for anybody. The version is that of the DSM whose interface this is: clients demand a minimum.
pub(super) fn version(_: &Call) -> Result<Reply, ApiError> {
    Reply::ok(&VersionResponse {
        version: "5.8.0".into(),
        api_version: concat!("v1-dsma-local-", env!("CARGO_PKG_VERSION")).into(),
        server_mode: "Software".into(),
    })
}

/// A path that this version does not serve.
pub(super) fn no_endpoint(call: &Call) -> Result<Reply, ApiError> {
    // What a client makes of an endpoint that ends with a slash.
    if call.path().starts_with("//") {
        return Err(ApiError::not_found("No such endpoint: the API endpoint that the client is configured with must not end with a slash"));
    }
    Err(ApiError::not_found(NO_ENDPOINT))
}

/// A path that it serves for another method.
pub(super) fn no_method(_: &Call) -> Result<Reply, ApiError> {
    Err(ApiError::new(405, "This method is not allowed here"))
}
