//! The audit log.
//!
//! An administrative act and an export are written in the transaction that they belong to, before the reply. Lines of crypto
//! operations are collected in memory and written together, at least every [`FLUSH_INTERVAL`](crate::dsm::FLUSH_INTERVAL); a reader
//! flushes first, so that it sees every operation that was answered. A crash loses at most the lines of that interval.

use std::net::IpAddr;

use dsma_api::{AuditHit, AuditLog, AuditRecord, Principal, Time};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::Store;
use crate::error::Error;

/// So many lines are written without waiting for the interval.
const FLUSH_LINES: usize = 1024;

const RFC3339: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// `ActionType` of the OpenAPI, as far as this version writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionType {
    /// Sessions.
    Auth,
    /// Apps, groups, and sobjects made, changed and deleted.
    Administrative,
    /// Use of a sobject, export included.
    CryptoOperation,
}

/// One line to be written.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub(crate) action_type: ActionType,
    pub(crate) acct_id: Uuid,
    pub(crate) actor: Principal,
    pub(crate) object_id: Uuid,
    pub(crate) group_id: Option<Uuid>,
    pub(crate) client_ip: Option<IpAddr>,
    /// Begins with a verb in the past tense; no secret.
    pub(crate) message: String,
    pub(crate) time: Time,
}

/// What a reader asks for. Lines come newest first.
#[derive(Debug, Default)]
pub(crate) struct AuditFilter {
    pub(crate) size: u32,
    pub(crate) from: u32,
    /// Continue after (older than) this line.
    pub(crate) previous_id: Option<i64>,
    /// Seconds since the epoch, inclusive.
    pub(crate) range_from: Option<i64>,
    /// Seconds since the epoch, inclusive.
    pub(crate) range_to: Option<i64>,
    pub(crate) action_type: Option<String>,
    pub(crate) actor_type: Option<String>,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) object_id: Option<Uuid>,
    pub(crate) severity: Option<String>,
    /// What the reader may see; `None` is everything.
    pub(crate) visible: Option<Visible>,
}

/// The lines that an ordinary app may read.
#[derive(Debug)]
pub(crate) struct Visible {
    /// Its own acts,
    pub(crate) actor_id: Uuid,
    /// and what happened in these groups.
    pub(crate) groups: Vec<Uuid>,
}

impl ActionType {
    const fn name(self) -> &'static str {
        match self {
            Self::Auth => "AUTH",
            Self::Administrative => "ADMINISTRATIVE",
            Self::CryptoOperation => "CRYPTOOPERATION",
        }
    }
}

impl Store {
    /// Writes a line, and everything that is waiting, before it returns.
    pub(crate) fn audit_now(&self, audit: Audit) -> Result<(), Error> {
        self.write(audit, |_| Ok(true)).map(|_| ())
    }

    /// Takes a line that is written soon, and marks the sobject as used.
    pub(crate) fn audit_soon(&self, audit: Audit) -> Result<(), Error> {
        let full = self.file.pending.lock().len() >= FLUSH_LINES;
        if full {
            // Where the disk is full, operations fail from here on: none goes unlogged, and the queue stays bounded.
            self.flush_audit()?;
        }
        self.file.pending.lock().push(audit);
        Ok(())
    }

    /// Writes the lines that are waiting.
    pub(crate) fn flush_audit(&self) -> Result<(), Error> {
        if self.file.pending.lock().is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let lines = self.write_pending(&transaction)?;
        self.commit(transaction, lines)
    }

    /// How many operations the account saw from one second to another, both included: all that is no log-in.
    pub(crate) fn count_operations(&self, from: Option<i64>, to: Option<i64>) -> Result<u64, Error> {
        self.flush_audit()?;
        self.read(|connection| {
            let sql = "SELECT count(*) FROM audit WHERE acct_id = ?1 AND action_type <> ?2 AND time BETWEEN ?3 AND ?4";
            let range = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
            let count: i64 =
                connection.prepare_cached(sql)?.query_row((self.acct_id, ActionType::Auth.name(), range.0, range.1), |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
    }

    /// Reads the log.
    pub(crate) fn audit_log(&self, filter: &AuditFilter) -> Result<AuditLog, Error> {
        self.flush_audit()?;
        let (condition, mut parameters) = filter.sql();
        let sql = format!(
            "SELECT id, time, action_type, actor_type, actor_id, object_id, group_id, severity, client_ip, message \
             FROM audit WHERE {condition} AND acct_id = ?{} ORDER BY id DESC LIMIT {} OFFSET {}",
            parameters.len() + 1,
            filter.size,
            filter.from
        );
        let acct_id = self.acct_id;
        parameters.push(acct_id.as_bytes().to_vec().into());
        self.read(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let hits = statement.query_map(params_from_iter(parameters), |row| {
                let source = AuditRecord {
                    action_type: row.get(2)?,
                    actor_type: row.get(3)?,
                    message: row.get(9)?,
                    severity: row.get(7)?,
                    time: rfc3339(row.get(1)?),
                    acct_id,
                    actor_id: row.get(4)?,
                    group_ids: row.get::<_, Option<Uuid>>(6)?.into_iter().collect(),
                    object_id: row.get(5)?,
                    client_ip: row.get(8)?,
                };
                Ok(AuditHit { id: line_id(row.get(0)?).to_string(), source })
            })?;
            Ok(AuditLog { hits: hits.collect::<Result<_, _>>()? })
        })
    }

    /// One transaction: lines that wait, `change`, and, where that answers `true`, `audit`; else nothing is written.
    pub(super) fn write(&self, audit: Audit, change: impl FnOnce(&Transaction<'_>) -> Result<bool, Error>) -> Result<bool, Error> {
        let done = self.write_with(|transaction| Ok::<_, Error>(change(transaction)?.then_some(((), audit))));
        Ok(done?.is_some())
    }

    /// As [`write`](Self::write), for a change that decides inside the transaction what to answer and what to log.
    pub(super) fn write_with<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<Option<(T, Audit)>, E>,
    ) -> Result<Option<T>, E> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::from)?;
        let Some((answer, audit)) = change(&transaction)? else {
            return Ok(None);
        };
        let lines = self.write_pending(&transaction)?;
        insert(&transaction, &audit)?;
        self.commit(transaction, lines)?;
        Ok(Some(answer))
    }

    /// Copies waiting lines into the transaction; they leave the queue in [`commit`](Self::commit), once they are safe.
    fn write_pending(&self, transaction: &Transaction<'_>) -> Result<usize, Error> {
        // A copy: those who add lines must not wait for the disk. The writer's lock keeps other takers out.
        let lines = self.file.pending.lock().clone();
        for line in &lines {
            insert(transaction, line)?;
            if line.action_type == ActionType::CryptoOperation {
                transaction
                    .prepare_cached("UPDATE sobjects SET lastused_at = ?2 WHERE kid = ?1 AND lastused_at < ?2")?
                    .execute((line.object_id, line.time.0))?;
            }
        }
        Ok(lines.len())
    }

    fn commit(&self, transaction: Transaction<'_>, lines: usize) -> Result<(), Error> {
        transaction.commit()?;
        self.file.pending.lock().drain(..lines);
        Ok(())
    }
}

impl AuditFilter {
    fn sql(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut parameters = Vec::new();
        let mut add = |condition: &str, value: Value| {
            parameters.push(value);
            conditions.push(condition.replace('?', &format!("?{}", parameters.len())));
        };
        let uuid = |id: Uuid| Value::Blob(id.as_bytes().to_vec());
        if let Some(id) = self.previous_id {
            add("id < ?", id.into());
        }
        if let Some(time) = self.range_from {
            add("time >= ?", time.into());
        }
        if let Some(time) = self.range_to {
            add("time <= ?", time.into());
        }
        for (column, text) in [("action_type", &self.action_type), ("actor_type", &self.actor_type), ("severity", &self.severity)] {
            if let Some(text) = text {
                add(&format!("{column} = ? COLLATE NOCASE"), text.clone().into());
            }
        }
        if let Some(id) = self.actor_id {
            add("actor_id = ?", uuid(id));
        }
        if let Some(id) = self.object_id {
            add("object_id = ?", uuid(id));
        }
        if let Some(visible) = &self.visible {
            let groups: Vec<String> = visible.groups.iter().map(|id| format!("x'{}'", id.simple())).collect();
            add(&format!("(actor_id = ? OR group_id IN ({}))", groups.join(",")), uuid(visible.actor_id));
        }
        (conditions.join(" AND "), parameters)
    }
}

/// The wire wants a UUID: the line's number in its last eight bytes.
fn line_id(number: i64) -> Uuid {
    Uuid::from_u64_pair(0, number.cast_unsigned())
}

/// The number of the line with this id.
pub(crate) fn line_number(id: Uuid) -> i64 {
    id.as_u64_pair().1.cast_signed()
}

fn insert(connection: &Connection, audit: &Audit) -> Result<(), Error> {
    let (actor_type, actor_id) = match audit.actor {
        Principal::User(id) => ("User", id),
        Principal::Plugin(id) => ("Plugin", id),
        // DSM itself has no type of its own in the log, and no id.
        Principal::System | Principal::UnregisteredUser => ("App", Uuid::nil()),
        Principal::App(id) => ("App", id),
    };
    connection
        .prepare_cached(
            "INSERT INTO audit (time, action_type, actor_type, actor_id, object_id, group_id, severity, client_ip, message, acct_id) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'INFO', ?7, ?8, ?9)",
        )?
        .execute((
            audit.time.0,
            audit.action_type.name(),
            actor_type,
            actor_id,
            audit.object_id,
            audit.group_id,
            audit.client_ip.map(|ip| ip.to_string()),
            &audit.message,
            audit.acct_id,
        ))?;
    Ok(())
}

fn rfc3339(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(RFC3339).unwrap_or_default()
}
