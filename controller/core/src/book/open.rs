//! The calls that are open.

use std::collections::{BTreeSet, HashMap};

use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;

use super::account::Aside;
use super::{Admitted, CallFacts, Reservation};

/// A call that is open.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) reservation: Reservation,
    pub(super) flowed: Tokens,
    pub(super) marked_at: Option<Timestamp>,
}

impl Open {
    pub(super) fn facts(&self) -> &CallFacts {
        &self.reservation.facts
    }

    /// Returns what it was admitted with.
    pub(super) fn admitted(&self) -> Admitted {
        Admitted {
            call: self.reservation.facts.call,
            reserved: self.reservation.reserved,
            estimate: self.reservation.estimate,
            terms: self.reservation.facts.terms,
        }
    }

    pub(super) fn aside(&self) -> Aside {
        Aside {
            pending: self.reservation.reserved.max(self.flowed),
            flowed: self.flowed,
            calls: 1,
        }
    }
}

/// The calls that are open, by id and by bottle.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    of: HashMap<CallId, Open>,
    of_bottle: HashMap<BottleName, BTreeSet<CallId>>,
}

impl OpenCalls {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn get(&self, call: CallId) -> Option<&Open> {
        self.of.get(&call)
    }

    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Open> {
        self.of.get_mut(&call)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.of.values_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Open> {
        self.of.values()
    }

    /// Returns the calls of a bottle, oldest first.
    pub(super) fn of_bottle(&self, bottle: &BottleName) -> impl Iterator<Item = CallId> + '_ {
        self.of_bottle.get(bottle).into_iter().flatten().copied()
    }

    /// Returns how many calls a bottle has open, to one provider or to all.
    pub(super) fn count(&self, bottle: &BottleName, provider: Option<&ProviderKey>) -> usize {
        let calls = self.of_bottle.get(bottle);
        let Some(provider) = provider else {
            return calls.map_or(0, BTreeSet::len);
        };
        let calls = calls.into_iter().flatten();
        calls
            .filter_map(|call| self.of.get(call))
            .filter(|open| open.facts().provider == *provider)
            .count()
    }

    pub(super) fn insert(&mut self, open: Open) {
        let facts = open.facts();
        self.of_bottle
            .entry(facts.bottle.clone())
            .or_default()
            .insert(facts.call);
        self.of.insert(facts.call, open);
    }

    pub(super) fn remove(&mut self, call: CallId) -> Option<Open> {
        let open = self.of.remove(&call)?;
        let bottle = &open.facts().bottle;
        if let Some(calls) = self.of_bottle.get_mut(bottle) {
            calls.remove(&call);
            if calls.is_empty() {
                self.of_bottle.remove(bottle);
            }
        }
        Some(open)
    }
}
