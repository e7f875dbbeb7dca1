//! em-node-agent-client against the node agent.

use em_app::get_certificate_status;
use em_node_agent_client::models::{IssueCertificateRequest, TaskStatusType};
use em_node_agent_client::{CertificateApi, Client, EnclaveApi, SystemApi};

use crate::{Failure, Scenario, expect, variable};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("em-node-agent-client: the agent tells its version, whatever path its URL has", version),
    ("em-node-agent-client: a request without an attestation document has failed, and says so again when asked", refused),
    ("em-node-agent-client: what serves SGX enclaves is refused", sgx),
];

fn version() -> Result<(), Failure> {
    for path in ["", "/v1", "/v1/"] {
        expect(connect(path)?.get_agent_version()?.version.is_some(), "the agent tells no version")?;
    }
    Ok(())
}

pub(crate) fn refused() -> Result<(), Failure> {
    let answer = connect("")?.issue_certificate(IssueCertificateRequest { csr: Some("no request".into()) })?;
    expect(answer.task_status == Some(TaskStatusType::FAILED) && answer.certificate.is_none(), format!("{answer:?}"))?;
    let task_id = answer.task_id.ok_or("the answer names no task")?;
    let again = connect("")?.get_issue_certificate_response(task_id)?;
    expect(again.task_status == Some(TaskStatusType::FAILED) && again.task_id == Some(task_id), format!("{again:?}"))?;
    let again = get_certificate_status(&variable("NODE_AGENT")?, task_id).map_err(|error| format!("{error:?}"))?;
    expect(again.task_status == Some(TaskStatusType::FAILED), format!("em-app reads {again:?}"))
}

fn sgx() -> Result<(), Failure> {
    let refusal = connect("")?.get_target_info().err().ok_or("the agent serves an SGX enclave")?;
    expect(refusal.to_string().contains("SGX"), format!("refused otherwise: {refusal}"))
}

fn connect(path: &str) -> Result<Client, Failure> {
    let url = format!("{}{path}", variable("NODE_AGENT")?);
    Client::try_new_http(&url).map_err(|error| format!("{error:?}").into())
}
