//! `/v1/tasks`: what awaits a decision, the decisions, and what came of them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::call::{self, Call};
use super::model::{App, Approval, Build, BuildStatus, Decision, Role, Task, TaskStatus, TaskType};
use super::refusal::{Code, Refusal};
use super::{Ccm, issuance, listing};
use crate::http::reply::Reply;
use crate::store::Records;

/// The longest that a request may wait for a task.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// `GET /v1/tasks`.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let tasks = call.ccm.store.records(|records| records.all::<Task>(acct_id))?;
    let mut items: Vec<Value> = tasks.into_iter().map(|task| shown(&issuance::as_of(task, Time::now().0))).collect();
    listing::only(call, "task_type", "task_type", &mut items);
    listing::search(call, "requester", "requester_info.user_name", &mut items);
    match call.query.get("status") {
        None => {}
        Some("PENDING") => items.retain(|item| item["status"]["status"] == "INPROGRESS"),
        Some("CLOSED") => items.retain(|item| item["status"]["status"] != "INPROGRESS"),
        Some(_) => return Err(Refusal::new(Code::InvalidQueryParameter, "Invalid status: PENDING or CLOSED is expected")),
    }
    if let Some(approver) = call.query.get("approver") {
        items.retain(|item| item["approvals"].as_array().into_iter().flatten().any(|approval| approval["user_name"] == approver));
    }
    listing::page(call, items, &["requester_info.user_name", "description"])
}

/// `GET /v1/tasks/{task-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, task_id) = (call.caller(Role::Reader)?.acct_id(), call.id()?);
    let task = call.ccm.store.records(|records| find(records, acct_id, task_id))?;
    Reply::ok(&shown(&issuance::as_of(task, Time::now().0)))
}

/// `PATCH /v1/tasks/{task-id}`: approves or denies. What waited for it goes on at once.
pub(crate) fn decide(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        status: Decision,
        denial_reason: Option<String>,
    }
    let (caller, task_id) = (call.caller(Role::Writer)?, call.id()?);
    let Request { status, denial_reason } = call.json()?;
    let now = Time::now().0;
    let waiting = issuance::Waiting::examine(&call.ccm, &caller.account)?;
    let task = call.ccm.store.change_records(|records| {
        let mut task = find(records, caller.acct_id(), task_id)?;
        if task.status != TaskStatus::Inprogress {
            return Err(Refusal::new(Code::InvalidState, "This task was decided already, or has ended"));
        }
        let approval = Approval { user_id: caller.user.user_id, user_name: caller.user.user_email.clone(), status, denial_reason };
        task.approvals.push(approval);
        task.set_status(if status == Decision::Approved { TaskStatus::Success } else { TaskStatus::Denied }, now);
        carry_out(records, &mut task, status, now)?;
        records.update(&task)?;
        waiting.reconsider(&call.ccm, records, &caller.account)?;
        Ok(task)
    })?;
    tracing::info!("CCM: {} {} task {task_id}: {}", caller.user.user_email, verb(status), task.description);
    call.ccm.tell_tasks_changed();
    Reply::ok(&result(&task))
}

/// `DELETE /v1/tasks/{task-id}`: one that has ended.
pub(crate) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, task_id) = (call.caller(Role::Writer)?.acct_id(), call.id()?);
    call.ccm.store.change_records(|records| {
        let task = issuance::as_of(find(records, acct_id, task_id)?, Time::now().0);
        if task.status == TaskStatus::Inprogress {
            return Err(Refusal::new(Code::InvalidState, "This task awaits a decision: approve or deny it first"));
        }
        Ok(records.delete::<Task>(task_id)?)
    })?;
    Ok(Reply::nothing())
}

/// `GET /v1/tasks/status/{task-id}`: for users, nodes, and nodes that enrol.
///
/// With `?wait=SECONDS`, which is ours, it answers when the task has ended, or after so long. No thread waits.
pub(crate) async fn status(State(ccm): State<Arc<Ccm>>, request: Request) -> Response {
    let answer = async {
        let call = Arc::new(Call::read(ccm, request).await?);
        let wait = Duration::from_secs(call.parameter("wait")?.unwrap_or(0)).min(MAX_WAIT);
        let until = Instant::now() + wait;
        loop {
            // Taken before the task is read: a change in between is not missed.
            let mut changes = call.ccm.task_changes();
            let task = call::run(Arc::clone(&call), readable).await?;
            let ended = task.status != TaskStatus::Inprogress;
            if ended || timeout_at(until, changes.changed()).await.is_err() {
                return Reply::ok(&result(&task));
            }
        }
    };
    call::respond(answer.await)
}

fn readable(call: &Call) -> Result<Task, Refusal> {
    let (acct_id, task_id) = (call.reader()?, call.id()?);
    let task = call.ccm.store.records(|records| find(records, acct_id, task_id))?;
    Ok(issuance::as_of(task, Time::now().0))
}

fn find(records: &Records<'_>, acct_id: Uuid, task_id: Uuid) -> Result<Task, Refusal> {
    records.get::<Task>(task_id)?.filter(|task| task.acct_id == acct_id).ok_or_else(|| Refusal::not_found("Task"))
}

/// What a decision brings about.
fn carry_out(records: &Records<'_>, task: &mut Task, decision: Decision, now: i64) -> Result<(), Refusal> {
    let approved = decision == Decision::Approved;
    match task.task_type {
        TaskType::DomainWhitelist => {
            let mut app = records.get::<App>(task.entity_id)?.ok_or_else(|| Refusal::not_found("App"))?;
            if approved {
                app.whitelisted_domains.clone_from(&app.allowed_domains);
            } else {
                app.allowed_domains.clone_from(&app.whitelisted_domains);
            }
            app.pending_task_id = None;
            records.update(&app)?;
        }
        TaskType::BuildWhitelist => {
            let mut build = records.get::<Build>(task.entity_id)?.ok_or_else(|| Refusal::not_found("Build"))?;
            build.status = if approved { BuildStatus::Whitelisted } else { BuildStatus::Rejected };
            (build.status_updated_at, build.updated_at, build.pending_task_id) = (now, now, None);
            records.update(&build)?;
        }
        TaskType::CertificateIssuance | TaskType::NodeAttestation if approved => {
            let text =
                format!("A certificate is issued when what it waits for is approved, not by approving this task. {}", task.description);
            return Err(Refusal::new(Code::InvalidState, text));
        }
        TaskType::CertificateIssuance | TaskType::NodeAttestation => {
            task.csr = None;
            task.description = format!("{}; denied by an operator", task.description);
        }
    }
    Ok(())
}

const fn verb(decision: Decision) -> &'static str {
    match decision {
        Decision::Approved => "approved",
        Decision::Denied => "denied",
    }
}

fn shown(task: &Task) -> Value {
    let requester = match &task.requester {
        Some((user_id, user_name)) => json!({ "user_id": user_id, "user_name": user_name, "requester_type": "USER" }),
        None => json!({ "requester_type": "SYSTEM" }),
    };
    let shown = json!({
        "task_id": task.task_id,
        "requester_info": requester,
        "entity_id": task.entity_id,
        "task_type": task.task_type,
        "status": task_status(task),
        "description": task.description,
        "approvals": task.approvals,
        "domains_added": task.domains_added,
        "domains_removed": task.domains_removed,
        "group_id": task.group_id,
    });
    super::without_nulls(shown, &[])
}

/// A `TaskResult`. The description is ours: an agent tells its clients why.
pub(crate) fn result(task: &Task) -> Value {
    let result = json!({
        "task_id": task.task_id,
        "task_type": task.task_type,
        "task_status": task_status(task),
        "node_id": task.node_id,
        "build_id": task.build_id,
        "certificate_id": task.certificate_id,
        "description": task.description,
    });
    super::without_nulls(result, &[])
}

fn task_status(task: &Task) -> Value {
    json!({ "created_at": task.created_at, "status_updated_at": task.status_updated_at, "status": task.status })
}
