//! Who calls: `Authorization: Basic <API key>` or `Bearer <token>`, on every endpoint alike.

use base64_simd::STANDARD;
use dsma_api::{ApiError, AppRole, Permission, Permissions, Principal, text};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Dsm;
use super::call::Call;
use super::quorum::Gate;
use crate::store::AppRow;

/// An authenticated app, as it is in the store now.
pub(super) struct Caller {
    pub(super) row: AppRow,
    /// The session's token, where it came with one.
    pub(super) token: Option<String>,
    /// The way through quorum policies.
    pub(super) gate: Gate,
}

impl Caller {
    pub(super) const fn id(&self) -> Uuid {
        self.row.app.app_id
    }

    /// The caller as the log and other objects name it.
    pub(super) const fn principal(&self) -> Principal {
        Principal::App(self.id())
    }

    /// Group of sobjects that it makes without naming one.
    pub(super) const fn default_group(&self) -> Option<Uuid> {
        self.row.app.default_group
    }

    /// The groups that it belongs to.
    pub(super) fn groups(&self) -> impl Iterator<Item = Uuid> {
        self.row.groups.keys().copied()
    }

    pub(super) fn is_admin(&self) -> bool {
        self.row.app.role == AppRole::Admin
    }

    /// Permissions in a group; `None` outside. An admin app manages everywhere, and uses keys where it is a member.
    pub(super) fn permissions(&self, group_id: Uuid) -> Option<Permissions> {
        let member = self.row.groups.get(&group_id).copied();
        if self.is_admin() { Some(member.unwrap_or_default().with(Permission::Manage)) } else { member }
    }

    /// Refuses everybody but admin apps.
    pub(super) fn need_admin(&self) -> Result<(), ApiError> {
        if self.is_admin() { Ok(()) } else { Err(ApiError::forbidden("Only an app with role admin may do this")) }
    }
}

impl Call {
    /// The caller.
    ///
    /// # Errors
    /// 401 without a valid credential; 403 for a disabled app that presents the right secret.
    pub(super) fn caller(&self) -> Result<Caller, ApiError> {
        let (row, token) = match self.acting() {
            Some(acting) => (by_principal(&self.dsm, acting.principal)?, None),
            None => self.authenticate()?,
        };
        self.enter(row.app.acct_id);
        let approvals = self.acting().map(|acting| acting.approvals.as_slice()).unwrap_or_default();
        let gate = Gate::new(self.store().clone(), Principal::App(row.app.app_id), approvals, self.dsm.auto_satisfy);
        Ok(Caller { row, token, gate })
    }

    /// Whose credential the request comes with, and the token where it is one.
    fn authenticate(&self) -> Result<(AppRow, Option<String>), ApiError> {
        let no_credentials = || ApiError::unauthorized(text::NO_CREDENTIALS);
        let (scheme, credential) = self.authorization().and_then(|value| value.trim().split_once(' ')).ok_or_else(no_credentials)?;
        let credential = credential.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            Ok((by_api_key(&self.dsm, credential)?, None))
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Ok((by_token(&self.dsm, credential)?, Some(credential.to_owned())))
        } else {
            Err(no_credentials())
        }
    }
}

/// An API key is base64 of `app_id:secret`.
fn by_api_key(dsm: &Dsm, api_key: &str) -> Result<AppRow, ApiError> {
    let malformed = || ApiError::unauthorized(text::NO_CREDENTIALS);
    let wrong = || ApiError::unauthorized(text::BAD_CREDENTIALS);
    let decoded = Zeroizing::new(STANDARD.decode_to_vec(api_key).map_err(|_| malformed())?);
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    // A user's e-mail address stands here as well; this version has no users.
    let app_id = std::str::from_utf8(&decoded[..colon]).ok().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(wrong)?;
    let secret = dsm.store.app_secret(app_id)?.ok_or_else(wrong)?;
    if !bool::from(secret.ct_eq(&decoded[colon + 1..])) {
        return Err(wrong());
    }
    let row = dsm.store.any_app(app_id)?.ok_or_else(wrong)?;
    if !row.app.enabled {
        return Err(disabled());
    }
    Ok(row)
}

/// The requester of an operation that was approved: as it is now.
fn by_principal(dsm: &Dsm, principal: Principal) -> Result<AppRow, ApiError> {
    let gone = || ApiError::forbidden("The requester does not exist any more");
    let Principal::App(app_id) = principal else {
        return Err(gone());
    };
    let row = dsm.store.any_app(app_id)?.ok_or_else(gone)?;
    if row.app.enabled { Ok(row) } else { Err(disabled()) }
}

fn by_token(dsm: &Dsm, token: &str) -> Result<AppRow, ApiError> {
    let no_session = || ApiError::unauthorized(text::NO_SESSION);
    let app_id = dsm.sessions.touch(token).ok_or_else(no_session)?;
    dsm.store.any_app(app_id)?.filter(|row| row.app.enabled).ok_or_else(no_session)
}

fn disabled() -> ApiError {
    ApiError::forbidden("App is disabled")
}
