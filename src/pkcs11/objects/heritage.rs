//! What a derived key takes over of the protection of the keys that it is made of: each mechanism's section has its rules, of which there
//! are three kinds.

use cryptoki_sys::*;

use super::object::Object;
use super::template::Attributes;
use crate::pkcs11::{Error, Result};

/// The protection of the keys that a derivation begins with, and what it means for the new one.
#[derive(Clone, Copy)]
pub(in crate::pkcs11) struct Heritage {
    rule: Rule,
    /// CKA_SENSITIVE.
    sensitive: bool,
    /// The opposite of CKA_EXTRACTABLE.
    hidden: bool,
    always_sensitive: bool,
    never_extractable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The template says how the new key is protected.
    History,
    /// What the template leaves out is as it is in the base key.
    Defaults,
    /// The new key is at least as protected.
    Protection,
}

impl Heritage {
    /// Of functions whose result does not tell the base key (sections 6.3.17, 6.17, 6.21 and 6.62): the history alone.
    pub(in crate::pkcs11) fn history(base: &Object) -> Self {
        Self::of(Rule::History, base)
    }

    /// Of SP 800-108 (section 6.42.8), with keys among its data.
    pub(in crate::pkcs11) fn defaults<'o>(base: &Object, others: impl IntoIterator<Item = &'o Object>) -> Self {
        others.into_iter().map(|other| Self::of(Rule::Defaults, other)).fold(Self::of(Rule::Defaults, base), |heritage, other| Self {
            always_sensitive: heritage.always_sensitive | other.always_sensitive,
            never_extractable: heritage.never_extractable | other.never_extractable,
            ..heritage
        })
    }

    /// Of what has the base key's bytes in it (section 6.43), maybe another key's too.
    pub(in crate::pkcs11) fn protection(base: &Object, other: Option<&Object>) -> Self {
        let own = Self::of(Rule::Protection, base);
        other.map(|other| Self::of(Rule::Protection, other)).map_or(own, |other| Self {
            rule: own.rule,
            sensitive: own.sensitive | other.sensitive,
            hidden: own.hidden | other.hidden,
            always_sensitive: own.always_sensitive & other.always_sensitive,
            never_extractable: own.never_extractable & other.never_extractable,
        })
    }

    /// Whether one of the keys must not be read.
    pub(in crate::pkcs11) const fn is_protected(&self) -> bool {
        self.sensitive | self.hidden
    }

    /// Sets CKA_SENSITIVE and CKA_EXTRACTABLE as far as they are inherited. `hide` is whether nothing less than full protection would do.
    ///
    /// # Errors
    /// [`Error::TemplateInconsistent`] where the template wants less than must be.
    pub(super) fn protect(&self, attributes: &mut Attributes, hide: bool) -> Result {
        match self.rule {
            Rule::History => {}
            Rule::Defaults => {
                attributes.set_default_flag(CKA_SENSITIVE, self.sensitive | hide);
                attributes.set_default_flag(CKA_EXTRACTABLE, !(self.hidden | hide));
            }
            Rule::Protection => {
                let bare = self.sensitive && attributes.flag(CKA_SENSITIVE) == Some(false);
                if bare || (self.hidden && attributes.flag(CKA_EXTRACTABLE) == Some(true)) {
                    return Err(Error::TemplateInconsistent);
                }
                if self.sensitive {
                    attributes.set_flag(CKA_SENSITIVE, true);
                }
                if self.hidden {
                    attributes.set_flag(CKA_EXTRACTABLE, false);
                }
            }
        }
        Ok(())
    }

    /// CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE of a key that is protected so.
    pub(super) const fn past(&self, sensitive: bool, hidden: bool) -> (bool, bool) {
        (self.always_sensitive && sensitive, self.never_extractable && hidden)
    }

    fn of(rule: Rule, key: &Object) -> Self {
        Self {
            rule,
            sensitive: key.is_true(CKA_SENSITIVE),
            hidden: !key.is_true(CKA_EXTRACTABLE),
            always_sensitive: key.is_true(CKA_ALWAYS_SENSITIVE),
            never_extractable: key.is_true(CKA_NEVER_EXTRACTABLE),
        }
    }
}
