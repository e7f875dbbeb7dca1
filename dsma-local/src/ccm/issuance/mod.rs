//! Certificates for apps: a request becomes a task, and the task a certificate, a refusal, or a wait for somebody's approval.
//!
//! Each request is one transaction, and so is each decision that lets requests go on: nothing is written by halves. What is expensive and
//! needs no store, the document's signature and chain, is checked before.

mod checks;
mod key;

use std::collections::HashMap;

use dsma_api::Time;
use time::Duration;
use uuid::Uuid;

use self::checks::{Certified, Examined, Verdict};
pub(crate) use self::key::RequestedKey;
use super::model::{Account, Certificate, Node, Task, TaskStatus, TaskType, Zone};
use super::refusal::{Code, Refusal};
use super::zone_ca::Leaf;
use super::{Ccm, nodes};
use crate::error::Error;
use crate::store::Records;

pub(crate) use self::checks::Trust;

/// Validity of an app's certificate.
const APP_LIFE: Duration = Duration::days(90);
/// After so many seconds no approval helps any more: the document is too old then.
const PATIENCE: i64 = 5 * 60;
/// Requests of an account that came to nothing, and are still shown.
const REMEMBERED: usize = 100;

/// A node asks for a certificate for what runs on it.
///
/// # Errors
/// Where the store fails, and where the node has enrolled again meanwhile; what is wrong with the request is in the task.
pub(crate) fn request(ccm: &Ccm, node: &Node, csr: String) -> Result<Task, Refusal> {
    let account = |records: &Records<'_>| records.get::<Account>(node.acct_id)?.ok_or_else(|| Refusal::not_found("Account"));
    let examined = checks::examine(&ccm.trust, &ccm.store.records(account)?, &csr);
    let task = ccm.store.change_records(|records| {
        let account = account(records)?;
        let node = &nodes::by_now(records, node)?;
        let description = format!("Issue a certificate through node {}", node.name);
        let mut task = Task::new(node.acct_id, TaskType::CertificateIssuance, Uuid::new_v4(), Time::now().0, description);
        (task.node_id, task.csr) = (Some(node.node_id), Some(csr));
        records.insert(&task)?;
        let task = settle(examined, records, &account, node, task)?;
        forget_old(records, node.acct_id)?;
        Ok::<_, Refusal>(task)
    })?;
    tracing::info!("CCM: certificate request of node {} (task {}): {:?}: {}", node.name, task.task_id, task.status, task.description);
    Ok(task)
}

/// Requests that wait, examined.
pub(crate) struct Waiting(HashMap<Uuid, Examined>);

impl Waiting {
    /// Those of this account as they are now. Before the transaction of the decision that they wait for.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn examine(ccm: &Ccm, account: &Account) -> Result<Self, Error> {
        let tasks = ccm.store.records(|records| records.all::<Task>(account.acct_id))?;
        let csr = |task: &Task| task.csr.clone().unwrap_or_default();
        let waiting = tasks.into_iter().filter(is_waiting);
        Ok(Self(waiting.map(|task| (task.task_id, checks::examine(&ccm.trust, account, &csr(&task)))).collect()))
    }

    /// Looks again at the requests that wait, after a decision.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn reconsider(mut self, ccm: &Ccm, records: &Records<'_>, account: &Account) -> Result<(), Refusal> {
        for task in records.all::<Task>(account.acct_id)?.into_iter().filter(is_waiting) {
            let node = task.node_id.map(|node_id| records.get::<Node>(node_id)).transpose()?.flatten();
            let node = node.ok_or_else(|| Refusal::not_found("Node"))?;
            // One that has come since then is examined here.
            let examined = self.0.remove(&task.task_id);
            let examined = examined.unwrap_or_else(|| checks::examine(&ccm.trust, account, task.csr.as_deref().unwrap_or_default()));
            let task = settle(examined, records, account, &node, task)?;
            let (name, task_id) = (&node.name, task.task_id);
            tracing::info!("CCM: certificate request of node {name} (task {task_id}): {:?}: {}", task.status, task.description);
        }
        Ok(())
    }
}

fn is_waiting(task: &Task) -> bool {
    task.task_type == TaskType::CertificateIssuance && task.status == TaskStatus::Inprogress
}

/// Forgets requests that came to nothing, but for the latest: whoever reaches the agent may ask for anything, any number of times.
fn forget_old(records: &Records<'_>, acct_id: Uuid) -> Result<(), Error> {
    let now = Time::now().0;
    let came_to_nothing = |task: &Task| matches!(task.status, TaskStatus::Failed | TaskStatus::Denied);
    let requests = records.all::<Task>(acct_id)?.into_iter().filter(|task| task.task_type == TaskType::CertificateIssuance);
    let ended: Vec<Task> = requests.map(|task| as_of(task, now)).filter(came_to_nothing).collect();
    for task in &ended[..ended.len().saturating_sub(REMEMBERED)] {
        records.delete::<Task>(task.task_id)?;
    }
    Ok(())
}

/// The task as it stands at `now`: a request that waits for too long has failed, whether anybody has looked at it or not.
pub(crate) fn as_of(mut task: Task, now: i64) -> Task {
    if is_waiting(&task) && now - task.created_at > PATIENCE {
        task.set_status(TaskStatus::Failed, task.created_at + PATIENCE);
        task.description = format!("{}; nobody approved it within 5 minutes, and its document is too old now: ask again", task.description);
    }
    task
}

/// Applies the checks that are left, and writes what comes of them.
fn settle(examined: Examined, records: &Records<'_>, account: &Account, node: &Node, mut task: Task) -> Result<Task, Refusal> {
    let now = Time::now().0;
    let csr = task.csr.take().unwrap_or_default();
    match checks::judge(examined, records, account, node, task.task_id)? {
        Verdict::Certify(certified) => {
            let name = certified.names.join(", ");
            task.description = format!("Issued a certificate for {name} to app {}", certified.app.name);
            if account.is_insecure() {
                task.description.push_str(" (INSECURE account: the emulated NSM is trusted)");
            }
            (task.build_id, task.certificate_id) = (certified.build.as_ref().map(|build| build.build_id), Some(task.entity_id));
            records.insert(&issue(records, node, &task, csr, *certified)?)?;
            task.set_status(TaskStatus::Success, now);
        }
        Verdict::Wait(reason) => {
            (task.csr, task.description) = (Some(csr), reason);
        }
        Verdict::Deny(reason) => {
            task.description = reason;
            task.set_status(TaskStatus::Denied, now);
        }
        Verdict::Fail(reason) => {
            task.description = reason;
            task.set_status(TaskStatus::Failed, now);
        }
    }
    records.update(&task)?;
    Ok(task)
}

fn issue(records: &Records<'_>, node: &Node, task: &Task, csr: String, certified: Certified) -> Result<Certificate, Refusal> {
    let zone = records.get::<Zone>(node.zone_id)?.ok_or_else(|| Refusal::not_found("Zone"))?;
    let Certified { app, build, names, key } = certified;
    let common_name = names.first().ok_or_else(|| Refusal::new(Code::InternalServerError, "Internal error"))?.clone();
    let leaf = Leaf { common_name: &common_name, dns_names: names, key: &key, life: APP_LIFE };
    Ok(Certificate {
        certificate_id: task.entity_id,
        acct_id: node.acct_id,
        node_id: node.node_id,
        app_id: Some(app.app_id),
        build_id: build.map(|build| build.build_id),
        created_at: Time::now().0,
        csr,
        certificate: zone.ca(records)?.sign(leaf).map_err(|error: Error| Refusal::from(error))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ccm::model::NodeStatus;
    use crate::state_dir::StateDir;
    use crate::store::Store;

    #[test]
    fn a_node_that_has_enrolled_again_meanwhile_gets_nothing_with_the_certificate_before() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let store = Store::open(&state).unwrap();
        let acct_id = crate::ccm::provision(&store).unwrap().acct_id;
        let ccm = Ccm::new(store, std::time::Duration::from_secs(60), &crate::nsm::root_der(&state).unwrap()).unwrap();
        let asking = Node {
            node_id: Uuid::new_v4(),
            acct_id,
            zone_id: Uuid::new_v4(),
            name: "node".into(),
            description: None,
            ipaddress: "127.0.0.1".into(),
            sgx_version: "none".into(),
            attestation_type: "NITRO_ENCLAVE".into(),
            sys_info: None,
            labels: std::collections::BTreeMap::new(),
            status: NodeStatus::Running,
            created_at: 0,
            status_updated_at: 0,
            last_seen_at: 0,
            certificate_id: Uuid::new_v4(),
            fingerprint: "before".into(),
        };
        ccm.store.change_records(|records| records.insert(&asking)).unwrap();
        let task = request(&ccm, &asking, "no request".into()).unwrap();
        assert_eq!((task.status, task.node_id), (TaskStatus::Failed, Some(asking.node_id)));
        let by_now = Node { fingerprint: "by now".into(), ..asking.clone() };
        ccm.store.change_records(|records| records.update(&by_now)).unwrap();
        let refused = request(&ccm, &asking, "no request".into()).unwrap_err();
        assert_eq!(refused.into_response().status(), 403);
        let tasks = ccm.store.records(|records| records.all::<Task>(acct_id)).unwrap();
        assert_eq!(tasks.iter().filter(|task| task.node_id == Some(asking.node_id)).count(), 1);
    }
}
