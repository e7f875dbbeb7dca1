//! What outlives the process: one SQLite file, and the key that seals the secrets in it.
//!
//! There is one writer connection behind a lock, and a pool of readers: in WAL mode they do not wait for each other. Every method
//! blocks; callers are on a blocking thread. Each public write method is one transaction, so that a crash leaves all of it or nothing.

mod apps;
mod audit;
mod groups;
mod schema;
mod seal;
mod sobjects;

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use uuid::Uuid;

pub(crate) use self::apps::AppRow;
pub(crate) use self::audit::{ActionType, Audit, AuditFilter, Visible, line_number};
pub(crate) use self::sobjects::{Order, SobjectFilter, SobjectRow};
use crate::error::Error;
use crate::state_dir::StateDir;
use seal::Seal;

/// The store of one instance.
pub(crate) struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    seal: Seal,
    acct_id: Uuid,
    /// Audit lines of crypto operations that are not yet in the file, oldest first.
    pending: Mutex<Vec<Audit>>,
}

impl Store {
    /// Opens the store, makes it where it is missing, and brings an older one up to date.
    pub(crate) fn open(state: &StateDir) -> Result<Self, Error> {
        let path = state.make_private("store.db")?;
        let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // A commit is on the disk before the reply: what is acknowledged survives a power failure as well.
        writer.pragma_update(None, "synchronous", "FULL")?;
        // What is destroyed is overwritten in the file.
        writer.pragma_update(None, "secure_delete", true)?;
        schema::migrate(&mut writer, &path)?;
        let seal = Seal::load_or_create(state, is_new(&writer)?)?;
        let acct_id = account(&writer, &seal, &path)?;
        Ok(Self { path, writer: Mutex::new(writer), readers: Mutex::default(), seal, acct_id, pending: Mutex::default() })
    }

    /// The account. This version has one.
    pub(crate) fn acct_id(&self) -> Uuid {
        self.acct_id
    }

    /// Brings everything into the main file. Errors are logged: the state is whole without it.
    pub(crate) fn close(&self) {
        let flushed = self.flush_audit().and_then(|()| {
            self.readers.lock().clear();
            Ok(self.writer.lock().pragma_update(None, "wal_checkpoint", "TRUNCATE")?)
        });
        if let Err(error) = flushed {
            tracing::error!("{error}");
        }
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock()
    }

    /// Reads on a connection from the pool, which grows to as many as read at the same time.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let pooled = self.readers.lock().pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let answer = read(&connection);
        self.readers.lock().push(connection);
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

/// The account, made where the store is new. Its sealed mark tells whether the key file belongs to this store.
fn account(connection: &Connection, seal: &Seal, path: &Path) -> Result<Uuid, Error> {
    const MARK: &[u8] = b"dsma-local";
    let known: Option<(Uuid, Vec<u8>)> =
        connection.query_row("SELECT acct_id, seal_mark FROM account", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match known {
        Some((acct_id, mark)) => match seal.open("mark", acct_id, &mark) {
            Ok(text) if *text == MARK => Ok(acct_id),
            _ => Err(Error::Damaged { path: path.with_file_name("seal.key"), problem: "it is not the key of this store" }),
        },
        None => {
            let acct_id = Uuid::new_v4();
            connection
                .execute("INSERT INTO account (acct_id, seal_mark) VALUES (?1, ?2)", (acct_id, seal.close("mark", acct_id, MARK)?))?;
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
