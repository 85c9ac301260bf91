//! Ways that budgets close, and open again by themselves.

use bb_proto::budget::{BudgetKey, ProviderSelector, Scope, Window};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::ClosedBy;

use super::judge::plain;
use super::{Book, Entry};
use crate::bottle::{Bottle, Closing, Lifecycle};
use crate::budget::Budgets;

/// A bottle's way to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach<'a> {
    pub(super) bottle: &'a BottleName,
    pub(super) provider: &'a ProviderKey,
}

impl Book {
    /// Closes ways because a budget has no room; one that it closed already stays as it is.
    ///
    /// They open again when it has room, and where `limit` is given only once it has more.
    pub(super) fn close_by_budget(
        &mut self,
        key: &BudgetKey,
        reaches: &[Reach<'_>],
        limit: Option<Tokens>,
        now: Timestamp,
    ) {
        for reach in reaches {
            let Some(bottle) = self.bottles.get(reach.bottle) else {
                continue;
            };
            if bottle.lifecycle != Lifecycle::Running || is_closed_by(bottle, key, reach.provider) {
                continue;
            }
            let streams = self.open.count(reach.bottle, Some(reach.provider));
            let mut bottle = bottle.clone();
            bottle.closings.push(Closing {
                provider: ProviderSelector::One(reach.provider.clone()),
                by: ClosedBy::Budget(key.clone()),
                since: now,
                why: None,
                limit,
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
        let mut opened = Vec::new();
        for mut bottle in self.closed_by_budgets() {
            let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut bottle.closings)
                .into_iter()
                .partition(|c| self.stands(&self.budgets, &bottle.name, c, begun));
            if go.is_empty() {
                continue;
            }
            bottle.closings = stay;
            self.commit(Entry::Bottle(Box::new(bottle.clone())));
            let open = |closing: &Closing| match &closing.provider {
                ProviderSelector::One(provider) => bottle.closing(provider).is_none(),
                ProviderSelector::All => false,
            };
            for closing in go.iter().filter(|closing| open(closing)) {
                self.say_open(&bottle, closing, now);
                if opened.last() != Some(&bottle.name) {
                    opened.push(bottle.name.clone());
                }
            }
        }
        opened
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

    /// Returns the bottles that budgets close.
    pub(super) fn closed_by_budgets(&self) -> Vec<Bottle> {
        let closed = |bottle: &&Bottle| bottle.closings.iter().any(|c| c.by != ClosedBy::Operator);
        self.bottles.iter().filter(closed).cloned().collect()
    }

    /// Returns whether a closing of a bottle still has its reason, by these budgets.
    pub(super) fn stands(
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
        if !self.is_bound(budgets, name, provider, key) {
            return false;
        }
        let sum = self.sum_of(key);
        let is_of_run = |begun: &BottleName| {
            key.window == Window::Run && key.scope == Scope::Bottle(begun.clone())
        };
        let limit = closing.limit.filter(|_| !begun.is_some_and(is_of_run));
        sum.balance.posted.plus(sum.aside.flowed) >= budget.limit()
            || limit.is_some_and(|then| budget.limit() <= then)
    }
}

/// Returns whether a budget closes a bottle's way to a provider.
pub(super) fn is_closed_by(bottle: &Bottle, key: &BudgetKey, provider: &ProviderKey) -> bool {
    bottle.closings.iter().any(|closing| {
        matches!(&closing.by, ClosedBy::Budget(by) if by == key)
            && closing.provider.matches(provider)
    })
}
