//! What outlives the process: one SQLite file, and the key that seals the secrets in it.
//!
//! There is one writer connection behind a lock, and a pool of readers: in WAL mode they do not wait for each other. Every method
//! blocks; callers are on a blocking thread. Each public write method is one transaction, so that a crash leaves all of it or nothing.

mod accounts;
mod approvals;
mod apps;
mod audit;
mod filter;
mod groups;
mod kept;
mod key_file;
mod listing;
mod records;
mod schema;
mod seal;
mod sobjects;
mod users;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dsma_api::Account;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use uuid::Uuid;

pub(crate) use self::approvals::ApprovalRow;
pub(crate) use self::apps::AppRow;
pub(crate) use self::audit::{ActionType, Audit, AuditFilter, Visible, line_number};
pub(crate) use self::filter::{Condition, Fields, compile, compile_for};
pub(crate) use self::key_file::{FILE as KEY_FILE, check as check_key_file, protect as protect_key_file};
pub(crate) use self::listing::{Order, Page, SobjectFilter};
pub(crate) use self::records::{Record, Records};
pub(crate) use self::sobjects::{SobjectRow, Sobjects};
pub(crate) use self::users::Member;
use crate::error::Error;
use crate::state_dir::StateDir;
use seal::Seal;

/// The store of one instance, as one account sees it: methods read and write that account only, but for those that say otherwise.
#[derive(Clone)]
pub(crate) struct Store {
    file: Arc<StoreFile>,
    acct_id: Uuid,
}

/// What all accounts share.
struct StoreFile {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    seal: Seal,
    /// Audit lines of crypto operations that are not yet in the file, oldest first.
    pending: Mutex<Vec<Audit>>,
}

impl Store {
    /// Opens the store, makes it where it is missing, and brings an older one up to date. It comes as its first account sees it.
    pub(crate) fn open(state: &StateDir) -> Result<Self, Error> {
        let path = state.make_private("store.db")?;
        let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // A commit is on the disk before the reply: what is acknowledged survives a power failure as well.
        writer.pragma_update(None, "synchronous", "FULL")?;
        // What is destroyed is overwritten in the file.
        writer.pragma_update(None, "secure_delete", true)?;
        schema::migrate(&mut writer, &path)?;
        let seal = Seal::load_or_create(state, is_new(&writer)?)?;
        let acct_id = first_account(&writer, &seal, &path)?;
        let file = StoreFile { path, writer: Mutex::new(writer), readers: Mutex::default(), seal, pending: Mutex::default() };
        Ok(Self { file: Arc::new(file), acct_id })
    }

    /// The same store as another account sees it. The nil UUID is nobody's account: nothing is seen.
    pub(crate) fn in_account(&self, acct_id: Uuid) -> Self {
        Self { file: Arc::clone(&self.file), acct_id }
    }

    /// The account.
    pub(crate) fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    /// Brings everything into the main file. Errors are logged: the state is whole without it.
    pub(crate) fn close(&self) {
        let flushed = self.flush_audit().and_then(|()| {
            self.file.readers.lock().clear();
            Ok(self.writer().pragma_update(None, "wal_checkpoint", "TRUNCATE")?)
        });
        if let Err(error) = flushed {
            tracing::error!("{error}");
        }
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.file.writer.lock()
    }

    fn seal(&self) -> &Seal {
        &self.file.seal
    }

    /// Reads on a connection from the pool, which grows to as many as read at the same time.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let pooled = self.file.readers.lock().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.file.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let answer = read(&connection);
        self.file.readers.lock().push(connection);
        answer
    }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Whether nothing was sealed yet.
fn is_new(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM account)", [], |row| row.get(0))?)
}

/// The account that came with the store, made where it is new. Its sealed mark tells whether the key file belongs to this store.
fn first_account(connection: &Connection, seal: &Seal, path: &Path) -> Result<Uuid, Error> {
    const MARK: &[u8] = b"dsma-local";
    let known: Option<(Uuid, Vec<u8>)> =
        connection.query_row("SELECT acct_id, seal_mark FROM account", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match known {
        Some((acct_id, mark)) => match seal.open("mark", acct_id, &mark) {
            Ok(text) if *text == MARK => Ok(acct_id),
            _ => Err(Error::Damaged { path: path.with_file_name("seal.key"), problem: "it is not the key of this store" }),
        },
        None => {
            let account = Account::new(Uuid::new_v4(), "Default account".into());
            let acct_id = account.acct_id;
            let mark = seal.close("mark", acct_id, MARK)?;
            let transaction = connection.unchecked_transaction()?;
            transaction.execute("INSERT INTO account (acct_id, seal_mark) VALUES (?1, ?2)", (acct_id, mark))?;
            transaction.execute("INSERT INTO accounts (acct_id, doc) VALUES (?1, ?2)", (acct_id, serde_json::to_string(&account)?))?;
            transaction.commit()?;
            Ok(acct_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_store_and_a_foreign_seal_are_refused_with_the_mend() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let acct_id = Store::open(&state).unwrap().acct_id();
        assert_eq!(Store::open(&state).unwrap().acct_id(), acct_id);

        let key = state.read("seal.key").unwrap().unwrap();
        state.write_private("seal.key", &[7; 32]).unwrap();
        assert!(Store::open(&state).err().unwrap().to_string().contains("not the key of this store"));
        std::fs::remove_file(state.path("seal.key")).unwrap();
        assert!(Store::open(&state).err().unwrap().to_string().contains("seal.key"));
        state.write_private("seal.key", &key).unwrap();

        Store::open(&state).unwrap().writer().pragma_update(None, "user_version", 9999).unwrap();
        let refused = Store::open(&state).err().unwrap().to_string();
        assert!(refused.contains("schema version 9999") && refused.contains("newer"), "{refused}");
    }
}
