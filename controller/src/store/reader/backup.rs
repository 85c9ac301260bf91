//! A copy of the whole database while it is written to.
//!
//! It is made beside its place and put there when it is whole and on disk, so that what stands
//! there is a ledger. The copy is of one instant: the write-ahead log is not folded back until it
//! is made, and nobody waits for it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Reader, copy};
use crate::store::StoreError;

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
    /// So much was written meanwhile that the copy would hold the ledger up.
    #[error("so much was written meanwhile that the copy was given up; try at a quieter time")]
    GivenUp,
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
        let connected = self.connect().map_err(BackupError::Store);
        let copied = connected
            .and_then(|from| copy::whole(&from, &beside, stopping))
            .and_then(|copied| put(&beside, to, folder).map(|()| copied));
        if let Err(error) = std::fs::remove_file(&beside)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %beside.display(), "a part of a copy is left over");
        }
        copied
    }
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
