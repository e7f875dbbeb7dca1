//! One certificate at a time, its first issue, and whose turn it is to renew it.
//!
//! Nobody waits for a renewal but the caller that makes it, and that one no longer than it is told while the old certificate holds. The
//! state is touched under a lock that is never held across I/O, so it survives a fork: the child goes on with the certificate, and forgets
//! a renewal that the parent was making.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64_simd::STANDARD;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{ClientCertificate, attested, files};
use crate::clock::Moment;
use crate::config::{Attested, CertificateFiles};
use crate::{Error, gate};

/// How long an issue may take when nothing else can be done: what the vendor's own client waits.
pub(crate) const ISSUE_TIME: Duration = Duration::from_secs(60);
/// Pauses after a failed issue: they double up to the longest, which is short, because an operator who has mended something tries again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pauses after a failed renewal: half of the time that is left, within these.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A certificate and where the next one comes from.
#[derive(Debug)]
pub(crate) struct Certified {
    source: Source,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Source {
    Files(CertificateFiles),
    Attested(Attested),
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<ClientCertificate>>,
    /// The fork generation of the process that is renewing.
    renewing: Option<u64>,
    /// No renewal is tried before.
    next_try: Option<Moment>,
    /// Issues that failed since the last success.
    failures: u32,
    /// What the last one said, and until when nobody tries again.
    refusal: Option<(Moment, Error)>,
}

/// The duty to renew: one caller has it at a time, and its end ends with it.
pub(crate) struct Duty<'a> {
    owner: &'a Certified,
    old: Arc<ClientCertificate>,
    /// The time that this caller has.
    within: Duration,
}

impl Certified {
    pub(super) fn in_files(files: CertificateFiles) -> Self {
        Self { source: Source::Files(files), state: Mutex::default() }
    }

    pub(super) fn attested(attested: Attested) -> Self {
        Self { source: Source::Attested(attested), state: Mutex::default() }
    }

    /// The value of `Authorization` beside the certificate: the app's id, without a secret.
    pub(crate) fn authorization(&self) -> Option<String> {
        let app_id: Option<Uuid> = match &self.source {
            Source::Files(files) => files.app_id,
            Source::Attested(attested) => Some(attested.app_id),
        };
        app_id.map(|app_id| format!("Basic {}", STANDARD.encode_to_string(format!("{app_id}:"))))
    }

    /// The certificate. Where there is none that holds, this caller gets one, which may take [`ISSUE_TIME`].
    ///
    /// # Errors
    /// [`Error::Certificate`]; for a moment after a failure the same again, without a try.
    pub(crate) fn certificate(&self) -> Result<Arc<ClientCertificate>, Error> {
        {
            let state = self.state.lock();
            if let Some(current) = state.current.as_ref().filter(|current| !current.left(SystemTime::now()).is_zero()) {
                return Ok(Arc::clone(current));
            }
            if let Some((until, error)) = &state.refusal
                && Moment::now() < *until
            {
                return Err(error.clone());
            }
        }
        let issued = self.issue(ISSUE_TIME);
        let mut state = self.state.lock();
        match issued {
            Ok(certificate) => {
                let certificate = Arc::new(certificate);
                *state = State { current: Some(Arc::clone(&certificate)), ..State::default() };
                Ok(certificate)
            }
            Err(error) => {
                let wait = FIRST_PAUSE.saturating_mul(1 << state.failures.min(8)).min(LONGEST_PAUSE);
                state.failures += 1;
                state.refusal = Some((Moment::now().after(wait), error.clone()));
                Err(error)
            }
        }
    }

    /// DSM does not take the certificate: where another one can be had, the next login asks for it.
    pub(crate) fn refused(&self, certificate: &Arc<ClientCertificate>, error: &Error) {
        let mut state = self.state.lock();
        if state.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, certificate)) {
            state.current = None;
            state.refusal = Some((Moment::now().after(LONGEST_PAUSE), error.clone()));
        }
    }

    /// The duty to renew, where it is time and nobody has it. It is to take at most `patience` while the certificate still holds for
    /// longer than that, else [`ISSUE_TIME`].
    pub(crate) fn duty(&self, patience: Duration) -> Option<Duty<'_>> {
        let mut state = self.state.lock();
        let now = SystemTime::now();
        let old = Arc::clone(state.current.as_ref().filter(|current| current.due_in(now).is_zero())?);
        if state.renewing == Some(gate::generation()) || state.next_try.is_some_and(|next| Moment::now() < next) {
            return None;
        }
        state.renewing = Some(gate::generation());
        let within = if old.left(now) > patience { patience } else { ISSUE_TIME };
        Some(Duty { owner: self, old, within })
    }

    /// The time until the next renewal is worth a try.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let state = self.state.lock();
        let due = state.current.as_ref()?.due_in(SystemTime::now());
        let allowed = state.next_try.map_or(Duration::ZERO, |next| Moment::now().until(next));
        Some(due.max(allowed))
    }

    fn issue(&self, within: Duration) -> Result<ClientCertificate, Error> {
        match &self.source {
            Source::Attested(identity) => attested::certify(identity, within),
            Source::Files(files) => {
                let certificate = files::read(files)?;
                if certificate.left(SystemTime::now()).is_zero() {
                    let problem = format!("the certificate expired at {}", certificate.end());
                    return Err(files::unusable(&files.cert_file, &problem, "put a new certificate and its key into the two files"));
                }
                Ok(certificate)
            }
        }
    }
}

impl Duty<'_> {
    /// The time that this caller has for the whole renewal.
    pub(crate) const fn within(&self) -> Duration {
        self.within
    }

    /// A new certificate, which DSM has not seen yet.
    ///
    /// # Errors
    /// [`Error::Certificate`], also where the files still hold the old one.
    pub(crate) fn certificate(&self) -> Result<Arc<ClientCertificate>, Error> {
        let new = self.owner.issue(self.within)?;
        match &self.owner.source {
            Source::Files(files) if new.leaf() == self.old.leaf() => {
                let problem = format!("it still holds the certificate that ends at {}", new.end());
                Err(files::unusable(&files.cert_file, &problem, "put a new certificate and its key into the two files before that time"))
            }
            _ => Ok(Arc::new(new)),
        }
    }

    /// DSM has taken the new certificate: from now on it is ours.
    pub(crate) fn keep(&self, new: Arc<ClientCertificate>) {
        let mut state = self.owner.state.lock();
        state.current = Some(new);
        state.next_try = None;
    }

    /// The old certificate serves on.
    pub(crate) fn failed(&self, error: &Error) {
        let left = self.old.left(SystemTime::now());
        let wait = (left / 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        self.owner.state.lock().next_try = Some(Moment::now().after(wait));
        tracing::warn!(
            target: "dsma::identity",
            "the certificate is not renewed: {error}. The old one serves until {}; next try in {} s",
            self.old.end(),
            wait.as_secs()
        );
    }
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        self.owner.state.lock().renewing = None;
    }
}
