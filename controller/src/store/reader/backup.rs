//! A copy of the whole database while it is written to.
//!
//! It is made beside its place and put there when it is whole and on disk, so that what stands
//! there is a ledger. The copy is of one instant: the write-ahead log is not folded back until it
//! is made, and nobody waits for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Reader;
use crate::store::StoreError;
use crate::store::convert::to_count;

/// How many pages are copied between two looks at whether to stop.
const STEP_PAGES: i32 = 1_000;
const DOING: &str = "copying the ledger";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file, and none is overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The folder is not there.
    #[error("there is no folder {}", .0.display())]
    NoFolder(PathBuf),
    /// The path does not name a file from the root of the file system.
    #[error("{} is no path of a file from the root of the file system", .0.display())]
    NoPath(PathBuf),
    /// The system says no.
    #[error("writing {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The controller is ending.
    #[error("the controller is ending")]
    Stopping,
}

/// A copy that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Its length.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
}

/// Says of an error what was being done.
const WRAP: fn(rusqlite::Error) -> BackupError =
    |error| BackupError::Store(StoreError::new(DOING, &error));

impl Reader {
    /// Copies the ledger to a new file, which only its owner can read.
    pub fn backup(&self, to: &Path, stopping: impl Fn() -> bool) -> Result<Copied, BackupError> {
        let (Some(folder), Some(name), true) = (to.parent(), to.file_name(), to.is_absolute())
        else {
            return Err(BackupError::NoPath(to.to_owned()));
        };
        if !folder.is_dir() {
            return Err(BackupError::NoFolder(folder.to_owned()));
        }
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let mut beside = name.to_owned();
        beside.push(format!(".{}.part", uuid::Uuid::now_v7()));
        let beside = folder.join(beside);
        let copied = self
            .copy(&beside, stopping)
            .and_then(|copied| put(&beside, to, folder).map(|()| copied));
        if let Err(error) = std::fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %beside.display(), "a part of a copy is left over");
        }
        copied
    }

    fn copy(&self, beside: &Path, stopping: impl Fn() -> bool) -> Result<Copied, BackupError> {
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
        let mut from = self.connect()?;
        // What is written meanwhile is not in the copy: else it would begin anew each time.
        let instant = from.transaction().map_err(WRAP)?;
        instant
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(WRAP)?;
        let mut copy = open(beside)?;
        let backup = Backup::new(&instant, &mut copy).map_err(WRAP)?;
        while backup.step(STEP_PAGES).map_err(WRAP)? != StepResult::Done {
            if stopping() {
                return Err(BackupError::Stopping);
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
}

fn open(path: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(WRAP)
}

/// Puts the copy in its place, where nothing came meanwhile.
fn put(beside: &Path, to: &Path, folder: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    match std::fs::hard_link(beside, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(to.to_owned()));
        }
        // Not every file system has links.
        Err(_) if to.symlink_metadata().is_ok() => {
            return Err(BackupError::Exists(to.to_owned()));
        }
        Err(_) => std::fs::rename(beside, to).map_err(failed)?,
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}
