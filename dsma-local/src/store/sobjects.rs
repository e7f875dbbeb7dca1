//! Sobjects: their description as JSON, what listings ask for in columns beside it, and their material sealed.

use dsma_api::{Principal, Sobject, SobjectDescriptor, Time};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::seal::Seal;
use super::{Audit, Store};
use crate::error::Error;

/// Kind of a sealed value, see `seal.rs`.
const MATERIAL: &str = "sobject";

/// What [`from_row`] reads.
pub(super) const COLUMNS: &str = "kid, group_id, lastused_at, doc, sealed";
/// The same without the material, which is not read from the file then.
pub(super) const DESCRIBED: &str = "kid, group_id, lastused_at, doc, NULL";

/// Columns that filters ask for, each with its value in terms of the document, which is parameter 5.
const FACTS: &[(&str, &str)] = &[
    ("description", "?5 ->> '$.description'"),
    ("elliptic_curve", "?5 ->> '$.elliptic_curve'"),
    ("origin", "?5 ->> '$.origin'"),
    ("public_only", "?5 ->> '$.public_only'"),
    ("never_exportable", "?5 ->> '$.never_exportable'"),
    (
        "key_ops",
        "(SELECT COALESCE(SUM(bit), 0) FROM json_each(?5, '$.key_ops') AS op JOIN key_operations ON key_operations.name = op.value)",
    ),
    ("links", "jsonb_extract(?5, '$.links')"),
    ("metadata", "jsonb_extract(?5, '$.custom_metadata')"),
];

/// A sobject with its material: a stored one, or one that is to be stored.
pub(crate) struct SobjectRow {
    /// Nil for a transient key.
    pub(crate) kid: Uuid,
    pub(crate) group_id: Uuid,
    /// As on the wire, without `value`.
    pub(crate) sobject: Sobject,
    material: Material,
}

enum Material {
    /// Of public keys and of destroyed ones.
    None,
    Sealed(Vec<u8>),
    /// Not stored yet, or never.
    Clear(Zeroizing<Vec<u8>>),
}

/// Sobjects as one write transaction sees and changes them.
pub(crate) struct Sobjects<'a> {
    transaction: &'a Transaction<'a>,
    seal: &'a Seal,
    acct_id: Uuid,
}

impl Store {
    /// The sobject with this id or name.
    pub(crate) fn sobject(&self, descriptor: &SobjectDescriptor) -> Result<Option<SobjectRow>, Error> {
        self.read(|connection| find(connection, self.acct_id, descriptor))
    }

    /// The key material.
    pub(crate) fn material(&self, row: &SobjectRow) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match &row.material {
            Material::None => Ok(None),
            Material::Sealed(sealed) => self.seal().open(MATERIAL, row.kid, sealed).map(Some),
            Material::Clear(value) => Ok(Some(value.clone())),
        }
    }

    /// Changes any number of sobjects in one transaction: `change` sees them as they are then, and may refuse.
    pub(crate) fn change_sobjects<T, E: From<Error>>(&self, change: impl FnOnce(&Sobjects<'_>) -> Result<(T, Audit), E>) -> Result<T, E> {
        let done = self.write_with(|transaction| change(&Sobjects { transaction, seal: self.seal(), acct_id: self.acct_id }).map(Some))?;
        match done {
            Some(answer) => Ok(answer),
            None => unreachable!("the change above answers or refuses"),
        }
    }

    /// Sobjects of all accounts whose rotation is due, by account and id, the longest first.
    pub(crate) fn due_rotations(&self, now: Time) -> Result<Vec<(Uuid, Uuid)>, Error> {
        self.read(|connection| {
            let sql = "SELECT acct_id, kid FROM sobjects WHERE rotates <= ?1 ORDER BY rotates LIMIT 100";
            let mut statement = connection.prepare_cached(sql)?;
            let due = statement.query_map([now.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(due.collect::<Result<_, _>>()?)
        })
    }
}

impl SobjectRow {
    /// A sobject that is not stored. `kid` and `group_id` are those of `sobject`, nil where it has none.
    pub(crate) fn new(sobject: Sobject, material: Option<Zeroizing<Vec<u8>>>) -> Self {
        let material = material.map_or(Material::None, Material::Clear);
        Self { kid: sobject.kid.unwrap_or_default(), group_id: sobject.group_id.unwrap_or_default(), sobject, material }
    }

    /// Forgets the material; the row's write makes that last.
    pub(crate) fn destroy_material(&mut self) {
        self.material = Material::None;
    }
}

impl Sobjects<'_> {
    /// The sobject with this id or name.
    pub(crate) fn find(&self, descriptor: &SobjectDescriptor) -> Result<Option<SobjectRow>, Error> {
        find(self.transaction, self.acct_id, descriptor)
    }

    /// Adds a sobject; `false` where the name is taken.
    pub(crate) fn insert(&self, row: &SobjectRow) -> Result<bool, Error> {
        let (columns, values): (Vec<_>, Vec<_>) = FACTS.iter().copied().unzip();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let sql = format!(
            "INSERT INTO sobjects (kid, group_id, name, obj_type, doc, sealed, state, key_size, enabled, created_at, activates, expires, \
             rotates, creator_type, creator_id, acct_id, {columns}) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, {values}) \
             ON CONFLICT (acct_id, name) DO NOTHING"
        );
        self.execute(&sql, row)
    }

    /// Writes a sobject that was read; `false` where its new name is taken.
    pub(crate) fn replace(&self, row: &SobjectRow) -> Result<bool, Error> {
        let facts: Vec<String> = FACTS.iter().map(|(column, value)| format!("{column} = {value}")).collect();
        let sql = format!(
            "UPDATE OR IGNORE sobjects SET group_id = ?2, name = ?3, obj_type = ?4, doc = ?5, sealed = ?6, state = ?7, key_size = ?8, \
             enabled = ?9, created_at = ?10, activates = ?11, expires = ?12, rotates = ?13, creator_type = ?14, creator_id = ?15, {} \
             WHERE kid = ?1 AND acct_id = ?16",
            facts.join(", ")
        );
        self.execute(&sql, row)
    }

    /// Deletes a sobject; `false` where there is no such sobject.
    pub(crate) fn delete(&self, kid: Uuid) -> Result<bool, Error> {
        Ok(self.transaction.execute("DELETE FROM sobjects WHERE kid = ?1 AND acct_id = ?2", (kid, self.acct_id))? == 1)
    }

    fn execute(&self, sql: &str, row: &SobjectRow) -> Result<bool, Error> {
        let sobject = &row.sobject;
        let sealed = match &row.material {
            Material::None => None,
            Material::Sealed(sealed) => Some(sealed.clone()),
            Material::Clear(value) => Some(self.seal.close(MATERIAL, row.kid, value)?),
        };
        let (creator_type, creator_id) = creator(&sobject.creator)?;
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        let values = params![
            row.kid,
            sobject.group_id,
            sobject.name,
            wire_name(&sobject.obj_type)?,
            serde_json::to_string(sobject)?,
            sealed,
            wire_name(&sobject.state)?,
            sobject.key_size,
            sobject.enabled,
            sobject.created_at.to_string(),
            time(sobject.activation_date),
            time(sobject.deactivation_date),
            time(sobject.scheduled_rotation),
            creator_type,
            creator_id,
            self.acct_id,
        ];
        Ok(self.transaction.prepare_cached(sql)?.execute(values)? == 1)
    }
}

fn find(connection: &Connection, acct_id: Uuid, descriptor: &SobjectDescriptor) -> Result<Option<SobjectRow>, Error> {
    let row = match descriptor {
        SobjectDescriptor::Kid(kid) => connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM sobjects WHERE kid = ?1 AND acct_id = ?2"))?
            .query_row((kid, acct_id), |row| Ok(from_row(row)))
            .optional()?,
        SobjectDescriptor::Name(name) => connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM sobjects WHERE name = ?1 AND acct_id = ?2"))?
            .query_row((name, acct_id), |row| Ok(from_row(row)))
            .optional()?,
        SobjectDescriptor::TransientKey(_) | SobjectDescriptor::Inline(_) => None,
    };
    row.transpose()
}

/// Reads a row of [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>) -> Result<SobjectRow, Error> {
    let mut sobject: Sobject = serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
    sobject.lastused_at = Time(row.get(2)?);
    let material = row.get::<_, Option<_>>(4)?.map_or(Material::None, Material::Sealed);
    Ok(SobjectRow { kid: row.get(0)?, group_id: row.get(1)?, sobject, material })
}

/// The name on the wire of a value of an enum.
fn wire_name(value: &impl serde::Serialize) -> Result<String, Error> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

/// `App` and its id as text; an id is absent where the creator has none.
fn creator(principal: &Principal) -> Result<(String, Option<String>), Error> {
    let wire = serde_json::to_value(principal)?;
    let (kind, id) = match wire.as_object().and_then(|members| members.iter().next()) {
        Some((kind, id)) => (kind.as_str(), id.as_str().map(str::to_owned)),
        None => (wire.as_str().unwrap_or_default(), None),
    };
    let mut letters = kind.chars();
    let capital = letters.next().map(|first| first.to_ascii_uppercase()).into_iter();
    Ok((capital.chain(letters).collect(), id))
}
