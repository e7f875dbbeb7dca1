//! `/v1/zones`: the zone of the account, its CA, and the token with which nodes enrol.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::model::{Account, Role, Zone};
use super::refusal::{Code, Refusal};
use crate::http::reply::Reply;
use crate::store::Records;

/// How often an agent should ask for news, in seconds; and the share of its certificate's life, in percent, at which it renews it.
pub(crate) const NODE_REFRESH_INTERVAL: i64 = 300;
pub(crate) const NODE_RENEWAL_THRESHOLD: i64 = 20;

/// `GET /v1/zones`: a bare array.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let caller = call.caller(Role::Reader)?;
    let zones = call.ccm.store.records(|records| records.all::<Zone>(caller.acct_id()))?;
    Reply::ok(&zones.iter().map(|zone| shown(zone, &caller.account)).collect::<Vec<_>>())
}

/// `GET /v1/zones/{zone-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (caller, zone_id) = (call.caller(Role::Reader)?, call.id()?);
    let zone = call.ccm.store.records(|records| find(records, caller.acct_id(), zone_id))?;
    Reply::ok(&shown(&zone, &caller.account))
}

/// `GET /v1/zones/{zone-id}/token`: the join token.
pub(crate) fn token(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, zone_id) = (call.caller(Role::Manager)?.acct_id(), call.id()?);
    let secrets = call.ccm.store.records(|records| Ok::<_, Refusal>(find(records, acct_id, zone_id)?.secrets(records)?))?;
    Reply::ok(&json!({ "token": secrets.join_token }))
}

/// `GET /v1/zones/{zone-id}/certificates`.
pub(crate) fn certificates(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, zone_id) = (call.caller(Role::Reader)?.acct_id(), call.id()?);
    let zone = call.ccm.store.records(|records| find(records, acct_id, zone_id))?;
    Reply::ok(&all_certificates(&zone))
}

/// `POST /v1/zones/{zone-id}/certificates`: makes the next CA, which signs nothing yet. Those who trust the zone learn it in time so.
pub(crate) fn make_next(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, zone_id) = (call.caller(Role::Manager)?.acct_id(), call.id()?);
    let zone = call.ccm.store.change_records(|records| {
        let mut zone = find(records, acct_id, zone_id)?;
        zone.make_next(records)?;
        Ok::<_, Refusal>(zone)
    })?;
    Reply::ok(&json!({ "next_certificate": zone.next_certificate }))
}

/// `POST /v1/zones/{zone-id}/certificates/rotate`: the next CA signs from now on.
pub(crate) fn rotate(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, zone_id) = (call.caller(Role::Manager)?.acct_id(), call.id()?);
    let zone = call.ccm.store.change_records(|records| {
        let mut zone = find(records, acct_id, zone_id)?;
        if !zone.rotate(records)? {
            let text = "There is no next certificate: POST /v1/zones/{zone-id}/certificates makes one";
            return Err(Refusal::new(Code::InvalidState, text));
        }
        Ok(zone)
    })?;
    Reply::ok(&all_certificates(&zone))
}

fn find(records: &Records<'_>, acct_id: Uuid, zone_id: Uuid) -> Result<Zone, Refusal> {
    records.get::<Zone>(zone_id)?.filter(|zone| zone.acct_id == acct_id).ok_or_else(|| Refusal::not_found("Zone"))
}

fn shown(zone: &Zone, account: &Account) -> Value {
    let mut shown = json!({
        "acct_id": zone.acct_id,
        "zone_id": zone.zone_id,
        "name": zone.name,
        "certificate": zone.certificate,
        "node_enrollment": account.node_enrollment,
        // Members of older clients' zones, which they insist on.
        "node_refresh_interval": NODE_REFRESH_INTERVAL,
        "node_renewal_threshold": NODE_RENEWAL_THRESHOLD,
    });
    if let Some(description) = &zone.description {
        shown["description"] = json!(description);
    }
    shown
}

fn all_certificates(zone: &Zone) -> Value {
    let mut all = json!({ "current_certificate": zone.certificate, "previous_certificates": zone.previous_certificates });
    if let Some(next) = &zone.next_certificate {
        all["next_certificate"] = json!(next);
    }
    all
}
