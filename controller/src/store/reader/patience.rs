//! How long a reader may hold the write-ahead log up.
//!
//! The log cannot be folded back behind a reader, so that one that reads for long makes it grow. It
//! is let read as long as the log is short enough; no short one is ever cut.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A reader is cut where the write-ahead log is longer than this.
pub(in crate::store) const LOG_BYTES_MAX: u64 = 256 << 20;
/// And where it has read for so long: others hold nothing up.
const READING_MIN: Duration = Duration::from_secs(1);
/// How often that is looked at, in steps of the database library.
pub(super) const LOOK_EVERY: i32 = 20_000;

/// When a reader began, and what it may hold up.
#[derive(Debug)]
pub(super) struct Patience {
    log: PathBuf,
    log_max: u64,
    reading_min: Duration,
    begun: Instant,
}

impl Patience {
    pub(super) fn begin(path: &Path) -> Self {
        Self {
            log: log_of(path),
            log_max: LOG_BYTES_MAX,
            reading_min: READING_MIN,
            begun: Instant::now(),
        }
    }

    /// Returns whether the reader is to be cut.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() > self.reading_min && length(&self.log) > self.log_max
    }
}

/// Returns the write-ahead log of a ledger.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = OsString::from(path);
    log.push("-wal");
    log.into()
}

/// Returns a file's length; one that is not there has none.
pub(super) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreError};

    #[test]
    fn the_log_of_a_ledger_is_the_file_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let _store = Store::open(&path).expect("a ledger");
        assert!(length(&log_of(&path)) > 0);
        assert_eq!(length(&log_of(&folder.path().join("other.db"))), 0);
    }

    #[test]
    fn a_question_that_holds_the_log_up_is_cut_in_its_midst() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let _store = Store::open(&path).expect("a ledger");
        let ask = |log_max| {
            let patience = Patience {
                log_max,
                reading_min: Duration::ZERO,
                ..Patience::begin(&path)
            };
            let mut connection = rusqlite::Connection::open(&path).expect("a connection");
            connection
                .progress_handler(LOOK_EVERY, Some(move || patience.is_over()))
                .expect("a handler");
            let long =
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 90000)
                SELECT count(*) FROM n";
            let counted: rusqlite::Result<u32> = connection.query_row(long, [], |row| row.get(0));
            counted.map_err(|error| StoreError::new("counting", &error))
        };
        assert_eq!(ask(LOG_BYTES_MAX).expect("a count"), 90_000);
        let cut = ask(0).expect_err("cut");
        assert!(matches!(cut, StoreError::GivenUp { .. }), "{cut}");
    }

    #[test]
    fn only_who_reads_for_long_and_behind_a_long_log_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        std::fs::write(log_of(&path), "xx").expect("a log");
        let reader = |log_max, reading_min| Patience {
            log_max,
            reading_min,
            ..Patience::begin(&path)
        };
        assert!(reader(1, Duration::ZERO).is_over());
        assert!(!reader(2, Duration::ZERO).is_over());
        assert!(!reader(1, Duration::from_hours(1)).is_over());
    }
}
