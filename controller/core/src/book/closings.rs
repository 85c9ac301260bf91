//! Ways that budgets close, and open again by themselves.

use std::collections::BTreeSet;

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope, Window};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::ClosedBy;

use super::{Book, CallFacts, Entry};
use crate::bottle::{Bottle, Closing};
use crate::budget::{Budget, Budgets};

/// A bottle's way to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach<'a> {
    pub(super) bottle: &'a BottleName,
    pub(super) provider: &'a ProviderKey,
}

impl Book {
    /// Closes ways because a budget has no room; one that it closed already stays as it is.
    ///
    /// They open again when it has room, and where `room` is given only once it has more.
    pub(super) fn close_by_budget(
        &mut self,
        key: &BudgetKey,
        reaches: &[Reach<'_>],
        room: Option<Tokens>,
        now: Timestamp,
    ) {
        for reach in reaches {
            let Some(bottle) = self.bottles.get(reach.bottle) else {
                continue;
            };
            if !bottle.is_running() || is_closed_by(bottle, key, reach.provider) {
                continue;
            }
            let streams = self.open.count(reach.bottle, Some(reach.provider));
            let mut bottle = bottle.clone();
            bottle.closings.push(Closing {
                provider: ProviderSelector::One(reach.provider.clone()),
                by: ClosedBy::Budget(key.clone()),
                since: now,
                why: None,
                room,
            });
            let text = format!(
                "{} cut off from {}: {} is spent; {streams} streams in flight",
                reach.bottle,
                reach.provider,
                plain(key)
            );
            let mut event = self.event(now, EventKind::Cutoff, Actor::Budget, text);
            event.bottle = Some(bottle.name.clone());
            event.run = Some(bottle.run);
            event.budget = Some(key.clone());
            event.provider = Some(reach.provider.clone());
            self.commit(Entry::Bottle(Box::new(bottle)));
            self.happened(event);
        }
    }

    /// Opens what budgets closed and no longer do: gone, no longer binding, or with room again.
    /// The run of `begun`, if any, has just begun: what its last run spent is no reason any more.
    ///
    /// Returns the bottles that can reach a provider again.
    pub(super) fn reopen(&mut self, begun: Option<&BottleName>, now: Timestamp) -> Vec<BottleName> {
        let closed = self.bottles.closed_by_budgets();
        let changed: Vec<(Bottle, Vec<Closing>)> = closed
            .filter_map(|bottle| {
                let (closings, go) = self.sift(&self.budgets, bottle, begun);
                let bottle = || Bottle {
                    closings,
                    ..bottle.clone()
                };
                (!go.is_empty()).then(|| (bottle(), go))
            })
            .collect();
        let mut opened = Vec::new();
        for (bottle, go) in changed {
            self.commit(Entry::Bottle(Box::new(bottle.clone())));
            for closing in go.iter().filter(|c| is_open(&bottle.closings, &c.provider)) {
                self.say_open(&bottle, closing, now);
                if opened.last() != Some(&bottle.name) {
                    opened.push(bottle.name.clone());
                }
            }
        }
        opened
    }

    /// Opens what budgets closed that a call counts on and that have room again.
    pub(super) fn reopen_after(&mut self, facts: &CallFacts, now: Timestamp) {
        let keys = self.keys_counted(facts);
        let mut budgets = keys.iter().filter_map(|key| self.budgets.get(key));
        let opens = |budget: &Budget| {
            let closed = self.bottles.closed_by(budget.key());
            let mut by_key = closed
                .flat_map(|bottle| &bottle.closings)
                .filter(|closing| is_by(closing, budget.key()));
            !self.is_full(budget) && by_key.any(|closing| !self.is_too_large(closing, budget))
        };
        if budgets.any(opens) {
            self.reopen(None, now);
        }
    }

    /// Returns whether what was charged and what has flowed fill a budget.
    fn is_full(&self, budget: &Budget) -> bool {
        let sum = self.sum_of(budget.key());
        sum.balance.posted.plus(sum.aside.flowed) >= budget.limit()
    }

    /// Returns whether a call alone did not fit into a budget, which has no more left since.
    fn is_too_large(&self, closing: &Closing, budget: &Budget) -> bool {
        let Some(then) = closing.room else {
            return false;
        };
        let used = self.sum_of(budget.key()).balance.posted;
        budget.limit().minus(used) <= then
    }

    /// Returns the bottles that could reach a provider again under these budgets.
    pub(super) fn would_open(&self, budgets: &Budgets) -> Vec<BottleName> {
        let opens = |bottle: &&Bottle| {
            let (stay, go) = self.sift(budgets, bottle, None);
            go.iter().any(|closing| is_open(&stay, &closing.provider))
        };
        let closed = self.bottles.closed_by_budgets().filter(opens);
        closed.map(|bottle| bottle.name.clone()).collect()
    }

    /// Returns the bottles that would be cut off under these budgets: those with calls in flight.
    pub(super) fn would_close(&self, budgets: &Budgets) -> BTreeSet<BottleName> {
        let spent = budgets.iter().filter(|budget| {
            let used = self.sum_of(budget.key()).balance.posted;
            budget.declared.cap == Cap::Hard && used >= budget.limit()
        });
        let bound = spent.flat_map(|budget| {
            let calls = self.bound_calls(budgets, budget.key()).into_iter();
            calls.map(|(_, name, provider)| (budget.key(), name, provider))
        });
        bound
            .filter(|(key, name, provider)| {
                let bottle = self.bottles.get(name).filter(|bottle| bottle.is_running());
                bottle.is_some_and(|bottle| !is_closed_by(bottle, key, provider))
            })
            .map(|(_, name, _)| name)
            .collect()
    }

    /// Parts what is closed to a bottle into what stays closed under these budgets, and what not.
    fn sift(
        &self,
        budgets: &Budgets,
        bottle: &Bottle,
        begun: Option<&BottleName>,
    ) -> (Vec<Closing>, Vec<Closing>) {
        let closings = bottle.closings.iter().cloned();
        closings.partition(|closing| self.stands(budgets, &bottle.name, closing, begun))
    }

    fn say_open(&mut self, bottle: &Bottle, closing: &Closing, now: Timestamp) {
        let ClosedBy::Budget(key) = &closing.by else {
            return;
        };
        let text = format!(
            "{} open again to {}: {} has room",
            bottle.name,
            closing.provider,
            plain(key)
        );
        let mut event = self.event(now, EventKind::Restored, Actor::Budget, text);
        event.bottle = Some(bottle.name.clone());
        event.run = Some(bottle.run);
        event.budget = Some(key.clone());
        if let ProviderSelector::One(provider) = &closing.provider {
            event.provider = Some(provider.clone());
        }
        self.happened(event);
    }

    /// Returns since when a budget closes any way.
    pub(super) fn closed_since(&self, key: &BudgetKey) -> Option<Timestamp> {
        let closed = self.bottles.closed_by(key);
        let closings = closed.flat_map(|bottle| &bottle.closings);
        let by_key = closings.filter(|closing| is_by(closing, key));
        by_key.map(|closing| closing.since).min()
    }

    /// Returns whether a closing of a bottle still has its reason, by these budgets.
    fn stands(
        &self,
        budgets: &Budgets,
        name: &BottleName,
        closing: &Closing,
        begun: Option<&BottleName>,
    ) -> bool {
        let (ClosedBy::Budget(key), ProviderSelector::One(provider)) =
            (&closing.by, &closing.provider)
        else {
            return true;
        };
        let Some(budget) = budgets.get(key) else {
            return false;
        };
        let is_of_run = |begun: &BottleName| {
            key.window == Window::Run && key.scope == Scope::Bottle(begun.clone())
        };
        let too_large = self.is_too_large(closing, budget) && !begun.is_some_and(is_of_run);
        (too_large || self.is_full(budget)) && self.is_bound(budgets, name, provider, key)
    }
}

fn is_by(closing: &Closing, key: &BudgetKey) -> bool {
    matches!(&closing.by, ClosedBy::Budget(by) if by == key)
}

/// Returns whether a provider that was closed is so no more.
fn is_open(closings: &[Closing], provider: &ProviderSelector) -> bool {
    match provider {
        ProviderSelector::One(provider) => !closings.iter().any(|c| c.provider.matches(provider)),
        ProviderSelector::All => closings.is_empty(),
    }
}

/// Returns whether a budget closes a bottle's way to a provider.
fn is_closed_by(bottle: &Bottle, key: &BudgetKey, provider: &ProviderKey) -> bool {
    let mut by_key = bottle.closings.iter().filter(|c| is_by(c, key));
    by_key.any(|closing| closing.provider.matches(provider))
}

/// Returns a budget's name for people: a launch's without its run id.
pub(super) fn plain(key: &BudgetKey) -> String {
    match &key.scope {
        Scope::Launch(_) => format!("the run budget for {}", key.provider),
        scope => format!("{scope} {} ({})", key.provider, key.window),
    }
}
