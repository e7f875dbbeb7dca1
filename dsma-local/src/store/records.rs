//! CCM's records: documents of several kinds in one table.
//!
//! CCM asks little of its store: by id, by a unique key, or all of one account. What must change together changes in one transaction,
//! which sees everything as it is then.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Store;
use super::seal::Seal;
use crate::error::Error;

/// A document that CCM keeps.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// Tells this kind from the others, for good: it is written in the file.
    const KIND: &'static str;

    fn id(&self) -> Uuid;

    /// The account that it belongs to; nil where it belongs to none.
    fn acct_id(&self) -> Uuid;

    /// What no other record of this kind may have; `None` where there is no such thing.
    fn key(&self) -> Option<String>;
}

/// The records, within one transaction. A record may have a secret beside it, sealed for its id.
pub(crate) struct Records<'a> {
    connection: &'a Connection,
    seal: &'a Seal,
}

impl Store {
    /// Reads records as they are at one moment.
    pub(crate) fn records<T, E: From<Error>>(&self, read: impl FnOnce(&Records<'_>) -> Result<T, E>) -> Result<T, E> {
        self.read(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            Ok(read(&Records { connection: &snapshot, seal: self.seal() }))
        })?
    }

    /// Changes records, all or nothing: an error leaves everything as it was.
    pub(crate) fn change_records<T, E: From<Error>>(&self, change: impl FnOnce(&Records<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Error::from)?;
        let answer = change(&Records { connection: &transaction, seal: self.seal() })?;
        transaction.commit().map_err(Error::from)?;
        Ok(answer)
    }
}

impl Records<'_> {
    /// The record with this id, of whatever account.
    pub(crate) fn get<T: Record>(&self, id: Uuid) -> Result<Option<T>, Error> {
        let sql = "SELECT doc FROM ccm_records WHERE kind = ?1 AND id = ?2";
        let doc: Option<String> = self.connection.prepare_cached(sql)?.query_row((T::KIND, id), |row| row.get(0)).optional()?;
        Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
    }

    /// The record with this key.
    pub(crate) fn find<T: Record>(&self, key: &str) -> Result<Option<T>, Error> {
        let sql = "SELECT doc FROM ccm_records WHERE kind = ?1 AND key = ?2";
        let doc: Option<String> = self.connection.prepare_cached(sql)?.query_row((T::KIND, key), |row| row.get(0)).optional()?;
        Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
    }

    /// All records of an account, oldest first.
    pub(crate) fn all<T: Record>(&self, acct_id: Uuid) -> Result<Vec<T>, Error> {
        let sql = "SELECT doc FROM ccm_records WHERE kind = ?1 AND acct_id = ?2 ORDER BY number";
        let mut statement = self.connection.prepare_cached(sql)?;
        let docs = statement.query_map((T::KIND, acct_id), |row| row.get::<_, String>(0))?;
        docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
    }

    /// All records of this kind in all accounts, oldest first.
    pub(crate) fn everywhere<T: Record>(&self) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT doc FROM ccm_records WHERE kind = ?1 ORDER BY number")?;
        let docs = statement.query_map([T::KIND], |row| row.get::<_, String>(0))?;
        docs.map(|doc| Ok(serde_json::from_str(&doc?)?)).collect()
    }

    /// Adds a record; `false` where its key is taken.
    pub(crate) fn insert<T: Record>(&self, record: &T) -> Result<bool, Error> {
        let sql = "INSERT INTO ccm_records (kind, id, acct_id, key, doc) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let doc = serde_json::to_string(record)?;
        Ok(self.connection.prepare_cached(sql)?.execute((T::KIND, record.id(), record.acct_id(), record.key(), doc))? == 1)
    }

    /// Replaces a record; `false` where its key is taken, or it is gone.
    pub(crate) fn update<T: Record>(&self, record: &T) -> Result<bool, Error> {
        let sql = "UPDATE OR IGNORE ccm_records SET key = ?3, doc = ?4 WHERE kind = ?1 AND id = ?2";
        let doc = serde_json::to_string(record)?;
        Ok(self.connection.prepare_cached(sql)?.execute((T::KIND, record.id(), record.key(), doc))? == 1)
    }

    /// Deletes a record and its secret; `false` where there is none.
    pub(crate) fn delete<T: Record>(&self, id: Uuid) -> Result<bool, Error> {
        Ok(self.connection.execute("DELETE FROM ccm_records WHERE kind = ?1 AND id = ?2", (T::KIND, id))? == 1)
    }

    /// Deletes everything that belongs to an account.
    pub(crate) fn delete_account(&self, acct_id: Uuid) -> Result<(), Error> {
        self.connection.execute("DELETE FROM ccm_records WHERE acct_id = ?1", [acct_id])?;
        Ok(())
    }

    /// Puts a secret beside a record, in place of the one that is there.
    pub(crate) fn set_secret<T: Record>(&self, id: Uuid, secret: &[u8]) -> Result<(), Error> {
        let sealed = self.seal.close(T::KIND, id, secret)?;
        self.connection.execute("UPDATE ccm_records SET sealed = ?3 WHERE kind = ?1 AND id = ?2", (T::KIND, id, sealed))?;
        Ok(())
    }

    /// The secret beside a record; `None` where there is no record or no secret.
    pub(crate) fn secret<T: Record>(&self, id: Uuid) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let sql = "SELECT sealed FROM ccm_records WHERE kind = ?1 AND id = ?2";
        let sealed: Option<Option<Vec<u8>>> = self.connection.query_row(sql, (T::KIND, id), |row| row.get(0)).optional()?;
        sealed.flatten().map(|sealed| self.seal.open(T::KIND, id, &sealed)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::state_dir::StateDir;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Thing {
        id: Uuid,
        name: String,
    }

    impl Record for Thing {
        const KIND: &'static str = "thing";

        fn id(&self) -> Uuid {
            self.id
        }

        fn acct_id(&self) -> Uuid {
            Uuid::nil()
        }

        fn key(&self) -> Option<String> {
            Some(self.name.clone())
        }
    }

    #[test]
    fn keys_are_unique_and_a_failed_change_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StateDir::open(dir.path()).unwrap()).unwrap();
        let thing = |number, name: &str| Thing { id: Uuid::from_u128(number), name: name.into() };
        store
            .change_records(|records| {
                assert!(records.insert(&thing(1, "one"))? && records.insert(&thing(2, "two"))?);
                assert!(!records.insert(&thing(3, "one"))? && !records.update(&thing(2, "one"))?);
                records.set_secret::<Thing>(Uuid::from_u128(1), b"secret")
            })
            .unwrap();
        let failed = store.change_records(|records| {
            records.delete::<Thing>(Uuid::from_u128(1))?;
            records.insert(&thing(3, "three"))?;
            Err::<(), _>(Error::Crypto(dsma_crypto::Error::Malformed))
        });
        assert!(failed.is_err());
        store
            .records(|records| {
                assert_eq!(records.all::<Thing>(Uuid::nil())?, [thing(1, "one"), thing(2, "two")]);
                assert_eq!(records.find::<Thing>("two")?, Some(thing(2, "two")));
                assert_eq!(*records.secret::<Thing>(Uuid::from_u128(1))?.unwrap(), b"secret");
                assert!(records.secret::<Thing>(Uuid::from_u128(2))?.is_none());
                Ok::<_, Error>(())
            })
            .unwrap();
    }
}
