//! Calls that wait for room: first come first served within a bottle, fair between bottles.

use std::collections::{BTreeMap, VecDeque};

use bb_proto::budget::BudgetKey;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::time::Timestamp;

use super::admission::Ask;
use crate::budget::Budget;

/// A call that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiter {
    pub(super) ask: Ask,
    /// The budgets that bind it: a later call of its bottle that one of them binds is behind it.
    pub(super) binding: Vec<BudgetKey>,
    pub(super) since: Timestamp,
    pub(super) deadline: Timestamp,
}

impl Waiter {
    /// Returns whether one of these budgets binds it.
    fn is_bound_by<'a>(&self, mut keys: impl Iterator<Item = &'a BudgetKey>) -> bool {
        keys.any(|key| self.binding.contains(key))
    }
}

/// The waiting calls of all bottles.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    of: BTreeMap<BottleName, VecDeque<Waiter>>,
    served_last: Option<BottleName>,
    /// The structure of budgets and bottles by which the calls are bound.
    pub(super) bound_at: u64,
}

impl WaitQueue {
    pub(super) fn len(&self) -> usize {
        self.of.values().map(VecDeque::len).sum()
    }

    pub(super) fn len_of(&self, bottle: &BottleName) -> usize {
        self.of.get(bottle).map_or(0, VecDeque::len)
    }

    /// Returns the call of a bottle that waits longest.
    pub(super) fn longest_of(&self, bottle: &BottleName) -> Option<&Waiter> {
        self.of.get(bottle)?.front()
    }

    /// Returns since when the call waits that waits longest.
    pub(super) fn waiting_since(&self) -> Option<Timestamp> {
        let first = self.of.values().filter_map(VecDeque::front);
        first.map(|waiter| waiter.since).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(super) fn push(&mut self, waiter: Waiter) {
        self.of
            .entry(waiter.ask.bottle.clone())
            .or_default()
            .push_back(waiter);
    }

    /// Returns whether a call of a bottle that these budgets bind is behind another of that bottle.
    pub(super) fn is_behind(&self, bottle: &BottleName, binding: &[&Budget]) -> bool {
        let mut before = self.of.get(bottle).into_iter().flatten();
        before.any(|waiter| waiter.is_bound_by(binding.iter().map(|budget| budget.key())))
    }

    /// Returns the calls of a bottle that are behind no other, in the order they came.
    pub(super) fn first_of(&self, bottle: &BottleName) -> Vec<CallId> {
        let mut looked: Vec<&Waiter> = Vec::new();
        let mut first = Vec::new();
        for waiter in self.of.get(bottle).into_iter().flatten() {
            // The same budgets bind all calls of a bottle to one provider.
            let provider = &waiter.ask.provider;
            if !waiter.binding.is_empty() && looked.iter().any(|w| w.ask.provider == *provider) {
                continue;
            }
            if !looked.iter().any(|w| w.is_bound_by(waiter.binding.iter())) {
                first.push(waiter.ask.call);
            }
            looked.push(waiter);
        }
        first
    }

    /// Returns the calls that wait, of all bottles.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.of.values_mut().flatten()
    }

    /// Returns the bottles that wait, beginning after the one that was served last.
    pub(super) fn turn(&self) -> Vec<BottleName> {
        let mut names: Vec<BottleName> = self.of.keys().cloned().collect();
        if let Some(last) = &self.served_last {
            let after = names.partition_point(|name| name <= last);
            names.rotate_left(after);
        }
        names
    }

    pub(super) fn get(&self, bottle: &BottleName, call: CallId) -> Option<&Waiter> {
        let mut of_bottle = self.of.get(bottle).into_iter().flatten();
        of_bottle.find(|waiter| waiter.ask.call == call)
    }

    /// Takes a call off the queue because its bottle's turn has come.
    pub(super) fn serve(&mut self, bottle: &BottleName, call: CallId) -> Option<Waiter> {
        self.served_last = Some(bottle.clone());
        self.withdraw(bottle, call)
    }

    /// Takes a call off the queue that no longer wants to wait.
    pub(super) fn withdraw(&mut self, bottle: &BottleName, call: CallId) -> Option<Waiter> {
        let queue = self.of.get_mut(bottle)?;
        let at = queue.iter().position(|waiter| waiter.ask.call == call)?;
        let waiter = queue.remove(at);
        self.drop_empty(bottle);
        waiter
    }

    /// Takes all calls of a bottle off the queue.
    pub(super) fn withdraw_all(&mut self, bottle: &BottleName) -> Vec<Waiter> {
        self.of.remove(bottle).into_iter().flatten().collect()
    }

    /// Takes all calls off the queue; returns the bottles that had one.
    pub(super) fn clear(&mut self) -> Vec<BottleName> {
        std::mem::take(&mut self.of).into_keys().collect()
    }

    /// Takes off the calls whose wait is over.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Waiter> {
        let mut expired = Vec::new();
        self.of.retain(|_, queue| {
            let (over, rest): (Vec<_>, Vec<_>) = std::mem::take(queue)
                .into_iter()
                .partition(|waiter| waiter.deadline <= now);
            expired.extend(over);
            queue.extend(rest);
            !queue.is_empty()
        });
        expired
    }

    /// Moves the ends of all waits as the clock was moved: each lasts as long as it would have.
    pub(super) fn move_deadlines(&mut self, by: i64) {
        for waiter in self.iter_mut() {
            for at in [&mut waiter.since, &mut waiter.deadline] {
                at.0 = at.0.saturating_add(by);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.of
            .values()
            .flatten()
            .map(|waiter| waiter.deadline)
            .min()
    }

    fn drop_empty(&mut self, bottle: &BottleName) {
        if self.of.get(bottle).is_some_and(VecDeque::is_empty) {
            self.of.remove(bottle);
        }
    }
}
