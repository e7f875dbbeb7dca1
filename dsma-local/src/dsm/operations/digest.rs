//! `POST /crypto/v1/digest`: no key, but a caller.

use dsma_api::{ApiError, Blob, DigestRequest, DigestResponse};

use super::modes::hash;
use crate::dsm::call::Call;
use crate::dsm::reply::Reply;

/// `POST /crypto/v1/digest`.
pub(crate) fn digest(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    let request: DigestRequest = call.json()?;
    let digest = hash(request.alg).digest(request.data.as_ref());
    Reply::ok(&DigestResponse { digest: Blob(digest.as_ref().to_vec()) })
}
