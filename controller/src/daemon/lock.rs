//! One controller a home.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};

use bb_proto::home::Home;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StartError;

/// Held while a controller lives; the system lets it go however it ends.
#[derive(Debug)]
pub(super) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the home for this process.
    pub(super) fn take(home: &Home) -> Result<Self, StartError> {
        let path = home.lock();
        let wrap = |source| StartError::Home {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(wrap)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(wrap)?;
                return Err(StartError::InUse {
                    home: home.path().to_owned(),
                    pid: pid.trim().parse().ok(),
                });
            }
            Err(error) => return Err(wrap(error.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(wrap)?;
        writeln!(file, "{}", std::process::id()).map_err(wrap)?;
        Ok(Self { _file: file })
    }
}
