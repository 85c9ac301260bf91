//! What a balance means: warned, exhausted, closed, open again.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, Cap, Scope, Window};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::time::Timestamp;

use super::closings::{Reach, plain};
use super::open::Open;
use super::{Account, Book, CallFacts, CutReason, Effect, Refusal};
use crate::budget::{Budget, Budgets};

/// By how many points a rolling window must fall below a warning level to warn of it again.
const ROLLING_REARM_PERCENT: u64 = 10;
/// The share of a window, in thousandths, before which its pace says nothing.
const PACE_ELAPSED_MIN: u32 = 100;

/// A budget that is exhausted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exhausted {
    pub(super) since: Timestamp,
    /// Whether the calls in flight that it binds were ended: those admitted since are not bound.
    struck: bool,
}

impl Exhausted {
    pub(super) fn since(since: Timestamp) -> Self {
        Self {
            since,
            struck: false,
        }
    }
}

impl Book {
    /// Judges the budgets that a call counts on, after its charge.
    pub(super) fn judge(&mut self, facts: &CallFacts, now: Timestamp) {
        for key in self.keys_counted(facts) {
            self.judge_budget(&key, Some((&facts.bottle, &facts.provider)), now);
        }
    }

    /// Returns the budgets that a call counts on.
    pub(super) fn keys_counted(&self, facts: &CallFacts) -> Vec<BudgetKey> {
        let scopes = facts.accounts.iter().filter_map(|account| match account {
            Account::Launch(run) => Some(Scope::Launch(*run)),
            Account::Agent(name) => Some(Scope::Agent(name.clone())),
            Account::Bottle(name) => Some(Scope::Bottle(name.clone())),
            Account::BottleRun(_) => None,
            Account::Host => Some(Scope::Host),
        });
        scopes
            .flat_map(|scope| self.budgets.of_scope(&scope))
            .filter(|budget| budget.key().provider.matches(&facts.provider))
            .map(|budget| budget.key().clone())
            .collect()
    }

    /// Judges every budget, after limits changed.
    pub(super) fn judge_all(&mut self, now: Timestamp) {
        let in_force = |key: &BudgetKey| self.budgets.get(key).is_some();
        self.warned.retain(|key, _| in_force(key));
        self.paced.retain(in_force);
        self.exhausted.retain(|key, _| in_force(key));
        for exhausted in self.exhausted.values_mut() {
            exhausted.struck = false;
        }
        let keys: Vec<BudgetKey> = self.budgets.iter().map(|b| b.key().clone()).collect();
        for key in keys {
            self.judge_budget(&key, None, now);
        }
    }

    pub(super) fn judge_budget(
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
        let before = warned.clone();
        // What goes with the time falls below a level and rises above it again and again.
        let still = match key.window {
            Window::Rolling(_) => percent.saturating_add(ROLLING_REARM_PERCENT),
            _ => percent,
        };
        warned.retain(|level| levels.contains(level) && u64::from(*level) <= still);
        let mut reached = None;
        for level in levels {
            if u64::from(level) <= percent && warned.insert(level) {
                reached = reached.max(Some(level));
            }
        }
        if *warned != before {
            self.touch_shared();
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
        self.judge_pace(key, spender, now);
        if cap == Cap::Hard && used >= limit {
            self.exhaust(key, spender, now);
        } else if self.exhausted.remove(key).is_some() {
            self.touch_shared();
        }
    }

    /// Tells once a window of a budget that is used faster than its time goes.
    fn judge_pace(
        &mut self,
        key: &BudgetKey,
        spender: Option<(&BottleName, &ProviderKey)>,
        now: Timestamp,
    ) {
        let Some(budget) = self.budgets.get(key) else {
            return;
        };
        if budget.levels().is_empty() || self.paced.contains(key) || spender.is_none() {
            return;
        }
        let (used, limit) = (self.sum_of(key).balance.posted, budget.limit());
        let Some(pace) = self.pace_of(key, used, limit) else {
            return;
        };
        if pace.elapsed < PACE_ELAPSED_MIN
            || pace.pace.is_none_or(|pace| pace <= 1_000)
            || used >= limit
        {
            return;
        }
        self.paced.insert(key.clone());
        let text = format!(
            "{} is at {}% with {}% of its time gone",
            plain(key),
            used.percent_of(limit),
            pace.elapsed.checked_div(10).unwrap_or(0),
        );
        let mut event = self.event(now, EventKind::Paced, Actor::Budget, text);
        event.budget = Some(key.clone());
        if let Some((bottle, provider)) = spender {
            event.bottle = Some(bottle.clone());
            event.provider = Some(provider.clone());
        }
        self.happened(event);
    }

    /// Runs the policy of a budget that is exhausted: closes the way to `spender`, and where it is
    /// spent ends the calls in flight that it binds and closes the way to those who had one.
    pub(super) fn exhaust(
        &mut self,
        key: &BudgetKey,
        spender: Option<(&BottleName, &ProviderKey)>,
        now: Timestamp,
    ) {
        let Some(budget) = self.budgets.get(key) else {
            return;
        };
        let (limit, used) = (budget.limit(), self.sum_of(key).balance.posted);
        let refusal = self.refused_by(budget);
        if !self.exhausted.contains_key(key) {
            self.exhausted.insert(key.clone(), Exhausted::since(now));
            self.touch_shared();
            let text = format!("{} is spent: {used} of {limit}", plain(key));
            let mut event = self.event(now, EventKind::Exhausted, Actor::Budget, text);
            event.budget = Some(key.clone());
            event.bottle = spender.map(|(bottle, _)| bottle.clone());
            self.happened(event);
        }
        let spent = used >= limit;
        let known = self.exhausted.get_mut(key);
        let strikes =
            known.is_some_and(|known| spent && !std::mem::replace(&mut known.struck, spent));
        let bound = if strikes {
            self.bound_calls(&self.budgets, key)
        } else {
            Vec::new()
        };
        if !self.rules.in_flight_finish {
            for (call, _, _) in &bound {
                self.effect(Effect::Cut(*call, CutReason::Budget(refusal.clone())));
            }
        }
        let spender = spender
            .filter(|(bottle, provider)| self.is_bound(&self.budgets, bottle, provider, key));
        let mut reaches: Vec<Reach<'_>> = bound
            .iter()
            .map(|(_, bottle, provider)| Reach { bottle, provider })
            .collect();
        reaches.extend(spender.map(|(bottle, provider)| Reach { bottle, provider }));
        reaches.sort_unstable();
        reaches.dedup();
        let room = (!spent).then_some(limit.minus(used));
        self.close_by_budget(key, &reaches, room, now);
    }

    /// Returns whether a budget binds a bottle's calls to a provider, by these budgets.
    pub(super) fn is_bound(
        &self,
        budgets: &Budgets,
        bottle: &BottleName,
        provider: &ProviderKey,
        key: &BudgetKey,
    ) -> bool {
        let path = self.bottles.path(bottle);
        let mut binding = path.binding(budgets, provider).into_iter();
        key.provider.matches(provider) && binding.any(|budget| budget.key() == key)
    }

    /// Returns the calls in flight that a budget binds, by these budgets.
    pub(super) fn bound_calls(
        &self,
        budgets: &Budgets,
        key: &BudgetKey,
    ) -> Vec<(CallId, BottleName, ProviderKey)> {
        let Some(account) = self.account_of(key) else {
            return Vec::new();
        };
        let mut known: BTreeMap<Reach<'_>, bool> = BTreeMap::new();
        let mut bound = Vec::new();
        for facts in self.open.iter().map(Open::facts) {
            let (bottle, provider) = (&facts.bottle, &facts.provider);
            let is_bound = || self.is_bound(budgets, bottle, provider, key);
            if facts.accounts.contains(&account)
                && *known
                    .entry(Reach { bottle, provider })
                    .or_insert_with(is_bound)
            {
                bound.push((facts.call, bottle.clone(), provider.clone()));
            }
        }
        bound.sort();
        bound
    }

    pub(super) fn refusal_by(&self, key: &BudgetKey) -> Option<Refusal> {
        self.budgets.get(key).map(|budget| self.refused_by(budget))
    }

    /// Returns the refusal of a call by a budget.
    pub(super) fn refused_by(&self, budget: &Budget) -> Refusal {
        let span = self.span_of(budget.key());
        let used = self.sum_of(budget.key()).balance.posted;
        Refusal::by(budget, used, span.map(|span| span.until))
    }
}
