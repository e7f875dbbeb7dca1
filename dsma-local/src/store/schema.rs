//! The tables, and the steps from one version of them to the next.
//!
//! `user_version` of the file counts the steps that were taken. A step is never changed once it is released: a change is a new step.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Error;

/// Step `n` leads from version `n` to `n + 1`.
const STEPS: &[&str] =
    &[FIRST, ACCOUNTS, APPROVALS, SOBJECT_LISTINGS, PREVIOUS_SECRETS, FILTER_COLUMNS, CCM_RECORDS, NEWER_FORMATS, CERTIFICATES_OF_APPS];

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

/// What `filter` expressions ask for, so that no listing reads 100,000 documents. The write of a sobject sets these columns from its
/// document (`FACTS` in `sobjects.rs`). Both indexes hold whatever a filter may name: a scan of one of them decides on every sobject.
const FILTER_COLUMNS: &str = "
CREATE TABLE key_operations (name TEXT PRIMARY KEY, bit INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
INSERT INTO key_operations (name, bit) VALUES
    ('SIGN', 1), ('VERIFY', 2), ('ENCRYPT', 4), ('DECRYPT', 8), ('WRAPKEY', 16), ('UNWRAPKEY', 32), ('DERIVEKEY', 64),
    ('TRANSFORM', 128), ('MACGENERATE', 256), ('MACVERIFY', 512), ('EXPORT', 1024), ('APPMANAGEABLE', 2048), ('HIGHVOLUME', 4096),
    ('AGREEKEY', 8192), ('ENCAPSULATE', 16384), ('DECAPSULATE', 32768);

ALTER TABLE sobjects ADD COLUMN description TEXT;
ALTER TABLE sobjects ADD COLUMN elliptic_curve TEXT;
ALTER TABLE sobjects ADD COLUMN origin TEXT;
ALTER TABLE sobjects ADD COLUMN public_only INTEGER;
ALTER TABLE sobjects ADD COLUMN never_exportable INTEGER;
ALTER TABLE sobjects ADD COLUMN key_ops INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sobjects ADD COLUMN links BLOB;
ALTER TABLE sobjects ADD COLUMN metadata BLOB;
UPDATE sobjects SET
    description = doc ->> '$.description', elliptic_curve = doc ->> '$.elliptic_curve', origin = doc ->> '$.origin',
    public_only = doc ->> '$.public_only', never_exportable = doc ->> '$.never_exportable',
    key_ops = (SELECT COALESCE(SUM(bit), 0) FROM json_each(doc, '$.key_ops') AS op JOIN key_operations ON key_operations.name = op.value),
    links = jsonb_extract(doc, '$.links'), metadata = jsonb_extract(doc, '$.custom_metadata');

DROP INDEX sobjects_by_kid;
DROP INDEX sobjects_by_name;
CREATE INDEX sobjects_by_kid ON sobjects
    (acct_id, kid, group_id, state, obj_type, name, key_size, enabled, created_at, activates, expires, rotates, creator_type, creator_id,
     lastused_at, key_ops, elliptic_curve, origin, public_only, never_exportable, links, metadata, description);
CREATE INDEX sobjects_by_name ON sobjects
    (acct_id, name, group_id, state, obj_type, kid, key_size, enabled, created_at, activates, expires, rotates, creator_type, creator_id,
     lastused_at, key_ops, elliptic_curve, origin, public_only, never_exportable, links, metadata, description);

CREATE VIEW creators AS
    SELECT lower(substr(hex(app_id), 1, 8) || '-' || substr(hex(app_id), 9, 4) || '-' || substr(hex(app_id), 13, 4) || '-'
        || substr(hex(app_id), 17, 4) || '-' || substr(hex(app_id), 21)) AS id, name FROM apps
    UNION ALL
    SELECT lower(substr(hex(user_id), 1, 8) || '-' || substr(hex(user_id), 9, 4) || '-' || substr(hex(user_id), 13, 4) || '-'
        || substr(hex(user_id), 17, 4) || '-' || substr(hex(user_id), 21)), email FROM users;
";

/// What CCM keeps, see `records.rs`. `number` is the order of their making.
const CCM_RECORDS: &str = "
CREATE TABLE ccm_records (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    id      BLOB NOT NULL,
    acct_id BLOB NOT NULL,
    key     TEXT,
    doc     TEXT NOT NULL,
    sealed  BLOB,
    UNIQUE (kind, id),
    UNIQUE (kind, key)
);
CREATE INDEX ccm_records_by_account ON ccm_records (kind, acct_id, number);
";

/// Finds the keys whose tokenization format is not the basic one.
const NEWER_FORMATS: &str = "
CREATE INDEX sobjects_of_newer_formats ON sobjects (kid) WHERE doc ->> '$.fpe' IS NOT NULL AND doc ->> '$.fpe.radix' IS NULL;
";

/// Finds the apps that a client certificate may be stored for.
const CERTIFICATES_OF_APPS: &str = "
CREATE INDEX apps_by_certificate ON apps (doc ->> '$.cert_not_after') WHERE doc ->> '$.auth_type' = 'Certificate';
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

    use super::super::filter::compile;
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

    /// A sobject of the version before: its document has all that the columns are to hold.
    #[test]
    fn sobjects_of_older_stores_are_found_by_filters() {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = STEPS.iter().position(|step| *step == FILTER_COLUMNS).unwrap();
        STEPS[..before].iter().for_each(|step| connection.execute_batch(step).unwrap());
        connection.pragma_update(None, "user_version", i64::try_from(before).unwrap()).unwrap();
        let (acct, other, app) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        connection.execute("INSERT INTO accounts VALUES (?1, '{}')", [acct]).unwrap();
        connection.execute("INSERT INTO groups VALUES (?1, ?1, 'group', '{}')", [acct]).unwrap();
        connection
            .execute("INSERT INTO apps (app_id, acct_id, name, doc, sealed) VALUES (?1, ?2, 'maker', '{}', x'00')", [app, acct])
            .unwrap();
        let insert = "INSERT INTO sobjects (kid, acct_id, group_id, name, obj_type, doc, creator_id) VALUES (?1, ?2, ?2, ?3, 'EC', ?4, ?5)";
        let doc = format!(
            r#"{{"description":"the one","elliptic_curve":"Ed25519","origin":"External","public_only":true,"never_exportable":false,
                "key_ops":["VERIFY","EXPORT"],"links":{{"parent":"{other}"}},"custom_metadata":{{"colour":"red"}}}}"#
        );
        connection.execute(insert, (app, acct, "full", doc, app.to_string())).unwrap();
        connection.execute(insert, (other, acct, "empty", "{}", None::<String>)).unwrap();

        migrate(&mut connection, Path::new("store.db")).unwrap();
        for filter in [
            r#"{"description":"the one"}"#,
            r#"{"description":{"$text":{"$search":"ONE"}}}"#,
            r#"{"elliptic_curve":"Ed25519"}"#,
            r#"{"origin":{"$ne":"FortanixHSM"},"public_only":true,"never_exportable":false}"#,
            r#"{"key_ops":"VERIFY"}"#,
            r#"{"key_ops":{"$any":{"$in":["EXPORT"]}}}"#,
            r#"{"parent":"00000000-0000-0000-0000-000000000002","replaced":{"$exists":false}}"#,
            r#"{"custom_metadata.colour":{"$text":{"$search":"Re"}}}"#,
            r#"{"creator_name":"maker"}"#,
        ] {
            let condition = compile(&serde_json::from_str(filter).unwrap(), dsma_api::Time(1)).unwrap();
            // Scanning the index alone: a column that is missing in it would be a step of another name in the plan.
            let sql = format!("SELECT name FROM sobjects WHERE acct_id = ? AND {} ORDER BY kid", condition.sql());
            let parameters = || std::iter::once(acct.as_bytes().to_vec().into()).chain(condition.parameters().iter().cloned());
            let mut statement = connection.prepare(&sql).unwrap();
            let names = statement.query_map(rusqlite::params_from_iter(parameters()), |row| row.get::<_, String>(0)).unwrap();
            assert_eq!(names.collect::<Result<Vec<_>, _>>().unwrap(), ["full"], "{filter}");
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(rusqlite::params_from_iter(parameters()), |row| row.get::<_, String>(3)).unwrap();
            let steps = steps.collect::<Result<Vec<_>, _>>().unwrap();
            assert!(steps[0].contains("USING COVERING INDEX sobjects_by_kid"), "{filter}: {steps:?}");
        }
    }
}
