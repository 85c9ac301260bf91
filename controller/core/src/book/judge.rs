//! What a balance means: warned, exhausted, closed, open again.

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::view::ClosedBy;

use super::{Account, Book, CallFacts, CutReason, Effect, Entry, Refusal};
use crate::bottle::{Closing, Lifecycle};
use crate::budget::Budget;

/// A bottle that keeps asking is put down once in this time.
const REFUSED_EVERY: Millis = Millis(60_000);

/// Refusals of a bottle since one was put down.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedSince {
    at: Timestamp,
    count: u64,
}

/// A bottle's way to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach<'a> {
    pub(super) bottle: &'a BottleName,
    pub(super) provider: &'a ProviderKey,
}

impl Book {
    /// Judges the budgets that a call counts on, after its charge.
    pub(super) fn judge(&mut self, facts: &CallFacts, now: Timestamp) {
        let mut scopes: Vec<Scope> = Vec::new();
        for account in &facts.accounts {
            match account {
                Account::Launch(run) => scopes.push(Scope::Launch(*run)),
                Account::Agent(name) => scopes.push(Scope::Agent(name.clone())),
                Account::Bottle(name) => scopes.push(Scope::Bottle(name.clone())),
                Account::BottleRun(_) => {}
                Account::Host => scopes.push(Scope::Host),
            }
        }
        let keys: Vec<BudgetKey> = scopes
            .iter()
            .flat_map(|scope| self.budgets.of_scope(scope))
            .filter(|budget| budget.key().provider.matches(&facts.provider))
            .map(|budget| budget.key().clone())
            .collect();
        for key in keys {
            self.judge_budget(&key, Some((&facts.bottle, &facts.provider)), now);
        }
    }

    /// Judges every budget, after limits changed.
    pub(super) fn judge_all(&mut self, now: Timestamp) {
        let keys: Vec<BudgetKey> = self.budgets.iter().map(|b| b.key().clone()).collect();
        for key in keys {
            self.judge_budget(&key, None, now);
        }
    }

    fn judge_budget(
        &mut self,
        key: &BudgetKey,
        spender: Option<(&BottleName, &ProviderKey)>,
        now: Timestamp,
    ) {
        let Some(budget) = self.budgets.get(key) else {
            return;
        };
        let used = self.sum_of(key).balance.posted;
        let (limit, cap) = (budget.limit(), budget.declared.cap);
        let percent = used.percent_of(limit);
        let levels = budget.levels();
        let warned = self.warned.entry(key.clone()).or_default();
        warned.retain(|level| u64::from(*level) <= percent);
        let mut reached = None;
        for level in levels {
            if u64::from(level) <= percent && warned.insert(level) {
                reached = reached.max(Some(level));
            }
        }
        if let Some(level) = reached {
            let text = format!("{} is at {level}% of {limit}", plain(key));
            let mut event = self.event(now, EventKind::Warned, Actor::Budget, text);
            event.budget = Some(key.clone());
            if let Some((bottle, provider)) = spender {
                event.bottle = Some(bottle.clone());
                event.provider = Some(provider.clone());
            }
            self.happened(event);
        }
        if cap == Cap::Hard && used >= limit {
            self.exhaust(key, spender, now);
        } else {
            self.exhausted.remove(key);
        }
    }

    /// Runs the policy of a budget that is exhausted: ends the calls in flight that it binds, and
    /// closes the way to those who had one and to `spender`.
    pub(super) fn exhaust(
        &mut self,
        key: &BudgetKey,
        spender: Option<(&BottleName, &ProviderKey)>,
        now: Timestamp,
    ) {
        let Some(refusal) = self.refusal_by(key) else {
            return;
        };
        if !self.exhausted.contains_key(key) {
            self.exhausted.insert(key.clone(), now);
            let text = format!(
                "{} is spent: {} of {}",
                plain(key),
                refusal.used.unwrap_or_default(),
                refusal.limit.unwrap_or_default()
            );
            let mut event = self.event(now, EventKind::Exhausted, Actor::Budget, text);
            event.budget = Some(key.clone());
            event.bottle = spender.map(|(bottle, _)| bottle.clone());
            self.happened(event);
        }
        let bound = self.bound_calls(key);
        if !self.rules.in_flight_finish {
            for (call, _, _) in &bound {
                self.effect(Effect::Cut(*call, CutReason::Budget(refusal.clone())));
            }
        }
        let spender = spender.filter(|(bottle, provider)| self.is_bound(bottle, provider, key));
        let mut reaches: Vec<Reach<'_>> = bound
            .iter()
            .map(|(_, bottle, provider)| Reach { bottle, provider })
            .collect();
        reaches.extend(spender.map(|(bottle, provider)| Reach { bottle, provider }));
        reaches.sort_unstable();
        reaches.dedup();
        self.close_by_budget(key, &reaches, now);
    }

    /// Closes ways because a budget is spent; one that it closed already stays as it is.
    pub(super) fn close_by_budget(
        &mut self,
        key: &BudgetKey,
        reaches: &[Reach<'_>],
        now: Timestamp,
    ) {
        let Some(limit) = self.budgets.get(key).map(Budget::limit) else {
            return;
        };
        for reach in reaches {
            let provider = ProviderSelector::One(reach.provider.clone());
            let by = ClosedBy::Budget(key.clone());
            let Some(bottle) = self.bottles.get(reach.bottle) else {
                continue;
            };
            let closed = bottle
                .closings
                .iter()
                .any(|c| c.by == by && c.provider == provider);
            if closed || bottle.lifecycle != Lifecycle::Running {
                continue;
            }
            let streams = self.calls_of(reach.bottle, Some(reach.provider)).len();
            let mut bottle = bottle.clone();
            bottle.closings.push(Closing {
                provider,
                by,
                since: now,
                why: None,
                limit: Some(limit),
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

    /// Opens what budgets closed and no longer do: gone, no longer binding, or raised.
    ///
    /// Returns the bottles of which something was opened.
    pub(super) fn reopen(&mut self, now: Timestamp) -> Vec<BottleName> {
        let names: Vec<BottleName> = self
            .bottles
            .iter()
            .filter(|b| b.closings.iter().any(|c| c.by != ClosedBy::Operator))
            .map(|b| b.name.clone())
            .collect();
        let mut opened = Vec::new();
        for name in names {
            let Some(bottle) = self.bottles.get(&name).cloned() else {
                continue;
            };
            let (stay, go): (Vec<_>, Vec<_>) = bottle
                .closings
                .iter()
                .cloned()
                .partition(|c| self.stands(&name, c));
            if go.is_empty() {
                continue;
            }
            let mut bottle = bottle;
            bottle.closings = stay;
            let run = bottle.run;
            self.commit(Entry::Bottle(Box::new(bottle)));
            for closing in go {
                let ClosedBy::Budget(key) = closing.by else {
                    continue;
                };
                let text = format!(
                    "{name} open again to {}: {} has room",
                    closing.provider,
                    plain(&key)
                );
                let mut event = self.event(now, EventKind::Restored, Actor::Budget, text);
                event.bottle = Some(name.clone());
                event.run = Some(run);
                event.budget = Some(key);
                self.happened(event);
            }
            opened.push(name);
        }
        opened
    }

    /// Returns whether a closing still has its reason.
    fn stands(&self, name: &BottleName, closing: &Closing) -> bool {
        let ClosedBy::Budget(key) = &closing.by else {
            return true;
        };
        let ProviderSelector::One(provider) = &closing.provider else {
            return true;
        };
        let Some(budget) = self.budgets.get(key) else {
            return false;
        };
        if !self.is_bound(name, provider, key) {
            return false;
        }
        let limit = budget.limit();
        self.sum_of(key).balance.posted >= limit
            || closing.limit.is_none_or(|struck_at| limit <= struck_at)
    }

    pub(super) fn is_bound(
        &self,
        bottle: &BottleName,
        provider: &ProviderKey,
        key: &BudgetKey,
    ) -> bool {
        key.provider.matches(provider)
            && self
                .bottles
                .path(bottle)
                .binding(&self.budgets, provider)
                .iter()
                .any(|budget| budget.key() == key)
    }

    /// Returns the calls in flight that a budget binds.
    fn bound_calls(&self, key: &BudgetKey) -> Vec<(CallId, BottleName, ProviderKey)> {
        let Some(account) = self.account_of(key) else {
            return Vec::new();
        };
        let mut bound: Vec<_> = self
            .open
            .values()
            .map(|open| &open.reservation.facts)
            .filter(|facts| facts.accounts.contains(&account))
            .filter(|facts| self.is_bound(&facts.bottle, &facts.provider, key))
            .map(|facts| (facts.call, facts.bottle.clone(), facts.provider.clone()))
            .collect();
        bound.sort();
        bound
    }

    /// Returns the calls in flight of a bottle, to one provider or to all.
    pub(super) fn calls_of(
        &self,
        bottle: &BottleName,
        provider: Option<&ProviderKey>,
    ) -> Vec<CallId> {
        let mut calls: Vec<CallId> = self
            .open
            .values()
            .map(|open| &open.reservation.facts)
            .filter(|facts| facts.bottle == *bottle)
            .filter(|facts| provider.is_none_or(|provider| facts.provider == *provider))
            .map(|facts| facts.call)
            .collect();
        calls.sort();
        calls
    }

    pub(super) fn refusal_by(&self, key: &BudgetKey) -> Option<Refusal> {
        let budget = self.budgets.get(key)?;
        Some(Refusal::by(budget, self.sum_of(key).balance.posted))
    }

    /// Counts a refusal; the first, and then one a minute, is put down.
    pub(super) fn count_refusal(
        &mut self,
        name: &BottleName,
        budget: Option<&BudgetKey>,
        now: Timestamp,
    ) {
        let Some(bottle) = self.bottles.get_mut(name) else {
            return;
        };
        bottle.refusals = bottle.refusals.saturating_add(1);
        let run = bottle.run;
        self.touch_bottle(name);
        let since = self.refused.get(name).copied();
        let count = since.map_or(0, |s| s.count).saturating_add(1);
        if let Some(since) = since.filter(|since| now.since(since.at) < REFUSED_EVERY) {
            self.refused
                .insert(name.clone(), RefusedSince { count, ..since });
            return;
        }
        self.refused
            .insert(name.clone(), RefusedSince { at: now, count: 0 });
        let text = match since {
            Some(_) if count > 1 => format!("{name}: {count} calls refused since the last time"),
            _ => format!("{name}: a call was refused"),
        };
        let mut event = self.event(now, EventKind::Refused, Actor::System, text);
        event.bottle = Some(name.clone());
        event.run = Some(run);
        event.budget = budget.cloned();
        self.happened(event);
    }
}

/// Returns a budget's name for people: a launch's without its run id.
pub(super) fn plain(key: &BudgetKey) -> String {
    match &key.scope {
        Scope::Launch(_) => format!("the run budget for {}", key.provider),
        scope => format!("{scope} {} ({})", key.provider, key.window),
    }
}
