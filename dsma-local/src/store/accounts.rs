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

    /// Deletes the account with its groups, apps and memberships, where it holds no sobject; `false` where it does. The account that came
    /// with the store stays: its id is the store's mark. Its audit log stays as well.
    pub(crate) fn delete_account(&self, audit: Audit) -> Result<bool, Error> {
        self.write(audit, |transaction| {
            let sql = "SELECT EXISTS (SELECT 1 FROM sobjects WHERE acct_id = ?1) OR EXISTS (SELECT 1 FROM account WHERE acct_id = ?1)";
            if transaction.query_row(sql, [self.acct_id], |row| row.get(0))? {
                return Ok(false);
            }
            for table in ["approvals", "apps", "groups", "members"] {
                transaction.execute(&format!("DELETE FROM {table} WHERE acct_id = ?1"), [self.acct_id])?;
            }
            Ok(transaction.execute("DELETE FROM accounts WHERE acct_id = ?1", [self.acct_id])? == 1)
        })
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
