//! `/v1/builds`: measurements, and whether they are approved.

use std::collections::BTreeMap;

use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::listing;
use super::measurements::Given;
use super::model::{App, Build, BuildStatus, Measurement, Role, Task, TaskType};
use super::refusal::{Code, Refusal};
use super::{apps, deployments};
use crate::http::reply::Reply;
use crate::store::Records;

/// Builds of an app, as the vendor limits them.
const MAX_BUILDS: usize = 10;

/// `GET /v1/builds`.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let mut items = call
        .ccm
        .store
        .records(|records| records.all::<Build>(acct_id)?.iter().map(|build| shown(records, build)).collect::<Result<Vec<_>, Refusal>>())?;
    listing::search(call, "docker_image_name", "docker_info.docker_image_name", &mut items);
    listing::only(call, "status", "status.status", &mut items);
    listing::only(call, "deployed_status", "deployment_status.status", &mut items);
    if let Some(config_id) = call.query.get("config_id") {
        items.retain(|item| !item["configs"][config_id].is_null());
    }
    listing::page(call, items, &["docker_info.docker_image_name", "app_name", "enclave_info.mrenclave", "enclave_info.mrsigner"])
}

/// `POST /v1/builds`: a task asks for a decision.
pub(crate) fn create(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        app_id: Option<Uuid>,
        app_name: Option<String>,
        docker_info: Option<Value>,
        mem_size: Option<i64>,
        threads: Option<i64>,
        advanced_settings: Option<Value>,
        launch_hint: Option<Value>,
        #[serde(default)]
        enable_overlay_filesystem_persistence: bool,
        group_id: Option<Uuid>,
        #[serde(flatten)]
        measurements: Given,
    }
    let caller = call.caller(Role::Writer)?;
    let request: Request = call.json()?;
    let measurement = request.measurements.measurement()?;
    if let Some(info) = &request.docker_info {
        check_docker_info(info)?;
    }
    let now = Time::now().0;
    let answer = call.ccm.store.change_records(|records| {
        let app = app(records, caller.acct_id(), request.app_id, request.app_name.as_deref())?;
        let siblings = records.all::<Build>(app.acct_id)?.into_iter().filter(|build| build.app_id == app.app_id).count();
        if siblings >= MAX_BUILDS {
            let text = format!("App {:?} has {MAX_BUILDS} builds, which is the limit: delete one first", app.name);
            return Err(Refusal::new(Code::QuotaExceeded, text));
        }
        let build_id = Uuid::new_v4();
        let description = format!("Whitelist a build of app {}", app.name);
        let task = Task::new(app.acct_id, TaskType::BuildWhitelist, build_id, now, description).asked_by(&caller.user);
        let group_id = request.group_id.or(app.group_id);
        let task = Task { build_id: Some(build_id), group_id, ..task };
        let build = Build {
            build_id,
            acct_id: app.acct_id,
            app_id: app.app_id,
            app_name: app.name,
            created_at: now,
            updated_at: now,
            status: BuildStatus::Pending,
            status_updated_at: now,
            measurement,
            docker_info: request.docker_info,
            advanced_settings: request.advanced_settings,
            launch_hint: request.launch_hint,
            mem_size: request.mem_size,
            threads: request.threads,
            enable_overlay_filesystem_persistence: request.enable_overlay_filesystem_persistence,
            configs: BTreeMap::new(),
            pending_task_id: Some(task.task_id),
            group_id,
        };
        if !records.insert(&build)? {
            let other = records.find::<Build>(&Build::key_of(build.acct_id, &build.measurement))?;
            let whose = other.map(|other| format!(": build {} of app {:?}", other.build_id, other.app_name)).unwrap_or_default();
            return Err(Refusal::new(
                Code::UniqueViolation,
                format!("A build with these measurements exists already in this account{whose}"),
            ));
        }
        records.insert(&task)?;
        shown(records, &build)
    })?;
    Reply::ok(&answer)
}

/// `GET /v1/builds/{build-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, build_id) = (call.caller(Role::Reader)?.acct_id(), call.id()?);
    Reply::ok(&call.ccm.store.records(|records| shown(records, &find(records, acct_id, build_id)?))?)
}

/// `PATCH /v1/builds/{build-id}`: the app configurations that it may use.
pub(crate) fn update(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        configs: Option<BTreeMap<String, Value>>,
    }
    let (acct_id, build_id) = (call.caller(Role::Writer)?.acct_id(), call.id()?);
    let Request { configs } = call.json()?;
    let is_id = |id: &String| id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !configs.iter().flatten().all(|(id, _)| is_id(id)) {
        return Err(Refusal::invalid("Invalid configs: ids of 64 hexadecimal digits in small letters are expected"));
    }
    let answer = call.ccm.store.change_records(|records| {
        let mut build = find(records, acct_id, build_id)?;
        build.configs = configs.unwrap_or(build.configs);
        build.updated_at = Time::now().0;
        records.update(&build)?;
        shown(records, &build)
    })?;
    Reply::ok(&answer)
}

/// `DELETE /v1/builds/{build-id}`: nothing is certified for it any more.
pub(crate) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, build_id) = (call.caller(Role::Writer)?.acct_id(), call.id()?);
    call.ccm.store.change_records(|records| {
        let build = find(records, acct_id, build_id)?;
        if let Some(task_id) = build.pending_task_id {
            records.delete::<Task>(task_id)?;
        }
        Ok::<_, Refusal>(records.delete::<Build>(build_id)?)
    })?;
    Ok(Reply::nothing())
}

/// `GET /v1/builds/deployments/{build-id}`: the nodes where it was certified.
pub(crate) fn deployments(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, build_id) = (call.caller(Role::Reader)?.acct_id(), call.id()?);
    let mut items = call.ccm.store.records(|records| {
        find(records, acct_id, build_id)?;
        deployments::of(records, acct_id, |certificate| certificate.build_id == Some(build_id))
    })?;
    listing::only(call, "status", "status.status", &mut items);
    listing::page(call, items, &["node_name"])
}

pub(crate) fn find(records: &Records<'_>, acct_id: Uuid, build_id: Uuid) -> Result<Build, Refusal> {
    records.get::<Build>(build_id)?.filter(|build| build.acct_id == acct_id).ok_or_else(|| Refusal::not_found("Build"))
}

/// The app that a new build names, by id or by name.
fn app(records: &Records<'_>, acct_id: Uuid, app_id: Option<Uuid>, name: Option<&str>) -> Result<App, Refusal> {
    match (app_id, name) {
        (Some(app_id), name) => {
            let app = apps::find(records, acct_id, app_id)?;
            if name.is_some_and(|name| name != app.name) {
                return Err(Refusal::invalid(format!("app_id is that of app {:?}, and app_name names another", app.name)));
            }
            Ok(app)
        }
        (None, Some(name)) => records.find::<App>(&App::key_of(acct_id, name))?.ok_or_else(|| Refusal::not_found("App")),
        (None, None) => Err(Refusal::new(Code::MissingRequiredParameter, "Missing field `app_id` or `app_name`")),
    }
}

fn check_docker_info(info: &Value) -> Result<(), Refusal> {
    if ["docker_image_name", "docker_version"].iter().all(|name| info[name].is_string()) {
        return Ok(());
    }
    Err(Refusal::invalid("Invalid docker_info: docker_image_name and docker_version are expected"))
}

pub(crate) fn shown(records: &Records<'_>, build: &Build) -> Result<Value, Refusal> {
    let mut shown = serde_json::to_value(build).map_err(crate::error::Error::Row)?;
    shown["status"] = json!({ "status": build.status, "status_updated_at": build.status_updated_at });
    match &build.measurement {
        Measurement::NitroEnclave { pcr0, pcr1, pcr2 } => {
            let measured = json!({ "hash_algorithm": "Sha384", "pcr0": pcr0, "pcr1": pcr1, "pcr2": pcr2 });
            shown["attributes"] = json!({ "nitro_enclave": { "nitro_enclave": measured } });
        }
        Measurement::Sgx { mrenclave, mrsigner, isvprodid, isvsvn } => {
            shown["attributes"] = json!({ "sgx": { "sgx": { "mrenclave": mrenclave } } });
            shown["enclave_info"] = json!({ "mrenclave": mrenclave, "mrsigner": mrsigner, "isvprodid": isvprodid, "isvsvn": isvsvn });
        }
    }
    let since = deployments::since(records, build)?;
    let status = if since.is_some() { "DEPLOYED" } else { "UNDEPLOYED" };
    shown["deployment_status"] = json!({ "status": status, "status_updated_at": since.unwrap_or(build.created_at) });
    Ok(super::without_nulls(shown, &["acct_id", "measurement"]))
}
