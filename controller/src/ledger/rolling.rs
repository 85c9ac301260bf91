//! When entries of calls that are older than what is kept are rolled up: bit by bit, while nobody
//! waits for the ledger.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether there are any.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Between two steps while there are more of them.
const PAUSE: Duration = Duration::from_millis(5);
/// A step is put off for so long at most where somebody always waits.
const PUT_OFF_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether whoever held them back is done.
const HELD_PAUSE: Duration = Duration::from_millis(200);

/// How long calls are kept one by one, and until when nothing is rolled up.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// In milliseconds; zero before it is known.
    kept_ms: AtomicU64,
    held_until: Mutex<Option<Instant>>,
}

impl Keeping {
    pub(super) fn keep(&self, kept: Duration) {
        let kept = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        self.kept_ms.store(kept, Ordering::Relaxed);
    }

    /// Returns how long calls are kept, once that is known.
    fn kept(&self) -> Option<Duration> {
        let kept = self.kept_ms.load(Ordering::Relaxed);
        (kept > 0).then(|| Duration::from_millis(kept))
    }

    pub(super) fn hold(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut held = self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(Some(until));
    }

    fn is_held(&self) -> bool {
        let held = self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.is_some_and(|until| until > Instant::now())
    }
}

/// When the next step is due.
#[derive(Debug)]
pub(super) struct Rolling {
    next_at: Instant,
    /// Whether the last step left some.
    more: bool,
    kept: Option<Duration>,
}

impl Default for Rolling {
    fn default() -> Self {
        Self {
            next_at: Instant::now(),
            more: false,
            kept: None,
        }
    }
}

impl Rolling {
    /// Returns how long the ledger may sleep before the next step; where none is left it is looked
    /// for when something else wakes it.
    pub(super) fn wait(&self) -> Option<Duration> {
        let wait = self.next_at.saturating_duration_since(Instant::now());
        self.more.then_some(wait)
    }

    /// Returns how long calls are kept where a step is to be made now; `is_quiet` says that nobody
    /// waits.
    pub(super) fn due(&mut self, keeping: &Keeping, is_quiet: bool) -> Option<Duration> {
        let kept = keeping.kept()?;
        if self.kept.replace(kept) != Some(kept) {
            self.next_at = Instant::now();
        }
        let late = Instant::now().checked_duration_since(self.next_at)?;
        if !is_quiet && late < PUT_OFF_MAX {
            return None;
        }
        if keeping.is_held() {
            self.more = true;
            self.next_at = Instant::now() + HELD_PAUSE;
            return None;
        }
        Some(kept)
    }

    /// Takes note of a step.
    pub(super) fn went(&mut self, more: bool) {
        self.more = more;
        self.next_at = Instant::now() + if more { PAUSE } else { LOOK_EVERY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_before_it_is_known_what_is_kept_or_while_it_is_held() {
        let keeping = Keeping::default();
        let mut rolling = Rolling::default();
        assert_eq!(rolling.due(&keeping, true), None);
        let month = Duration::from_hours(720);
        keeping.keep(month);
        assert_eq!(rolling.due(&keeping, false), None, "somebody waits");
        assert_eq!(rolling.due(&keeping, true), Some(month));
        keeping.hold(month);
        assert_eq!(rolling.due(&keeping, true), None);
        assert!(rolling.wait().is_some_and(|wait| wait <= HELD_PAUSE));
    }

    #[test]
    fn it_rests_where_none_is_left_until_something_else_is_kept() {
        let keeping = Keeping::default();
        let mut rolling = Rolling::default();
        let (day, month) = (Duration::from_hours(24), Duration::from_hours(720));
        keeping.keep(month);
        assert_eq!(rolling.due(&keeping, true), Some(month));
        rolling.went(true);
        assert!(rolling.wait().is_some_and(|wait| wait <= PAUSE));
        rolling.went(false);
        assert_eq!((rolling.wait(), rolling.due(&keeping, true)), (None, None));
        keeping.keep(day);
        assert_eq!(rolling.due(&keeping, true), Some(day));
    }

    #[test]
    fn a_step_is_not_put_off_for_ever() {
        let keeping = Keeping::default();
        keeping.keep(Duration::from_hours(24));
        let mut rolling = Rolling::default();
        assert_eq!(rolling.due(&keeping, false), None);
        rolling.next_at = Instant::now()
            .checked_sub(PUT_OFF_MAX)
            .expect("a machine that runs for a second");
        assert!(rolling.due(&keeping, false).is_some());
    }
}
