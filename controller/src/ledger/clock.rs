//! The wall clock, which for the ledger never goes back.

use std::time::{SystemTime, UNIX_EPOCH};

use bb_proto::time::Timestamp;

/// The wall clock with the latest instant it showed.
#[derive(Debug, Default)]
pub(super) struct Clock {
    latest: i64,
}

impl Clock {
    /// Returns the time now, at least the latest one shown.
    pub(super) fn now(&mut self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.latest = self
            .latest
            .max(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Timestamp(self.latest)
    }
}
