//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use bb_proto::time::Timestamp;

/// Returns the time now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The wall clock with the latest instant it showed, which for the ledger never goes back.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    latest: i64,
}

impl Clock {
    /// Returns the time now, at least the latest one shown.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.latest = self.latest.max(now().0);
        Timestamp(self.latest)
    }
}
