//! Credentials: `Authorization: Basic` with an API key, `email:password`, or the id of an app that the connection's certificate stands
//! for; or `Bearer` with a session's token. On every endpoint alike.

use base64_simd::STANDARD;
use dsma_api::{ApiError, Principal, Time, User, text};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::call::Call;
pub(super) use super::caller::Caller;
use super::caller::Who;
use super::credentials::SECRET;
use super::quorum::Gate;
use super::{Dsm, addresses, certificates, passwords};
use crate::store::{AppRow, Condition};

/// Who presented a credential that holds. A user may not have selected an account yet.
pub(super) struct Login {
    pub(super) entity: Entity,
    /// The session's token, where it came with one.
    pub(super) token: Option<String>,
    /// The account that the session has selected, or the app's.
    acct_id: Option<Uuid>,
}

/// An app or a user.
pub(super) enum Entity {
    App(AppRow),
    User(User),
}

impl Entity {
    pub(super) const fn principal(&self) -> Principal {
        match self {
            Self::App(row) => Principal::App(row.app.app_id),
            Self::User(user) => Principal::User(user.user_id),
        }
    }

    pub(super) const fn id(&self) -> Uuid {
        match self {
            Self::App(row) => row.app.app_id,
            Self::User(user) => user.user_id,
        }
    }

    /// As the log names it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::App(row) => format!("app \"{}\"", row.app.name),
            Self::User(user) => format!("user \"{}\"", user.user_email),
        }
    }
}

impl Call {
    /// The caller in its account.
    ///
    /// # Errors
    /// As [`Call::login`]; 403 for a user who has selected no account, or does not belong to it any more.
    pub(super) fn caller(&self) -> Result<Caller, ApiError> {
        let Login { entity, token, acct_id } = self.login()?;
        let principal = entity.principal();
        let who = match entity {
            Entity::App(row) => Who::App(row),
            Entity::User(user) => {
                if acct_id.is_none() {
                    return Err(ApiError::forbidden("No account is selected: POST /sys/v1/session/select_account comes first"));
                }
                let member = self.store().member(user.user_id)?.filter(crate::store::Member::is_active).ok_or_else(no_member)?;
                Who::User(user, member)
            }
        };
        let approvals = self.acting().map(|acting| acting.approvals.as_slice()).unwrap_or_default();
        let gate = Gate::new(self.store().clone(), principal, approvals, self.dsm.settings.auto_satisfy);
        Ok(Caller { who, token, gate })
    }

    /// Whoever presents the credential, whatever the account. From here on [`Call::store`] is that of the account, where there is one.
    ///
    /// # Errors
    /// 401 without a valid credential; 403 for a disabled app that presents the right secret.
    pub(super) fn login(&self) -> Result<Login, ApiError> {
        let login = match self.acting() {
            Some(acting) => by_principal(&self.dsm, acting.principal, acting.acct_id)?,
            None => self.authenticate()?,
        };
        self.admit(&login.entity)?;
        if let Some(acct_id) = login.acct_id {
            self.enter(acct_id);
        }
        Ok(login)
    }

    /// Refuses an app that calls from an address that it may not call from.
    pub(super) fn admit(&self, entity: &Entity) -> Result<(), ApiError> {
        match entity {
            Entity::App(row) if !addresses::allows(&row.app.ip_address_policy, self.peer.address) => {
                Err(ApiError::forbidden("App may not call from this address"))
            }
            _ => Ok(()),
        }
    }

    fn authenticate(&self) -> Result<Login, ApiError> {
        let no_credentials = || ApiError::unauthorized(text::NO_CREDENTIALS);
        let (scheme, credential) = self.authorization().and_then(|value| value.trim().split_once(' ')).ok_or_else(no_credentials)?;
        let credential = credential.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            by_basic(self, credential)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            by_token(&self.dsm, credential)
        } else {
            Err(no_credentials())
        }
    }
}

/// The user with this address and password.
///
/// # Errors
/// 401 with one text, and after one hash, whichever of the two is wrong; 423 after too many of them.
pub(super) fn by_password(dsm: &Dsm, email: &str, password: &str) -> Result<Login, ApiError> {
    let name = email.to_lowercase();
    let known = dsm.throttle.check(&name, || {
        let known = dsm.store.user_by_email(&name)?;
        let right = passwords::verify(password, known.as_ref().map(|(_, hash)| hash.as_str()))?;
        Ok::<_, ApiError>(known.filter(|_| right))
    })?;
    let (user, _) = known.ok_or_else(wrong)?;
    Ok(Login { entity: Entity::User(user), token: None, acct_id: None })
}

/// The app with this name in this account, and this secret.
///
/// # Errors
/// 401 with one text, whatever is wrong.
pub(super) fn by_app_name(dsm: &Dsm, acct_id: Uuid, name: &str, secret: &str) -> Result<Login, ApiError> {
    let named = dsm.store.in_account(acct_id).apps_where(&Condition::name(name))?;
    let row = named.into_iter().find(has_secret).ok_or_else(wrong)?;
    by_secret(dsm, row, secret.as_bytes())
}

/// The app that the connection's certificate is stored for.
///
/// # Errors
/// 401 where there is no certificate, or no such app; 403 where the app is disabled.
pub(super) fn by_certificate(call: &Call) -> Result<Login, ApiError> {
    app(certificates::identify(call)?, disabled)
}

pub(super) fn no_member() -> ApiError {
    ApiError::forbidden("User is not a member of this account")
}

/// `app_id:secret`, which is an API key; `app_id:` with a certificate; or `email:password`. In base64.
fn by_basic(call: &Call, credential: &str) -> Result<Login, ApiError> {
    let malformed = || ApiError::unauthorized(text::NO_CREDENTIALS);
    let decoded = Zeroizing::new(STANDARD.decode_to_vec(credential).map_err(|_| malformed())?);
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let (name, secret) = (std::str::from_utf8(&decoded[..colon]).map_err(|_| wrong())?, &decoded[colon + 1..]);
    match Uuid::parse_str(name) {
        Ok(app_id) => by_app_id(call, app_id, secret),
        Err(_) => by_password(&call.dsm, name, std::str::from_utf8(secret).map_err(|_| wrong())?),
    }
}

/// The app, by its secret, or by the connection's certificate where it has no secret.
fn by_app_id(call: &Call, app_id: Uuid, presented: &[u8]) -> Result<Login, ApiError> {
    let row = call.dsm.store.any_app(app_id)?.ok_or_else(wrong)?;
    if has_secret(&row) {
        return by_secret(&call.dsm, row, presented);
    }
    if !presented.is_empty() {
        let text = "This app authenticates with a certificate: nothing may follow the colon after its app id";
        return Err(ApiError::unauthorized(text));
    }
    certificates::check(call, &row)?;
    app(row, disabled)
}

fn by_secret(dsm: &Dsm, row: AppRow, presented: &[u8]) -> Result<Login, ApiError> {
    let app_id = row.app.app_id;
    let secret = dsm.store.app_secret(app_id)?.ok_or_else(wrong)?;
    let previous = dsm.store.previous_secret(app_id, Time::now())?;
    let previous = previous.is_some_and(|old| old.bytes.ct_eq(presented).into());
    if !bool::from(secret.ct_eq(presented)) && !previous {
        return Err(wrong());
    }
    app(row, disabled)
}

fn by_token(dsm: &Dsm, token: &str) -> Result<Login, ApiError> {
    let no_session = || ApiError::unauthorized(text::NO_SESSION);
    let (principal, acct_id) = dsm.sessions.touch(token).ok_or_else(no_session)?;
    let login = match principal {
        Principal::App(app_id) => app(dsm.store.any_app(app_id)?.ok_or_else(no_session)?, no_session)?,
        Principal::User(user_id) => {
            let user = dsm.store.user(user_id)?.ok_or_else(no_session)?;
            Login { entity: Entity::User(user), token: None, acct_id }
        }
        _ => return Err(no_session()),
    };
    Ok(Login { token: Some(token.to_owned()), ..login })
}

/// The requester of an operation that was approved: as it is now.
fn by_principal(dsm: &Dsm, principal: Principal, acct_id: Uuid) -> Result<Login, ApiError> {
    let gone = || ApiError::forbidden("The requester does not exist any more");
    match principal {
        Principal::App(app_id) => app(dsm.store.any_app(app_id)?.ok_or_else(gone)?, disabled),
        Principal::User(user_id) => {
            let user = dsm.store.user(user_id)?.ok_or_else(gone)?;
            Ok(Login { entity: Entity::User(user), token: None, acct_id: Some(acct_id) })
        }
        _ => Err(gone()),
    }
}

fn app(row: AppRow, disabled: impl FnOnce() -> ApiError) -> Result<Login, ApiError> {
    if !row.app.enabled {
        return Err(disabled());
    }
    let acct_id = Some(row.app.acct_id);
    Ok(Login { entity: Entity::App(row), token: None, acct_id })
}

fn has_secret(row: &AppRow) -> bool {
    row.app.auth_type.as_deref().is_none_or(|auth_type| auth_type == SECRET)
}

pub(super) fn wrong() -> ApiError {
    ApiError::unauthorized(text::BAD_CREDENTIALS)
}

fn disabled() -> ApiError {
    ApiError::forbidden("App is disabled")
}
