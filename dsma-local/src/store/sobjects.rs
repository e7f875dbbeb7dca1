//! Sobjects: their description as JSON, their material sealed beside it.

use dsma_api::{Sobject, SobjectDescriptor, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Audit, Store};
use crate::error::Error;

/// Kind of a sealed value, see `seal.rs`.
const MATERIAL: &str = "sobject";

/// A stored sobject.
pub(crate) struct SobjectRow {
    pub(crate) kid: Uuid,
    pub(crate) group_id: Uuid,
    /// As on the wire, without `value`.
    pub(crate) sobject: Sobject,
    /// What `value` holds, sealed; absent for public keys and destroyed ones.
    sealed: Option<Vec<u8>>,
}

/// How a listing is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Kid { descending: bool },
    Name { descending: bool },
}

/// What a listing holds.
pub(crate) struct SobjectFilter {
    /// The groups that the caller may see.
    pub(crate) groups: Vec<Uuid>,
    pub(crate) name: Option<String>,
    pub(crate) obj_type: Option<String>,
    /// Pairs that `custom_metadata` must hold.
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) show_destroyed: bool,
    pub(crate) order: Order,
    /// Continue after this id or name, whichever is the order.
    pub(crate) start: Option<String>,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
}

/// A page of a listing.
pub(crate) struct Page {
    pub(crate) sobjects: Vec<Sobject>,
    /// In the groups that the caller may see.
    pub(crate) total: i64,
    /// Of these, what the filter keeps.
    pub(crate) filtered: i64,
}

const COLUMNS: &str = "kid, group_id, lastused_at, doc, sealed";

impl Store {
    /// The sobject with this id or name.
    pub(crate) fn sobject(&self, descriptor: &SobjectDescriptor) -> Result<Option<SobjectRow>, Error> {
        self.read(|connection| match descriptor {
            SobjectDescriptor::Kid(kid) => read(connection, self.acct_id, *kid),
            SobjectDescriptor::Name(name) => connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM sobjects WHERE name = ?1 AND acct_id = ?2"))?
                .query_row((name, self.acct_id), |row| Ok(from_row(row)))
                .optional()?
                .transpose(),
            SobjectDescriptor::TransientKey(_) => Ok(None),
        })
    }

    /// The key material.
    pub(crate) fn material(&self, row: &SobjectRow) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        row.sealed.as_ref().map(|sealed| self.seal().open(MATERIAL, row.kid, sealed)).transpose()
    }

    /// Adds a sobject; `false` where the name is taken. `kid`, `name` and `group_id` of `sobject` are set.
    pub(crate) fn insert_sobject(&self, sobject: &Sobject, material: Option<&[u8]>, audit: Audit) -> Result<bool, Error> {
        let kid = sobject.kid.unwrap_or_default();
        let sealed = material.map(|material| self.seal().close(MATERIAL, kid, material)).transpose()?;
        self.write(audit, |transaction| {
            Ok(transaction.execute(
                "INSERT INTO sobjects (kid, acct_id, group_id, name, obj_type, doc, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (acct_id, name) DO NOTHING",
                (kid, self.acct_id, sobject.group_id, &sobject.name, obj_type(sobject)?, serde_json::to_string(sobject)?, sealed),
            )? == 1)
        })
    }

    /// Changes a sobject in one transaction: `change` sees it as it is then, and may refuse. `None`: there is no such sobject; an
    /// error of `taken`: its new name belongs to another one.
    pub(crate) fn update_sobject<E: From<Error>>(
        &self,
        kid: Uuid,
        change: impl FnOnce(&mut SobjectRow) -> Result<Audit, E>,
        taken: impl FnOnce() -> E,
    ) -> Result<Option<SobjectRow>, E> {
        self.write_with(|transaction| {
            let Some(mut row) = read(transaction, self.acct_id, kid)? else {
                return Ok(None);
            };
            let audit = change(&mut row)?;
            if !replace(transaction, &row)? {
                return Err(taken());
            }
            Ok(Some((row, audit)))
        })
    }

    /// Deletes a sobject; `false` where there is no such sobject.
    pub(crate) fn delete_sobject(&self, kid: Uuid, audit: Audit) -> Result<bool, Error> {
        self.write(audit, |transaction| {
            Ok(transaction.execute("DELETE FROM sobjects WHERE kid = ?1 AND acct_id = ?2", (kid, self.acct_id))? == 1)
        })
    }

    /// A page of the sobjects that a caller may see.
    pub(crate) fn list_sobjects(&self, filter: &SobjectFilter, count: bool) -> Result<Page, Error> {
        let groups: Vec<String> = filter.groups.iter().map(|id| format!("x'{}'", id.simple())).collect();
        let visible = format!("group_id IN ({})", groups.join(","));
        let (condition, mut parameters) = filter.sql();
        self.read(|connection| {
            let counted = |condition: &str, parameters: &[Value]| -> Result<i64, Error> {
                let sql = format!("SELECT COUNT(*) FROM sobjects WHERE {visible} {condition}");
                Ok(connection.query_row(&sql, params_from_iter(parameters), |row| row.get(0))?)
            };
            let (total, filtered) = if count { (counted("", &[])?, counted(&condition, &parameters)?) } else { (0, 0) };
            let (start, order) = filter.order.sql(filter.start.as_deref(), &mut parameters);
            let sql = format!(
                "SELECT {COLUMNS} FROM sobjects WHERE {visible} {condition} {start} ORDER BY {order} LIMIT {} OFFSET {}",
                filter.limit, filter.offset
            );
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(parameters), |row| Ok(from_row(row)))?;
            let sobjects = rows.map(|row| Ok(row??.sobject)).collect::<Result<_, Error>>()?;
            Ok(Page { sobjects, total, filtered })
        })
    }
}

impl SobjectRow {
    /// Forgets the material; the row's write makes that last.
    pub(crate) fn destroy_material(&mut self) {
        self.sealed = None;
    }
}

impl SobjectFilter {
    /// Conditions beyond the groups, each with its `AND`.
    fn sql(&self) -> (String, Vec<Value>) {
        let mut condition = String::new();
        let mut parameters: Vec<Value> = Vec::new();
        for (column, text) in [("name", &self.name), ("obj_type", &self.obj_type)] {
            if let Some(text) = text {
                parameters.push(text.clone().into());
                condition += &format!(" AND {column} = ?{}", parameters.len());
            }
        }
        for (key, value) in &self.metadata {
            // json_each takes any key; a path would need its own quoting.
            parameters.push(key.clone().into());
            parameters.push(value.clone().into());
            condition += &format!(
                " AND EXISTS (SELECT 1 FROM json_each(doc, '$.custom_metadata') AS pair WHERE pair.key = ?{} AND pair.value = ?{})",
                parameters.len() - 1,
                parameters.len()
            );
        }
        if !self.show_destroyed {
            condition += " AND doc ->> '$.state' <> 'Destroyed'";
        }
        (condition, parameters)
    }
}

impl Order {
    /// The condition that continues a listing, and the order itself.
    fn sql(self, start: Option<&str>, parameters: &mut Vec<Value>) -> (String, String) {
        let (column, descending) = match self {
            Self::Kid { descending } => ("kid", descending),
            Self::Name { descending } => ("name", descending),
        };
        let (direction, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
        let start = start.and_then(|start| match self {
            Self::Kid { .. } => Uuid::parse_str(start).ok().map(|kid| Value::Blob(kid.as_bytes().to_vec())),
            Self::Name { .. } => Some(Value::Text(start.to_owned())),
        });
        let condition = start.map_or_else(String::new, |start| {
            parameters.push(start);
            format!("AND {column} {beyond} ?{}", parameters.len())
        });
        (condition, format!("{column} {direction}"))
    }
}

fn read(connection: &Connection, acct_id: Uuid, kid: Uuid) -> Result<Option<SobjectRow>, Error> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM sobjects WHERE kid = ?1 AND acct_id = ?2"))?
        .query_row((kid, acct_id), |row| Ok(from_row(row)))
        .optional()?
        .transpose()
}

/// Reads a row of [`COLUMNS`].
fn from_row(row: &Row<'_>) -> Result<SobjectRow, Error> {
    let mut sobject: Sobject = serde_json::from_str(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
    sobject.lastused_at = Time(row.get(2)?);
    Ok(SobjectRow { kid: row.get(0)?, group_id: row.get(1)?, sobject, sealed: row.get(4)? })
}

/// `false` where the name is taken.
fn replace(connection: &Connection, row: &SobjectRow) -> Result<bool, Error> {
    Ok(connection.execute(
        "UPDATE OR IGNORE sobjects SET group_id = ?2, name = ?3, doc = ?4, sealed = ?5 WHERE kid = ?1",
        (row.kid, row.sobject.group_id, &row.sobject.name, serde_json::to_string(&row.sobject)?, &row.sealed),
    )? == 1)
}

/// The type's wire name, for the column.
fn obj_type(sobject: &Sobject) -> Result<String, Error> {
    Ok(serde_json::to_value(sobject.obj_type)?.as_str().unwrap_or_default().to_owned())
}
