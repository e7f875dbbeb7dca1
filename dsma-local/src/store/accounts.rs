//! Accounts.

use dsma_api::Account;
use rusqlite::OptionalExtension;

use super::Store;
use crate::error::Error;

impl Store {
    /// The account.
    pub(crate) fn account(&self) -> Result<Account, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT doc FROM accounts WHERE acct_id = ?1")?;
            let doc: Option<String> = statement.query_row([self.acct_id], |row| row.get(0)).optional()?;
            doc.map(|doc| serde_json::from_str(&doc)).transpose()?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
        })
    }
}
