//! All pages of an open database, as they are at one instant, in a new file.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::backup::{BackupError, Copied};
use super::patience::Patience;
use crate::store::StoreError;
use crate::store::convert::to_count;

/// How many pages are copied between two looks at whether to stop.
const STEP_PAGES: i32 = 1_000;
const DOING: &str = "copying the ledger";

/// Says of an error what was being done.
const WRAP: fn(rusqlite::Error) -> BackupError =
    |error| BackupError::Store(StoreError::new(DOING, &error));

/// Makes a file, which only its owner can read, of all that `from` sees; it is on disk at return.
pub(in crate::store) fn whole(
    from: &Connection,
    beside: &Path,
    stopping: impl Fn() -> bool,
) -> Result<Copied, BackupError> {
    let failed = |source| BackupError::Io {
        path: beside.to_owned(),
        source,
    };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)
        .map_err(failed)?;
    let patience = from.path().map(|path| Patience::begin(Path::new(path)));
    // What is written meanwhile is not in the copy: else it would begin anew each time.
    let instant = from.unchecked_transaction().map_err(WRAP)?;
    instant
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(WRAP)?;
    let mut copy = open(beside)?;
    let backup = Backup::new(&instant, &mut copy).map_err(WRAP)?;
    while backup.step(STEP_PAGES).map_err(WRAP)? != StepResult::Done {
        if stopping() {
            return Err(BackupError::Stopping);
        }
        if patience.as_ref().is_some_and(Patience::is_over) {
            return Err(BackupError::GivenUp);
        }
    }
    drop(backup);
    drop(instant);
    drop(copy);
    // The copy needs no file beside it.
    let copy = open(beside)?;
    copy.pragma_update(None, "journal_mode", "DELETE")
        .map_err(WRAP)?;
    let entries = copy
        .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
        .map_err(WRAP)?;
    drop(copy);
    let file = File::open(beside).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(Copied {
        bytes: file.metadata().map_err(failed)?.len(),
        entries: to_count(entries),
    })
}

fn open(path: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(WRAP)
}
