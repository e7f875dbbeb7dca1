//! Bodies of `/batch/v1`: requests of any kind, carried by one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `POST /batch/v1`: one request, or a list of such bodies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BatchRequest {
    /// A list.
    Batch(BatchRequestList),
    /// One request.
    SingleItem(BatchRequestItem),
}

/// A list of requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchRequestList {
    /// What a failure means for those after it.
    pub batch_execution_type: BatchExecutionType,
    /// The requests.
    pub items: Vec<BatchRequest>,
}

/// What a failure means for the requests after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchExecutionType {
    /// In order; after a failure the others are skipped.
    Serial,
    /// Each on its own.
    Unordered,
}

/// A request within a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchRequestItem {
    /// The HTTP method.
    pub method: String,
    /// The path, with its query.
    pub operation: String,
    /// The body, where the operation has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Answer of `/batch/v1`, in the shape of the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BatchResponse {
    /// The answers of a list, in its order.
    Batch(BatchResponseList),
    /// The answer of one request.
    SingleItem(BatchResponseObject),
}

/// The answers of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchResponseList {
    /// One for each request.
    pub items: Vec<BatchResponse>,
}

/// What became of one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BatchResponseObject {
    /// It was answered.
    Result {
        /// The status that it would have had alone.
        status: u16,
        /// The answer; the text of a refusal as a string.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Value>,
    },
    /// It was not run.
    Skipped {
        /// Why not.
        reason: String,
    },
}
