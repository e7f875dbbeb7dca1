//! What a template leaves out (section 4.4 and on), and what becomes of what it says in vain.

use cryptoki_sys::*;

use super::super::key::LocalKey;
use super::super::local::default_usage;
use super::super::table::{self, SECRET_VALUE};
use super::super::template::Attributes;
use super::super::{KeyKind, certificate, check_value, usage};
use super::{Draft, Origin};
use crate::pkcs11::sessions::Session;
use crate::pkcs11::{Error, Result};

impl Draft<'_> {
    /// Sets all that the template leaves out.
    pub(super) fn complete(&mut self, session: &Session, kind: Option<KeyKind>) -> Result {
        // An object of a session, which ends with it, is lenient: a key may be needed before there is a login.
        let is_private = self.is_hidden_key() && (self.is_token() || session.sees_private());
        let attributes = &mut self.attributes;
        for (attribute, value) in
            [(CKA_TOKEN, false), (CKA_PRIVATE, is_private), (CKA_MODIFIABLE, true), (CKA_COPYABLE, true), (CKA_DESTROYABLE, true)]
        {
            attributes.set_default_flag(attribute, value);
        }
        attributes.set_default(CKA_LABEL, b"");
        match kind {
            Some(kind) => self.complete_key(session, kind)?,
            None if self.class == CKO_DATA => {
                for attribute in [CKA_APPLICATION, CKA_OBJECT_ID, CKA_VALUE] {
                    self.attributes.set_default(attribute, b"");
                }
            }
            None => certificate::complete(&mut self.attributes)?,
        }
        Ok(())
    }

    fn complete_key(&mut self, session: &Session, kind: KeyKind) -> Result {
        for attribute in [CKA_ID, CKA_START_DATE, CKA_END_DATE] {
            self.attributes.set_default(attribute, b"");
        }
        self.complete_usage(kind)?;
        let (local, mechanism) = match self.origin {
            Origin::Generated(mechanism) => (true, mechanism),
            _ => (false, CK_UNAVAILABLE_INFORMATION),
        };
        let attributes = &mut self.attributes;
        attributes.set_flag(CKA_LOCAL, local);
        attributes.set_number(CKA_KEY_GEN_MECHANISM, mechanism);
        if matches!(self.class, CKO_PUBLIC_KEY | CKO_PRIVATE_KEY) {
            attributes.set_default(CKA_SUBJECT, b"");
        }
        if self.class == CKO_PRIVATE_KEY {
            attributes.set_default_flag(CKA_ALWAYS_AUTHENTICATE, false);
            // Section 4.10: what anybody may see asks nobody for a PIN.
            if attributes.flag(CKA_ALWAYS_AUTHENTICATE) == Some(true) && attributes.flag(CKA_PRIVATE) != Some(true) {
                return Err(Error::TemplateInconsistent);
            }
        } else {
            attributes.set_default_flag(CKA_TRUSTED, false);
        }
        if self.class == CKO_PUBLIC_KEY { Ok(()) } else { self.complete_protection(session) }
    }

    /// What the key is for.
    fn complete_usage(&mut self, kind: KeyKind) -> Result {
        let is_token = self.is_token();
        let attributes = &mut self.attributes;
        // What a derived key is for is what its template says, where it says something.
        let named = matches!(self.origin, Origin::Derived(..))
            && attributes.iter().any(|(attribute, value)| usage::is_usage(attribute) && value == [CK_TRUE]);
        for (attribute, value) in default_usage(self.class, kind) {
            let allowed = !is_token || usage::wider(attribute).is_none_or(|wider| attributes.flag(wider) != Some(false));
            attributes.set_default_flag(attribute, value && allowed && !named);
            if !allowed && attributes.flag(attribute) == Some(true) {
                return Err(Error::TemplateInconsistent);
            }
        }
        Ok(())
    }

    /// Who may read the key, and whether anybody ever could.
    fn complete_protection(&mut self, session: &Session) -> Result {
        let (is_token, config) = (self.is_token(), session.token.config());
        let attributes: &mut Attributes = &mut self.attributes;
        if let Origin::Derived(_, heritage) = self.origin {
            heritage.protect(attributes, is_token && !config.allow_plaintext)?;
        }
        // A secret of a session is there to be used by its program, which may have to read it (Java's key agreement does). Token keys stay
        // in DSM. Test suites expect of a key whose value they gave that they may read it, so conformance mode lets them.
        let brought = config.conformance && self.class == CKO_SECRET_KEY && matches!(self.origin, Origin::Created);
        let hide = is_token && !brought;
        attributes.set_default_flag(CKA_SENSITIVE, hide || self.class == CKO_PRIVATE_KEY);
        attributes.set_default_flag(CKA_EXTRACTABLE, !hide);
        attributes.set_default_flag(CKA_WRAP_WITH_TRUSTED, false);
        let (sensitive, hidden) = (attributes.flag(CKA_SENSITIVE) == Some(true), attributes.flag(CKA_EXTRACTABLE) == Some(false));
        if is_token && !(sensitive && hidden) && !config.allow_plaintext {
            return Err(Error::TemplateInconsistent);
        }
        let (always, never) = match self.origin {
            Origin::Generated(_) => (sensitive, hidden),
            Origin::Derived(_, heritage) => heritage.past(sensitive, hidden),
            Origin::Created | Origin::Unwrapped(_) | Origin::Encapsulated(_) | Origin::Decapsulated(_) => (false, false),
        };
        attributes.set_flag(CKA_ALWAYS_SENSITIVE, always);
        attributes.set_flag(CKA_NEVER_EXTRACTABLE, never);
        Ok(())
    }

    /// What the key itself tells is not kept beside it, its secret least of all.
    pub(super) fn leave_out_what_tells(&mut self, key: &LocalKey) {
        let attributes = &mut self.attributes;
        if let Some(bytes) = key.secret_bytes() {
            attributes.set_number(CKA_VALUE_LEN, bytes.len() as CK_ULONG);
            if let Some(check) = check_value::of(key) {
                attributes.set_default(CKA_CHECK_VALUE, &check);
            }
        }
        let told = |attribute: &CK_ATTRIBUTE_TYPE| {
            let secret = table::find(*attribute, self.class, Some(key.kind())).is_none_or(|rule| rule.has(SECRET_VALUE));
            secret || key.public_number(*attribute).is_some()
        };
        let told: Vec<CK_ATTRIBUTE_TYPE> = attributes.iter().map(|(attribute, _)| attribute).filter(told).collect();
        for attribute in told {
            attributes.remove(attribute);
        }
    }
}
