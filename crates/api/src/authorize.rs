//! Who may do what: one function, used by dsma-local for every call and by the accelerator before a cached key is used.

use crate::{ApiError, KeyOperation, KeyOperations, Permission, Permissions, Sobject, SobjectState, Time, text};

/// What somebody wants to do with a sobject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as in DSM")]
pub enum Operation {
    Encrypt,
    Decrypt,
    Sign,
    Verify,
    WrapKey,
    UnwrapKey,
    DeriveKey,
    MacGenerate,
    MacVerify,
    AgreeKey,
    Encapsulate,
    Decapsulate,
    Export,
    /// Read the description, not the material.
    Info,
    /// Change, revoke, destroy, delete.
    Manage,
}

/// What [`authorize`] looks at in a sobject.
#[derive(Clone, Copy, Debug)]
pub struct KeyFacts {
    /// What the key allows.
    pub key_ops: KeyOperations,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// State as stored; the dates may say more.
    pub state: SobjectState,
    /// First moment of use.
    pub activation_date: Option<Time>,
    /// End of protecting use.
    pub deactivation_date: Option<Time>,
}

impl From<&Sobject> for KeyFacts {
    fn from(sobject: &Sobject) -> Self {
        Self {
            key_ops: sobject.key_ops,
            enabled: sobject.enabled,
            state: sobject.state,
            activation_date: sobject.activation_date,
            deactivation_date: sobject.deactivation_date,
        }
    }
}

impl KeyFacts {
    /// The state at `now`: a date that has passed counts although nobody has written the new state yet.
    #[must_use]
    pub fn state_at(&self, now: Time) -> SobjectState {
        match self.state {
            SobjectState::PreActive | SobjectState::Active => {
                // Without a date, PreActive waits for somebody to activate it.
                let waits = self.activation_date.map_or(self.state == SobjectState::PreActive, |start| start > now);
                if self.deactivation_date.is_some_and(|end| end <= now) {
                    SobjectState::Deactivated
                } else if waits {
                    SobjectState::PreActive
                } else {
                    SobjectState::Active
                }
            }
            state => state,
        }
    }
}

/// Decides whether a caller that has `permissions` in the sobject's group may perform `operation` on it at `now`.
///
/// `permissions` is `None` for a caller outside the group: it learns nothing, not even that the sobject exists.
///
/// # Errors
/// The refusal that DSM would send, in this order: 404 (not visible), 403 for a missing permission, a disabled sobject, a key
/// operation that is not set, and the life cycle state.
pub fn authorize(operation: Operation, permissions: Option<Permissions>, key: &KeyFacts, now: Time) -> Result<(), ApiError> {
    let permissions = permissions.ok_or_else(|| ApiError::not_found(text::NO_SOBJECT))?;
    if let Some(needed) = operation.permission()
        && !permissions.contains(needed)
    {
        return Err(ApiError::forbidden(text::NO_PERMISSION));
    }
    if matches!(operation, Operation::Info | Operation::Manage) {
        return Ok(());
    }
    if !key.enabled {
        return Err(ApiError::forbidden(text::DISABLED));
    }
    if let Some(needed) = operation.key_operation()
        && !key.key_ops.contains(needed)
    {
        return Err(ApiError::forbidden(format!("Sobject does not allow operation {needed}")));
    }
    match key.state_at(now) {
        SobjectState::Active => Ok(()),
        SobjectState::PreActive if operation == Operation::Export => Ok(()),
        SobjectState::Deactivated | SobjectState::Compromised if operation.processes_old_data() => Ok(()),
        SobjectState::PreActive => Err(ApiError::forbidden(text::NOT_ACTIVE)),
        SobjectState::Deactivated => Err(ApiError::forbidden(text::DEACTIVATED)),
        SobjectState::Compromised => Err(ApiError::forbidden(text::COMPROMISED)),
        SobjectState::Destroyed | SobjectState::Deleted | SobjectState::Other => Err(ApiError::forbidden(text::DESTROYED)),
    }
}

impl Operation {
    /// The permission that the caller needs in the group; any membership is enough for [`Operation::Info`].
    #[must_use]
    pub const fn permission(self) -> Option<Permission> {
        Some(match self {
            Self::Encrypt => Permission::Encrypt,
            Self::Decrypt => Permission::Decrypt,
            Self::Sign => Permission::Sign,
            Self::Verify => Permission::Verify,
            Self::WrapKey => Permission::WrapKey,
            Self::UnwrapKey => Permission::UnwrapKey,
            Self::DeriveKey => Permission::DeriveKey,
            Self::MacGenerate => Permission::MacGenerate,
            Self::MacVerify => Permission::MacVerify,
            Self::AgreeKey => Permission::AgreeKey,
            Self::Encapsulate => Permission::Encapsulate,
            Self::Decapsulate => Permission::Decapsulate,
            Self::Export => Permission::Export,
            Self::Manage => Permission::Manage,
            Self::Info => return None,
        })
    }

    /// The operation that the key must allow.
    #[must_use]
    pub const fn key_operation(self) -> Option<KeyOperation> {
        Some(match self {
            Self::Encrypt => KeyOperation::Encrypt,
            Self::Decrypt => KeyOperation::Decrypt,
            Self::Sign => KeyOperation::Sign,
            Self::Verify => KeyOperation::Verify,
            Self::WrapKey => KeyOperation::WrapKey,
            Self::UnwrapKey => KeyOperation::UnwrapKey,
            Self::DeriveKey => KeyOperation::DeriveKey,
            Self::MacGenerate => KeyOperation::MacGenerate,
            Self::MacVerify => KeyOperation::MacVerify,
            Self::AgreeKey => KeyOperation::AgreeKey,
            Self::Encapsulate => KeyOperation::Encapsulate,
            Self::Decapsulate => KeyOperation::Decapsulate,
            Self::Export => KeyOperation::Export,
            Self::Info | Self::Manage => return None,
        })
    }

    /// What a key may still do after its end: open what it once protected (NIST SP 800-57 part 1, section 7).
    const fn processes_old_data(self) -> bool {
        matches!(self, Self::Decrypt | Self::Verify | Self::UnwrapKey | Self::MacVerify | Self::Decapsulate | Self::Export)
    }
}

#[cfg(test)]
mod tests;
