//! em-client against CCM. What the crate cannot say, builds of Nitro enclaves, is for `dsmactl whitelist`.

use std::collections::HashMap;

use em_client::models::{
    AppBodyUpdateRequest, AppRequest, ApprovalStatus, BuildUpdateRequest, CreateBuildRequest, DockerInfo, PatchDocument,
};
use em_client::models::{PatchOperation, TaskStatusType, TaskType, TaskUpdateRequest};
use em_client::{AccountsApi, AppApi, AuthApi, BuildApi, Client, NodeApi, SystemApi, TaskApi, UsersApi, ZoneApi};
use hyper::header::{Authorization, Basic, Bearer};

use crate::{Failure, Scenario, expect, variable};

/// Later ones need nothing of earlier ones.
pub(crate) const SCENARIOS: &[Scenario] = &[
    ("em-client: log in, and be refused with a wrong password", authentication),
    ("em-client: accounts, the selected one, the user", accounts),
    ("em-client: the zone, its certificate and join token, under both prefixes", zones),
    ("em-client: an app, its labels, and the task of its domain", apps),
    ("em-client: a build from registration to approval and deletion", builds),
    ("em-client: the node that the agent enrolled, and its certificate", nodes),
];

fn authentication() -> Result<(), Failure> {
    let mut client = anybody()?;
    expect(client.get_manager_version()?.version.is_some(), "CCM tells no version")?;
    client.headers().set(Authorization(Basic { username: variable("CCM_USERNAME")?, password: Some("wrong".into()) }));
    let refusal = client.authenticate_user(None).err().ok_or("a wrong password logged in")?;
    expect(refusal.to_string().contains("Wrong address or password"), format!("refused otherwise: {refusal}"))?;
    let client = logged_in()?;
    expect(client.get_apps_unique_labels().is_ok(), "the session does not hold")
}

fn accounts() -> Result<(), Failure> {
    let client = logged_in()?;
    let account_id = variable("CCM_ACCOUNT_ID")?.parse()?;
    let accounts = client.get_accounts()?.items.unwrap_or_default();
    expect(accounts.iter().any(|account| account.acct_id == account_id), "the account is not listed")?;
    expect(client.get_account(account_id)?.roles.is_some_and(|roles| !roles.is_empty()), "the user has no role")?;
    expect(client.get_logged_in_user()?.user_email == variable("CCM_USERNAME")?, "another user is logged in")
}

fn zones() -> Result<(), Failure> {
    let client = logged_in()?;
    let zones = client.get_zones()?;
    let zone = zones.first().ok_or("there is no zone")?;
    expect(zone.certificate.starts_with("-----BEGIN CERTIFICATE-----"), "the zone's certificate is no PEM")?;
    expect(client.get_zone(zone.zone_id)? == *zone, "the zone looks different by itself")?;
    expect(client.get_zone_join_token(zone.zone_id)?.token.is_some(), "there is no join token")?;
    expect(client.with_new_paths().get_zones()? == zones, "the newer prefix answers something else")
}

fn apps() -> Result<(), Failure> {
    let client = logged_in()?;
    let app = client.add_application(app_request("em-client app"))?;
    let app_id = app.app_id;
    expect(app.domains_added == Some(vec!["em-client.example.com".into()]), format!("domains added: {:?}", app.domains_added))?;
    let pending = app.pending_task_id.ok_or("no task asks about the domain")?;
    let refusal = client.add_application(app_request("em-client app")).err().ok_or("the name was taken twice")?;
    expect(refusal.to_string().contains("UNIQUE_VIOLATION"), format!("refused otherwise: {refusal}"))?;

    let tasks = client.get_all_tasks(Some("DOMAIN_WHITELIST".into()), Some("PENDING".into()), None, None, None, None, None, None, None)?;
    let task = tasks.items.iter().find(|task| task.entity_id == app_id).ok_or("the task is not listed")?;
    expect(task.task_id == pending && task.task_type == TaskType::DOMAIN_WHITELIST, "another task is listed")?;
    let result = client.update_task(pending, TaskUpdateRequest { status: ApprovalStatus::APPROVED })?;
    expect(result.task_status.is_some_and(|status| status.status == TaskStatusType::SUCCESS), "the task did not succeed")?;
    expect(client.get_task(pending)?.approvals.len() == 1, "the approval is not shown")?;
    expect(client.get_task_status(pending)?.task_id == Some(pending), "the status is that of another task")?;

    let app = client.get_app(app_id)?;
    expect(
        app.whitelisted_domains == Some(vec!["em-client.example.com".into()]) && app.pending_task_id.is_none(),
        "the domain is not approved",
    )?;
    let label = PatchDocument { op: PatchOperation::ADD, path: "/stage".into(), value: Some("test".into()) };
    let change = AppBodyUpdateRequest { labels: Some(vec![label]), description: Some("changed".into()), ..nothing() };
    let app = client.update_app(app_id, change)?;
    expect(app.labels == Some(HashMap::from([("stage".into(), "test".into())])), format!("labels: {:?}", app.labels))?;
    let found = client.get_all_apps(Some("em-client".into()), None, None, Some(1), Some(0), Some("name:DESC".into()))?;
    expect(found.items.len() == 1 && found.metadata.is_some_and(|metadata| metadata.limit == 1), "the list is not as asked for")?;
    client.delete_app(app_id)?;
    expect(client.get_app(app_id).is_err(), "the app is still there")
}

fn builds() -> Result<(), Failure> {
    let client = logged_in()?;
    let app = client.add_application(AppRequest { allowed_domains: None, ..app_request("em-client builds") })?;
    let request = CreateBuildRequest {
        docker_info: Some(DockerInfo {
            docker_image_name: "image".into(),
            docker_version: "1".into(),
            docker_image_sha: None,
            docker_image_size: None,
        }),
        mrenclave: "ab".repeat(32),
        mrsigner: "cd".repeat(32),
        isvprodid: 1,
        isvsvn: 2,
        app_id: Some(app.app_id),
        app_name: None,
        mem_size: None,
        threads: None,
        advanced_settings: None,
    };
    let build = client.create_build(request.clone())?;
    let build_id = build.build_id.ok_or("the build has no id")?;
    expect(build.enclave_info.is_some_and(|info| info.mrenclave == request.mrenclave && info.isvsvn == 2), "the measurement is another")?;
    let refusal = client.create_build(request).err().ok_or("the measurement was taken twice")?;
    expect(refusal.to_string().contains("UNIQUE_VIOLATION"), format!("refused otherwise: {refusal}"))?;
    let task = build.pending_task_id.ok_or("no task asks about the build")?;
    client.update_task(task, TaskUpdateRequest { status: ApprovalStatus::APPROVED })?;
    let listed = client.get_all_builds(None, Some("image".into()), None, None, Some("WHITELISTED".into()), None, None, None)?;
    expect(listed.items.iter().any(|build| build.build_id == Some(build_id)), "the build is not listed as approved")?;
    let configs = HashMap::from([("0f".repeat(32), serde_json::json!({}))]);
    let build = client.update_build(build_id, BuildUpdateRequest { configs: Some(configs) })?;
    expect(build.configs.is_some_and(|configs| configs.len() == 1), "the configuration is not kept")?;
    client.delete_build(build_id)?;
    expect(client.get_build(build_id).is_err(), "the build is still there")?;
    Ok(client.delete_app(app.app_id)?)
}

fn nodes() -> Result<(), Failure> {
    let client = logged_in()?;
    // The agent enrols before it asks for anything: its answer means that the node is there.
    crate::agent::refused()?;
    let listed = client.get_all_nodes(Some("dsma-local".into()), None, None, None, None, None, None, None)?;
    let node = listed.items.first().ok_or("no node has enrolled")?;
    expect(client.get_node(node.node_id)?.certificate.is_some(), "the node has no certificate")?;
    let certificate = client.get_node_certificate(node.node_id)?;
    expect(certificate.certificate == node.certificate, "the node's certificate is another")?;
    expect(client.get_node_certificate_details(node.node_id)?.subject_name.contains(&node.node_id.to_string()), "it names another node")
}

fn anybody() -> Result<Client, Failure> {
    // A zero ends a text of mbedtls'.
    let pem = [std::fs::read(variable("FORTANIX_CA_FILE")?)?, vec![0]].concat();
    let ca = mbedtls::x509::Certificate::from_pem(&pem)?;
    let connections = em_app::utils::get_hyper_connector_pool(vec![ca.as_der().to_vec()])?;
    Client::try_new_with_hyper_client(connections, &variable("CCM_ENDPOINT")?).map_err(|error| format!("{error:?}").into())
}

fn logged_in() -> Result<Client, Failure> {
    let mut client = anybody()?;
    client.headers().set(Authorization(Basic { username: variable("CCM_USERNAME")?, password: Some(variable("CCM_PASSWORD")?) }));
    let token = client.authenticate_user(None)?.access_token.ok_or("the login gives no token")?;
    client.headers().set(Authorization(Bearer { token }));
    client.select_account(variable("CCM_ACCOUNT_ID")?.parse()?)?;
    Ok(client)
}

fn app_request(name: &str) -> AppRequest {
    AppRequest {
        name: name.into(),
        description: None,
        input_image_name: "input".into(),
        output_image_name: "output".into(),
        isvprodid: 1,
        isvsvn: 1,
        mem_size: 1024,
        threads: 128,
        allowed_domains: Some(vec!["em-client.example.com".into()]),
        advanced_settings: None,
        labels: None,
    }
}

/// A change of nothing.
fn nothing() -> AppBodyUpdateRequest {
    AppBodyUpdateRequest {
        description: None,
        input_image_name: None,
        output_image_name: None,
        isvsvn: None,
        isvprodid: None,
        mem_size: None,
        threads: None,
        allowed_domains: None,
        advanced_settings: None,
        labels: None,
    }
}
