//! The tables, and the steps from one version of them to the next.
//!
//! `user_version` of the file counts the steps that were taken. A step is never changed once it is released: a change is a new step.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Error;

/// Step `n` leads from version `n` to `n + 1`.
const STEPS: &[&str] = &[FIRST];

/// UUIDs are 16-byte blobs, times are seconds since the epoch, `doc` is the wire's JSON without secrets, `sealed` see `seal.rs`.
const FIRST: &str = "
CREATE TABLE account (acct_id BLOB PRIMARY KEY, seal_mark BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE groups (
    group_id BLOB PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    doc      TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE apps (
    app_id BLOB PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    doc    TEXT NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE memberships (
    app_id      BLOB NOT NULL REFERENCES apps ON DELETE CASCADE,
    group_id    BLOB NOT NULL REFERENCES groups ON DELETE CASCADE,
    permissions TEXT NOT NULL,
    PRIMARY KEY (app_id, group_id)
) WITHOUT ROWID;
CREATE INDEX memberships_by_group ON memberships (group_id);

CREATE TABLE sobjects (
    kid         BLOB PRIMARY KEY,
    group_id    BLOB NOT NULL REFERENCES groups,
    name        TEXT NOT NULL UNIQUE,
    obj_type    TEXT NOT NULL,
    lastused_at INTEGER NOT NULL DEFAULT 0,
    doc         TEXT NOT NULL,
    sealed      BLOB
);
CREATE INDEX sobjects_by_group ON sobjects (group_id, kid);

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    time        INTEGER NOT NULL,
    action_type TEXT NOT NULL,
    actor_type  TEXT NOT NULL,
    actor_id    BLOB NOT NULL,
    object_id   BLOB NOT NULL,
    group_id    BLOB,
    severity    TEXT NOT NULL,
    client_ip   TEXT,
    message     TEXT NOT NULL
);
CREATE INDEX audit_by_object ON audit (object_id, id);
CREATE INDEX audit_by_time ON audit (time);
";

/// Brings the file to the version that this program knows.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let Some(missing) = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)) else {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", known)?;
        tracing::info!("store brought from schema version {found} to {known}");
    }
    Ok(transaction.commit()?)
}
