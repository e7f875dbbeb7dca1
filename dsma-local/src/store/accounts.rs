//! Accounts.

use dsma_api::Account;
use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::{Audit, Member, Store};
use crate::error::Error;

impl Store {
    /// The account.
    pub(crate) fn account(&self) -> Result<Account, Error> {
        self.any_account(self.acct_id)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// Any account: for a user, who may belong to several.
    pub(crate) fn any_account(&self, acct_id: Uuid) -> Result<Option<Account>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc FROM accounts WHERE acct_id = ?1")?;
            let doc: Option<String> = statement.query_row([acct_id], |row| row.get(0)).optional()?;
            Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
        })
    }

    /// Adds an account with its first member.
    pub(crate) fn insert_account(&self, account: &Account, user_id: Uuid, member: &Member, audit: Audit) -> Result<(), Error> {
        self.write(audit, |transaction| {
            let sql = "INSERT INTO accounts (acct_id, doc) VALUES (?1, ?2)";
            transaction.execute(sql, (account.acct_id, serde_json::to_string(account)?))?;
            let sql = "INSERT INTO members (user_id, acct_id, doc) VALUES (?1, ?2, ?3)";
            transaction.execute(sql, (user_id, account.acct_id, serde_json::to_string(member)?))?;
            Ok(true)
        })
        .map(|_| ())
    }

    /// Changes the account in one transaction: `change` sees it as it is then, and may refuse.
    pub(crate) fn update_account<E: From<Error>>(&self, change: impl FnOnce(&mut Account) -> Result<Audit, E>) -> Result<Account, E> {
        let changed = self.write_with::<_, E>(|transaction| {
            let doc: String = transaction
                .query_row("SELECT doc FROM accounts WHERE acct_id = ?1", [self.acct_id], |row| row.get(0))
                .map_err(Error::from)?;
            let mut account: Account = serde_json::from_str(&doc).map_err(Error::from)?;
            let audit = change(&mut account)?;
            let doc = serde_json::to_string(&account).map_err(Error::from)?;
            transaction.execute("UPDATE accounts SET doc = ?2 WHERE acct_id = ?1", (self.acct_id, doc)).map_err(Error::from)?;
            Ok(Some((account, audit)))
        })?;
        changed.ok_or_else(|| E::from(rusqlite::Error::QueryReturnedNoRows.into()))
    }
}
