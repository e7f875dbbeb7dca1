//! `POST /batch/v1`: requests of any kind, each run as if it had come alone from the same caller.

use dsma_api::{
    ApiError, BatchExecutionType, BatchRequest, BatchRequestItem, BatchRequestList, BatchResponse, BatchResponseList, BatchResponseObject,
};

use crate::dsm::call::Call;
use crate::dsm::reply::Reply;
use crate::dsm::system::NO_ENDPOINT;

/// Where this handler is found. A carried request must not carry others: lists nest instead, as deep as JSON may.
const PATH: &str = "/batch/v1";
const SKIPPED: &str = "An earlier request of this serial batch failed";

/// `POST /batch/v1`. The answer is 200 whatever became of the requests.
pub(crate) fn batch(call: &Call) -> Result<Reply, ApiError> {
    call.caller()?;
    Reply::ok(&run(call, call.json()?).0)
}

/// The answer, and whether all of it succeeded.
fn run(call: &Call, request: BatchRequest) -> (BatchResponse, bool) {
    match request {
        BatchRequest::SingleItem(item) => {
            let (status, body) = match run_one(call, item) {
                Ok(reply) => {
                    let (status, body) = reply.into_parts();
                    (status, Some(body).filter(|body| !body.is_null()))
                }
                Err(error) => (error.status, Some(error.message.into_owned().into())),
            };
            (BatchResponse::SingleItem(BatchResponseObject::Result { status, body }), (200..300).contains(&status))
        }
        BatchRequest::Batch(BatchRequestList { batch_execution_type, items }) => {
            let (mut good, mut answers) = (true, Vec::with_capacity(items.len()));
            for item in items {
                if !good && batch_execution_type == BatchExecutionType::Serial {
                    answers.push(skip(item));
                } else {
                    let (answer, success) = run(call, item);
                    good &= success;
                    answers.push(answer);
                }
            }
            (BatchResponse::Batch(BatchResponseList { items: answers }), good)
        }
    }
}

fn run_one(call: &Call, item: BatchRequestItem) -> Result<Reply, ApiError> {
    let operation = format!("/{}", item.operation.trim_start_matches('/'));
    let carried = call.carry(&operation, item.body.as_ref().filter(|body| !body.is_null()), None);
    if carried.path() == PATH {
        return Err(ApiError::bad_request("A batch cannot be a request of a batch: nest it as `Batch`"));
    }
    let handler = call.dsm.endpoints.find(&item.method.to_ascii_uppercase(), carried.path());
    handler.ok_or_else(|| ApiError::not_found(NO_ENDPOINT))?(&carried)
}

/// The answer of what was not run, in its shape.
fn skip(request: BatchRequest) -> BatchResponse {
    match request {
        BatchRequest::SingleItem(_) => BatchResponse::SingleItem(BatchResponseObject::Skipped { reason: SKIPPED.into() }),
        BatchRequest::Batch(list) => BatchResponse::Batch(BatchResponseList { items: list.items.into_iter().map(skip).collect() }),
    }
}
