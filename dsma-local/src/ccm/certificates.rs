//! `/v1/certificates`: agents ask for them, and whoever may look finds them.

use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use x509_cert::der::Decode;

use super::call::Call;
use super::model::{Certificate, Node, Role};
use super::refusal::{Code, Refusal};
use super::{apps, issuance, nodes, tasks, zone_ca};
use crate::http::reply::Reply;

/// `POST /v1/certificates`: a node asks for an app that runs on it. The answer is a task, which tells what became of it.
pub(crate) fn issue(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        csr: String,
        node_id: Option<Uuid>,
    }
    let node = call.node()?.ok_or_else(nodes::no_agent)?;
    let request: Request = call.json()?;
    if let Some(node_id) = request.node_id.filter(|node_id| *node_id != node.node_id) {
        let named = call.ccm.store.records(|records| records.get::<Node>(node_id))?;
        let text = match named.filter(|named| named.zone_id != node.zone_id) {
            Some(_) => "The request names a node of another zone: an agent asks for its own node alone",
            None => "The request names another node than the client certificate: an agent asks for its own node alone",
        };
        return Err(Refusal::new(Code::Forbidden, text));
    }
    let task = issuance::request(&call.ccm, &node, request.csr)?;
    Reply::ok(&tasks::result(&task))
}

/// `GET /v1/certificates/{cert-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, certificate_id) = (call.reader()?, call.id()?);
    let certificate = call.ccm.store.records(|records| records.get::<Certificate>(certificate_id))?;
    let certificate = certificate.filter(|certificate| certificate.acct_id == acct_id);
    Reply::ok(&shown(&certificate.ok_or_else(|| Refusal::not_found("Certificate"))?))
}

/// `GET /v1/apps/{app-id}/node/{node-id}/certificate`: the last one.
pub(crate) fn of_app(call: &Call) -> Result<Reply, Refusal> {
    Reply::ok(&shown(&last(call)?))
}

/// `GET /v1/apps/{app-id}/node/{node-id}/certificate-details`.
pub(crate) fn details_of_app(call: &Call) -> Result<Reply, Refusal> {
    Reply::ok(&details(&last(call)?)?)
}

/// As the OpenAPI's `Certificate`.
pub(crate) fn shown(certificate: &Certificate) -> Value {
    let expired = parsed(certificate).is_none_or(|(_, until, ..)| until <= Time::now().0);
    let shown = json!({
        "certificate_id": certificate.certificate_id,
        "status": if expired { "EXPIRED" } else { "ISSUED" },
        "csr": certificate.csr,
        "certificate": certificate.certificate,
        "node_id": certificate.node_id,
        "app_id": certificate.app_id,
        "build_id": certificate.build_id,
    });
    super::without_nulls(shown, &[])
}

/// As the OpenAPI's `CertificateDetails`; what concerns SGX alone is empty.
pub(crate) fn details(certificate: &Certificate) -> Result<Value, Refusal> {
    let (from, until, subject, issuer) =
        parsed(certificate).ok_or_else(|| Refusal::new(Code::InternalServerError, "The certificate cannot be read"))?;
    Ok(json!({
        "subject_name": subject,
        "issuer_name": issuer,
        "valid_from": from,
        "valid_until": until,
        "cpusvn": "",
        "ias_quote_status": "",
    }))
}

fn last(call: &Call) -> Result<Certificate, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let ids = call.ids().collect::<Result<Vec<_>, _>>()?;
    let [app_id, node_id] = ids[..] else {
        return Err(Refusal::new(Code::InvalidPathParameter, "The ids of an app and of a node are expected"));
    };
    call.ccm.store.records(|records| {
        apps::find(records, acct_id, app_id)?;
        nodes::find(records, acct_id, node_id)?;
        let mut all = records.all::<Certificate>(acct_id)?.into_iter();
        let last = all.rfind(|certificate| certificate.app_id == Some(app_id) && certificate.node_id == node_id);
        last.ok_or_else(|| Refusal::not_found("Certificate"))
    })
}

/// From when, until when, for whom and by whom.
fn parsed(certificate: &Certificate) -> Option<(i64, i64, String, String)> {
    let der = zone_ca::der(&certificate.certificate)?;
    let (from, until) = zone_ca::validity(&der)?;
    let parsed = x509_cert::Certificate::from_der(&der).ok()?;
    let names = parsed.tbs_certificate();
    Some((from, until, names.subject().to_string(), names.issuer().to_string()))
}
