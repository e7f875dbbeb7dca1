//! `/v1/nodes`: machines whose agents ask for certificates.

use std::collections::BTreeMap;

use dsma_api::Time;
use dsma_attest::csr::Csr;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::issuance::RequestedKey;
use super::labels::{self, Patch};
use super::model::{Certificate, Node, NodeStatus, Role, Task, TaskStatus, TaskType, Zone, fingerprint};
use super::refusal::{Code, Refusal};
use super::zone_ca::{self, Leaf};
use super::{accounts, certificates, deployments, listing, tasks, zones};
use crate::http::reply::Reply;
use crate::store::Records;

/// Validity of a node's certificate; the agent enrols again before it ends.
const NODE_LIFE: time::Duration = time::Duration::days(365);
/// What node agents of AWS Nitro instances are.
const NITRO: &str = "NITRO_ENCLAVE";

/// `GET /v1/nodes`.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let mut items = call
        .ccm
        .store
        .records(|records| records.all::<Node>(acct_id)?.iter().map(|node| shown(records, node)).collect::<Result<Vec<_>, Refusal>>())?;
    listing::search(call, "name", "name", &mut items);
    listing::search(call, "description", "description", &mut items);
    listing::search(call, "sgx_version", "sgx_info.version", &mut items);
    listing::only(call, "attestation_type", "attestation_type", &mut items);
    listing::only(call, "status", "status.status", &mut items);
    if let Some(ids) = call.query.get("filter") {
        items.retain(|item| item["node_id"].as_str().is_some_and(|node_id| ids.contains(node_id)));
    }
    listing::page(call, items, &["name", "description", "ipaddress"])
}

/// `POST /v1/nodes`: enrols a node in a zone, with the zone's join token or by a manager. The same name and address enrol the same node
/// again: its certificate before is worth nothing then.
pub(crate) fn enrol(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        name: Option<String>,
        description: Option<String>,
        ipaddress: String,
        sgx_version: String,
        sys_info: Option<Value>,
        attestation_request: Option<AttestationRequest>,
    }
    #[derive(Deserialize)]
    struct AttestationRequest {
        csr: String,
        attestation_type: Option<String>,
    }
    let joining = call.joining()?;
    let manager = if joining.is_none() { Some(call.caller(Role::Manager)?.acct_id()) } else { None };
    let request: Request = call.json()?;
    let name = accounts::valid_name(request.name)?;
    let attestation = request.attestation_request.ok_or_else(|| {
        Refusal::new(Code::AttestationRequired, "Missing field `attestation_request`: a node needs a certificate, and so a signing request")
    })?;
    let attestation_type = attestation.attestation_type.unwrap_or_else(|| NITRO.into());
    if attestation_type != NITRO {
        let text = format!("Nodes of type {attestation_type:?} are not supported by this version: {NITRO} is");
        return Err(Refusal::new(Code::FeatureNotSupported, text));
    }
    let csr = Csr::parse_pem(&attestation.csr).map_err(|error| Refusal::invalid(format!("Invalid csr: {error}")))?;
    let key = RequestedKey::of(&csr.spki_der).ok_or_else(|| Refusal::invalid("Invalid csr: its key is of no supported type"))?;
    let now = Time::now().0;
    let task = call.ccm.store.change_records(|records| {
        let zone = match (joining, manager) {
            (Some(zone), _) => zone,
            (None, acct_id) => {
                let zones = acct_id.map(|acct_id| records.all::<Zone>(acct_id)).transpose()?.unwrap_or_default();
                zones.into_iter().next().ok_or_else(|| Refusal::not_found("Zone"))?
            }
        };
        let known = records.all::<Node>(zone.acct_id)?.into_iter().find(|node| node.name == name && node.ipaddress == request.ipaddress);
        if known.as_ref().is_some_and(|node| node.status == NodeStatus::Deactivated) {
            return Err(Refusal::new(Code::Forbidden, format!("Node {name:?} was deactivated: enrol under another name")));
        }
        let node_id = known.as_ref().map_or_else(Uuid::new_v4, |node| node.node_id);
        let leaf = Leaf { common_name: &node_id.to_string(), dns_names: Vec::new(), key: &key, life: NODE_LIFE };
        let certificate = zone.ca(records)?.sign(leaf)?;
        let der = zone_ca::der(&certificate).ok_or_else(|| Refusal::new(Code::InternalServerError, "Internal error"))?;
        let certificate = Certificate {
            certificate_id: Uuid::new_v4(),
            acct_id: zone.acct_id,
            node_id,
            app_id: None,
            build_id: None,
            created_at: now,
            csr: attestation.csr,
            certificate,
        };
        let created_at = known.as_ref().map_or(now, |node| node.created_at);
        let node = Node {
            node_id,
            acct_id: zone.acct_id,
            zone_id: zone.zone_id,
            name,
            description: request.description,
            ipaddress: request.ipaddress,
            sgx_version: request.sgx_version,
            attestation_type,
            sys_info: request.sys_info,
            labels: known.as_ref().map(|node| node.labels.clone()).unwrap_or_default(),
            status: NodeStatus::Running,
            created_at,
            status_updated_at: now,
            last_seen_at: now,
            certificate_id: certificate.certificate_id,
            fingerprint: fingerprint(&der),
        };
        records.insert(&certificate)?;
        if known.is_some() {
            records.update(&node)?
        } else {
            records.insert(&node)?
        };
        let mut task = Task::new(zone.acct_id, TaskType::NodeAttestation, node_id, now, format!("Enrol node {}", node.name));
        (task.node_id, task.certificate_id) = (Some(node_id), Some(certificate.certificate_id));
        task.set_status(TaskStatus::Success, now);
        records.insert(&task)?;
        tracing::info!("CCM: node {} ({node_id}) enrolled in zone {}", node.name, zone.zone_id);
        Ok(task)
    })?;
    Reply::ok(&tasks::result(&task))
}

/// `GET /v1/nodes/{node-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, node_id) = (call.reader()?, call.id()?);
    Reply::ok(&call.ccm.store.records(|records| shown(records, &find(records, acct_id, node_id)?))?)
}

/// `PATCH /v1/nodes/{node-id}`: labels.
pub(crate) fn update(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        patch: Vec<Patch>,
    }
    let (acct_id, node_id) = (call.caller(Role::Writer)?.acct_id(), call.id()?);
    let patches = call.json::<Request>()?.patch;
    // Paths begin with the member that they change.
    let patches = patches.into_iter().map(|patch| patch.below("/labels")).collect();
    let answer = call.ccm.store.change_records(|records| {
        let mut node = find(records, acct_id, node_id)?;
        labels::apply(&mut node.labels, patches)?;
        records.update(&node)?;
        shown(records, &node)
    })?;
    Reply::ok(&answer)
}

/// `GET /v1/nodes/{node-id}/certificate`.
pub(crate) fn certificate(call: &Call) -> Result<Reply, Refusal> {
    Reply::ok(&certificates::shown(&certificate_of(call)?))
}

/// `GET /v1/nodes/{node-id}/certificate-details`.
pub(crate) fn certificate_details(call: &Call) -> Result<Reply, Refusal> {
    Reply::ok(&certificates::details(&certificate_of(call)?)?)
}

/// `POST /v1/nodes/{node-id}/deactivate`: its agent gets no certificates any more.
pub(crate) fn deactivate(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, node_id) = (call.caller(Role::Manager)?.acct_id(), call.id()?);
    call.ccm.store.change_records(|records| {
        let mut node = find(records, acct_id, node_id)?;
        (node.status, node.status_updated_at) = (NodeStatus::Deactivated, Time::now().0);
        Ok::<_, Refusal>(records.update(&node)?)
    })?;
    Ok(Reply::nothing())
}

/// `POST /v1/node/status`: an agent tells that it lives.
pub(crate) fn heartbeat(call: &Call) -> Result<Reply, Refusal> {
    let caller = call.node()?.ok_or_else(no_agent)?;
    call.ccm.store.change_records(|records| {
        let mut node = by_now(records, &caller)?;
        node.last_seen_at = Time::now().0;
        Ok::<_, Refusal>(records.update(&node)?)
    })?;
    Reply::ok(&json!({
        "node_refresh_interval": zones::NODE_REFRESH_INTERVAL,
        "node_renewal_threshold": zones::NODE_RENEWAL_THRESHOLD,
    }))
}

/// `GET /v1/nodes/unique_labels/count`.
pub(crate) fn unique_labels(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let nodes = call.ccm.store.records(|records| records.all::<Node>(acct_id))?;
    Reply::ok(&labels::count(nodes.iter().map(|node| &node.labels)))
}

/// The node that calls, as it is by now: it may have been deactivated, or have enrolled again.
///
/// # Errors
/// 403 where the certificate that it called with is its own no more.
pub(crate) fn by_now(records: &Records<'_>, caller: &Node) -> Result<Node, Refusal> {
    let known = records.get::<Node>(caller.node_id)?.filter(|node| node.fingerprint == caller.fingerprint);
    known.ok_or_else(not_enrolled)
}

/// 401, where only a node may call.
pub(crate) fn no_agent() -> Refusal {
    Refusal::new(Code::Unauthorized, "Only an enrolled node may do this: present the node's certificate")
}

/// 403 for the certificate of no node.
pub(crate) fn not_enrolled() -> Refusal {
    Refusal::new(Code::NodeNotEnrolled, "The client certificate belongs to no node of this CCM: enrol with a join token")
}

pub(crate) fn find(records: &Records<'_>, acct_id: Uuid, node_id: Uuid) -> Result<Node, Refusal> {
    records.get::<Node>(node_id)?.filter(|node| node.acct_id == acct_id).ok_or_else(|| Refusal::not_found("Node"))
}

fn certificate_of(call: &Call) -> Result<Certificate, Refusal> {
    let (acct_id, node_id) = (call.reader()?, call.id()?);
    call.ccm.store.records(|records| {
        let node = find(records, acct_id, node_id)?;
        records.get::<Certificate>(node.certificate_id)?.ok_or_else(|| Refusal::not_found("Certificate"))
    })
}

fn shown(records: &Records<'_>, node: &Node) -> Result<Value, Refusal> {
    let certificate = records.get::<Certificate>(node.certificate_id)?;
    let apps = deployments::of(records, node.acct_id, |certificate| certificate.node_id == node.node_id)?;
    let labels: &BTreeMap<String, String> = &node.labels;
    let shown = json!({
        "node_id": node.node_id,
        "acct_id": node.acct_id,
        "zone_id": node.zone_id,
        "name": node.name,
        "description": node.description,
        "ipaddress": node.ipaddress,
        "status": {
            "status": node.status,
            "created_at": node.created_at,
            "status_updated_at": node.status_updated_at,
            "last_seen_at": node.last_seen_at,
        },
        "attested_at": node.status_updated_at,
        "certificate": certificate.map(|certificate| certificate.certificate),
        "apps": apps,
        "sgx_info": { "version": node.sgx_version },
        "sys_info": node.sys_info,
        "labels": labels,
        "attestation_type": node.attestation_type,
    });
    Ok(super::without_nulls(shown, &[]))
}
