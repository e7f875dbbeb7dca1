//! Who calls, and what may they do: the service's first duty.
//!
//! Keys are exported under our own identity, so what a caller may not do, we must not do for it. DSM is asked in the caller's name,
//! with the caller's own credential: who it is, what it may do in which group, and whether it sees the key. Where DSM does not tell,
//! the caller's first request for a key and an operation is passed on, and success is the grant. All of it lives at most the cache's
//! TTL and the session's idle time, and is dropped when DSM answers 401 or 403.

mod caller;
mod credential;
mod permit;
mod registry;
mod single_flight;

use std::sync::Arc;
use std::time::Duration;

use dsma_api::{App, AppGroups, AuthResponse, KeyFacts, Operation, Sobject, SobjectDescriptor, Time, authorize};
use dsma_core::Moment;
use http::{HeaderMap, Method};
use hyper::body::Bytes;
use uuid::Uuid;
use zeroize::Zeroize;

pub(crate) use self::caller::Caller;
use self::caller::{Grants, Rights};
use self::credential::Hasher;
pub(crate) use self::credential::{Credential, CredentialId, Scheme};
pub(crate) use self::permit::Denied;
pub(crate) use self::registry::Era;
use self::registry::{Issued, Registry};
use self::single_flight::SingleFlight;
use crate::upstream::{Answer, Unreachable, Upstream};

/// Where DSM describes a sobject.
const INFO: &str = "crypto/v1/keys/info";

/// The operations that are served locally.
const LOCAL_OPERATIONS: [Operation; 4] = [Operation::Encrypt, Operation::Decrypt, Operation::Sign, Operation::Verify];

/// Why a caller is not served locally.
#[derive(Clone, Debug)]
pub(crate) enum Withheld {
    /// DSM has not told. Pass the request on: success is a grant.
    Untold,
    /// DSM would refuse. Pass the request on, so that it says so in its own words.
    Refused,
    /// DSM does not answer.
    Unreachable(Unreachable),
}

impl From<Unreachable> for Withheld {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

/// Why a credential is not good for anything.
pub(crate) enum Unvouched {
    /// DSM says so, in these words.
    Refused(Answer),
    /// DSM does not answer.
    Unreachable(Unreachable),
}

impl From<Unreachable> for Unvouched {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

/// All callers. Shared by all connections.
pub(crate) struct Callers {
    upstream: Arc<Upstream>,
    hasher: Hasher,
    ttl: Duration,
    registry: Registry,
    confirmations: SingleFlight<CredentialId, Result<Arc<Caller>, Withheld>>,
    lookups: SingleFlight<(CredentialId, SobjectDescriptor, Era), Result<Arc<Visible>, Withheld>>,
}

/// A sobject as a caller sees it.
struct Visible {
    kid: Uuid,
    group: Option<Uuid>,
    facts: KeyFacts,
}

impl Callers {
    /// `None` where the system gives no randomness.
    pub(crate) fn new(upstream: Arc<Upstream>, ttl: Duration) -> Option<Arc<Self>> {
        let (registry, confirmations, lookups) = (Registry::default(), SingleFlight::default(), SingleFlight::default());
        Some(Arc::new(Self { upstream, hasher: Hasher::new()?, ttl, registry, confirmations, lookups }))
    }

    /// The credential of a request.
    pub(crate) fn credential(&self, headers: &HeaderMap) -> Option<Credential> {
        self.hasher.read(headers)
    }

    /// The caller behind a credential: remembered, or confirmed by DSM now. Many who ask at once cause one confirmation.
    pub(crate) async fn identify(self: &Arc<Self>, credential: &Credential) -> Result<Arc<Caller>, Withheld> {
        let now = Moment::now();
        if let Some(caller) = self.registry.caller(&credential.id(), now) {
            if caller.must_renew(now) && self.can_confirm(credential) {
                self.renew(credential.clone(), Arc::clone(caller.grants()));
            }
            return Ok(caller);
        }
        if !self.can_confirm(credential) {
            return Ok(Arc::new(Caller::new(Rights::Untold, self.ttl, Arc::default())));
        }
        let (callers, presented) = (Arc::clone(self), credential.clone());
        let question = async move {
            // Another run may have ended between our look and this one.
            match callers.registry.caller(&presented.id(), Moment::now()) {
                Some(caller) => Ok(caller),
                None => callers.confirm(&presented, Arc::default()).await,
            }
        };
        let _place = self.upstream.place()?;
        self.confirmations.run(credential.id(), question).await.unwrap_or(Err(Withheld::Refused))
    }

    /// The kid that `key` means to the caller, if it may perform `operation` on it. DSM is asked before anything is exported, so a
    /// caller without the right causes no export.
    pub(crate) async fn authorize(
        self: &Arc<Self>,
        caller: &Caller,
        credential: &Credential,
        key: &SobjectDescriptor,
        operation: Operation,
    ) -> Result<Uuid, Withheld> {
        let era = self.era();
        if let Some(kid) = caller.granted(key, operation, era) {
            return Ok(kid);
        }
        if matches!(caller.rights(), Rights::Untold) {
            return Err(Withheld::Untold);
        }
        let (callers, presented, wanted) = (Arc::clone(self), credential.clone(), key.clone());
        let question = async move { callers.look_up(&presented, &wanted).await.map(Arc::new) };
        let place = self.upstream.place()?;
        let visible = self.lookups.run((credential.id(), key.clone(), era), question).await.unwrap_or(Err(Withheld::Refused))?;
        drop(place);
        let now = Time::now();
        let allowed = |operation| authorize(operation, caller.permissions(visible.group), &visible.facts, now).is_ok();
        for operation in LOCAL_OPERATIONS.into_iter().filter(|operation| allowed(*operation)) {
            caller.grant(key, visible.kid, operation, era);
        }
        if allowed(operation) { Ok(visible.kid) } else { Err(Withheld::Refused) }
    }

    /// DSM has done `operation` with `kid` for this caller, who called the key `key`: that is the grant. `era` is
    /// [`Callers::era`] from before DSM was asked.
    pub(crate) fn granted_by_dsm(&self, credential: &Credential, key: &SobjectDescriptor, kid: Uuid, operation: Operation, era: Era) {
        let caller = match self.registry.caller(&credential.id(), Moment::now()) {
            Some(caller) => caller,
            // A caller that can be confirmed is remembered by its confirmation alone.
            None if self.can_confirm(credential) => return,
            None => {
                let caller = Arc::new(Caller::new(Rights::Untold, self.ttl, Arc::default()));
                self.registry.remember(credential.id(), Arc::clone(&caller), era);
                caller
            }
        };
        caller.grant(key, kid, operation, era);
        caller.grant(&SobjectDescriptor::Kid(kid), kid, operation, era);
    }

    /// Whether DSM has confirmed this credential, or opened its session through us.
    pub(crate) fn is_known(&self, credential: &Credential) -> bool {
        self.registry.caller(&credential.id(), Moment::now()).is_some() || self.registry.issued(&credential.id()).is_some()
    }

    /// What an answer of DSM will hold for: to be read before DSM is asked.
    pub(crate) fn era(&self) -> Era {
        self.registry.era()
    }

    /// Checks a credential for a request that touches no key.
    pub(crate) async fn vouch(&self, credential: &Credential) -> Result<(), Unvouched> {
        if self.registry.caller(&credential.id(), Moment::now()).is_some() {
            return Ok(());
        }
        let _place = self.upstream.place()?;
        let path = match credential.scheme() {
            Scheme::Basic => "/sys/v1/session/auth",
            Scheme::Bearer => "/sys/v1/session/refresh",
        };
        let answer = self.upstream.ask(Method::POST, path, credential, None).await?;
        if !answer.status.is_success() {
            return Err(Unvouched::Refused(answer));
        }
        // What a refresh answers is the caller's own session.
        if credential.scheme() == Scheme::Basic
            && let Some(mut session) = parse_session(&answer)
        {
            self.close(&session.access_token);
            session.access_token.zeroize();
        }
        Ok(())
    }

    /// A session that DSM opened for a caller through us: from now on we know whose token it is.
    pub(crate) fn learn_session(&self, mut session: AuthResponse) {
        if let Some(credential) = self.hasher.bearer(&session.access_token) {
            let issued = Issued { entity: session.entity_id, idle: Duration::from_secs(session.expires_in) };
            self.registry.issue(credential.id(), issued);
        }
        session.access_token.zeroize();
    }

    /// DSM does not agree with what we knew of this caller.
    pub(crate) fn forget(&self, credential: &Credential) {
        self.registry.forget(&credential.id());
    }

    /// The caller ended its session.
    pub(crate) fn end_session(&self, credential: &Credential) {
        self.registry.end(credential.id());
    }

    /// Everybody is to be confirmed anew.
    pub(crate) fn clear(&self) {
        self.registry.clear();
    }

    /// Names may mean other keys now, and these keys may be other callers'. Nobody is confirmed anew for that.
    pub(crate) fn clear_keys(&self, kids: &[Uuid]) {
        self.registry.clear_keys(kids);
    }

    /// Whether DSM can be asked who this is: a token does not say, unless we saw it issued.
    fn can_confirm(&self, credential: &Credential) -> bool {
        credential.scheme() == Scheme::Basic || self.registry.issued(&credential.id()).is_some()
    }

    fn renew(self: &Arc<Self>, credential: Credential, grants: Arc<Grants>) {
        let callers = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(Withheld::Refused) = callers.confirm(&credential, grants).await {
                callers.forget(&credential);
            }
        });
    }

    async fn confirm(&self, credential: &Credential, grants: Arc<Grants>) -> Result<Arc<Caller>, Withheld> {
        let era = self.era();
        let (rights, idle) = match (credential.scheme(), self.registry.issued(&credential.id())) {
            (Scheme::Basic, _) => self.confirm_basic(credential).await?,
            (Scheme::Bearer, Some(issued)) => (self.rights(issued.entity, credential).await?, issued.idle),
            (Scheme::Bearer, None) => return Err(Withheld::Refused),
        };
        let caller = Arc::new(Caller::new(rights, self.ttl.min(idle), grants));
        self.registry.remember(credential.id(), Arc::clone(&caller), era);
        Ok(caller)
    }

    /// Opens a session, which tells whose credential it is, and closes it again.
    async fn confirm_basic(&self, credential: &Credential) -> Result<(Rights, Duration), Withheld> {
        let answer = self.upstream.ask(Method::POST, "/sys/v1/session/auth", credential, None).await?;
        check(&answer)?;
        let Some(mut session) = parse_session(&answer) else { return Err(Withheld::Refused) };
        let rights = match self.hasher.bearer(&session.access_token) {
            Some(bearer) => self.rights(session.entity_id, &bearer).await,
            None => Err(Withheld::Refused),
        };
        self.close(&session.access_token);
        session.access_token.zeroize();
        Ok((rights?, Duration::from_secs(session.expires_in)))
    }

    /// The permissions of an app, read in its own name.
    async fn rights(&self, entity: Uuid, credential: &Credential) -> Result<Rights, Withheld> {
        let answer = self.upstream.ask(Method::GET, &format!("/sys/v1/apps/{entity}?group_permissions=true"), credential, None).await?;
        match check(&answer) {
            Ok(()) => {}
            // It holds, but DSM does not tell more: a user, or an app that may not read itself.
            Err(Withheld::Refused) if answer.status != http::StatusCode::UNAUTHORIZED => return Ok(Rights::Untold),
            Err(withheld) => return Err(withheld),
        }
        match serde_json::from_slice::<App>(&answer.body) {
            Ok(App { app_id, groups: AppGroups::Permissions(by_group), .. }) if app_id == entity => Ok(Rights::Told(by_group)),
            Ok(App { app_id, .. }) if app_id == entity => Ok(Rights::Untold),
            Ok(_) => {
                note_unusable("sys/v1/apps", "`app_id` is another than was asked for");
                Ok(Rights::Untold)
            }
            Err(_) => {
                note_unusable("sys/v1/apps", "it describes no app");
                Ok(Rights::Untold)
            }
        }
    }

    /// The sobject, asked for in the caller's name: a name means what it means in the caller's account.
    async fn look_up(&self, credential: &Credential, key: &SobjectDescriptor) -> Result<Visible, Withheld> {
        let body = serde_json::to_vec(key).map_err(|_| Withheld::Untold)?;
        let answer = self.upstream.ask(Method::POST, &format!("/{INFO}"), credential, Some(Bytes::from(body))).await?;
        match check(&answer) {
            Ok(()) => {}
            Err(Withheld::Refused) => {
                if answer.status == http::StatusCode::UNAUTHORIZED {
                    self.forget(credential);
                }
                // It may still be allowed to use what it may not read.
                return Err(Withheld::Untold);
            }
            Err(withheld) => return Err(withheld),
        }
        let sobject: Sobject = serde_json::from_slice(&answer.body).map_err(|_| {
            note_unusable(INFO, "it describes no sobject");
            Withheld::Untold
        })?;
        // A grant for one key must not come to mean another.
        let kid = sobject.kid.filter(|kid| is_named(*kid, key)).ok_or_else(|| {
            note_unusable(INFO, "`kid` is another than was asked for");
            Withheld::Untold
        })?;
        let facts = KeyFacts::from(&sobject);
        Ok(Visible { kid, group: sobject.group_id, facts })
    }

    /// Ends a session of ours in the background: nobody waits for it.
    fn close(&self, token: &str) {
        if let Some(session) = self.hasher.bearer(token) {
            let upstream = Arc::clone(&self.upstream);
            tokio::spawn(async move {
                // It would idle away anyhow.
                let _ = upstream.ask(Method::POST, "/sys/v1/session/terminate", &session, None).await;
            });
        }
    }
}

/// Whether a sobject with this kid can be the one that was asked for.
pub(crate) fn is_named(kid: Uuid, key: &SobjectDescriptor) -> bool {
    !matches!(key, SobjectDescriptor::Kid(asked) if *asked != kid)
}

/// An answer that is no success: DSM's refusal, or DSM in trouble, which tells nothing.
fn check(answer: &Answer) -> Result<(), Withheld> {
    match answer.status.as_u16() {
        200..300 => Ok(()),
        429 | 500.. => Err(Withheld::Untold),
        _ => Err(Withheld::Refused),
    }
}

fn parse_session(answer: &Answer) -> Option<AuthResponse> {
    let session = serde_json::from_slice(&answer.body).ok();
    if session.is_none() {
        note_unusable("sys/v1/session/auth", "it opens no session");
    }
    session
}

/// A caller of whom DSM tells nonsense is one of whom it tells nothing. The operator is to know; what DSM said is in no log.
fn note_unusable(path: &str, problem: &str) {
    tracing::warn!(target: "dsma", "DSM sent an unusable reply: {path}: {problem}; check that the endpoint is a DSM of a supported version");
}
