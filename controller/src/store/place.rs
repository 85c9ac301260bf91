//! Where the ledger's file stands, and whether it still does.
//!
//! A file that is taken away goes on to be written as long as it is open, and nobody would ever
//! read that again. So before each group it is looked whether the name still leads to the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::StoreError;
use super::reader::copy;

/// A file, and the path that it was opened by.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The device and the number of the file on it.
    file: (u64, u64),
}

impl Place {
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            file: at(path).map_err(StoreError::File)?,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails where the path leads elsewhere now, or nowhere.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match at(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            Ok(_) => Err(StoreError::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::Gone),
            Err(error) => Err(StoreError::File(error)),
        }
    }

    /// Writes what is open to a new file where the old one stood; it is whole and on disk before
    /// it has the name.
    pub(super) fn put_back(&self, open: &Connection) -> Result<(), StoreError> {
        let beside = with_end(&self.path, ".part");
        remove(&beside)?;
        let copied = copy::whole(open, &beside, || false);
        copied.map_err(|error| StoreError::Database {
            doing: "writing the ledger anew",
            what: error.to_string(),
        })?;
        // They belong to the file that is gone, and would be taken for the new one's.
        for end in ["-wal", "-shm"] {
            remove(&with_end(&self.path, end))?;
        }
        let put = || {
            std::fs::rename(&beside, &self.path)?;
            match self.path.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        put().map_err(StoreError::File)
    }
}

fn at(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::File(error)),
        _ => Ok(()),
    }
}
