//! The book as clients see it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope, Window};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::view::{
    self, BottleState, Closed, ClosedBy, Enforcement, PathBudget, PathRole, Source, Totals, Wanted,
};

use super::account::{Account, per_minute};
use super::{Book, CallFacts};
use crate::bottle::{Bottle, Lifecycle};
use crate::budget::{Budget, Path};

/// How many rows that went away are remembered for clients that ask what changed.
const GONE_MAX: usize = 1_024;

/// What changed when: the revision of each row.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    current: u64,
    /// The first revision of this life of the controller.
    first: u64,
    /// What every row depends on: budgets' definitions and who extends whom.
    structure: u64,
    /// What many rows show of one budget: its warnings, and that it is exhausted.
    shared: u64,
    bottles: HashMap<BottleName, u64>,
    accounts: HashMap<Account, u64>,
    gone: VecDeque<(u64, BottleName)>,
}

/// What changed since a revision, or everything.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whether everything is in it.
    pub whole: bool,
    /// Budgets.
    pub budgets: Vec<view::Budget>,
    /// Bottles.
    pub bottles: Vec<view::Bottle>,
    /// Bottles that went away.
    pub bottles_gone: Vec<BottleName>,
}

impl Book {
    /// Returns the revision: it grows with every change, over restarts too.
    pub fn revision(&self) -> u64 {
        self.revisions.current
    }

    /// Returns the number of the newest event.
    pub fn newest_event(&self) -> u64 {
        self.next_event.saturating_sub(1)
    }

    pub(super) fn begin_revisions(&mut self, now: Timestamp) {
        // A millisecond has room for a thousand changes, so a later life begins above this one.
        let first = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        self.revisions = Revisions {
            current: first,
            first,
            structure: first,
            ..Revisions::default()
        };
    }

    fn next_revision(&mut self) -> u64 {
        self.revisions.current = self.revisions.current.saturating_add(1);
        self.revisions.current
    }

    pub(super) fn touch_head(&mut self) {
        self.next_revision();
    }

    pub(super) fn touch_all(&mut self) {
        self.revisions.structure = self.next_revision();
    }

    pub(super) fn touch_shared(&mut self) {
        self.revisions.shared = self.next_revision();
    }

    pub(super) fn touch_bottle(&mut self, name: &BottleName) {
        let revision = self.next_revision();
        self.revisions.bottles.insert(name.clone(), revision);
    }

    pub(super) fn touch_call(&mut self, facts: &CallFacts) {
        let revision = self.next_revision();
        for account in &facts.accounts {
            match self.revisions.accounts.get_mut(account) {
                Some(of_account) => *of_account = revision,
                None => {
                    self.revisions.accounts.insert(account.clone(), revision);
                }
            }
        }
    }

    pub(super) fn account_gone(&mut self, account: &Account) {
        self.revisions.accounts.remove(account);
    }

    pub(super) fn bottle_gone(&mut self, name: &BottleName) {
        self.touch_all();
        self.revisions.bottles.remove(name);
        self.revisions
            .gone
            .push_back((self.revisions.current, name.clone()));
        if self.revisions.gone.len() > GONE_MAX {
            self.revisions.gone.pop_front();
        }
    }

    /// Returns the revision at which budgets or ancestry changed last.
    pub(super) fn structure(&self) -> u64 {
        self.revisions.structure
    }

    pub(super) fn bottle_revision(&self, name: &BottleName) -> u64 {
        let own = self
            .revisions
            .bottles
            .get(name)
            .copied()
            .unwrap_or(self.revisions.first);
        own.max(self.revisions.structure)
    }

    fn row_moved(&self, name: &BottleName, since: u64, now: Timestamp) -> bool {
        let account = Account::Bottle(name.clone());
        let charged = self.revisions.accounts.get(&account).copied().unwrap_or(0);
        self.bottle_revision(name).max(charged) > since || self.accounts.moves(&account, now)
    }

    /// Returns what changed after `since`, or everything where that cannot be said.
    ///
    /// A row with a charge of the last minutes counts as changed: its rate is of this moment.
    pub fn changes(&self, since: Option<u64>, now: Timestamp) -> Changes {
        let told = since.filter(|since| {
            *since >= self.revisions.first
                && *since <= self.revisions.current
                && *since >= self.revisions.structure
                && *since >= self.revisions.shared
        });
        let Some(since) = told else {
            return Changes {
                whole: true,
                budgets: self.budget_views(now),
                bottles: self.bottle_views(now),
                bottles_gone: Vec::new(),
            };
        };
        if since == self.revisions.current && !self.accounts.any_moves(now) {
            return Changes::default();
        }
        let moved = |account: &Account| {
            let revision = self.revisions.accounts.get(account).copied().unwrap_or(0);
            revision > since || self.accounts.moves(account, now)
        };
        let budgets = self.budgets.iter().filter(|budget| {
            self.account_of(budget.key())
                .is_some_and(|account| moved(&account))
        });
        let known = self.bottles.iter().map(|bottle| bottle.name.clone());
        let rows = known
            .chain(self.bottles.declared())
            .filter(|name| self.row_moved(name, since, now));
        let gone = self
            .revisions
            .gone
            .iter()
            .filter(|(revision, _)| *revision > since);
        Changes {
            whole: false,
            budgets: budgets
                .map(|budget| self.budget_view(budget, now))
                .collect(),
            bottles: rows.map(|name| self.bottle_view(&name, now)).collect(),
            bottles_gone: gone.map(|(_, name)| name.clone()).collect(),
        }
    }

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

    fn budget_view(&self, budget: &Budget, now: Timestamp) -> view::Budget {
        let key = budget.key();
        let sum = self.sum_of(key);
        let limit = budget.limit();
        let used = sum.balance.posted;
        let rate = self.rate_of(key, now);
        let left_ms = left_ms(limit.minus(used), rate);
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
            from: from.map(|bottle| bottle.launched_at),
            resets_at: None,
            limit,
            used,
            pending: sum.aside.pending,
            cache_read_percent: (used.0 > 0).then(|| sum.balance.cache_read.percent_of(used)),
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
            spent_at: left_ms.map(|left| now.plus(Millis(left))),
            resets_first: false,
            elapsed_thousandths: None,
            pace_thousandths: None,
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
            let mut urgent = urgent.into_iter().map(|(_, key)| key);
            if let Some(first) = urgent.next() {
                let following = urgent.next().or_else(|| hard_besides(&of_provider, first));
                if let Some(following) = following {
                    next.insert(provider.clone(), following.clone());
                }
                binding.insert(provider.clone(), first.clone());
            }
        }
        (binding, next, roles)
    }

    /// Returns what sorts budgets by how soon they are spent: time left, then tokens left.
    fn urgency(&self, budget: &Budget, now: Timestamp) -> (u64, u64) {
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
