//! What is outside this product, and said so, rather than that there were no such endpoint.
//!
//! Each is 404 and no 5xx: a client must not take it for an outage.

use dsma_api::ApiError;

use super::call::Call;
use super::reply::Reply;

/// `POST /sys/v1/users/forgot_password`, `POST /sys/v1/users/{id}/reset_password`: their tokens travel by mail. Anybody may ask.
pub(super) fn no_mail(_call: &Call) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("This DSM sends no mail: who has forgotten a password is invited anew, as another user"))
}

/// Second factors, and what they are set up with.
pub(super) fn no_second_factor(call: &Call) -> Result<Reply, ApiError> {
    call.login()?;
    Err(ApiError::not_found("Second factors are outside this product: users of this DSM have passwords only"))
}

/// Roles that a directory gives.
pub(super) fn no_directory(call: &Call) -> Result<Reply, ApiError> {
    call.login()?;
    Err(ApiError::not_found("External roles are outside this product: this DSM asks no LDAP directory"))
}
