//! Budgets whose count began anew by order, and what is corrected of before.

use bb_proto::budget::{BudgetKey, Window};
use bb_proto::time::Timestamp;

use super::account::Balance;
use super::history::floor;
use super::windows::{Begin, grain};
use super::{Book, CallFacts, Entry, Settlement};

/// What a reset of a budget takes off its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// When.
    pub at: Timestamp,
    /// From when charges count, of a window that goes with the time.
    pub from: Option<Timestamp>,
    /// What was counted, and is no more.
    pub less: Balance,
}

/// A reset, and where it stands among what else was decided.
#[derive(Debug, Clone)]
pub(super) struct KeptReset {
    pub(super) reset: Reset,
    /// The number of the event that came next when it was given; zero where that was in an earlier
    /// life of the controller.
    pub(super) before_event: u64,
}

impl Book {
    /// Returns what a reset of a budget takes off its count now.
    pub(super) fn reset_now(&self, key: &BudgetKey) -> Reset {
        let at = self.windows.latest();
        let Window::Rolling(length) = key.window else {
            let kept = self.windows.begin(key, &self.rules.zone);
            let before = self.windows.reset(key, kept);
            let before = before.map(|reset| reset.less).unwrap_or_default();
            let counted = self.sum_of(key).balance;
            return Reset {
                at,
                from: None,
                less: before.plus(counted),
            };
        };
        let from = Some(floor(at, grain(length)));
        let account = self.account_of(key);
        let sum = account.map(|account| self.sum_from(&account, key, from));
        Reset {
            at,
            from,
            less: sum.unwrap_or_default().balance,
        }
    }

    /// Changes what resets take off, where what was charged before them is corrected: it counts no
    /// more than it did.
    pub(super) fn keep_resets(
        &mut self,
        facts: &CallFacts,
        before: &Settlement,
        after: &Settlement,
        is_before: impl Fn(&KeptReset) -> bool,
    ) {
        // Of budgets too that are not in force: they may be again.
        let counts = |key: &&BudgetKey| {
            let account = self.account_of(key);
            key.provider.matches(&facts.provider)
                && account.is_some_and(|account| facts.accounts.contains(&account))
        };
        let keys: Vec<BudgetKey> = self.windows.reset_keys().filter(counts).cloned().collect();
        for key in keys {
            let begin = self.windows.begin(&key, &self.rules.zone);
            let Some(kept) = self.windows.kept_reset(&key, begin) else {
                continue;
            };
            let first = match begin {
                Begin::At(from) => kept.reset.from.max(Some(from)),
                Begin::Always | Begin::WithNextCall => kept.reset.from,
            };
            let was_counted = first.is_none_or(|from| facts.started_at >= from);
            if is_before(kept) && was_counted {
                let less = kept
                    .reset
                    .less
                    .plus(after.balance())
                    .minus(before.balance());
                let reset = Reset {
                    less,
                    ..kept.reset.clone()
                };
                self.commit(Entry::ResetAmended(key, reset));
            }
        }
    }
}
