//! `init`, `backup` and `restore`: a state directory as a whole.
//!
//! A backup is one SQLite file: a copy of the store as one moment saw it, also while an instance writes to it, and a table `backup` with
//! the files beside the store that it is worth nothing without: the sealing key (under its passphrase, where it has one), and the development CA that clients trust.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use zeroize::Zeroizing;

use super::output::print;
use crate::dsm::{Dsm, Settings};
use crate::error::Error;
use crate::passphrase::Source;
use crate::serve::Ports;
use crate::state_dir::StateDir;
use crate::store::{KEY_FILE, Store, check_key_file};
use crate::{ccm, dsm, tls};

/// What a backup holds beside the store.
const FILES: &[&str] = &[KEY_FILE, "ca.key", "ca.pem"];

/// Makes a state that is ready to be served, with client files for the port that it will have.
pub(super) fn init(path: &Path, port_base: u16, passphrase: Option<&Source>) -> Result<(), Error> {
    let known = path.join("store.db").exists();
    let state = StateDir::open(path)?.with_passphrase(passphrase);
    let authority = tls::DevCa::load_or_create(&state)?;
    let store = Store::open(&state)?;
    let account = dsm::provision(&store)?;
    let ccm = ccm::provision(&store)?;
    let dsm = Arc::new(Dsm::new(store, Settings { session_idle: Duration::ZERO, auto_satisfy: true, ports: None }));
    let enclave = dsm::provision_enclave(&dsm, &account, &ccm.zone_ca_der)?;
    state.write_client_files(Ports::new(port_base), &account, &ccm, &enclave, &authority)?;
    dsm.close();
    let what = if known { "is there already" } else { "is made" };
    print(&format!("{} {what}; serve it with: dsma-local --state {}\n", path.display(), path.display()))
}

/// Copies the state into `file`, 0600. A failure leaves no file.
pub(super) fn backup(state: &Path, file: &Path) -> Result<(), Error> {
    let store = state.join("store.db");
    if !store.exists() {
        return Err(Error::NoState { path: state.to_owned() });
    }
    // Made empty and private first: SQLite writes into it, and would make it readable for others.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|source| Error::File { path: file.to_owned(), action: "made", source })?;
    let written = copy(state, &store, file).and_then(|()| sync(file));
    if written.is_err() {
        let _ = fs::remove_file(file);
    }
    written?;
    print(&format!("{} holds the whole state, its sealing key included: keep it as you keep keys\n", file.display()))
}

/// Makes a state directory of a backup. The order lets a crash leave a directory that is refused, not half a state.
pub(super) fn restore(file: &Path, path: &Path, passphrase: Option<&Source>) -> Result<(), Error> {
    let state = StateDir::open(path)?.with_passphrase(passphrase);
    if state.path("store.db").exists() || state.path(KEY_FILE).exists() {
        return Err(Error::NotEmpty { path: path.to_owned() });
    }
    let backup = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let damaged = |problem| Error::Damaged { path: file.to_owned(), problem };
    let check: String = backup.query_row("PRAGMA quick_check", [], |row| row.get(0)).map_err(|_| damaged("it is no backup"))?;
    if check != "ok" {
        return Err(damaged("SQLite finds faults in it"));
    }
    let mut files = Vec::new();
    for name in FILES {
        let sql = "SELECT bytes FROM backup WHERE name = ?1";
        let bytes = backup.query_row(sql, [name], |row| row.get::<_, Vec<u8>>(0)).optional().map_err(|_| damaged("it is no backup"))?;
        files.push((*name, Zeroizing::new(bytes.ok_or_else(|| damaged("a file is missing in it"))?)));
    }
    for (_, bytes) in files.iter().filter(|(name, _)| *name == KEY_FILE) {
        // A passphrase that is missing or wrong is told before anything is written.
        check_key_file(&state, bytes)?;
    }
    let part = state.make_private("store.db.new")?;
    vacuum(&backup, &part)?;
    drop(backup);
    let store = Connection::open(&part)?;
    store.execute_batch("PRAGMA secure_delete = ON; DROP TABLE backup; VACUUM")?;
    drop(store);
    for (name, bytes) in files {
        state.write_private(name, &bytes)?;
    }
    sync(&part)?;
    fs::rename(&part, state.path("store.db")).map_err(|source| Error::File { path: part, action: "renamed", source })?;
    // Opens it as a start would: a newer store, or a key that is not its own, is told now.
    Store::open(&state)?.close();
    print(&format!("{} is restored; serve it with: dsma-local --state {}\n", path.display(), path.display()))
}

fn copy(state: &Path, store: &Path, file: &Path) -> Result<(), Error> {
    let source = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(Duration::from_secs(10))?;
    vacuum(&source, file)?;
    let copy = Connection::open(file)?;
    copy.execute_batch("PRAGMA journal_mode = DELETE; CREATE TABLE backup (name TEXT PRIMARY KEY, bytes BLOB NOT NULL)")?;
    for name in FILES {
        let path = state.join(name);
        let bytes = Zeroizing::new(fs::read(&path).map_err(|source| Error::File { path, action: "read", source })?);
        copy.execute("INSERT INTO backup (name, bytes) VALUES (?1, ?2)", (name, bytes.as_slice()))?;
    }
    Ok(())
}

/// A copy as one read transaction sees it; writers do not wait for it.
fn vacuum(source: &Connection, target: &Path) -> Result<(), Error> {
    let target = target.to_str().ok_or_else(|| Error::Damaged { path: target.to_owned(), problem: "its name is no UTF-8" })?;
    source.execute("VACUUM INTO ?1", [target])?;
    Ok(())
}

fn sync(path: &Path) -> Result<(), Error> {
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| Error::File { path: path.to_owned(), action: "written", source })
}
