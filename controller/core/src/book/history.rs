//! What was charged when: an account's charges at one provider by time, as far back as windows look.
//!
//! Kept as running sums, so that what was charged since any instant is one lookup. A charge stands
//! at the time of its reservation; one that comes late moves the sums after it.

use std::collections::BTreeMap;

use bb_proto::time::Timestamp;

use super::account::{Aside, Balance};

/// The finest grain: windows of up to a day begin at a minute.
pub const MINUTE_MS: i64 = 60_000;
/// The coarse grain: longer windows, and those of the calendar, begin at a quarter of an hour.
pub const QUARTER_MS: i64 = 15 * MINUTE_MS;
/// How far back minutes are told apart: a day, and the hour by which a clock is put back.
pub const MINUTES_KEPT_MS: i64 = 25 * 60 * MINUTE_MS;
/// How far back quarters of an hour are told apart: the longest month, and a day.
pub const QUARTERS_KEPT_MS: i64 = 32 * 24 * 60 * MINUTE_MS;

/// Returns the first instant of the span of `grain` that an instant is in.
pub(super) fn floor(at: Timestamp, grain: i64) -> Timestamp {
    let into = at.0.rem_euclid(grain);
    Timestamp(at.0.saturating_sub(into))
}

/// Charges by time.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    minutes: Sums,
    quarters: Sums,
}

impl History {
    /// Adds what was charged at a time, all in all `total` before it.
    pub(super) fn add(&mut self, at: Timestamp, charge: Balance, total: Balance) {
        self.minutes
            .change(at, MINUTE_MS, MINUTES_KEPT_MS, total, |sum| {
                sum.plus(charge)
            });
        self.quarters
            .change(at, QUARTER_MS, QUARTERS_KEPT_MS, total, |sum| {
                sum.plus(charge)
            });
    }

    /// Takes back what was charged at a time, all in all `total` before it.
    pub(super) fn take_back(&mut self, at: Timestamp, charge: Balance, total: Balance) {
        self.minutes
            .change(at, MINUTE_MS, MINUTES_KEPT_MS, total, |sum| {
                sum.minus(charge)
            });
        self.quarters
            .change(at, QUARTER_MS, QUARTERS_KEPT_MS, total, |sum| {
                sum.minus(charge)
            });
    }

    /// Returns when something was charged, as finely as the grain of a window is, in order.
    pub(super) fn times(&self, grain: i64) -> impl Iterator<Item = Timestamp> + '_ {
        let sums = if grain == MINUTE_MS {
            &self.minutes
        } else {
            &self.quarters
        };
        sums.of.keys().copied().map(Timestamp)
    }

    /// Returns what of `total` was charged from the beginning of a minute on, or of a quarter of an
    /// hour where it is longer ago than minutes are kept.
    ///
    /// What a clock that was wrong has put behind `now` is not in it.
    pub(super) fn since(&self, from: Timestamp, now: Timestamp, total: Balance) -> Balance {
        let next = floor(now, QUARTER_MS).0.saturating_add(QUARTER_MS);
        let newest = self.quarters.of.last_key_value();
        let all = match newest {
            Some((newest, _)) if *newest >= next => self.before(Timestamp(next), total),
            _ => total,
        };
        all.minus(self.before(from, total))
    }

    fn before(&self, from: Timestamp, total: Balance) -> Balance {
        let is_quarter = from.0.rem_euclid(QUARTER_MS) == 0;
        let sums = if is_quarter {
            &self.quarters
        } else {
            &self.minutes
        };
        sums.before(from).unwrap_or(total)
    }
}

/// Running sums: under the beginning of each span in which something was charged, all that was
/// charged up to its end.
#[derive(Debug, Clone, Default)]
struct Sums {
    of: BTreeMap<i64, Balance>,
    /// All that was charged before the first of them.
    base: Balance,
}

impl Sums {
    fn change(
        &mut self,
        at: Timestamp,
        grain: i64,
        kept: i64,
        total: Balance,
        change: impl Fn(Balance) -> Balance,
    ) {
        if self.of.is_empty() {
            self.base = total;
        }
        let oldest = self.of.last_key_value().map(|(newest, _)| *newest);
        let oldest = oldest.map_or(i64::MIN, |newest| newest.saturating_sub(kept));
        let at = floor(at, grain).0;
        if at < oldest {
            // Further back than any window looks.
            self.base = change(self.base);
        } else if !self.of.contains_key(&at) {
            let before = self.before(Timestamp(at)).unwrap_or(self.base);
            self.of.insert(at, before);
        }
        for (_, sum) in self.of.range_mut(at..) {
            *sum = change(*sum);
        }
        let newest = self.of.last_key_value().map_or(at, |(newest, _)| *newest);
        let oldest = newest.saturating_sub(kept);
        while let Some(first) = self.of.first_entry() {
            if *first.key() >= oldest {
                break;
            }
            self.base = first.remove();
        }
    }

    /// Returns what was charged before an instant; `None` where nothing is kept.
    fn before(&self, from: Timestamp) -> Option<Balance> {
        if self.of.is_empty() {
            return None;
        }
        let last = self.of.range(..from.0).next_back();
        Some(last.map_or(self.base, |(_, sum)| *sum))
    }
}

/// What is set aside for calls that are open, by the minute of their reservation.
#[derive(Debug, Clone, Default)]
pub(super) struct Asides {
    all: Aside,
    of: BTreeMap<i64, Aside>,
}

impl Asides {
    pub(super) fn put(&mut self, at: Timestamp, aside: Aside) {
        self.all = self.all.plus(aside);
        let of_minute = self.of.entry(floor(at, MINUTE_MS).0).or_default();
        *of_minute = of_minute.plus(aside);
    }

    pub(super) fn give_back(&mut self, at: Timestamp, aside: Aside) {
        self.all = self.all.minus(aside);
        let minute = floor(at, MINUTE_MS).0;
        if let Some(of_minute) = self.of.get_mut(&minute) {
            *of_minute = of_minute.minus(aside);
            if of_minute.calls == 0 {
                self.of.remove(&minute);
            }
        }
    }

    pub(super) fn times(&self, grain: i64) -> impl Iterator<Item = Timestamp> + '_ {
        let minutes = self.of.keys().copied();
        minutes.map(move |minute| floor(Timestamp(minute), grain))
    }

    /// Returns what is set aside for calls reserved since an instant, or for all.
    pub(super) fn since(&self, from: Option<Timestamp>) -> Aside {
        let Some(from) = from else { return self.all };
        let since = self.of.range(from.0..);
        since.fold(Aside::default(), |sum, (_, aside)| sum.plus(*aside))
    }
}

#[cfg(test)]
mod tests {
    use bb_proto::units::Tokens;
    use proptest::prelude::*;

    use super::*;

    fn tokens(posted: u64) -> Balance {
        Balance {
            posted: Tokens(posted),
            cache_read: Tokens(posted),
        }
    }

    fn minute(count: i64) -> Timestamp {
        Timestamp(count.saturating_mul(MINUTE_MS))
    }

    #[test]
    fn what_was_charged_since_an_instant_is_what_is_not_before_it() {
        let mut history = History::default();
        let mut total = tokens(100);
        for (at, charged) in [(0, 10), (1, 20), (14, 30), (15, 40), (31, 50), (1, 2)] {
            history.add(minute(at), tokens(charged), total);
            total = total.plus(tokens(charged));
        }
        let before = |at: i64| history.before(minute(at), total).posted.0;
        assert_eq!(before(0), 100);
        assert_eq!(before(1), 110);
        assert_eq!(before(2), 132);
        assert_eq!(before(15), 162);
        assert_eq!(before(16), 202);
        assert_eq!(before(31), 202);
        assert_eq!(before(32), 252);
    }

    #[test]
    fn a_charge_from_before_all_that_is_kept_is_before_every_window() {
        let mut history = History::default();
        let late = Timestamp(QUARTERS_KEPT_MS * 3);
        history.add(late, tokens(5), tokens(0));
        history.add(Timestamp(0), tokens(7), tokens(5));
        assert_eq!(
            history.before(floor(late, QUARTER_MS), tokens(12)),
            tokens(7)
        );
        assert_eq!(history.quarters.of.len(), 1);
    }

    proptest! {
        #[test]
        fn no_charge_is_lost_or_counted_twice(
            charges in prop::collection::vec((0_i64..40 * 24 * 60, 1_u64..1_000, any::<bool>()), 1..60),
            ago in 0_i64..31 * 24 * 60,
        ) {
            let mut history = History::default();
            let mut total = Balance::default();
            let mut held: Vec<(i64, u64)> = Vec::new();
            let mut newest = 0;
            for (at, charged, takes_back) in charges {
                if let Some((then, charged)) = held.last().copied().filter(|_| takes_back) {
                    history.take_back(minute(then), tokens(charged), total);
                    total = total.minus(tokens(charged));
                    held.pop();
                } else {
                    history.add(minute(at), tokens(charged), total);
                    total = total.plus(tokens(charged));
                    held.push((at, charged));
                    newest = newest.max(at);
                }
            }
            let grain = if ago < 24 * 60 { MINUTE_MS } else { QUARTER_MS };
            let from = floor(minute(newest.saturating_sub(ago)), grain);
            let since = held.iter().filter(|(at, _)| minute(*at) >= from);
            let found = history.since(from, minute(newest), total);
            prop_assert_eq!(found.posted.0, since.map(|(_, charged)| charged).sum::<u64>());
        }
    }
}
