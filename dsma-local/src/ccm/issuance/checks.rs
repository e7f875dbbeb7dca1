//! The eleven checks between a request and a certificate, in their order. The first that fails says why, for an operator.
//!
//! 1 size; 2 COSE envelope; 3 syntax of the document; 4 chain to a pinned root; 5 signature; 6 freshness, and not seen before; 7 no debug
//! mode; 8 the request is signed with the key that the document names; 9 the measurements are those of an approved build, or a known
//! signer's; 10 each domain is approved; 11 the node is in good standing. What is cheap to forge fails (1 to 8), what somebody could
//! approve is denied, or waits where the decision is asked for already (9 to 11).

use std::time::SystemTime;

use dsma_api::Time;
use dsma_attest::csr::Csr;
use dsma_attest::{Document, Roots, Verifier, binding};
use uuid::Uuid;

use super::key::RequestedKey;
use crate::ccm::model::{Account, App, Build, BuildStatus, Measurement, Node, NodeStatus, Seen, Signer};
use crate::error::Error;
use crate::store::Records;

/// How long freshness would accept a document again: 5 minutes, and 1 ahead.
const REMEMBERED: i64 = 6 * 60;

/// Whose documents are believed.
pub(crate) struct Trust {
    aws: Verifier,
    /// AWS, and the emulated NSM of this state: for accounts that are marked insecure.
    insecure: Verifier,
}

/// What comes of a request.
pub(super) enum Verdict {
    Certify(Box<Certified>),
    /// Somebody is asked to approve already.
    Wait(String),
    /// An operator's decision is against it, or missing.
    Deny(String),
    /// The request itself is no good.
    Fail(String),
}

/// What passed all checks.
pub(super) struct Certified {
    pub(super) app: App,
    /// Absent where a known signer was enough.
    pub(super) build: Option<Build>,
    /// The common name first.
    pub(super) names: Vec<String>,
    pub(super) key: RequestedKey,
}

/// What stopped a request.
enum Stop {
    Verdict(Verdict),
    Store(Error),
}

impl Trust {
    /// `emulator` is the root of the emulated NSM, DER.
    ///
    /// # Errors
    /// Where that is no root certificate.
    pub(crate) fn new(emulator: &[u8]) -> Result<Self, dsma_attest::Error> {
        Ok(Self { aws: Verifier::new(Roots::aws()), insecure: Verifier::new(Roots::aws().with_der(emulator)?) })
    }

    const fn of(&self, account: &Account) -> &Verifier {
        if account.is_insecure() { &self.insecure } else { &self.aws }
    }
}

/// A request after the checks that need no store: 1 to 5, the first half of 6, 7, and 8.
pub(super) struct Examined(Result<Genuine, String>);

/// A request with a genuine document.
struct Genuine {
    document: Document,
    csr: Csr,
    /// What the document says of the request's key; the document counts as used, whatever it says.
    bound: Result<(Option<[u8; 32]>, RequestedKey), String>,
}

/// Applies the checks that need no store, and take their time: no transaction waits for them.
pub(super) fn examine(trust: &Trust, account: &Account, csr: &str) -> Examined {
    let genuine = || {
        let csr = Csr::parse_pem(csr).map_err(|error| error.to_string())?;
        let document = csr.attestation.as_deref().ok_or(NO_DOCUMENT)?;
        let document = trust.of(account).verify(document, SystemTime::now()).map_err(|error| error.to_string())?;
        let config_id = binding::check(&document, &csr.spki_der).map_err(|error| error.to_string());
        let bound = config_id.and_then(|config_id| {
            let key = RequestedKey::of(&csr.spki_der).ok_or("the request's key is of a type that is not certified")?;
            Ok((config_id, key))
        });
        Ok(Genuine { document, csr, bound })
    };
    Examined(genuine())
}

/// Applies the other checks. A document that gets as far as this counts as used, by this task alone.
pub(super) fn judge(examined: Examined, records: &Records<'_>, account: &Account, node: &Node, task_id: Uuid) -> Result<Verdict, Error> {
    let certified = || {
        let Genuine { document, csr, bound } = examined.0.map_err(Verdict::Fail)?;
        remember(records, &document, task_id)?;
        let (config_id, key) = bound.map_err(Verdict::Fail)?;
        let (app, build) = known_image(records, account, &document, config_id)?;
        let names = names(&csr);
        approved_domains(&app, &names)?;
        good_node(account, node)?;
        Ok(Certified { app, build, names, key })
    };
    match certified() {
        Ok(certified) => Ok(Verdict::Certify(Box::new(certified))),
        Err(Stop::Verdict(verdict)) => Ok(verdict),
        Err(Stop::Store(error)) => Err(error),
    }
}

const NO_DOCUMENT: &str = "the certificate signing request has no attestation document (attribute 1.3.6.1.4.1.49690.2.2.6): \
                           an enclave makes it with its NSM";

/// Check 6, its second half. After debug mode, which no repetition makes better.
fn remember(records: &Records<'_>, document: &Document, task_id: Uuid) -> Result<(), Stop> {
    let now = Time::now().0;
    for old in records.all::<Seen>(Uuid::nil())?.into_iter().filter(|seen| seen.until < now) {
        records.delete::<Seen>(old.id)?;
    }
    let document = hex(&document.content);
    match records.find::<Seen>(&document)? {
        Some(seen) if seen.task_id == task_id => Ok(()),
        Some(_) => Err(fail(dsma_attest::Error::Replayed)),
        None => {
            records.insert(&Seen { id: Uuid::new_v4(), document, task_id, until: now + REMEMBERED })?;
            Ok(())
        }
    }
}

/// Check 9.
fn known_image(
    records: &Records<'_>,
    account: &Account,
    document: &Document,
    config_id: Option<[u8; 32]>,
) -> Result<(App, Option<Build>), Stop> {
    let [pcr0, pcr1, pcr2, pcr8] = [0, 1, 2, 8].map(|index| document.pcrs.get(&index).map(|value| hex(value)).unwrap_or_default());
    let signer = Signer::NitroEnclave { pcr8: pcr8.clone() };
    let measurement = Measurement::NitroEnclave { pcr0, pcr1, pcr2 };
    let build = records.find::<Build>(&Build::key_of(account.acct_id, &measurement))?;
    let Some(build) = build else {
        let apps = records.all::<App>(account.acct_id)?;
        let signed = apps.into_iter().find(|app| !app.certificate_policy.require_known_image && app.signers.contains(&signer));
        return match (signed, config_id) {
            (Some(_), Some(_)) => deny("the document names an app configuration, which only a registered build may use"),
            (Some(app), None) => Ok((app, None)),
            (None, _) => deny(unknown(records, account, &measurement)?),
        };
    };
    let app = records.get::<App>(build.app_id)?.ok_or_else(|| denied(format!("build {} has no app any more", build.build_id)))?;
    if app.certificate_policy.require_known_image {
        match build.status {
            BuildStatus::Whitelisted => {}
            BuildStatus::Rejected => return deny(format!("build {} of app {:?} was rejected", build.build_id, app.name)),
            BuildStatus::Pending => {
                let task = build.pending_task_id.unwrap_or_default();
                let text = format!("build {} of app {:?} is not approved: approve task {task}", build.build_id, app.name);
                return Err(Stop::Verdict(Verdict::Wait(text)));
            }
        }
    }
    if app.certificate_policy.require_known_signer && !app.signers.contains(&signer) {
        let text = format!("the image is signed by PCR8 {}, which is none of the signers of app {:?}", shortened(&pcr8), app.name);
        return deny(text);
    }
    match config_id.map(|config_id| hex(&config_id)) {
        Some(config_id) if !build.configs.contains_key(&config_id) => {
            deny(format!("build {} of app {:?} may not use app configuration {config_id}", build.build_id, app.name))
        }
        _ => Ok((app, Some(build))),
    }
}

/// What an operator needs where no build has these measurements: by how much the nearest one is missed.
fn unknown(records: &Records<'_>, account: &Account, measured: &Measurement) -> Result<String, Error> {
    let Measurement::NitroEnclave { pcr0, pcr1, pcr2 } = measured else { return Ok(String::new()) };
    let seen = format!("PCR0 {}, PCR1 {}, PCR2 {}", shortened(pcr0), shortened(pcr1), shortened(pcr2));
    let builds = records.all::<Build>(account.acct_id)?;
    let compared = builds.iter().filter_map(|build| match &build.measurement {
        Measurement::NitroEnclave { pcr0: zero, pcr1: one, pcr2: two } => {
            let differing = [("PCR0", pcr0 != zero), ("PCR1", pcr1 != one), ("PCR2", pcr2 != two)];
            let differing: Vec<&str> = differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
            Some((differing, build))
        }
        Measurement::Sgx { .. } => None,
    });
    let nearest = compared.min_by_key(|(differing, _)| differing.len());
    let nearest = nearest.map(|(differing, build)| {
        format!("; from build {} of app {:?} it differs in {}", build.build_id, build.app_name, differing.join(" and "))
    });
    Ok(format!(
        "no build of this account has these measurements ({seen}){}: register and approve the build that runs",
        nearest.unwrap_or_default()
    ))
}

/// All names that the certificate would have: the common name first, each once.
fn names(csr: &Csr) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in csr.common_name.iter().chain(&csr.dns_names).map(|name| name.to_ascii_lowercase()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Check 10.
fn approved_domains(app: &App, names: &[String]) -> Result<(), Stop> {
    if names.is_empty() {
        return deny("the request names no domain, neither as its common name nor as an alternative name");
    }
    let missing: Vec<&str> = names.iter().filter(|name| !app.whitelisted_domains.contains(name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    match app.pending_task_id {
        Some(task) if missing.iter().all(|name| app.allowed_domains.iter().any(|allowed| allowed == name)) => {
            let text = format!("domain {} of app {:?} is not approved: approve task {task}", missing.join(", "), app.name);
            Err(Stop::Verdict(Verdict::Wait(text)))
        }
        _ => {
            let known =
                if app.whitelisted_domains.is_empty() { "none is".into() } else { format!("{} is", app.whitelisted_domains.join(", ")) };
            deny(format!(
                "domain {} is not approved for app {:?} ({known}): add it to the app, and approve it",
                missing.join(", "),
                app.name
            ))
        }
    }
}

/// Check 11. Requests come from enrolled nodes alone, so whatever the policy says, the node is known.
fn good_node(account: &Account, node: &Node) -> Result<(), Stop> {
    if node.acct_id != account.acct_id {
        return deny(format!("node {:?} belongs to another zone", node.name));
    }
    match node.status {
        NodeStatus::Running => Ok(()),
        NodeStatus::Deactivated => deny(format!("node {:?} is deactivated: enrol another", node.name)),
    }
}

fn fail(error: dsma_attest::Error) -> Stop {
    Stop::Verdict(Verdict::Fail(error.to_string()))
}

fn denied(reason: impl Into<String>) -> Stop {
    Stop::Verdict(Verdict::Deny(reason.into()))
}

fn deny<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(denied(reason))
}

impl From<Verdict> for Stop {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Enough of a measurement to tell it from others.
fn shortened(digits: &str) -> String {
    format!("{}...", digits.chars().take(16).collect::<String>())
}
