//! Export under a quorum policy.
//!
//! Whether DSM lets an approver's own direct export pass is not documented, so it is tried first. On the one refusal that means it, an
//! approval request is filed, approved where we are a reviewer ourselves, and its result fetched. Where others must approve, the request
//! stays, and is found again by the next try, in this process or another: nobody is asked twice for one key.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dsma_api::{
    ApiError, ApprovalRequest, ApprovalRequestRequest, ApprovalStatus, ApproveRequest, Approver, Principal, Sobject, SobjectDescriptor,
    Time, text,
};
use lru::LruCache;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{Dsm, Repeat, Reply};
use crate::clock::Moment;
use crate::{Error, KeyRef};

const EXPORT: &str = "/crypto/v1/keys/export";
const REQUESTS: &str = "/sys/v1/approval_requests";
/// Keys whose requests are remembered; those of others are looked for in DSM.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// For so many seconds a denial is an answer. After that the reviewers may be asked again.
const DENIAL_HOLDS: i64 = 3600;

/// What waits for somebody's approval, by key.
#[derive(Debug)]
pub(super) struct Approvals(Mutex<LruCache<Uuid, Waiting>>);

#[derive(Clone, Debug)]
struct Waiting {
    request_id: Uuid,
    /// What a caller is told.
    error: Error,
}

impl Default for Approvals {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Dsm {
    /// `POST /crypto/v1/keys/export`: the sobject with its `value`, with an approval where one is needed.
    ///
    /// # Errors
    /// DSM's refusal, [`Error::Approval`] where others have to approve or have denied, or [`Error::Unreachable`].
    pub(crate) fn export(&self, key: &KeyRef, within: Duration) -> Result<Sobject, Error> {
        let deadline = Moment::now().after(within);
        match self.call("POST", EXPORT, Some(&SobjectDescriptor::from(key)), within) {
            Err(error) if needs_approval(&error) => match key {
                KeyRef::Kid(kid) => self.export_approved(*kid, deadline),
                KeyRef::Name(_) => Err(error),
            },
            answer => answer,
        }
    }

    /// The error of an operation with this key, in place of DSM's own where it can say more: who must approve what.
    pub(crate) fn explained(&self, kid: Uuid, error: Error) -> Error {
        let waiting = || self.approvals.0.lock().peek(&kid).map(|waiting| waiting.error.clone());
        if needs_approval(&error) { waiting().unwrap_or(error) } else { error }
    }

    fn export_approved(&self, kid: Uuid, deadline: Moment) -> Result<Sobject, Error> {
        let left = || Moment::now().until(deadline);
        let own = self.token(left())?.app_id();
        let mut request = match self.known_request(kid, own, deadline)? {
            Some(request) => request,
            None => self.make("POST", REQUESTS, &wish(kid), left())?,
        };
        let us = Approver::App(own);
        if request.status == ApprovalStatus::Pending
            && request.reviewers.iter().any(|reviewer| reviewer.approver == us)
            && !request.approvers.contains(&us)
        {
            tracing::info!(target: "dsma::dsm", "approving our own request {} to export {kid}", request.request_id);
            let path = format!("{REQUESTS}/{}/approve", request.request_id);
            request = self.call("POST", &path, Some(&ApproveRequest::default()), left())?;
        }
        if request.status == ApprovalStatus::Approved {
            self.approvals.0.lock().pop(&kid);
            let path = format!("{REQUESTS}/{}/result", request.request_id);
            let reply = self.request_within("POST", &path, None::<&()>, left(), Repeat::Always)?;
            return self.approved_result(&path, &reply);
        }
        let error = unapproved(kid, &request, us);
        tracing::warn!(target: "dsma::dsm", "{error}");
        self.approvals.0.lock().put(kid, Waiting { request_id: request.request_id, error: error.clone() });
        Err(error)
    }

    /// The request that was filed for this key before and still counts.
    fn known_request(&self, kid: Uuid, own: Uuid, deadline: Moment) -> Result<Option<ApprovalRequest>, Error> {
        let left = || Moment::now().until(deadline);
        let remembered = self.approvals.0.lock().peek(&kid).map(|waiting| waiting.request_id);
        if let Some(id) = remembered {
            match self.call::<ApprovalRequest>("GET", &format!("{REQUESTS}/{id}"), None::<&()>, left()) {
                Ok(request) if counts(&request) => return Ok(Some(request)),
                Ok(_) => {}
                Err(Error::Api(refusal)) if refusal.status == 404 => {}
                Err(error) => return Err(error),
            }
            self.approvals.0.lock().pop(&kid);
        }
        // Another process of ours may have asked, or this one before it was started anew.
        let path = format!("{REQUESTS}?requester={own}");
        let requests: Vec<ApprovalRequest> = match self.call("GET", &path, None::<&()>, left()) {
            Ok(requests) => requests,
            // We may not look. Any other trouble is no word about requests, and asking again would ask the reviewers twice.
            Err(Error::Api(refusal)) if matches!(refusal.status, 403 | 404) => return Ok(None),
            Err(error) => return Err(error),
        };
        let ours =
            requests.into_iter().filter(|request| request.requester == Principal::App(own) && is_export(request, kid) && counts(request));
        Ok(ours.max_by_key(|request| request.created_at))
    }

    /// Two readings, so that the key's bytes go from the reply into their own buffer and nowhere else.
    fn approved_result(&self, path: &str, reply: &Reply) -> Result<Sobject, Error> {
        #[derive(Deserialize)]
        struct Outcome {
            status: u16,
        }
        #[derive(Deserialize)]
        struct Done {
            body: Sobject,
        }
        #[derive(Deserialize)]
        struct Refused {
            body: String,
        }
        let status = self.parse::<Outcome>(path, reply)?.status;
        if (200..300).contains(&status) {
            return Ok(self.parse::<Done>(path, reply)?.body);
        }
        let text = self.parse::<Refused>(path, reply)?.body.chars().filter(|c| !c.is_control()).take(500).collect::<String>();
        Err(ApiError::new(status, text).into())
    }
}

fn wish(kid: Uuid) -> ApprovalRequestRequest {
    ApprovalRequestRequest {
        method: Some("POST".into()),
        operation: Some(EXPORT.into()),
        body: Some(json!({ "kid": kid })),
        description: Some("DSM Accelerator: use of the key on this machine".into()),
    }
}

fn needs_approval(error: &Error) -> bool {
    matches!(error, Error::Api(refusal) if refusal.status == 403 && refusal.message == text::NEEDS_APPROVAL)
}

fn is_export(request: &ApprovalRequest, kid: Uuid) -> bool {
    let path = request.operation.split('?').next().unwrap_or_default();
    let named = request.body.as_ref().and_then(|body| body.get("kid")?.as_str()?.parse::<Uuid>().ok());
    request.method == "POST" && path.trim_start_matches('/') == EXPORT.trim_start_matches('/') && named == Some(kid)
}

/// Whether the request is still the answer to the question, or asking again makes sense.
fn counts(request: &ApprovalRequest) -> bool {
    let now = Time::now();
    match request.status {
        ApprovalStatus::Pending => request.expiry > now,
        ApprovalStatus::Approved => request.expiry > now && !request.result_viewed,
        ApprovalStatus::Denied => request.created_at.0 + DENIAL_HOLDS > now.0,
        ApprovalStatus::Failed => false,
    }
}

fn unapproved(kid: Uuid, request: &ApprovalRequest, us: Approver) -> Error {
    let name = |approver: &Approver| match approver {
        Approver::App(id) => format!("app {id}"),
        Approver::User(id) => format!("user {id}"),
    };
    let id = request.request_id;
    let problem = if request.status == ApprovalStatus::Denied {
        let denier = request.denier.as_ref().map_or_else(|| "a reviewer".to_owned(), name);
        let why = request.denial_reason.as_deref().unwrap_or("no reason given");
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("{denier} has denied approval request {id} ({why})")
    } else {
        let missing = request.reviewers.iter().map(|reviewer| reviewer.approver);
        let missing = missing.filter(|reviewer| *reviewer != us && !request.approvers.contains(reviewer));
        let missing: Vec<String> = missing.map(|approver| name(&approver)).collect();
        format!("approval request {id} waits for {}", if missing.is_empty() { "its reviewers".to_owned() } else { missing.join(", ") })
    };
    Error::Approval { kid, problem: Arc::from(problem) }
}
