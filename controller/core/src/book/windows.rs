//! In which window each budget counts now, and what follows when one turns.
//!
//! Windows go by the latest instant that was seen: a clock that is put back turns none a second
//! time, and one that is put forward leaves none out.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, Minutes, Window};
use bb_proto::event::{Actor, EventKind};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::view::Raise;
use jiff::tz::TimeZone;

use super::account::{Account, Sum};
use super::closings::plain;
use super::history::{MINUTE_MS, QUARTER_MS, floor};
use super::resets::{KeptReset, Reset};
use super::{Book, CallFacts, Entry};
use crate::budget::Budget;
use crate::budget::span::{self, Span};

/// A clock that shows less than the latest instant by more than this was wrong before, not now.
pub const CLOCK_BACK_MAX: Millis = Millis(48 * 3_600_000);
/// Windows longer than this begin at a quarter of an hour, others at a minute.
const BY_MINUTE_MAX: u32 = 24 * 60;

/// From when a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// From the beginning.
    Always,
    At(Timestamp),
    /// With the next call: no block runs.
    WithNextCall,
}

/// The windows of all budgets.
#[derive(Debug, Default)]
pub(super) struct Windows {
    latest: Timestamp,
    /// Windows with a beginning and an end as they were found last, and how many percent of each
    /// are gone.
    spans: BTreeMap<BudgetKey, (Span, u8)>,
    /// When the last block of each budget began.
    blocks: BTreeMap<BudgetKey, Timestamp>,
    resets: BTreeMap<BudgetKey, KeptReset>,
    /// When to look again.
    look_at: Option<Timestamp>,
}

impl Windows {
    pub(super) fn latest(&self) -> Timestamp {
        self.latest
    }

    fn see(&mut self, now: Timestamp) {
        let is_wrong = self.latest.since(now) > CLOCK_BACK_MAX;
        if is_wrong {
            self.spans.clear();
            self.look_at = Some(now);
        }
        if is_wrong || now > self.latest {
            self.latest = now;
        }
    }

    /// Returns the window that a budget counts in now, where it has a beginning and an end.
    pub(super) fn span(&self, key: &BudgetKey, zone: &TimeZone) -> Option<Span> {
        if let Window::Block(length) = key.window {
            let from = *self.blocks.get(key)?;
            let until = from.plus(length_ms(length));
            return (self.latest < until).then_some(Span { from, until });
        }
        let known = self.spans.get(key).map(|(span, _)| *span);
        let known = known.filter(|span| self.latest < span.until);
        known.or_else(|| span::calendar(key.window, zone, self.latest))
    }

    pub(super) fn begin(&self, key: &BudgetKey, zone: &TimeZone) -> Begin {
        match key.window {
            Window::Total | Window::Run => Begin::Always,
            Window::Rolling(length) => {
                let ago = i64::try_from(length_ms(length).0).unwrap_or(i64::MAX);
                let from = Timestamp(self.latest.0.saturating_sub(ago));
                Begin::At(floor(from, grain(length)))
            }
            Window::Block(_) => match self.span(key, zone) {
                Some(span) => Begin::At(span.from),
                None => Begin::WithNextCall,
            },
            Window::Hour | Window::Day(_) | Window::Week(..) | Window::Month(_) => {
                // No clock shows a time that has no window.
                let span = self.span(key, zone);
                span.map_or(Begin::Always, |span| Begin::At(span.from))
            }
        }
    }

    /// Returns the reset that still counts in a budget's window.
    pub(super) fn reset(&self, key: &BudgetKey, begin: Begin) -> Option<&Reset> {
        self.kept_reset(key, begin).map(|kept| &kept.reset)
    }

    pub(super) fn kept_reset(&self, key: &BudgetKey, begin: Begin) -> Option<&KeptReset> {
        let kept = self.resets.get(key)?;
        let counts = match (begin, kept.reset.from) {
            (Begin::Always, _) => true,
            (Begin::At(begin), None) => kept.reset.at >= begin,
            (Begin::At(begin), Some(from)) => from >= begin,
            (Begin::WithNextCall, _) => false,
        };
        counts.then_some(kept)
    }

    pub(super) fn put_reset(&mut self, key: BudgetKey, reset: Reset, before_event: u64) {
        let kept = KeptReset {
            reset,
            before_event,
        };
        self.resets.insert(key, kept);
    }

    /// Changes what a reset takes off.
    pub(super) fn amend_reset(&mut self, key: &BudgetKey, reset: &Reset) {
        if let Some(kept) = self.resets.get_mut(key) {
            kept.reset = reset.clone();
        }
    }

    /// Returns the budgets that were ever reset.
    pub(super) fn reset_keys(&self) -> impl Iterator<Item = &BudgetKey> {
        self.resets.keys()
    }

    pub(super) fn put_block(&mut self, key: BudgetKey, from: Timestamp) {
        self.blocks.insert(key, from);
    }

    /// Forgets what was kept of the budgets of a run that is over.
    pub(super) fn forget(&mut self, of_run: impl Fn(&BudgetKey) -> bool) {
        self.resets.retain(|key, _| !of_run(key));
    }
}

/// How a budget's use stands to its window's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// The share of the window that is gone, in thousandths.
    pub(super) elapsed: u32,
    /// The used share over that, in thousandths, once there is any.
    pub(super) pace: Option<u32>,
}

/// Returns how many whole percent of a window are gone.
fn percent_gone(span: Span, now: Timestamp) -> u8 {
    let (gone, whole) = (now.since(span.from).0, span.until.since(span.from).0);
    let percent = u128::from(gone)
        .saturating_mul(100)
        .checked_div(u128::from(whole));
    percent
        .and_then(|it| u8::try_from(it).ok())
        .unwrap_or(100)
        .min(100)
}

/// Returns when so many percent of a window are gone.
fn at_percent(span: Span, percent: u8) -> Timestamp {
    let whole = u128::from(span.until.since(span.from).0);
    let gone = whole.saturating_mul(u128::from(percent)).div_ceil(100);
    let gone = u64::try_from(gone).unwrap_or(u64::MAX);
    span.from.plus(Millis(gone)).min(span.until)
}

/// Returns the grain of a window that begins at any time.
pub(super) fn grain(length: Minutes) -> i64 {
    if length.get() > BY_MINUTE_MAX {
        QUARTER_MS
    } else {
        MINUTE_MS
    }
}

fn length_ms(length: Minutes) -> Millis {
    Millis(u64::from(length.get()).saturating_mul(MINUTE_MS.unsigned_abs()))
}

impl Book {
    /// Returns what a budget counts in its window now: charged, and set aside.
    pub(super) fn sum_of(&self, key: &BudgetKey) -> Sum {
        let Some(account) = self.account_of(key) else {
            return Sum::default();
        };
        let begin = self.windows.begin(key, &self.rules.zone);
        let from = match begin {
            Begin::Always => None,
            Begin::At(from) => Some(from),
            // One that is not in force yet is asked for what it would count.
            Begin::WithNextCall if self.budgets.get(key).is_none() => {
                let Some(from) = self.found_block(key) else {
                    return Sum::default();
                };
                Some(from)
            }
            Begin::WithNextCall => return Sum::default(),
        };
        let reset = self.windows.reset(key, begin);
        let later = reset.and_then(|reset| reset.from);
        let sum = self.sum_from(&account, key, from.max(later));
        let less = reset.map(|reset| reset.less).unwrap_or_default();
        Sum {
            balance: sum.balance.minus(less),
            ..sum
        }
    }

    pub(super) fn sum_from(
        &self,
        account: &Account,
        key: &BudgetKey,
        from: Option<Timestamp>,
    ) -> Sum {
        let Some(from) = from else {
            return self.accounts.sum(account, &key.provider);
        };
        let now = self.windows.latest();
        self.accounts.sum_since(account, &key.provider, from, now)
    }

    /// Returns the window that a budget counts in now, where it has a beginning and an end.
    pub(super) fn span_of(&self, key: &BudgetKey) -> Option<Span> {
        self.windows.span(key, &self.rules.zone)
    }

    /// Returns how a budget's use stands to its window's time, where that has an end.
    pub(super) fn pace_of(&self, key: &BudgetKey, used: Tokens, limit: Tokens) -> Option<Pace> {
        let percent = match self.windows.spans.get(key) {
            Some((_, percent)) => *percent,
            None => percent_gone(self.span_of(key)?, self.windows.latest()),
        };
        // Used share over elapsed share, in thousandths.
        let pace = u128::from(used.0)
            .saturating_mul(100_000)
            .checked_div(u128::from(limit.0).saturating_mul(u128::from(percent)));
        Some(Pace {
            elapsed: u32::from(percent).saturating_mul(10),
            pace: pace.map(|pace| u32::try_from(pace).unwrap_or(u32::MAX)),
        })
    }

    /// Returns when the next window turns, or the next raise ends.
    pub(super) fn next_turn(&self) -> Option<Timestamp> {
        self.windows.look_at
    }

    /// Turns the windows that are over at `now`, and ends the raises that are.
    pub(super) fn turn(&mut self, now: Timestamp) {
        self.windows.see(now);
        let is_due = |at: Timestamp| at <= self.windows.latest();
        if !self.windows.look_at.is_some_and(is_due) {
            return;
        }
        let ended = self.end_raises(now);
        let turned = self.find_windows();
        for key in &turned {
            self.warned.remove(key);
            self.paced.remove(key);
            if self.exhausted.remove(key).is_some() {
                self.touch_shared();
            }
        }
        let goes = |key: &BudgetKey| matches!(key.window, Window::Rolling(_));
        let rolling: Vec<BudgetKey> = self
            .budgets
            .iter()
            .map(|budget| budget.key().clone())
            .filter(goes)
            .collect();
        if turned.is_empty() && ended.is_empty() && rolling.is_empty() {
            return;
        }
        self.touch_shared();
        self.reopen(None, now);
        for key in ended.iter().chain(&turned).chain(&rolling) {
            self.judge_budget(key, None, now);
        }
        self.admit_waiting(now);
    }

    /// Finds the windows of now; returns the budgets whose window is another than before.
    pub(super) fn find_windows(&mut self) -> Vec<BudgetKey> {
        let latest = self.windows.latest();
        let mut turned = Vec::new();
        let mut moved = Vec::new();
        let mut spans = BTreeMap::new();
        let mut look_at: Option<Timestamp> = None;
        let mut look = |at: Timestamp| look_at = Some(look_at.map_or(at, |known| known.min(at)));
        self.budgets
            .raises()
            .filter_map(|(_, raise)| raise.until)
            .for_each(&mut look);
        for key in self.budgets.iter().map(Budget::key) {
            if let Window::Rolling(length) = key.window {
                let next = Millis(grain(length).unsigned_abs());
                look(floor(latest, grain(length)).plus(next));
            }
            if let Some(span) = self.windows.span(key, &self.rules.zone) {
                let percent = percent_gone(span, latest);
                look(at_percent(span, percent.saturating_add(1)));
                match self.windows.spans.get(key) {
                    Some((before, _)) if before.from != span.from => turned.push(key.clone()),
                    Some((_, before)) if *before != percent => moved.push(key.clone()),
                    _ => {}
                }
                spans.insert(key.clone(), (span, percent));
            }
        }
        // A block that is over has none after it yet.
        let over = self.windows.spans.keys().filter(|key| {
            let is_block = matches!(key.window, Window::Block(_));
            is_block && !spans.contains_key(key) && self.budgets.get(key).is_some()
        });
        turned.extend(over.cloned());
        self.windows.spans = spans;
        self.windows.look_at = look_at;
        for account in moved
            .iter()
            .filter_map(|key| self.account_of(key))
            .collect::<Vec<_>>()
        {
            self.touch_account(account);
        }
        turned
    }

    /// Ends the raises that are over; returns the budgets they were of.
    fn end_raises(&mut self, now: Timestamp) -> Vec<BudgetKey> {
        let latest = self.windows.latest();
        let is_over = |raise: &Raise| raise.until.is_some_and(|until| until <= latest);
        let over = self.budgets.raises().filter(|(_, raise)| is_over(raise));
        let over: Vec<(BudgetKey, Raise)> = over
            .map(|(key, raise)| (key.clone(), raise.clone()))
            .collect();
        for (key, raise) in &over {
            let before = self.budgets.get(key).map(Budget::limit);
            self.commit(Entry::RaiseEnded(key.clone(), raise.clone()));
            let Some(before) = before else {
                continue;
            };
            let after = before.minus(raise.by);
            let text = format!(
                "{} back to {after}, from {before}: its raise ended",
                plain(key)
            );
            let mut event = self.event(now, EventKind::BudgetChanged, Actor::System, text);
            event.budget = Some(key.clone());
            self.happened(event);
        }
        over.into_iter().map(|(key, _)| key).collect()
    }

    /// Begins the blocks that a call is the first of.
    pub(super) fn begin_blocks(&mut self, facts: &CallFacts) {
        for key in self.keys_counted(facts) {
            let Window::Block(length) = key.window else {
                continue;
            };
            if self.span_of(&key).is_none() {
                let from = floor(facts.started_at, grain(length));
                self.commit(Entry::BlockBegan(key, from));
                self.find_windows();
            }
        }
    }

    /// Begins the blocks of budgets that are new, where calls of late are in one.
    pub(super) fn find_blocks(&mut self) {
        let keys = self.budgets.iter().map(Budget::key);
        let found = keys.filter_map(|key| Some((key.clone(), self.found_block(key)?)));
        for (key, from) in found.collect::<Vec<_>>() {
            self.commit(Entry::BlockBegan(key, from));
        }
    }

    /// Returns when the block began that calls are in of a budget which was not in force then.
    fn found_block(&self, key: &BudgetKey) -> Option<Timestamp> {
        let Window::Block(length) = key.window else {
            return None;
        };
        // What came after the last block that is known.
        let known = self.windows.blocks.get(key);
        let over = known.map(|from| from.plus(length_ms(length)));
        let latest = self.windows.latest();
        if over.is_some_and(|over| latest < over) {
            return None;
        }
        let account = self.account_of(key)?;
        let grain = grain(length);
        let mut times = self.accounts.called_at(&account, &key.provider, grain);
        times.retain(|at| over.is_none_or(|over| *at >= over));
        let from = block_of(&times, length_ms(length))?;
        (latest < from.plus(length_ms(length))).then_some(from)
    }

    /// Takes the time at which the book was left.
    pub(super) fn resume_windows(&mut self, left_at: Timestamp, now: Timestamp) {
        self.windows.latest = left_at;
        self.windows.see(now);
    }

    /// Returns from when this life of the book counts its revisions: where the clock went back, from
    /// a second after the last one, so that each has its own.
    pub(super) fn life_begins(&self, now: Timestamp) -> Timestamp {
        let latest = self.windows.latest();
        if latest > now {
            latest.plus(Millis(1_000))
        } else {
            latest
        }
    }

    /// Writes down when this life began, where the clock will not say it to the next one.
    pub(super) fn begin_life(&mut self, now: Timestamp) {
        let begun = self.life_begins(now);
        if begun > now {
            self.windows.see(begun);
            self.commit(Entry::Seen(begun));
        }
    }
}

/// Returns the beginning of the last block that charges at these times, in their order, fall into.
fn block_of(times: &[Timestamp], length: Millis) -> Option<Timestamp> {
    times
        .iter()
        .copied()
        .reduce(|from, at| if at >= from.plus(length) { at } else { from })
}
