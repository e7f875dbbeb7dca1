//! Where apps run, as far as CCM knows: the nodes that it has certified them for.

use dsma_api::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use super::certificates;
use super::model::{Build, Certificate, Node};
use super::refusal::Refusal;
use super::zone_ca;
use crate::store::Records;

/// The last certificate for each node, of those that `wanted` keeps, as the OpenAPI's `AppNodeInfo`.
pub(crate) fn of(records: &Records<'_>, acct_id: Uuid, wanted: impl Fn(&Certificate) -> bool) -> Result<Vec<Value>, Refusal> {
    let mut last: Vec<Certificate> = Vec::new();
    for certificate in
        records.all::<Certificate>(acct_id)?.into_iter().filter(|certificate| certificate.app_id.is_some() && wanted(certificate))
    {
        last.retain(|other| other.node_id != certificate.node_id);
        last.push(certificate);
    }
    last.iter().map(|certificate| deployment(records, certificate)).collect()
}

/// Since when a build is deployed; `None` where none of its certificates is valid.
pub(crate) fn since(records: &Records<'_>, build: &Build) -> Result<Option<i64>, Refusal> {
    let certificates = records.all::<Certificate>(build.acct_id)?.into_iter();
    let valid = certificates.filter(|certificate| certificate.build_id == Some(build.build_id) && is_valid(certificate));
    Ok(valid.map(|certificate| certificate.created_at).next())
}

fn deployment(records: &Records<'_>, certificate: &Certificate) -> Result<Value, Refusal> {
    let node = records.get::<Node>(certificate.node_id)?;
    let status = if is_valid(certificate) { "RUNNING" } else { "UNKNOWN" };
    let mut shown = json!({
        "certificate": certificates::shown(certificate),
        "created_at": certificate.created_at,
        "node_id": certificate.node_id,
        "status": { "status": status, "status_updated_at": certificate.created_at, "attested_at": certificate.created_at },
        "message_count": 0,
        "is_debug": false,
    });
    if let Some(node) = node {
        shown["node_name"] = json!(node.name);
    }
    Ok(shown)
}

fn is_valid(certificate: &Certificate) -> bool {
    let until = zone_ca::der(&certificate.certificate).and_then(|der| zone_ca::validity(&der)).map(|validity| validity.1);
    until.is_some_and(|until| until > Time::now().0)
}
