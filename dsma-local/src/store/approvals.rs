//! Approval requests. The body of one may hold key material, so that the whole is sealed.

use dsma_api::{Approval, ApprovalRequest, Approver, SobjectComponent};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::seal::Seal;
use super::{Audit, Store};
use crate::error::Error;

/// Kind of a sealed value, see `seal.rs`.
const REQUEST: &str = "approval";

/// An approval request with what the wire does not show.
#[derive(Serialize, Deserialize)]
pub(crate) struct ApprovalRow {
    pub(crate) request: ApprovalRequest,
    /// The groups whose policies count.
    pub(crate) groups: Vec<Uuid>,
    /// What was given so far.
    pub(crate) approvals: Vec<Approval>,
    /// Of a key in parts: who holds one each.
    #[serde(default)]
    pub(crate) custodians: Vec<Approver>,
    /// The parts, while they wait for somebody.
    #[serde(default)]
    pub(crate) components: Vec<SobjectComponent>,
    /// The custodians who have fetched theirs.
    #[serde(default)]
    pub(crate) fetched: Vec<Approver>,
    /// The check values of a key whose parts are fetched.
    #[serde(default)]
    pub(crate) key_kcv: Option<String>,
    #[serde(default)]
    pub(crate) key_kcv_cmac: Option<String>,
}

impl Store {
    /// An approval request.
    pub(crate) fn approval(&self, request_id: Uuid) -> Result<Option<ApprovalRow>, Error> {
        self.read(|connection| read(connection, self.seal(), self.acct_id, request_id))
    }

    /// All approval requests, the oldest first.
    pub(crate) fn approvals(&self) -> Result<Vec<ApprovalRow>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT request_id FROM approvals WHERE acct_id = ?1 ORDER BY number")?;
            let ids: Vec<Uuid> = statement.query_map([self.acct_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.into_iter().filter_map(|id| read(connection, self.seal(), self.acct_id, id).transpose()).collect()
        })
    }

    /// Adds an approval request.
    pub(crate) fn insert_approval(&self, row: &ApprovalRow, audit: Audit) -> Result<(), Error> {
        let request_id = row.request.request_id;
        let sealed = self.seal().close(REQUEST, request_id, &serde_json::to_vec(row)?)?;
        let sql = "INSERT INTO approvals (request_id, acct_id, sealed) VALUES (?1, ?2, ?3)";
        self.write(audit, |transaction| Ok(transaction.execute(sql, (request_id, self.acct_id, sealed))? == 1)).map(|_| ())
    }

    /// Changes an approval request in one transaction: `change` sees it as it is then, and may refuse. `None`: there is no such request.
    pub(crate) fn update_approval<E: From<Error>>(
        &self,
        request_id: Uuid,
        change: impl FnOnce(&mut ApprovalRow) -> Result<Audit, E>,
    ) -> Result<Option<ApprovalRow>, E> {
        self.write_with(|transaction| {
            let Some(mut row) = read(transaction, self.seal(), self.acct_id, request_id)? else {
                return Ok(None);
            };
            let audit = change(&mut row)?;
            let sealed = self.seal().close(REQUEST, request_id, &serde_json::to_vec(&row).map_err(Error::from)?)?;
            let sql = "UPDATE approvals SET sealed = ?2 WHERE request_id = ?1";
            transaction.execute(sql, (request_id, sealed)).map_err(Error::from)?;
            Ok(Some((row, audit)))
        })
    }

    /// Deletes an approval request; `false` where there is no such request.
    pub(crate) fn delete_approval(&self, request_id: Uuid, audit: Audit) -> Result<bool, Error> {
        let sql = "DELETE FROM approvals WHERE request_id = ?1 AND acct_id = ?2";
        self.write(audit, |transaction| Ok(transaction.execute(sql, (request_id, self.acct_id))? == 1))
    }
}

fn read(connection: &Connection, seal: &Seal, acct_id: Uuid, request_id: Uuid) -> Result<Option<ApprovalRow>, Error> {
    let sealed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT sealed FROM approvals WHERE request_id = ?1 AND acct_id = ?2")?
        .query_row((request_id, acct_id), |row| row.get(0))
        .optional()?;
    sealed.map(|sealed| Ok(serde_json::from_slice(&seal.open(REQUEST, request_id, &sealed)?)?)).transpose()
}
