//! What the first start makes: a group, an app that uses keys, and an app that manages.

use std::collections::BTreeMap;

use dsma_api::{App, AppGroups, AppRole, Group, Permissions, Principal, Time};
use uuid::Uuid;

use super::apps::{DEFAULT_SECRET_SIZE, api_key, make_secret};
use crate::error::Error;
use crate::store::{ActionType, AppRow, Audit, Store};

const GROUP: &str = "Default group";
const APP: &str = "Default app";
const ADMIN: &str = "Default admin";

/// What a person needs to begin: written to the state directory's client files.
pub(crate) struct Account {
    /// The default app's API key.
    pub(crate) app_key: String,
    /// The admin app's API key.
    pub(crate) admin_key: String,
    /// The default app's group.
    pub(crate) group_id: Uuid,
}

/// Makes the default group and apps where they are missing. One that was renamed or deleted is made again: its name is its mark.
pub(crate) fn provision(store: &Store) -> Result<Account, Error> {
    let group_id = match store.groups()?.into_iter().find(|group| group.name == GROUP) {
        Some(group) => group.group_id,
        None => make_group(store)?,
    };
    let member = BTreeMap::from([(group_id, Permissions::CLASSIC)]);
    Ok(Account {
        app_key: key_of(store, APP, AppRole::Crypto, Some(group_id), member)?,
        admin_key: key_of(store, ADMIN, AppRole::Admin, None, BTreeMap::new())?,
        group_id,
    })
}

fn make_group(store: &Store) -> Result<Uuid, Error> {
    let group = Group {
        acct_id: store.acct_id(),
        group_id: Uuid::new_v4(),
        name: GROUP.into(),
        description: None,
        creator: Principal::System,
        created_at: Time::now(),
    };
    store.insert_group(&group, made(group.group_id, format!("Created group \"{GROUP}\"")))?;
    Ok(group.group_id)
}

fn key_of(
    store: &Store,
    name: &str,
    role: AppRole,
    default_group: Option<Uuid>,
    groups: BTreeMap<Uuid, Permissions>,
) -> Result<String, Error> {
    if let Some(row) = store.apps()?.into_iter().find(|row| row.app.name == name)
        && let Some(secret) = store.app_secret(row.app.app_id)?
    {
        return Ok(api_key(row.app.app_id, &secret));
    }
    let secret = make_secret(DEFAULT_SECRET_SIZE)?;
    let app = App {
        acct_id: store.acct_id(),
        app_id: Uuid::new_v4(),
        app_type: "default".into(),
        name: name.into(),
        description: None,
        creator: Principal::System,
        created_at: Time::now(),
        lastused_at: None,
        enabled: true,
        default_group,
        groups: AppGroups::Ids(Vec::new()),
        auth_type: Some("Secret".into()),
        role,
    };
    let key = api_key(app.app_id, secret.as_bytes());
    let audit = made(app.app_id, format!("Created app \"{name}\""));
    store.insert_app(&AppRow { app, groups }, secret.as_bytes(), audit)?;
    Ok(key)
}

/// DSM itself has no id in the log: the nil UUID stands for it.
fn made(object_id: Uuid, message: String) -> Audit {
    Audit {
        action_type: ActionType::Administrative,
        actor_id: Uuid::nil(),
        object_id,
        group_id: None,
        client_ip: None,
        message,
        time: Time::now(),
    }
}
