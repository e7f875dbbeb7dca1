//! What an enclave needs in DSM, made at the first start as an operator would make it: an app that trusts CCM's zone CA, a group that is
//! its own, and a key for its TLS.

use std::sync::Arc;

use dsma_api::{Blob, Credential, Permissions};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Account, Dsm, credentials};
use crate::error::Error;

const APP: &str = "dsma-nitro";
const TLS_KEY: &str = "dsma-nitro TLS key";
/// The domain that whitelisting approves, and that an enclave's certificate is for.
const DOMAIN: &str = "fortanix.com";

/// What was made: written to the state directory's client files.
pub(crate) struct Enclave {
    pub(crate) app_id: Uuid,
    pub(crate) tls_key_id: Uuid,
}

/// Makes app, group and key where they are missing; an older state gets them at its next start. Their names are their marks. The app
/// follows the zone's CA where that was rotated.
///
/// # Errors
/// Where the store fails, or an operator's own object of such a name stands in the way.
pub(crate) fn provision_enclave(dsm: &Arc<Dsm>, account: &Account, zone_ca: &[u8]) -> Result<Enclave, Error> {
    let ask = |method: &str, path: &str, body: Option<Value>| {
        let refused = |error: dsma_api::ApiError| Error::Refused { status: error.status, message: error.message.into_owned() };
        dsm.ask(&account.admin_key, method, path, body.as_ref()).map_err(refused)
    };
    let found = named(&ask("GET", "/sys/v1/apps", None)?, APP, "app_id");
    let app_id = match found {
        Some(app_id) => {
            if let Some(change) = follow_zone(dsm, app_id, zone_ca)? {
                ask("PATCH", &format!("/sys/v1/apps/{app_id}"), Some(change))?;
            }
            app_id
        }
        None => {
            let group = match named(&ask("GET", "/sys/v1/groups", None)?, APP, "group_id") {
                Some(group) => group,
                None => id(&ask("POST", "/sys/v1/groups", Some(json!({"name": APP})))?, "group_id")?,
            };
            let credential = json!({"trustedca": {"ca_certificates": [Blob(zone_ca.to_vec())], "subject_general": {"dns_name": DOMAIN}}});
            let spec = json!({"name": APP, "default_group": group, "add_groups": {group.to_string(): Permissions::CLASSIC}, "credential": credential});
            id(&ask("POST", "/sys/v1/apps", Some(spec))?, "app_id")?
        }
    };
    let tls_key_id = match ask("POST", "/crypto/v1/keys/info", Some(json!({"name": TLS_KEY}))) {
        Ok(key) => id(&key, "kid")?,
        Err(Error::Refused { status: 404, .. }) => {
            let app = ask("GET", &format!("/sys/v1/apps/{app_id}"), None)?;
            let ops = ["SIGN", "VERIFY", "EXPORT", "APPMANAGEABLE"];
            let spec = json!({"name": TLS_KEY, "group_id": app["default_group"], "obj_type": "RSA", "key_size": 2048, "key_ops": ops});
            id(&ask("POST", "/crypto/v1/keys", Some(spec))?, "kid")?
        }
        Err(error) => return Err(error),
    };
    Ok(Enclave { app_id, tls_key_id })
}

/// Where the app trusts CAs, the zone's is among them. Looks into the store itself: a start is no reading of a credential for the log.
fn follow_zone(dsm: &Dsm, app_id: Uuid, zone_ca: &[u8]) -> Result<Option<Value>, Error> {
    let stored = dsm.store.app_secret(app_id)?;
    let auth_type = dsm.store.any_app(app_id)?.and_then(|row| row.app.auth_type);
    let Some(Ok(Credential::TrustedCa(mut trusted))) = stored.map(|bytes| credentials::shown(auth_type.as_deref(), &bytes)) else {
        return Ok(None);
    };
    let Some(certificates) = trusted.ca_certificates.as_mut().filter(|known| known.iter().all(|der| der.0 != zone_ca)) else {
        return Ok(None);
    };
    // The CA before this one is trusted until its certificates have ended.
    certificates.insert(0, Blob(zone_ca.to_vec()));
    certificates.truncate(2);
    Ok(Some(json!({ "credential": Credential::TrustedCa(trusted) })))
}

/// The id of the object with this name.
fn named(list: &Value, name: &str, member: &str) -> Option<Uuid> {
    list.as_array()?.iter().find(|object| object["name"] == name)?[member].as_str()?.parse().ok()
}

fn id(object: &Value, member: &str) -> Result<Uuid, Error> {
    serde_json::from_value(object[member].clone()).map_err(Error::Row)
}
