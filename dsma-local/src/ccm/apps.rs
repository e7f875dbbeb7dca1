//! `/v1/apps`: apps, and the domains that they want.

use std::collections::BTreeMap;

use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::valid_name;
use super::call::Call;
use super::labels::{self, Patch};
use super::listing;
use super::model::{App, Build, CertificatePolicy, Role, Signer, Task, TaskType, User};
use super::refusal::{Code, Refusal};
use super::{deployments, measurements};
use crate::http::reply::Reply;
use crate::store::Records;

/// Apps of an account, as the vendor limits them.
const MAX_APPS: usize = 10;
/// Domains of an app.
const MAX_DOMAINS: usize = 100;
/// An app's size in MB and its threads, where the request names none.
const DEFAULT_SIZE: (i64, i64) = (1024, 128);

/// What creation and change have in common.
#[derive(Deserialize)]
struct Settings {
    description: Option<String>,
    input_image_name: Option<String>,
    output_image_name: Option<String>,
    isvprodid: Option<i64>,
    isvsvn: Option<i64>,
    mem_size: Option<i64>,
    threads: Option<i64>,
    default_build_settings: Option<Value>,
    allowed_domains: Option<Vec<String>>,
    advanced_settings: Option<Value>,
    certificate_policy: Option<CertificatePolicy>,
    signers: Option<Vec<Signer>>,
    group_id: Option<Uuid>,
}

/// `GET /v1/apps`. `name` is a search, not a name.
pub(crate) fn list(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let mut items = call
        .ccm
        .store
        .records(|records| records.all::<App>(acct_id)?.iter().map(|app| shown(records, app)).collect::<Result<Vec<_>, Refusal>>())?;
    listing::search(call, "name", "name", &mut items);
    listing::search(call, "description", "description", &mut items);
    if let Some(groups) = call.query.get("filter") {
        items.retain(|item| item["group_id"].as_str().is_some_and(|group_id| groups.contains(group_id)));
    }
    listing::page(call, items, &["name", "description"])
}

/// `POST /v1/apps`.
pub(crate) fn create(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        name: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        custom_metadata: Option<BTreeMap<String, String>>,
        #[serde(flatten)]
        settings: Settings,
    }
    let caller = call.caller(Role::Writer)?;
    let Request { name, labels, custom_metadata, settings } = call.json()?;
    let missing = |field| Refusal::new(Code::MissingRequiredParameter, format!("Missing field `{field}`"));
    let now = Time::now().0;
    let mut app = App {
        app_id: Uuid::new_v4(),
        acct_id: caller.acct_id(),
        name: valid_name(name)?,
        description: None,
        created_at: now,
        updated_at: now,
        input_image_name: settings.input_image_name.clone().ok_or_else(|| missing("input_image_name"))?,
        output_image_name: settings.output_image_name.clone().ok_or_else(|| missing("output_image_name"))?,
        isvprodid: 1,
        isvsvn: 1,
        mem_size: DEFAULT_SIZE.0,
        threads: DEFAULT_SIZE.1,
        default_build_settings: json!({}),
        advanced_settings: None,
        allowed_domains: Vec::new(),
        whitelisted_domains: Vec::new(),
        pending_task_id: None,
        labels: labels.unwrap_or_default(),
        custom_metadata: custom_metadata.unwrap_or_default(),
        certificate_policy: CertificatePolicy::default(),
        signers: Vec::new(),
        group_id: None,
    };
    let reply = call.ccm.store.change_records(|records| {
        if records.all::<App>(app.acct_id)?.len() >= MAX_APPS {
            return Err(Refusal::new(
                Code::QuotaExceeded,
                format!("The account has {MAX_APPS} apps, which is the limit: delete one first"),
            ));
        }
        apply(records, &mut app, settings, &caller.user, now)?;
        if !records.insert(&app)? {
            return Err(Refusal::new(Code::UniqueViolation, format!("An app with the name {:?} exists already in this account", app.name)));
        }
        shown(records, &app)
    })?;
    Reply::ok(&reply)
}

/// `GET /v1/apps/{app-id}`.
pub(crate) fn show(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, app_id) = (call.caller(Role::Reader)?.acct_id(), call.id()?);
    Reply::ok(&call.ccm.store.records(|records| shown(records, &find(records, acct_id, app_id)?))?)
}

/// `PATCH /v1/apps/{app-id}`.
pub(crate) fn update(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    struct Request {
        labels: Option<Vec<Patch>>,
        custom_metadata: Option<Vec<Patch>>,
        #[serde(flatten)]
        settings: Settings,
    }
    let (caller, app_id) = (call.caller(Role::Writer)?, call.id()?);
    let request: Request = call.json()?;
    let now = Time::now().0;
    let reply = call.ccm.store.change_records(|records| {
        let mut app = find(records, caller.acct_id(), app_id)?;
        labels::apply(&mut app.labels, request.labels.unwrap_or_default())?;
        labels::apply(&mut app.custom_metadata, request.custom_metadata.unwrap_or_default())?;
        apply(records, &mut app, request.settings, &caller.user, now)?;
        app.updated_at = now;
        records.update(&app)?;
        shown(records, &app)
    })?;
    Reply::ok(&reply)
}

/// `DELETE /v1/apps/{app-id}`: with its builds. Certificates that were issued stay valid until they end.
pub(crate) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let (acct_id, app_id) = (call.caller(Role::Writer)?.acct_id(), call.id()?);
    call.ccm.store.change_records(|records| {
        let app = find(records, acct_id, app_id)?;
        let builds: Vec<Build> = records.all::<Build>(acct_id)?.into_iter().filter(|build| build.app_id == app_id).collect();
        for build in &builds {
            records.delete::<Build>(build.build_id)?;
        }
        for task_id in builds.iter().filter_map(|build| build.pending_task_id).chain(app.pending_task_id) {
            records.delete::<Task>(task_id)?;
        }
        Ok::<_, Refusal>(records.delete::<App>(app_id)?)
    })?;
    Ok(Reply::nothing())
}

/// `GET /v1/apps/unique_labels/count`.
pub(crate) fn unique_labels(call: &Call) -> Result<Reply, Refusal> {
    let acct_id = call.caller(Role::Reader)?.acct_id();
    let apps = call.ccm.store.records(|records| records.all::<App>(acct_id))?;
    Reply::ok(&labels::count(apps.iter().map(|app| &app.labels)))
}

pub(crate) fn find(records: &Records<'_>, acct_id: Uuid, app_id: Uuid) -> Result<App, Refusal> {
    records.get::<App>(app_id)?.filter(|app| app.acct_id == acct_id).ok_or_else(|| Refusal::not_found("App"))
}

fn apply(records: &Records<'_>, app: &mut App, settings: Settings, user: &User, now: i64) -> Result<(), Refusal> {
    app.description = settings.description.or_else(|| app.description.take());
    app.input_image_name = settings.input_image_name.unwrap_or_else(|| std::mem::take(&mut app.input_image_name));
    app.output_image_name = settings.output_image_name.unwrap_or_else(|| std::mem::take(&mut app.output_image_name));
    app.isvprodid = in_range("isvprodid", settings.isvprodid.unwrap_or(app.isvprodid), 0..=65_535)?;
    app.isvsvn = in_range("isvsvn", settings.isvsvn.unwrap_or(app.isvsvn), 0..=65_535)?;
    app.mem_size = in_range("mem_size", settings.mem_size.unwrap_or(app.mem_size), 0..=1 << 30)?;
    app.threads = in_range("threads", settings.threads.unwrap_or(app.threads), 0..=1 << 20)?;
    app.default_build_settings = settings.default_build_settings.unwrap_or_else(|| app.default_build_settings.take());
    app.advanced_settings = settings.advanced_settings.or_else(|| app.advanced_settings.take());
    app.group_id = settings.group_id.or(app.group_id);
    app.certificate_policy = settings.certificate_policy.unwrap_or(app.certificate_policy);
    if !app.certificate_policy.require_known_image && !app.certificate_policy.require_known_signer {
        return Err(Refusal::invalid(
            "Invalid certificate_policy: without a known image or a known signer anything at all would be certified",
        ));
    }
    if let Some(signers) = settings.signers {
        app.signers = signers.into_iter().map(measurements::valid_signer).collect::<Result<_, _>>()?;
    }
    if let Some(domains) = settings.allowed_domains {
        want_domains(records, app, domains, user, now)?;
    }
    Ok(())
}

/// Wants another set of domains: where it differs from what was approved, a task asks for a decision.
fn want_domains(records: &Records<'_>, app: &mut App, domains: Vec<String>, user: &User, now: i64) -> Result<(), Refusal> {
    let mut wanted: Vec<String> = Vec::new();
    for domain in domains {
        let domain = valid_domain(&domain)?;
        if !wanted.contains(&domain) {
            wanted.push(domain);
        }
    }
    if wanted.len() > MAX_DOMAINS {
        return Err(Refusal::invalid(format!("Invalid allowed_domains: at most {MAX_DOMAINS} are expected")));
    }
    if wanted == app.allowed_domains {
        return Ok(());
    }
    if app.pending_task_id.is_some() {
        return Err(Refusal::new(Code::InvalidState, "A change of domains awaits a decision: approve or deny its task first"));
    }
    app.allowed_domains = wanted;
    let (domains_added, domains_removed) = app.difference();
    if domains_added.is_empty() && domains_removed.is_empty() {
        return Ok(());
    }
    let description = format!("Whitelist domains of app {}", app.name);
    let task = Task::new(app.acct_id, TaskType::DomainWhitelist, app.app_id, now, description).asked_by(user);
    let task = Task { domains_added, domains_removed, group_id: app.group_id, ..task };
    records.insert(&task)?;
    app.pending_task_id = Some(task.task_id);
    Ok(())
}

/// A DNS name (RFC 1123), in small letters, without wildcards: what is certified is what was approved, word by word.
fn valid_domain(domain: &str) -> Result<String, Refusal> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if domain.len() <= 253 && domain.split('.').all(label) {
        return Ok(domain.to_ascii_lowercase());
    }
    Err(Refusal::invalid(format!(
        "Invalid domain {:?}: a DNS name such as fortanix.com is expected",
        domain.chars().take(300).collect::<String>()
    )))
}

fn in_range(name: &'static str, value: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, Refusal> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Refusal::invalid(format!("Invalid {name}: {} to {} is expected", range.start(), range.end())))
}

fn shown(records: &Records<'_>, app: &App) -> Result<Value, Refusal> {
    let mut shown = serde_json::to_value(app).map_err(crate::error::Error::Row)?;
    let (added, removed) = if app.pending_task_id.is_some() { app.difference() } else { Default::default() };
    (shown["domains_added"], shown["domains_removed"]) = (json!(added), json!(removed));
    shown["nodes"] = json!(deployments::of(records, app.acct_id, |certificate| certificate.app_id == Some(app.app_id))?);
    Ok(super::without_nulls(shown, &["acct_id"]))
}
