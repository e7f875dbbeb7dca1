//! Who calls: a user by a session (cookie or bearer), a node by its certificate, a node that enrols by its zone's join token.

use axum::http::header::COOKIE;
use dsma_api::Time;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::call::Call;
use super::model::{Account, Member, MemberStatus, Node, Role, User, Zone, fingerprint};
use super::nodes::not_enrolled;
use super::refusal::{Code, Refusal};
use super::zone_ca;

/// The cookie that carries a session. The vendor's name for it is not published.
pub(crate) const COOKIE_NAME: &str = "ccm_session";
/// A request that a browser sends by itself carries the cookie, and never this header. Its presence is what counts.
const CSRF_HEADER: &str = "x-csrf-header";

/// A logged-in user, who may have selected an account.
pub(crate) struct Login {
    pub(crate) user: User,
    pub(crate) token: String,
    /// The account that the session has selected.
    pub(crate) selected: Option<Uuid>,
}

/// A user in an account.
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) account: Account,
}

impl Caller {
    pub(crate) const fn acct_id(&self) -> Uuid {
        self.account.acct_id
    }
}

impl Call {
    /// The user of the session.
    ///
    /// # Errors
    /// 401 without a session; 403 for a cookie without `X-CSRF-Header`.
    pub(crate) fn login(&self) -> Result<Login, Refusal> {
        let token = self.token()?.ok_or_else(|| {
            Refusal::new(Code::Unauthorized, "No session: log in at /v1/sys/auth, and send its cookie or its token as a bearer token")
        })?;
        let no_session = || Refusal::new(Code::InvalidSession, "The session does not exist or has ended: log in at /v1/sys/auth");
        let (user_id, selected) = self.ccm.sessions.touch(token).ok_or_else(no_session)?;
        let user = self.ccm.store.records(|records| records.get::<User>(user_id))?.ok_or_else(no_session)?;
        Ok(Login { user, token: token.to_owned(), selected })
    }

    /// The user in the selected account, with at least this role.
    ///
    /// # Errors
    /// As [`Call::login`]; 403 without an account, a membership, or the role.
    pub(crate) fn caller(&self, least: Role) -> Result<Caller, Refusal> {
        let login = self.login()?;
        let acct_id = login.selected.ok_or_else(|| {
            Refusal::new(Code::NoAccountSelected, "No account is selected: POST /v1/sys/session/select_account/{account-id} comes first")
        })?;
        let account = self.member_of(&login.user, acct_id, least)?;
        Ok(Caller { user: login.user, account })
    }

    /// The account, where the user has at least this role in it.
    pub(crate) fn member_of(&self, user: &User, acct_id: Uuid, least: Role) -> Result<Account, Refusal> {
        let key = Member::key_of(acct_id, user.user_id);
        let (member, account) =
            self.ccm.store.records(|records| Ok::<_, Refusal>((records.find::<Member>(&key)?, records.get::<Account>(acct_id)?)))?;
        let (Some(member), Some(account)) = (member, account) else {
            return Err(Refusal::new(Code::Forbidden, "You are not a member of this account"));
        };
        match member.status {
            MemberStatus::Active if member.may(least) => Ok(account),
            MemberStatus::Active => {
                Err(Refusal::new(Code::Forbidden, format!("Your roles in this account do not allow this: {} is needed", least.name())))
            }
            MemberStatus::Pending => Err(Refusal::new(Code::UserAccountPending, "You have not accepted the invitation to this account")),
            MemberStatus::Disabled => Err(Refusal::new(Code::Forbidden, "You are disabled in this account")),
        }
    }

    /// The node whose certificate the client presented, deactivated or not; `None` without a certificate.
    ///
    /// # Errors
    /// 403 where it is no enrolled node's, or has expired.
    pub(crate) fn node(&self) -> Result<Option<Node>, Refusal> {
        let Some(certificate) = self.client_certificate() else {
            return Ok(None);
        };
        let found = self.ccm.store.records(|records| records.find::<Node>(&fingerprint(certificate)))?;
        let node = found.ok_or_else(not_enrolled)?;
        let until = zone_ca::validity(certificate).map(|validity| validity.1);
        if until.is_none_or(|until| until <= Time::now().0) {
            return Err(Refusal::new(Code::NodeNotEnrolled, "The node's certificate has expired: enrol again with a join token"));
        }
        Ok(Some(node))
    }

    /// The zone whose join token the client presents as a bearer token; `None` where it presents no such token.
    pub(crate) fn joining(&self) -> Result<Option<Zone>, Refusal> {
        let Some(token) = self.bearer()? else {
            return Ok(None);
        };
        let Some(zone_id) = token.split_once('.').and_then(|(zone, _)| Uuid::parse_str(zone).ok()) else {
            return Ok(None);
        };
        self.ccm.store.records(|records| {
            let wrong =
                || Refusal::new(Code::AuthFailed, "The join token is not that of a zone of this CCM: get it at /v1/zones/{zone-id}/token");
            let zone = records.get::<Zone>(zone_id)?.ok_or_else(wrong)?;
            let secrets = zone.secrets(records)?;
            if bool::from(secrets.join_token.as_bytes().ct_eq(token.as_bytes())) { Ok(Some(zone)) } else { Err(wrong()) }
        })
    }

    /// The account of whoever may look at a node's affairs: a user of it, a node, or one that enrols.
    pub(crate) fn reader(&self) -> Result<Uuid, Refusal> {
        if let Some(node) = self.node()? {
            return Ok(node.acct_id);
        }
        match self.joining()? {
            Some(zone) => Ok(zone.acct_id),
            None => self.caller(Role::Reader).map(|caller| caller.acct_id()),
        }
    }

    /// The session's token: a bearer token, else the cookie's.
    fn token(&self) -> Result<Option<&str>, Refusal> {
        if let Some(bearer) = self.bearer()? {
            return Ok(Some(bearer));
        }
        let cookies = self.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(';'));
        let cookie = cookies.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE_NAME);
        match cookie {
            Some(_) if !self.headers.contains_key(CSRF_HEADER) => Err(Refusal::new(
                Code::Forbidden,
                "The header X-CSRF-Header is missing: with a cookie each request needs it, with any value",
            )),
            found => Ok(found.map(|(_, token)| token)),
        }
    }

    /// `Authorization: Bearer`, or the header that the OpenAPI names, `Authentication`, with or without the word.
    fn bearer(&self) -> Result<Option<&str>, Refusal> {
        if let Some(value) = self.header("authorization") {
            return match value.trim().split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
                _ => Err(Refusal::new(Code::Unauthorized, "Only /v1/sys/auth takes a password; elsewhere a bearer token is expected")),
            };
        }
        let value = self.header("authentication").map(str::trim);
        Ok(value.map(|value| match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => value,
        }))
    }
}
