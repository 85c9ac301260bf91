//! What happened: the newest event, and the history as far as it was read back.

use std::time::Duration;

use crate::dashboard::msg::Happenings;
use crate::dashboard::rows::{Failure, Happening};

/// How many events are asked for at once.
pub(crate) const PAGE: u32 = 100;
/// How many events are kept.
const KEPT_MAX: usize = 2_000;

/// The event history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// Newest first.
    pub(crate) rows: Vec<Happening>,
    pub(crate) more: bool,
    pub(crate) failure: Option<Failure>,
    /// Whether the whole screen shows it.
    pub(crate) open: bool,
    pub(crate) cursor: usize,
    pub(crate) top: usize,
    /// What its rows must contain.
    pub(crate) matching: Option<String>,
    pub(crate) asking: bool,
    pub(crate) asked_at: Duration,
    /// The newest event there was when it was asked for last.
    pub(crate) asked_up_to: Option<u64>,
}

impl Log {
    /// Takes the newest events, or older ones to put below.
    pub(crate) fn take(
        &mut self,
        before: Option<u64>,
        matching: Option<&str>,
        result: Result<Happenings, Failure>,
    ) {
        self.asking = false;
        if matching != self.matching.as_deref() {
            return;
        }
        match result {
            Err(failure) => self.failure = Some(failure),
            Ok(page) => {
                self.failure = None;
                if before.is_some() {
                    self.more = page.more;
                    self.rows.extend(page.rows);
                } else {
                    self.put_above(page);
                }
                self.rows.truncate(KEPT_MAX);
            }
        }
    }

    /// The cursor stays on its event while newer ones come in above.
    fn put_above(&mut self, page: Happenings) {
        let newest = self.rows.first().map(|row| row.seq);
        let known = |row: &Happening| newest.is_some_and(|newest| row.seq <= newest);
        let joins = page.rows.iter().any(known);
        let fresh: Vec<Happening> = page.rows.into_iter().filter(|row| !known(row)).collect();
        if joins || self.rows.is_empty() {
            let came = fresh.len();
            if self.cursor > 0 {
                self.cursor += came;
                self.top += came;
            }
            self.rows.splice(0..0, fresh);
            if came > 0 && !joins {
                self.more = page.more;
            }
        } else if !fresh.is_empty() {
            self.rows = fresh;
            self.more = page.more;
            self.cursor = 0;
            self.top = 0;
        }
    }

    /// Forgets what was read, to search for something else.
    pub(crate) fn search(&mut self, matching: Option<String>) {
        *self = Self {
            open: self.open,
            matching,
            ..Self::default()
        };
    }
}
