//! The detail pane: its tab, what of the selected bottle was loaded for it, and for whom.

use std::time::Duration;

use bb_proto::ids::BottleName;

use crate::dashboard::rows::{Call, Failure, Happening};

/// How long the cursor must rest before details are asked for.
pub(crate) const REST: Duration = Duration::from_millis(150);
/// How often details that changed are asked for again.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// What the pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Budgets,
    Calls,
    Audit,
}

impl Tab {
    pub(crate) const ALL: [Self; 3] = [Self::Budgets, Self::Calls, Self::Audit];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Budgets => "1 budgets",
            Self::Calls => "2 calls",
            Self::Audit => "3 audit",
        }
    }

    /// Returns the tab beside this one, around the ends.
    #[must_use]
    pub(crate) fn beside(self, right: bool) -> Self {
        match (self, right) {
            (Self::Budgets, true) | (Self::Audit, false) => Self::Calls,
            (Self::Calls, true) | (Self::Budgets, false) => Self::Audit,
            (Self::Audit, true) | (Self::Calls, false) => Self::Budgets,
        }
    }
}

/// Rows that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<T> {
    pub(crate) rows: Vec<T>,
    /// Whose they are; `None` before the first answer.
    pub(crate) of: Option<BottleName>,
    pub(crate) failure: Option<Failure>,
    /// When they were asked for, while there is no answer.
    pub(crate) asking: bool,
    pub(crate) asked_at: Duration,
}

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            of: None,
            failure: None,
            asking: false,
            asked_at: Duration::ZERO,
        }
    }
}

impl<T> Loaded<T> {
    /// Returns the rows, if they are of this bottle.
    pub(crate) fn of(&self, bottle: &BottleName) -> Option<&[T]> {
        (self.of.as_ref() == Some(bottle)).then_some(self.rows.as_slice())
    }

    pub(crate) fn take(&mut self, of: BottleName, result: Result<Vec<T>, Failure>) {
        self.asking = false;
        self.of = Some(of);
        match result {
            Ok(rows) => {
                self.rows = rows;
                self.failure = None;
            }
            Err(failure) => {
                self.rows.clear();
                self.failure = Some(failure);
            }
        }
    }

    /// Returns when it is due to be asked for: `None` while it is asked for, or new enough.
    pub(crate) fn due(
        &self,
        subject: &BottleName,
        touched: Duration,
        rest: Duration,
    ) -> Option<Duration> {
        if self.asking {
            None
        } else if self.of.as_ref() != Some(subject) {
            Some(rest)
        } else if touched > self.asked_at {
            Some(self.asked_at + AGAIN)
        } else {
            None
        }
    }
}

/// The detail pane.
#[derive(Debug, Clone)]
pub(crate) struct Pane {
    pub(crate) tab: Tab,
    /// Whether it takes all rows below the line of what runs out next.
    pub(crate) zoomed: bool,
    pub(crate) focused: bool,
    pub(crate) scroll: usize,
    pub(crate) calls: Loaded<Call>,
    pub(crate) audit: Loaded<Happening>,
    /// The bottle it is about, and since when.
    pub(crate) subject: Option<BottleName>,
    pub(crate) subject_since: Duration,
}

impl Default for Pane {
    fn default() -> Self {
        Self {
            tab: Tab::Budgets,
            zoomed: false,
            focused: false,
            scroll: 0,
            calls: Loaded::default(),
            audit: Loaded::default(),
            subject: None,
            subject_since: Duration::ZERO,
        }
    }
}
