//! Apps, their sealed secrets, and their memberships.

use std::collections::BTreeMap;

use dsma_api::{App, AppGroups, Permissions, Time};
use rusqlite::{Connection, OptionalExtension, Transaction, params_from_iter};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Audit, Condition, Store};
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

/// A credential that was replaced and still holds.
pub(crate) struct Previous {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) until: Time,
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

    /// The apps that fit, by id.
    pub(crate) fn apps_where(&self, condition: &Condition) -> Result<Vec<AppRow>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare(&format!("SELECT app_id FROM apps WHERE {} AND acct_id = ? ORDER BY app_id", condition.sql()))?;
            let parameters = condition.parameters().iter().cloned().chain([self.acct_id.as_bytes().to_vec().into()]);
            let ids = statement.query_map(params_from_iter(parameters), |row| row.get(0))?.collect::<Result<Vec<Uuid>, _>>()?;
            ids.into_iter().filter_map(|app_id| read(connection, app_id).transpose()).collect()
        })
    }

    /// The apps of any account with a certificate of their own that ends then: whoever shows one has few of them looked at.
    pub(crate) fn any_apps_with_certificate(&self, not_after: Time) -> Result<Vec<AppRow>, Error> {
        self.read(|connection| {
            let sql = "SELECT app_id FROM apps WHERE doc ->> '$.auth_type' = 'Certificate' AND doc ->> '$.cert_not_after' = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let ids: Vec<Uuid> = statement.query_map([not_after.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.into_iter().filter_map(|app_id| read(connection, app_id).transpose()).collect()
        })
    }

    /// What an app authenticates with, whatever its account: the secret half of its API key, or another kind as JSON.
    pub(crate) fn app_secret(&self, app_id: Uuid) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT sealed FROM apps WHERE app_id = ?1")?;
            Ok(statement.query_row([app_id], |row| row.get(0)).optional()?)
        })?;
        sealed.map(|sealed| self.seal().open(SECRET, app_id, &sealed)).transpose()
    }

    /// The credential before the present one, and until when it holds, where it does at `now`; whatever the account.
    pub(crate) fn previous_secret(&self, app_id: Uuid, now: Time) -> Result<Option<Previous>, Error> {
        let found: Option<(Vec<u8>, i64)> = self.read(|connection| {
            let sql = "SELECT previous, previous_until FROM apps WHERE app_id = ?1 AND previous IS NOT NULL AND previous_until > ?2";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row((app_id, now.0), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })?;
        found.map(|(sealed, until)| Ok(Previous { bytes: self.seal().open(SECRET, app_id, &sealed)?, until: Time(until) })).transpose()
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

    /// Changes an app, and its credential where one is given, in one transaction: `change` sees the app as it is then, and may refuse.
    /// The old credential holds until the given time. `None`: there is no such app; an error of `taken`: its new name belongs to
    /// another one.
    pub(crate) fn update_app<E: From<Error>>(
        &self,
        app_id: Uuid,
        credential: Option<(&[u8], Option<Time>)>,
        change: impl FnOnce(&mut AppRow) -> Result<Audit, E>,
        taken: impl FnOnce() -> E,
    ) -> Result<Option<AppRow>, E> {
        let sealed = credential.map(|(bytes, until)| Ok::<_, Error>((self.seal().close(SECRET, app_id, bytes)?, until))).transpose()?;
        self.write_with(|transaction| {
            let Some(mut row) = read(transaction, app_id)?.filter(|row| row.app.acct_id == self.acct_id) else {
                return Ok(None);
            };
            let audit = change(&mut row)?;
            if !replace(transaction, &row)? {
                return Err(taken());
            }
            if let Some((sealed, until)) = sealed {
                set_credential(transaction, app_id, &sealed, until)?;
            }
            Ok(Some((row, audit)))
        })
    }

    /// Deletes an app, where `check` allows it at that moment; `false` where there is no such app.
    pub(crate) fn delete_app<E: From<Error>>(&self, app_id: Uuid, audit: Audit, check: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let deleted = self.write_with(|transaction| {
            check()?;
            let sql = "DELETE FROM apps WHERE app_id = ?1 AND acct_id = ?2";
            let deleted = transaction.execute(sql, (app_id, self.acct_id)).map_err(Error::from)?;
            Ok::<_, E>((deleted == 1).then_some(((), audit)))
        })?;
        Ok(deleted.is_some())
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
    let groups: BTreeMap<Uuid, Permissions> = rows
        .map(|row| {
            let (group_id, permissions) = row?;
            Ok((group_id, serde_json::from_str(&permissions)?))
        })
        .collect::<Result<_, Error>>()?;
    let mut app: App = serde_json::from_str(&doc)?;
    // A group that was deleted since is nobody's default.
    app.default_group = app.default_group.filter(|group_id| groups.contains_key(group_id));
    Ok(Some(AppRow { app, groups }))
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

/// Without a time for the old one it is gone.
fn set_credential(transaction: &Transaction<'_>, app_id: Uuid, sealed: &[u8], until: Option<Time>) -> Result<(), Error> {
    let sql =
        "UPDATE apps SET previous = CASE WHEN ?3 IS NULL THEN NULL ELSE sealed END, previous_until = ?3, sealed = ?2 WHERE app_id = ?1";
    transaction.execute(sql, (app_id, sealed, until.map(|until| until.0)))?;
    Ok(())
}

fn write_memberships(transaction: &Transaction<'_>, row: &AppRow) -> Result<(), Error> {
    let mut insert = transaction.prepare_cached("INSERT INTO memberships (app_id, group_id, permissions) VALUES (?1, ?2, ?3)")?;
    for (group_id, permissions) in &row.groups {
        insert.execute((row.app.app_id, group_id, serde_json::to_string(permissions)?))?;
    }
    Ok(())
}
