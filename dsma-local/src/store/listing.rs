//! Listings of sobjects: which ones, in which order, from where.

use dsma_api::Time;
use rusqlite::params_from_iter;
use rusqlite::types::Value;
use uuid::Uuid;

use super::filter::Condition;
use super::sobjects::{COLUMNS, DESCRIBED, from_row};
use super::{SobjectRow, Store};
use crate::error::Error;

/// How a listing is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Kid { descending: bool },
    Name { descending: bool },
}

/// What a listing holds.
pub(crate) struct SobjectFilter {
    /// The groups that the caller may see; `None` is all of the account.
    pub(crate) groups: Option<Vec<Uuid>>,
    /// All of these hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) order: Order,
    /// Continue after this id or name, whichever is the order.
    pub(crate) start: Option<String>,
    pub(crate) limit: u32,
    pub(crate) offset: u32,
    /// Whether the rows come with their material; those that come without are for reading only.
    pub(crate) with_material: bool,
}

/// A page of a listing.
pub(crate) struct Page {
    pub(crate) rows: Vec<SobjectRow>,
    /// In the groups that the caller may see.
    pub(crate) total: i64,
    /// Of these, what the filter keeps.
    pub(crate) filtered: i64,
}

impl Store {
    /// A page of the sobjects that a caller may see; `count` fills in the page's numbers.
    pub(crate) fn list_sobjects(&self, filter: &SobjectFilter, count: bool) -> Result<Page, Error> {
        let condition = filter.conditions.iter().fold(filter.visible(self.acct_id), |all, one| all.and(one));
        self.read(|connection| {
            let start = filter.order.after(filter.start.as_deref());
            let page = start.iter().fold(condition.clone(), |all, one| all.and(one));
            let sql = format!(
                "SELECT {} FROM sobjects WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
                if filter.with_material { COLUMNS } else { DESCRIBED },
                page.sql(),
                filter.order.sql(),
                filter.limit,
                filter.offset
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(page.parameters()), |row| Ok(from_row(row)))?;
            let rows = rows.map(|row| row?).collect::<Result<Vec<_>, Error>>()?;
            if !count {
                return Ok(Page { rows, total: 0, filtered: 0 });
            }
            let counted = |index: &str, condition: &Condition| -> Result<i64, Error> {
                let sql = format!("SELECT COUNT(*) FROM sobjects INDEXED BY {index} WHERE {}", condition.sql());
                Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(condition.parameters()), |row| row.get(0))?)
            };
            // Each sobject is in one group, and the index by group is by far the smaller one to read whole.
            let total = counted("sobjects_by_group", &filter.in_visible_groups(self.acct_id))?;
            // A page that is not full is the last one: the scan that made it has seen everything.
            let last = start.is_none() && rows.len() < filter.limit as usize && (filter.offset == 0 || !rows.is_empty());
            let filtered = if last {
                i64::from(filter.offset) + i64::try_from(rows.len()).unwrap_or(i64::MAX)
            } else {
                counted("sobjects_by_kid", &condition)?
            };
            Ok(Page { rows, total, filtered })
        })
    }
}

impl SobjectFilter {
    fn visible(&self, acct_id: Uuid) -> Condition {
        let account = Condition::new("acct_id = ?", vec![blob(acct_id)]);
        match &self.groups {
            None => account,
            Some(groups) => {
                let marks = vec!["?"; groups.len()].join(",");
                // The plus keeps SQLite from the index by group: a large group would be read whole, and sorted.
                account.and(&Condition::new(format!("+group_id IN ({marks})"), groups.iter().copied().map(blob).collect()))
            }
        }
    }

    /// The same sobjects as [`Self::visible`], told by their groups alone.
    fn in_visible_groups(&self, acct_id: Uuid) -> Condition {
        match &self.groups {
            None => Condition::new("group_id IN (SELECT group_id FROM groups WHERE acct_id = ?)", vec![blob(acct_id)]),
            Some(groups) => {
                let marks = vec!["?"; groups.len()].join(",");
                Condition::new(format!("group_id IN ({marks})"), groups.iter().copied().map(blob).collect())
            }
        }
    }
}

impl Order {
    /// Where a listing goes on after this row.
    pub(crate) fn place(self, row: &SobjectRow) -> String {
        match self {
            Self::Kid { .. } => row.kid.to_string(),
            Self::Name { .. } => row.sobject.name.clone().unwrap_or_default(),
        }
    }

    const fn column(self) -> (&'static str, bool) {
        match self {
            Self::Kid { descending } => ("kid", descending),
            Self::Name { descending } => ("name", descending),
        }
    }

    fn sql(self) -> String {
        let (column, descending) = self.column();
        format!("{column} {}", if descending { "DESC" } else { "ASC" })
    }

    /// What comes after `start`. One that is no id is no place in a listing by id, and is passed over.
    fn after(self, start: Option<&str>) -> Option<Condition> {
        let start = match self {
            Self::Kid { .. } => blob(Uuid::parse_str(start?).ok()?),
            Self::Name { .. } => Value::Text(start?.to_owned()),
        };
        let (column, descending) = self.column();
        Some(Condition::new(format!("{column} {} ?", if descending { "<" } else { ">" }), vec![start]))
    }
}

/// The state that the dates make of the stored one, as `dsma_api::KeyFacts::state_at` says it.
pub(super) fn state_at(now: Time) -> (String, Vec<Value>) {
    let now = Value::Text(now.to_string());
    let sql = "CASE WHEN state NOT IN ('PreActive', 'Active') THEN state WHEN expires <= ? THEN 'Deactivated' \
               WHEN COALESCE(activates > ?, state = 'PreActive') THEN 'PreActive' ELSE 'Active' END";
    (sql.to_owned(), vec![now.clone(), now])
}

pub(super) fn blob(id: Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

/// What clients of the classic interface can read: one other sobject fails a whole listing. The few with a newer format have an index.
const CLASSIC: &str = "obj_type NOT IN ('MLDSA', 'MLKEM') AND kid NOT IN \
     (SELECT kid FROM sobjects WHERE doc ->> '$.fpe' IS NOT NULL AND doc ->> '$.fpe.radix' IS NULL)";

impl Condition {
    /// Sobjects that every published client can read.
    pub(crate) fn classic() -> Self {
        Self::new(CLASSIC, Vec::new())
    }

    /// Neither destroyed nor deleted.
    pub(crate) fn not_destroyed() -> Self {
        Self::new("state NOT IN ('Destroyed', 'Deleted')", Vec::new())
    }

    /// This name, whole.
    pub(crate) fn name(name: &str) -> Self {
        Self::new("name = ?", vec![name.to_owned().into()])
    }

    /// This type.
    pub(crate) fn obj_type(name: &str) -> Self {
        Self::new("obj_type = ?", vec![name.to_owned().into()])
    }

    /// Made by this app, user or plugin.
    pub(crate) fn creator(id: Uuid) -> Self {
        Self::new("creator_id = ?", vec![id.to_string().into()])
    }

    /// `custom_metadata` holds this pair.
    pub(crate) fn metadata(key: &str, value: &str) -> Self {
        let pair = vec![key.to_owned().into(), value.to_owned().into()];
        Self::new("kid IN (SELECT kid FROM sobject_metadata WHERE key = ? AND value = ?)", pair)
    }

    /// The label that a PKCS#11 library shows: metadata, or the name where there is none.
    pub(crate) fn pkcs11_label(acct_id: Uuid, label: &str) -> Self {
        let sql = "kid IN (SELECT kid FROM sobject_metadata WHERE key = 'pkcs11_label' AND value = ? \
                   UNION ALL SELECT named.kid FROM sobjects AS named WHERE named.acct_id = ? AND named.name = ? \
                   AND NOT EXISTS (SELECT 1 FROM sobject_metadata AS pair WHERE pair.kid = named.kid AND pair.key = 'pkcs11_label'))";
        Self::new(sql, vec![label.to_owned().into(), blob(acct_id), label.to_owned().into()])
    }
}
