//! The book as clients see it.

use std::collections::{BTreeMap, BTreeSet};

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope, Window};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::view::{
    self, BottleState, Closed, ClosedBy, Enforcement, PathBudget, PathRole, Source, Totals, Wanted,
};

use super::Book;
use super::account::Account;
use super::rate::per_minute;
use crate::bottle::{Bottle, Lifecycle};
use crate::budget::{Budget, Path};

impl Book {
    /// Returns all budgets, as clients see them.
    pub fn budget_views(&self, now: Timestamp) -> Vec<view::Budget> {
        self.budgets
            .iter()
            .map(|budget| self.budget_view(budget, now))
            .collect()
    }

    /// Returns all bottles, those only named too, as clients see them.
    pub fn bottle_views(&self, now: Timestamp) -> Vec<view::Bottle> {
        let known = self.bottles.iter().map(|bottle| bottle.name.clone());
        known
            .chain(self.bottles.declared())
            .map(|name| self.bottle_view(&name, now))
            .collect()
    }

    /// Returns a budget as clients see it.
    pub fn budget_view_of(&self, key: &BudgetKey, now: Timestamp) -> Option<view::Budget> {
        self.budgets
            .get(key)
            .map(|budget| self.budget_view(budget, now))
    }

    pub(super) fn budget_view(&self, budget: &Budget, now: Timestamp) -> view::Budget {
        let key = budget.key();
        let sum = self.sum_of(key);
        let limit = budget.limit();
        let used = sum.balance.posted;
        let rate = self.rate_of(key, now);
        let left_ms = left_ms(limit.minus(used), rate);
        let spent_at = left_ms.map(|left| now.plus(Millis(left)));
        let span = self.span_of(key);
        let pace = self.pace_of(key, used, limit);
        let declared = &budget.declared;
        let launched = match (&declared.source, &key.scope, key.window) {
            (Source::Launch { bottle }, _, _) => Some(bottle),
            (_, Scope::Bottle(name), Window::Run) => Some(name),
            _ => None,
        };
        let from = launched.and_then(|name| self.bottles.get(name));
        view::Budget {
            id: key.clone(),
            scope: key.scope.clone(),
            bottle: match &declared.source {
                Source::Launch { bottle } => Some(bottle.clone()),
                _ => None,
            },
            provider: key.provider.clone(),
            window: key.window,
            from: span
                .map(|span| span.from)
                .or(from.map(|bottle| bottle.launched_at)),
            resets_at: span.map(|span| span.until),
            limit,
            used,
            pending: sum.aside.pending,
            cache_read_percent: (used.0 > 0).then(|| sum.balance.cache_read.percent_of(used)),
            per_call: declared.per_call,
            ceiling: declared.ceiling,
            cap: declared.cap,
            gate: self.gate_of(budget),
            policy: declared.policy,
            warn: declared.warn.clone(),
            warned: self
                .warned
                .get(key)
                .into_iter()
                .flatten()
                .copied()
                .collect(),
            exhausted_since: self.exhausted.get(key).map(|exhausted| exhausted.since),
            source: declared.source.clone(),
            hides: budget.hides.clone(),
            raises: budget.raises.clone(),
            rate_per_minute: rate,
            left_ms,
            spent_at,
            resets_first: span.zip(spent_at).is_some_and(|(span, at)| span.until < at),
            elapsed_thousandths: pace.map(|pace| pace.elapsed),
            pace_thousandths: pace.and_then(|pace| pace.pace),
        }
    }

    fn rate_of(&self, key: &BudgetKey, now: Timestamp) -> u64 {
        let Some(account) = self.account_of(key) else {
            return 0;
        };
        per_minute(&self.accounts.recent(&account, &key.provider, now), now)
    }

    /// Returns a bottle as clients see it; one that nobody knows looks like one only named.
    pub fn bottle_view(&self, name: &BottleName, now: Timestamp) -> view::Bottle {
        let path = self.bottles.path(name);
        let account = Account::Bottle(name.clone());
        let recent = self.accounts.recent(&account, &ProviderSelector::All, now);
        let last = self.last_call.get(name);
        let bottle = self.bottles.get(name);
        let provider = match bottle {
            Some(bottle) => bottle.provider.clone(),
            None => self
                .bottles
                .manifest(name)
                .and_then(|manifest| manifest.provider.clone()),
        };
        let providers = self.providers_of(&path, provider.as_ref(), last.map(|(key, _)| key));
        let (binding, binds_next, roles) = self.what_binds(&path, &providers, now);
        let warned = roles.iter().any(|on_path| {
            let levels = self.warned.get(&on_path.budget);
            matches!(on_path.role, PathRole::Binds | PathRole::Ceiling)
                && levels.is_some_and(|levels| !levels.is_empty())
        });
        let posted = |account: &Account| {
            self.accounts
                .sum(account, &ProviderSelector::All)
                .balance
                .posted
        };
        let waits = self.queue.longest_of(name);
        let running = bottle.filter(|bottle| bottle.lifecycle == Lifecycle::Running);
        view::Bottle {
            name: name.clone(),
            run: path.run,
            parents: self.bottles.parents(name).to_vec(),
            agent: path.agent.clone(),
            provider,
            state: bottle.map_or(BottleState::Declared, state_of),
            warned,
            wanted: running.and_then(|bottle| {
                bottle.stop_ordered_at.map(|since| Wanted {
                    state: BottleState::Stopped,
                    since,
                    tries: 1,
                    why_not: None,
                })
            }),
            enforcement: Enforcement::Advisory,
            in_flight: u64::try_from(self.open.count(name, None)).unwrap_or(u64::MAX),
            waiting: u64::try_from(self.queue.len_of(name)).unwrap_or(u64::MAX),
            waiting_since: waits.map(|waiter| waiter.since),
            waits_until: waits.map(|waiter| waiter.deadline),
            closed: bottle.map(closed_of).unwrap_or_default(),
            refusals: bottle.map_or(0, |bottle| bottle.refusals),
            path: roles,
            binding,
            binds_next,
            used_run: path
                .run
                .map_or(Tokens::ZERO, |run| posted(&Account::Launch(run))),
            used_total: posted(&account),
            last_provider: last.map(|(provider, _)| provider.clone()),
            last_model: last
                .map(|(_, model)| model.clone())
                .filter(|model| !model.is_empty()),
            rate_per_minute: per_minute(&recent, now),
            recent: if recent.iter().all(|n| *n == 0) {
                Vec::new()
            } else {
                recent.to_vec()
            },
            launched_at: bottle.map(|bottle| bottle.launched_at),
            ended_at: bottle.and_then(|bottle| bottle.ended_at),
            exit_code: bottle.and_then(|bottle| bottle.exit_code),
            command: bottle
                .map(|bottle| bottle.command.clone())
                .unwrap_or_default(),
            process: bottle.and_then(|bottle| bottle.process),
        }
    }

    /// Returns the providers a bottle's row speaks of: those it named, called, or has budgets for.
    fn providers_of(
        &self,
        path: &Path,
        named: Option<&ProviderKey>,
        called: Option<&ProviderKey>,
    ) -> BTreeSet<ProviderKey> {
        let mut providers: BTreeSet<ProviderKey> =
            named.into_iter().chain(called).cloned().collect();
        for scope in path.scopes() {
            for budget in self.budgets.of_scope(&scope) {
                if let ProviderSelector::One(provider) = &budget.key().provider {
                    providers.insert(provider.clone());
                }
            }
        }
        providers
    }

    /// Returns by provider what binds first and what next, and every budget's role on the path.
    fn what_binds(
        &self,
        path: &Path,
        providers: &BTreeSet<ProviderKey>,
        now: Timestamp,
    ) -> (
        BTreeMap<ProviderKey, BudgetKey>,
        BTreeMap<ProviderKey, BudgetKey>,
        Vec<PathBudget>,
    ) {
        let mut binding = BTreeMap::new();
        let mut next = BTreeMap::new();
        let mut roles: Vec<PathBudget> = Vec::new();
        for provider in providers {
            let of_provider = path.roles(&self.budgets, provider);
            let mut urgent = Vec::new();
            for (budget, role) in &of_provider {
                let key = budget.key();
                if matches!(role, PathRole::Binds | PathRole::Ceiling) {
                    urgent.push((self.urgency(budget, now), key));
                }
                match roles.iter_mut().find(|known| known.budget == *key) {
                    Some(known) if strength(*role) > strength(known.role) => known.role = *role,
                    Some(_) => {}
                    None => roles.push(PathBudget {
                        budget: key.clone(),
                        role: *role,
                    }),
                }
            }
            urgent.sort();
            if let Some((_, first)) = urgent.first() {
                if let Some(following) = Self::binds_after(first, &urgent, &of_provider) {
                    next.insert(provider.clone(), following.clone());
                }
                binding.insert(provider.clone(), (*first).clone());
            }
        }
        (binding, next, roles)
    }

    /// Returns the budget that binds if `first` is raised or unset: the next of those that bind, by
    /// how soon they are spent, or else the one that would govern then.
    pub(super) fn binds_after<'a>(
        first: &BudgetKey,
        urgent: &[((u64, u64), &'a BudgetKey)],
        roles: &[(&'a Budget, PathRole)],
    ) -> Option<&'a BudgetKey> {
        let mut others = urgent.iter().map(|(_, key)| *key);
        let next = others.find(|key| *key != first);
        next.or_else(|| hard_besides(roles, first))
    }

    /// Returns what sorts budgets by how soon they are spent: time left, then tokens left.
    pub(super) fn urgency(&self, budget: &Budget, now: Timestamp) -> (u64, u64) {
        let left = budget
            .limit()
            .minus(self.sum_of(budget.key()).balance.posted);
        let time = left_ms(left, self.rate_of(budget.key(), now));
        (time.unwrap_or(u64::MAX), left.0)
    }

    /// Returns the sums over all bottles.
    pub fn totals(&self, now: Timestamp) -> Totals {
        let mut by_state: BTreeMap<BottleState, u64> = BTreeMap::new();
        let mut bottles = 0_u64;
        let mut orders_open = 0_u64;
        for bottle in self.bottles.iter() {
            bottles = bottles.saturating_add(1);
            let of_state = by_state.entry(state_of(bottle)).or_default();
            *of_state = of_state.saturating_add(1);
            if bottle.stop_ordered_at.is_some() && bottle.lifecycle == Lifecycle::Running {
                orders_open = orders_open.saturating_add(1);
            }
        }
        let recent = self
            .accounts
            .recent(&Account::Host, &ProviderSelector::All, now);
        Totals {
            bottles,
            by_state,
            in_flight: u64::try_from(self.open.len()).unwrap_or(u64::MAX),
            waiting: u64::try_from(self.queue.len()).unwrap_or(u64::MAX),
            waiting_since: self.queue.waiting_since(),
            rate_per_minute: per_minute(&recent, now),
            orders_open,
        }
    }
}

/// Returns the next hard budget on the path, that governs when `first` is unset.
fn hard_besides<'a>(roles: &[(&'a Budget, PathRole)], first: &BudgetKey) -> Option<&'a BudgetKey> {
    let hard = roles
        .iter()
        .filter(|(budget, _)| budget.declared.cap == Cap::Hard);
    hard.map(|(budget, _)| budget.key())
        .find(|key| *key != first)
}

fn strength(role: PathRole) -> u8 {
    match role {
        PathRole::Counted => 0,
        PathRole::Soft => 1,
        PathRole::Ceiling => 2,
        PathRole::Binds => 3,
    }
}

/// Returns the milliseconds in which `left` tokens go at `rate` a minute.
fn left_ms(left: Tokens, rate: u64) -> Option<u64> {
    let ms = u128::from(left.0)
        .saturating_mul(60_000)
        .checked_div(u128::from(rate))?;
    Some(u64::try_from(ms).unwrap_or(u64::MAX))
}

pub(super) fn state_of(bottle: &Bottle) -> BottleState {
    match bottle.lifecycle {
        Lifecycle::Stopped => BottleState::Stopped,
        Lifecycle::Failed => BottleState::Failed,
        Lifecycle::Running if bottle.closings.is_empty() => BottleState::Running,
        Lifecycle::Running => BottleState::Cutoff,
    }
}

fn closed_of(bottle: &Bottle) -> Vec<Closed> {
    bottle
        .closings
        .iter()
        .map(|closing| Closed {
            provider: closing.provider.clone(),
            by: match &closing.by {
                ClosedBy::Budget(key) => ClosedBy::Budget(key.clone()),
                ClosedBy::Operator => ClosedBy::Operator,
            },
            since: closing.since,
            why: closing.why.clone(),
        })
        .collect()
}
