//! Settings of a PKCS#11 slot.

use std::path::Path;

use super::{Settings, problem};
use crate::Error;

/// What a token asks of its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginMode {
    /// Private objects are seen after C_Login, as the standard has it.
    Required,
    /// Where the configuration holds the credential, private objects are seen without C_Login too.
    Optional,
    /// Everybody is logged in, and C_Login and C_Logout change nothing: for applications that share a library without knowing it.
    Ignore,
}

impl LoginMode {
    pub(super) fn parse(text: Option<&str>, file: &Path) -> Result<Self, Error> {
        match text {
            None | Some("required") => Ok(Self::Required),
            Some("optional") => Ok(Self::Optional),
            Some("ignore") => Ok(Self::Ignore),
            Some(other) => {
                let mend = "set it to \"required\", \"optional\" or \"ignore\"";
                Err(problem(file, "login", &format!("`{other}` is no way to log in"), mend))
            }
        }
    }
}

/// How a token writes CKA_EC_POINT on Curve25519. On Weierstrass curves all versions of the standard say DER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PointEncoding {
    /// The bytes of RFC 8032 and RFC 7748, as PKCS#11 has it since 3.0.
    #[default]
    Raw,
    /// An `OCTET STRING` of them, as programs expect that were written before.
    Der,
}

impl PointEncoding {
    pub(super) fn parse(text: Option<&str>, file: &Path) -> Result<Self, Error> {
        match text {
            None | Some("raw") => Ok(Self::Raw),
            Some("der") => Ok(Self::Der),
            Some(other) => Err(problem(file, "ec_point_encoding", &format!("`{other}` is no encoding"), "set it to \"raw\" or \"der\"")),
        }
    }
}

/// The mechanisms that a token offers, by their `CKM_` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MechanismFilter {
    /// All that there are.
    #[default]
    All,
    /// These alone.
    Allow(Vec<String>),
    /// All but these.
    Deny(Vec<String>),
}

impl MechanismFilter {
    /// Whether the mechanism with this name is offered.
    #[must_use]
    pub fn offers(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        match self {
            Self::All => true,
            Self::Allow(names) => listed(names),
            Self::Deny(names) => !listed(names),
        }
    }

    /// The names that it lists.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::All => &[],
            Self::Allow(names) | Self::Deny(names) => names,
        }
    }

    /// A list of names; one that begins with `DENY` lists what is left out.
    pub(super) fn parse(names: Option<Vec<String>>, file: &Path) -> Result<Self, Error> {
        let Some(mut names) = names else { return Ok(Self::All) };
        let deny = names.first().is_some_and(|first| first == "DENY");
        if deny {
            names.remove(0);
        }
        if let Some(odd) = names.iter().find(|name| !name.starts_with("CKM_")) {
            let mend = "name mechanisms as docs/mechanisms.md does, after a first \"DENY\" those that are not to be offered";
            return Err(problem(file, "mechanisms", &format!("`{odd}` is no mechanism"), mend));
        }
        Ok(if deny { Self::Deny(names) } else { Self::Allow(names) })
    }
}

/// Takes from the top of the file what the slot's own table does not say.
macro_rules! inherit {
    ($slot:ident, $top:ident: $($field:ident)+) => {
        $($slot.$field = $slot.$field.take().or_else(|| $top.$field.clone());)+
    };
}

impl Settings {
    /// Completes a slot's settings. What says who we are is one thing: a slot with any part of it inherits none.
    pub(super) fn inherit(&mut self, top: &Self) {
        let slot = self;
        let named = slot.identity.is_some() || slot.api_key.is_some() || slot.cert_file.is_some() || slot.app_id.is_some();
        if !named {
            inherit!(slot, top: identity api_key app_id cert_file key_file node_agent domain app_config_id);
        }
        inherit!(slot, top: api_endpoint ca_certs_file cache_ttl cache_max_keys cache_max_bytes refresh_wait_millis);
        inherit!(slot, top: retry_timeout_millis connect_timeout_millis request_timeout_millis availability availability_grace);
        inherit!(slot, top: token_label login mechanisms allow_plaintext generate_certs ec_point_encoding log);
    }
}
