//! The node agent: it takes a certificate signing request, has CCM judge it, and answers with the certificate.
//!
//! Plain HTTP on the enclave's own host, without credentials: what is said there proves itself (the request is attested, the certificate
//! is for our key). Every answer is input from outside all the same: bounded, parsed, and refused where it makes no sense.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::unversioned::transport::TcpConnector;

use super::NodeAgentUrl;
use crate::Error;
use crate::clock::Moment;
use crate::net::{CallerThreadResolver, Gated, USER_AGENT, pause, reason};

/// A chain of certificates has some kilobytes.
const REPLY_LIMIT: u64 = 256 << 10;
/// How often the agent is asked about a task that it did not wait for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Has the request in `csr` (PEM) judged, and returns the certificates that come back (PEM). Takes at most about `within`.
///
/// # Errors
/// [`Error::Certificate`], with what an operator has to do.
pub(super) fn issue(agent: &NodeAgentUrl, csr: &str, within: Duration) -> Result<String, Error> {
    let client = Client { agent, http: http(), deadline: Moment::now().after(within), within };
    let body = serde_json::to_vec(&Request { csr }).map_err(|_| client.garbage("the request does not serialise"))?;
    let mut answer = client.ask("/v1/certificate/issue", Some(&body))?;
    loop {
        let task = answer.task();
        match answer.task_status.as_deref() {
            Some("SUCCESS") | None => {
                return answer.certificate.ok_or_else(|| client.garbage("it holds neither a certificate nor a status that says why not"));
            }
            Some("INPROGRESS") => match &answer.task_id {
                None => return Err(client.garbage("the task is in progress, and it does not say which task")),
                Some(id) => {
                    if Moment::now().after(POLL_INTERVAL) >= client.deadline {
                        return Err(client.slow(&task));
                    }
                    pause(POLL_INTERVAL);
                    answer = client.ask(&format!("/v1/certificate/result/{id}"), None)?;
                }
            },
            Some("PENDING_WHITELIST") => {
                return Err(client.refused(
                    &format!("CCM has not approved this image or its domain yet ({task})"),
                    "approve the build and the domain in CCM (scripts/whitelist_domain_and_image.sh does both), then try again",
                ));
            }
            Some("DENIED") => {
                return Err(client.refused(
                    &format!("the certificate was denied in CCM ({task})"),
                    "look at the task in CCM for who denied it and why: only an approved build, with an approved domain, not in debug mode, \
                     is certified",
                ));
            }
            Some("FAILED") => {
                return Err(client.refused(
                    &format!("CCM could not issue the certificate ({task})"),
                    "look at the task in CCM and at the node agent's log, mend what they name, then try again",
                ));
            }
            Some(_) => return Err(client.garbage("its task_status is none that is known")),
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    csr: &'a str,
}

/// `IssueCertificateResponse`: everything is optional.
#[derive(Deserialize)]
struct Answer {
    task_id: Option<uuid::Uuid>,
    task_status: Option<String>,
    certificate: Option<String>,
}

impl Answer {
    /// The task, for people.
    fn task(&self) -> String {
        self.task_id.map_or_else(|| "it names no task".to_owned(), |id| format!("task {id}"))
    }
}

struct Client<'a> {
    agent: &'a NodeAgentUrl,
    http: Agent,
    deadline: Moment,
    within: Duration,
}

impl Client<'_> {
    /// `None` for a body is no body and no content type at all, as the vendor's client does it.
    fn ask(&self, path: &str, body: Option<&[u8]>) -> Result<Answer, Error> {
        let left = Moment::now().until(self.deadline).max(Duration::from_millis(1));
        let request = ureq::http::Request::post(format!("{}{path}", self.agent.base()));
        let reply = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(body).map_err(ureq::Error::from).and_then(|r| self.run(r, left))
            }
            None => request.body(()).map_err(ureq::Error::from).and_then(|r| self.run(r, left)),
        };
        let (status, text) = match reply {
            Ok(reply) => reply,
            Err(ureq::Error::Timeout(_)) => return Err(self.slow("no answer")),
            Err(ureq::Error::BodyExceedsLimit(_)) => return Err(self.garbage("it is longer than any certificate")),
            Err(error) => return Err(self.unreachable(&reason(&error))),
        };
        if status != 200 {
            return Err(self.refused(
                &format!("it answered status {status}: {}", printable(&text)),
                "look at the node agent's log; a proxy or another service may listen on that port",
            ));
        }
        // The parser's message may quote the document.
        serde_json::from_slice(&text).map_err(|_| self.garbage("it is not the JSON that was expected"))
    }

    fn run(&self, request: ureq::http::Request<impl ureq::AsSendBody>, left: Duration) -> Result<(u16, Vec<u8>), ureq::Error> {
        let mut reply = self.http.run(self.http.configure_request(request).timeout_global(Some(left)).build())?;
        let text = reply.body_mut().with_config().limit(REPLY_LIMIT).read_to_vec()?;
        Ok((reply.status().as_u16(), text))
    }

    fn unreachable(&self, reason: &str) -> Error {
        let mend = "check that the node agent runs, NODE_AGENT or node_agent of the configuration, and the network between";
        self.error(&format!("it cannot be reached: {reason}"), mend, true)
    }

    fn slow(&self, seen: &str) -> Error {
        let mend = "look at the node agent's log and at CCM's tasks; the next try may find it done";
        self.error(&format!("no certificate came within {} s ({seen})", self.within.as_secs_f32()), mend, true)
    }

    fn garbage(&self, what: &str) -> Error {
        let mend = "check that a node agent of a supported version listens there";
        self.error(&format!("its answer is unusable: {what}"), mend, false)
    }

    fn refused(&self, problem: &str, mend: &str) -> Error {
        self.error(problem, mend, false)
    }

    fn error(&self, problem: &str, mend: &str, outage: bool) -> Error {
        let subject = Arc::from(format!("node agent {}", self.agent));
        Error::Certificate { subject, problem: problem.into(), mend: mend.into(), outage }
    }
}

/// One client for one certificate: it is rarely asked.
fn http() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).user_agent(USER_AGENT).build();
    Agent::with_parts(config, Gated(TcpConnector::default()), CallerThreadResolver)
}

/// What came from outside, short and printable.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
