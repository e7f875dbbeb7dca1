//! The tables, and the steps from one version of them to the next.
//!
//! `user_version` of the file counts the steps that were taken. A step is never changed once it is released: a change is a new step.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Error;

/// Step `n` leads from version `n` to `n + 1`.
const STEPS: &[&str] = &[FIRST, ACCOUNTS, APPROVALS, SOBJECT_LISTINGS, PREVIOUS_SECRETS];

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

/// Several accounts: whatever there is belongs to one, and names are unique within it. Users have a password and, by account, roles.
const ACCOUNTS: &str = "
CREATE TABLE accounts (acct_id BLOB PRIMARY KEY, doc TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO accounts SELECT acct_id, json_object(
    'acct_id', lower(substr(hex(acct_id), 1, 8) || '-' || substr(hex(acct_id), 9, 4) || '-' || substr(hex(acct_id), 13, 4) || '-'
        || substr(hex(acct_id), 17, 4) || '-' || substr(hex(acct_id), 21)),
    'name', 'Default account',
    'created_at', strftime('%Y%m%dT%H%M%SZ', 'now'),
    'enabled', json('true')) FROM account;

CREATE TABLE users (
    user_id  BLOB PRIMARY KEY,
    email    TEXT NOT NULL UNIQUE COLLATE NOCASE,
    doc      TEXT NOT NULL,
    password TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE members (
    user_id BLOB NOT NULL REFERENCES users ON DELETE CASCADE,
    acct_id BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE,
    doc     TEXT NOT NULL,
    PRIMARY KEY (user_id, acct_id)
) WITHOUT ROWID;
CREATE INDEX members_by_account ON members (acct_id);

CREATE TABLE new_groups (
    group_id BLOB PRIMARY KEY,
    acct_id  BLOB NOT NULL REFERENCES accounts,
    name     TEXT NOT NULL,
    doc      TEXT NOT NULL,
    UNIQUE (acct_id, name)
) WITHOUT ROWID;
INSERT INTO new_groups SELECT group_id, (SELECT acct_id FROM account), name, doc FROM groups;
DROP TABLE groups;
ALTER TABLE new_groups RENAME TO groups;

CREATE TABLE new_apps (
    app_id  BLOB PRIMARY KEY,
    acct_id BLOB NOT NULL REFERENCES accounts,
    name    TEXT NOT NULL,
    doc     TEXT NOT NULL,
    sealed  BLOB NOT NULL,
    UNIQUE (acct_id, name)
) WITHOUT ROWID;
INSERT INTO new_apps SELECT app_id, (SELECT acct_id FROM account), name, doc, sealed FROM apps;
DROP TABLE apps;
ALTER TABLE new_apps RENAME TO apps;

CREATE TABLE new_sobjects (
    kid         BLOB PRIMARY KEY,
    acct_id     BLOB NOT NULL REFERENCES accounts,
    group_id    BLOB NOT NULL REFERENCES groups,
    name        TEXT NOT NULL,
    obj_type    TEXT NOT NULL,
    lastused_at INTEGER NOT NULL DEFAULT 0,
    doc         TEXT NOT NULL,
    sealed      BLOB,
    UNIQUE (acct_id, name)
);
INSERT INTO new_sobjects SELECT kid, (SELECT acct_id FROM account), group_id, name, obj_type, lastused_at, doc, sealed FROM sobjects;
DROP TABLE sobjects;
ALTER TABLE new_sobjects RENAME TO sobjects;
CREATE INDEX sobjects_by_group ON sobjects (group_id, kid);

ALTER TABLE audit ADD COLUMN acct_id BLOB;
UPDATE audit SET acct_id = (SELECT acct_id FROM account);
CREATE INDEX audit_by_account ON audit (acct_id, id);
";

/// Approval requests, in the order of their making.
const APPROVALS: &str = "
CREATE TABLE approvals (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id BLOB NOT NULL UNIQUE,
    acct_id    BLOB NOT NULL REFERENCES accounts ON DELETE CASCADE,
    sealed     BLOB NOT NULL
);
CREATE INDEX approvals_by_account ON approvals (acct_id, number);
";

/// What listings of sobjects ask for, beside the document: an index answers without reading 100,000 documents. Times are text as on the
/// wire, which sorts as time does. Metadata follows the document by triggers.
const SOBJECT_LISTINGS: &str = "
ALTER TABLE sobjects ADD COLUMN state TEXT NOT NULL DEFAULT 'Active';
ALTER TABLE sobjects ADD COLUMN key_size INTEGER;
ALTER TABLE sobjects ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sobjects ADD COLUMN created_at TEXT;
ALTER TABLE sobjects ADD COLUMN activates TEXT;
ALTER TABLE sobjects ADD COLUMN expires TEXT;
ALTER TABLE sobjects ADD COLUMN rotates TEXT;
ALTER TABLE sobjects ADD COLUMN creator_type TEXT;
ALTER TABLE sobjects ADD COLUMN creator_id TEXT;
UPDATE sobjects SET
    state = COALESCE(doc ->> '$.state', 'Active'), enabled = COALESCE(doc ->> '$.enabled', 1),
    key_size = doc ->> '$.key_size', created_at = doc ->> '$.created_at',
    activates = doc ->> '$.activation_date', expires = doc ->> '$.deactivation_date',
    creator_type = CASE WHEN doc ->> '$.creator.app' IS NOT NULL THEN 'App' WHEN doc ->> '$.creator.user' IS NOT NULL THEN 'User'
        ELSE 'System' END,
    creator_id = COALESCE(doc ->> '$.creator.app', doc ->> '$.creator.user');
DROP INDEX sobjects_by_group;
CREATE INDEX sobjects_by_group ON sobjects (group_id);
CREATE INDEX sobjects_by_kid ON sobjects
    (acct_id, kid, group_id, state, obj_type, name, key_size, enabled, created_at, activates, expires, creator_type, creator_id);
CREATE INDEX sobjects_by_name ON sobjects
    (acct_id, name, group_id, state, obj_type, key_size, enabled, created_at, activates, expires, creator_type, creator_id);
CREATE INDEX sobjects_by_rotation ON sobjects (rotates) WHERE rotates IS NOT NULL;

CREATE TABLE sobject_metadata (
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    kid   BLOB NOT NULL REFERENCES sobjects ON DELETE CASCADE,
    PRIMARY KEY (key, value, kid)
) WITHOUT ROWID;
CREATE INDEX sobject_metadata_by_kid ON sobject_metadata (kid, key);
INSERT INTO sobject_metadata SELECT pair.key, pair.value, kid FROM sobjects, json_each(doc, '$.custom_metadata') AS pair;
CREATE TRIGGER sobject_inserted AFTER INSERT ON sobjects BEGIN
    INSERT INTO sobject_metadata SELECT pair.key, pair.value, new.kid FROM json_each(new.doc, '$.custom_metadata') AS pair;
END;
CREATE TRIGGER sobject_updated AFTER UPDATE OF doc ON sobjects WHEN new.doc <> old.doc BEGIN
    DELETE FROM sobject_metadata WHERE kid = new.kid;
    INSERT INTO sobject_metadata SELECT pair.key, pair.value, new.kid FROM json_each(new.doc, '$.custom_metadata') AS pair;
END;
";

/// The secret before the present one, for as long as it holds.
const PREVIOUS_SECRETS: &str = "
ALTER TABLE apps ADD COLUMN previous BLOB;
ALTER TABLE apps ADD COLUMN previous_until INTEGER;
";

/// Brings the file to the version that this program knows.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A step that makes a table anew drops the old one; rows that point to it must not be asked then.
    connection.pragma_update(None, "foreign_keys", false)?;
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
    transaction.commit()?;
    Ok(connection.pragma_update(None, "foreign_keys", true)?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_store_of_one_account_becomes_the_first_of_several() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection.execute_batch(FIRST).unwrap();
        let [acct, group, app, kid] = [1, 2, 3, 4].map(Uuid::from_u128);
        connection.execute("INSERT INTO account VALUES (?1, x'00')", [acct]).unwrap();
        connection.execute("INSERT INTO groups VALUES (?1, 'group', '{}')", [group]).unwrap();
        connection.execute("INSERT INTO apps VALUES (?1, 'app', '{}', x'00')", [app]).unwrap();
        connection.execute("INSERT INTO memberships VALUES (?1, ?2, '[]')", [app, group]).unwrap();
        connection.execute("INSERT INTO sobjects VALUES (?1, ?2, 'key', 'AES', 7, '{}', NULL)", [kid, group]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();

        migrate(&mut connection, Path::new("store.db")).unwrap();
        let owner = |table: &str| -> Uuid { connection.query_row(&format!("SELECT acct_id FROM {table}"), [], |row| row.get(0)).unwrap() };
        assert_eq!(["groups", "apps", "sobjects"].map(owner), [acct; 3]);
        let doc: String = connection.query_row("SELECT doc FROM accounts", [], |row| row.get(0)).unwrap();
        let account: dsma_api::Account = serde_json::from_str(&doc).unwrap();
        assert_eq!((account.acct_id, account.enabled), (acct, true));

        assert!(connection.execute("DELETE FROM groups", []).is_err(), "sobjects still point to their group");
        connection.execute("DELETE FROM apps", []).unwrap();
        let left: i64 = connection.query_row("SELECT count(*) FROM memberships", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "memberships still end with their app");
    }
}
