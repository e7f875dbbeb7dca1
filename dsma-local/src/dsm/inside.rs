//! Requests from this very process: the command line asks the interface that clients ask, without a listener.

use std::sync::Arc;

use dsma_api::ApiError;
use serde_json::Value;

use super::Dsm;
use super::call::Call;
use super::system::NO_ENDPOINT;

impl Dsm {
    /// Answers one request, as for the app of this API key, with the status and the document.
    ///
    /// # Errors
    /// The refusal that a client would read.
    pub(crate) fn ask(self: &Arc<Self>, api_key: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let call = Call::inside(Arc::clone(self), api_key, path, body);
        let handler = self.endpoints.find(method, call.path()).ok_or_else(|| ApiError::not_found(NO_ENDPOINT))?;
        handler(&call).map(|reply| reply.into_parts().1)
    }
}
