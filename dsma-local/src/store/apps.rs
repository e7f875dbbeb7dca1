//! Apps, their sealed secrets, and their memberships.

use std::collections::BTreeMap;

use dsma_api::{App, AppGroups, Permissions};
use rusqlite::{Connection, OptionalExtension, Transaction};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Audit, Store};
use crate::error::Error;

/// Kind of a sealed value, see `seal.rs`.
const SECRET: &str = "app";

/// An app with its permissions by group.
#[derive(Clone)]
pub(crate) struct AppRow {
    /// As on the wire, except `groups`, which is left empty.
    pub(crate) app: App,
    pub(crate) groups: BTreeMap<Uuid, Permissions>,
}

impl Store {
    /// An app.
    pub(crate) fn app(&self, app_id: Uuid) -> Result<Option<AppRow>, Error> {
        Ok(self.any_app(app_id)?.filter(|row| row.app.acct_id == self.acct_id))
    }

    /// An app of any account: whoever authenticates says which app, not whose.
    pub(crate) fn any_app(&self, app_id: Uuid) -> Result<Option<AppRow>, Error> {
        self.read(|connection| read(connection, app_id))
    }

    /// All apps, by id.
    pub(crate) fn apps(&self) -> Result<Vec<AppRow>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT app_id FROM apps WHERE acct_id = ?1 ORDER BY app_id")?;
            let ids: Vec<Uuid> = statement.query_map([self.acct_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.into_iter().filter_map(|app_id| read(connection, app_id).transpose()).collect()
        })
    }

    /// The secret half of an app's API key, whatever its account.
    pub(crate) fn app_secret(&self, app_id: Uuid) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT sealed FROM apps WHERE app_id = ?1")?;
            Ok(statement.query_row([app_id], |row| row.get(0)).optional()?)
        })?;
        sealed.map(|sealed| self.seal().open(SECRET, app_id, &sealed)).transpose()
    }

    /// Adds an app; `false` where the name is taken.
    pub(crate) fn insert_app(&self, row: &AppRow, secret: &[u8], audit: Audit) -> Result<bool, Error> {
        let app_id = row.app.app_id;
        let sealed = self.seal().close(SECRET, app_id, secret)?;
        self.write(audit, |transaction| {
            let inserted = transaction.execute(
                "INSERT INTO apps (app_id, acct_id, name, doc, sealed) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (acct_id, name) DO NOTHING",
                (app_id, self.acct_id, &row.app.name, serde_json::to_string(&row.app)?, sealed),
            )?;
            if inserted == 1 {
                write_memberships(transaction, row)?;
            }
            Ok(inserted == 1)
        })
    }

    /// Changes an app, and its secret where one is given, in one transaction: `change` sees the app as it is then, and may refuse. `None`: there is no such app; an error of
    /// `taken`: its new name belongs to another one.
    pub(crate) fn update_app<E: From<Error>>(
        &self,
        app_id: Uuid,
        secret: Option<&[u8]>,
        change: impl FnOnce(&mut AppRow) -> Result<Audit, E>,
        taken: impl FnOnce() -> E,
    ) -> Result<Option<AppRow>, E> {
        let sealed = secret.map(|secret| self.seal().close(SECRET, app_id, secret)).transpose()?;
        self.write_with(|transaction| {
            let Some(mut row) = read(transaction, app_id)?.filter(|row| row.app.acct_id == self.acct_id) else {
                return Ok(None);
            };
            let audit = change(&mut row)?;
            if !replace(transaction, &row)? {
                return Err(taken());
            }
            if let Some(sealed) = sealed {
                set_secret(transaction, app_id, &sealed)?;
            }
            Ok(Some((row, audit)))
        })
    }

    /// Replaces an app's secret; `false` where there is no such app.
    pub(crate) fn set_app_secret(&self, app_id: Uuid, secret: &[u8], audit: Audit) -> Result<bool, Error> {
        let sealed = self.seal().close(SECRET, app_id, secret)?;
        self.write(audit, |transaction| set_secret(transaction, app_id, &sealed))
    }

    /// Deletes an app; `false` where there is no such app.
    pub(crate) fn delete_app(&self, app_id: Uuid, audit: Audit) -> Result<bool, Error> {
        self.write(audit, |transaction| {
            Ok(transaction.execute("DELETE FROM apps WHERE app_id = ?1 AND acct_id = ?2", (app_id, self.acct_id))? == 1)
        })
    }
}

fn read(connection: &Connection, app_id: Uuid) -> Result<Option<AppRow>, Error> {
    let doc: Option<String> =
        connection.prepare_cached("SELECT doc FROM apps WHERE app_id = ?1")?.query_row([app_id], |row| row.get(0)).optional()?;
    let Some(doc) = doc else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached("SELECT group_id, permissions FROM memberships WHERE app_id = ?1")?;
    let rows = statement.query_map([app_id], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let groups = rows
        .map(|row| {
            let (group_id, permissions) = row?;
            Ok((group_id, serde_json::from_str(&permissions)?))
        })
        .collect::<Result<_, Error>>()?;
    Ok(Some(AppRow { app: serde_json::from_str(&doc)?, groups }))
}

/// `false` where the name is taken.
fn replace(transaction: &Transaction<'_>, row: &AppRow) -> Result<bool, Error> {
    let app = App { groups: AppGroups::Ids(Vec::new()), ..row.app.clone() };
    let updated = transaction.execute(
        "UPDATE OR IGNORE apps SET name = ?2, doc = ?3 WHERE app_id = ?1",
        (app.app_id, &app.name, serde_json::to_string(&app)?),
    )?;
    if updated == 1 {
        transaction.execute("DELETE FROM memberships WHERE app_id = ?1", [app.app_id])?;
        write_memberships(transaction, row)?;
    }
    Ok(updated == 1)
}

/// `false` where there is no such app.
fn set_secret(transaction: &Transaction<'_>, app_id: Uuid, sealed: &[u8]) -> Result<bool, Error> {
    Ok(transaction.execute("UPDATE apps SET sealed = ?2 WHERE app_id = ?1", (app_id, sealed))? == 1)
}

fn write_memberships(transaction: &Transaction<'_>, row: &AppRow) -> Result<(), Error> {
    let mut insert = transaction.prepare_cached("INSERT INTO memberships (app_id, group_id, permissions) VALUES (?1, ?2, ?3)")?;
    for (group_id, permissions) in &row.groups {
        insert.execute((row.app.app_id, group_id, serde_json::to_string(permissions)?))?;
    }
    Ok(())
}
