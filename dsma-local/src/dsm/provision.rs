//! What the first start makes: a group, an app that uses keys, and an app that manages.

use dsma_api::{App, AppGroups, AppRole, Group, GroupPolicies, IpAddressPolicy, Permissions, Principal, Time};
use serde_json::Map;
use uuid::Uuid;

use super::secrets::{DEFAULT_SIZE, api_key, make_secret};
use crate::error::Error;
use crate::store::{ActionType, AppRow, Audit, Store};

const GROUP: &str = "Default group";
const APP: &str = "Default app";
const ADMIN: &str = "Default admin";
const CONFORMANCE: &str = "PKCS#11 conformance";

/// What a person needs to begin: written to the state directory's client files.
pub(crate) struct Account {
    /// The default app's API key.
    pub(crate) app_key: String,
    /// The admin app's API key.
    pub(crate) admin_key: String,
    /// The default app's group.
    pub(crate) group_id: Uuid,
    /// API key of an app with a group of its own, which test suites empty again and again.
    pub(crate) conformance_key: String,
}

/// Makes the admin app, the default group and the default app where they are missing. One that was renamed or deleted is made again:
/// its name is its mark. The admin app counts as the creator of all three: published clients do not know the creator `system`.
pub(crate) fn provision(store: &Store) -> Result<Account, Error> {
    let (admin_id, admin_key) = match find_app(store, ADMIN)? {
        Some(found) => found,
        None => make_app(store, None, ADMIN, AppRole::Admin, None)?,
    };
    let group_id = find_or_make_group(store, admin_id, GROUP)?;
    let (_, app_key) = match find_app(store, APP)? {
        Some(found) => found,
        None => make_app(store, Some(admin_id), APP, AppRole::Crypto, Some((group_id, Permissions::CLASSIC)))?,
    };
    let (_, conformance_key) = match find_app(store, CONFORMANCE)? {
        Some(found) => found,
        None => {
            let group = find_or_make_group(store, admin_id, CONFORMANCE)?;
            make_app(store, Some(admin_id), CONFORMANCE, AppRole::Crypto, Some((group, Permissions::all())))?
        }
    };
    Ok(Account { app_key, admin_key, group_id, conformance_key })
}

fn find_or_make_group(store: &Store, creator: Uuid, name: &str) -> Result<Uuid, Error> {
    match store.groups()?.into_iter().find(|group| group.name == name) {
        Some(group) => Ok(group.group_id),
        None => make_group(store, creator, name),
    }
}

fn make_group(store: &Store, creator: Uuid, name: &str) -> Result<Uuid, Error> {
    let group = Group {
        acct_id: store.acct_id(),
        group_id: Uuid::new_v4(),
        name: name.into(),
        description: None,
        creator: Principal::App(creator),
        created_at: Time::now(),
        approval_policy: None,
        policies: GroupPolicies::default(),
        custom_metadata: None,
        client_configurations: Map::new(),
    };
    store.insert_group(&group, None, made(store, group.group_id, format!("Created group \"{name}\"")))?;
    Ok(group.group_id)
}

/// The id and the API key of the app with this name.
fn find_app(store: &Store, name: &str) -> Result<Option<(Uuid, String)>, Error> {
    let Some(row) = store.apps()?.into_iter().find(|row| row.app.name == name) else {
        return Ok(None);
    };
    let app_id = row.app.app_id;
    Ok(store.app_secret(app_id)?.map(|secret| (app_id, api_key(app_id, &secret))))
}

/// Makes an app with these permissions in its group; without a creator it is its own.
fn make_app(
    store: &Store,
    creator: Option<Uuid>,
    name: &str,
    role: AppRole,
    group: Option<(Uuid, Permissions)>,
) -> Result<(Uuid, String), Error> {
    let app_id = Uuid::new_v4();
    let secret = make_secret(DEFAULT_SIZE)?;
    let app = App {
        acct_id: store.acct_id(),
        app_id,
        app_type: "default".into(),
        name: name.into(),
        description: None,
        creator: Principal::App(creator.unwrap_or(app_id)),
        created_at: Time::now(),
        lastused_at: None,
        enabled: true,
        default_group: group.map(|(id, _)| id),
        groups: AppGroups::Ids(Vec::new()),
        auth_type: Some("Secret".into()),
        cert_not_after: None,
        role,
        ip_address_policy: IpAddressPolicy::AllowAll,
        client_configurations: Map::new(),
    };
    let groups = group.into_iter().collect();
    store.insert_app(&AppRow { app, groups }, secret.as_bytes(), made(store, app_id, format!("Created app \"{name}\"")))?;
    Ok((app_id, api_key(app_id, secret.as_bytes())))
}

/// DSM itself has no id in the log: the nil UUID stands for it.
fn made(store: &Store, object_id: Uuid, message: String) -> Audit {
    Audit {
        action_type: ActionType::Administrative,
        acct_id: store.acct_id(),
        actor: Principal::System,
        object_id,
        group_id: None,
        client_ip: None,
        message,
        time: Time::now(),
    }
}
