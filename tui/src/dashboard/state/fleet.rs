//! The bottles and budgets as last told, and what is read off them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bb_proto::budget::{BudgetKey, ProviderSelector, Scope};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::view::{BottleState, PathRole};

use crate::dashboard::rows::{Bottle, Budget, Delta};

/// A budget that is spent within this time is urgent.
pub(crate) const SOON_MS: u64 = 600_000;

/// A bottle and what the dashboard remembers of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) bottle: Bottle,
    /// When its state changed before our eyes.
    pub(crate) turned_at: Option<Duration>,
    /// When anything of it changed.
    pub(crate) touched_at: Duration,
}

/// Everything the controller told of bottles and budgets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fleet {
    rows: BTreeMap<BottleName, Row>,
    budgets: HashMap<BudgetKey, Budget>,
}

/// What is left for a bottle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Milliseconds until its budget is spent.
    Time(u64),
    /// The budget's window turns first.
    Resets,
    /// Nothing is left.
    Spent,
    /// It asks for nothing.
    Idle,
    /// No budget binds it.
    Unlimited,
    /// The budget's rate says nothing.
    Unknown,
}

/// What a bottle looks like at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sign {
    Declared,
    Stopped,
    Idle,
    Running,
    Warned,
    CutOff,
    Wanted,
    Failed,
}

impl Row {
    fn take(&mut self, bottle: Bottle, at: Duration) {
        if self.bottle.told.state != bottle.told.state {
            self.turned_at = Some(at);
        }
        if self.bottle != bottle {
            self.touched_at = at;
            self.bottle = bottle;
        }
    }
}

impl Fleet {
    /// Takes what was told; returns whether the set of bottles is another one now.
    pub(crate) fn apply(&mut self, delta: Delta, at: Duration) -> bool {
        let mut members_changed = false;
        if delta.whole {
            let told: HashSet<&BottleName> = delta.bottles.iter().map(|b| &b.told.name).collect();
            let before = self.rows.len();
            self.rows.retain(|name, _| told.contains(name));
            members_changed |= self.rows.len() != before;
            self.budgets.clear();
        }
        for name in &delta.bottles_gone {
            members_changed |= self.rows.remove(name).is_some();
        }
        for key in &delta.budgets_gone {
            self.budgets.remove(key);
        }
        for budget in delta.budgets {
            self.budgets.insert(budget.told.id.clone(), budget);
        }
        for bottle in delta.bottles {
            let name = bottle.told.name.clone();
            if let Some(row) = self.rows.get_mut(&name) {
                members_changed |= row.bottle.told.parents != bottle.told.parents;
                row.take(bottle, at);
            } else {
                members_changed = true;
                let row = Row {
                    bottle,
                    turned_at: None,
                    touched_at: at,
                };
                self.rows.insert(name, row);
            }
        }
        members_changed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn row(&self, name: &BottleName) -> Option<&Row> {
        self.rows.get(name)
    }

    pub(crate) fn bottle(&self, name: &BottleName) -> Option<&Bottle> {
        self.rows.get(name).map(|row| &row.bottle)
    }

    pub(crate) fn bottles(&self) -> impl Iterator<Item = &Bottle> {
        self.rows.values().map(|row| &row.bottle)
    }

    /// Returns the newest turn of a state, so that it is known how long one is still bold.
    pub(crate) fn last_turn(&self) -> Option<Duration> {
        self.rows.values().filter_map(|row| row.turned_at).max()
    }

    pub(crate) fn budget(&self, key: &BudgetKey) -> Option<&Budget> {
        self.budgets.get(key)
    }

    pub(crate) fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.values()
    }

    /// Returns the host's budgets, the one to look at first before the others.
    pub(crate) fn host_budgets(&self) -> Vec<&Budget> {
        let mut found: Vec<&Budget> = self
            .budgets
            .values()
            .filter(|budget| budget.told.scope == Scope::Host)
            .collect();
        found.sort_by_key(|budget| {
            let told = &budget.told;
            let left = match (is_spent(budget), told.resets_first) {
                (true, _) => 0,
                (false, true) => u64::MAX,
                (false, false) => told.left_ms.unwrap_or(u64::MAX),
            };
            (left >= SOON_MS, !told.ceiling, left, told.id.clone())
        });
        found
    }

    /// Returns the provider whose budget a bottle's row shows.
    pub(crate) fn provider<'a>(&'a self, bottle: &'a Bottle) -> Option<&'a ProviderKey> {
        let told = &bottle.told;
        let known = told.last_provider.as_ref().or(told.provider.as_ref());
        known.or_else(|| {
            told.binding
                .iter()
                .min_by_key(|(_, key)| {
                    let left = self.budget(key).and_then(|budget| budget.told.left_ms);
                    // Among equals the one whose budget is the nearest on its way.
                    let place = told.path.iter().position(|on| on.budget == **key);
                    (left.unwrap_or(u64::MAX), place.unwrap_or(usize::MAX))
                })
                .map(|(provider, _)| provider)
        })
    }

    /// Returns the budget that will bind a bottle first; for one only named, its own.
    pub(crate) fn binding(&self, bottle: &Bottle) -> Option<&Budget> {
        if bottle.told.state == BottleState::Declared {
            return self.own_budget(bottle);
        }
        let provider = self.provider(bottle)?;
        self.budget(bottle.told.binding.get(provider)?)
    }

    /// Returns the budget that binds if the first one is raised or unset.
    pub(crate) fn binds_next(&self, bottle: &Bottle) -> Option<&Budget> {
        let provider = self.provider(bottle)?;
        self.budget(bottle.told.binds_next.get(provider)?)
    }

    fn own_budget(&self, bottle: &Bottle) -> Option<&Budget> {
        let own = Scope::Bottle(bottle.told.name.clone());
        self.budgets
            .values()
            .filter(|budget| budget.told.scope == own)
            .min_by_key(|budget| (budget.told.left_ms.unwrap_or(u64::MAX), &budget.told.id))
    }

    /// Returns how many running bottles a budget binds.
    pub(crate) fn bound_by(&self, key: &BudgetKey) -> usize {
        self.bottles()
            .filter(|bottle| bottle.told.state == BottleState::Running)
            .filter(|bottle| {
                bottle.told.path.iter().any(|on_path| {
                    on_path.budget == *key
                        && matches!(on_path.role, PathRole::Binds | PathRole::Ceiling)
                })
            })
            .count()
    }

    /// Returns what is left for a bottle at the whole rate of the budget that binds it.
    pub(crate) fn left(&self, bottle: &Bottle) -> Left {
        let told = &bottle.told;
        let idle = told.in_flight == 0 && told.waiting == 0 && told.rate_per_minute == 0;
        let Some(budget) = self.binding(bottle) else {
            return if idle { Left::Idle } else { Left::Unlimited };
        };
        match budget.told.left_ms {
            _ if is_spent(budget) => Left::Spent,
            _ if idle && told.state != BottleState::Declared => Left::Idle,
            _ if budget.told.resets_first => Left::Resets,
            Some(ms) => Left::Time(ms),
            None => Left::Unknown,
        }
    }

    /// Returns what a bottle looks like at a glance.
    pub(crate) fn sign(&self, bottle: &Bottle) -> Sign {
        let told = &bottle.told;
        if told.wanted.is_some() {
            return Sign::Wanted;
        }
        match told.state {
            BottleState::Declared => Sign::Declared,
            BottleState::Stopped => Sign::Stopped,
            BottleState::Failed => Sign::Failed,
            BottleState::Cutoff if self.is_shut(bottle) => Sign::CutOff,
            _ if told.warned => Sign::Warned,
            _ if told.in_flight > 0 || told.waiting > 0 || told.rate_per_minute > 0 => {
                Sign::Running
            }
            _ => Sign::Idle,
        }
    }

    /// Returns whether the way that the row is about is closed.
    pub(crate) fn is_shut(&self, bottle: &Bottle) -> bool {
        let provider = self.provider(bottle);
        let closed = &bottle.told.closed;
        closed.is_empty()
            || closed.iter().any(|way| match (&way.provider, provider) {
                (ProviderSelector::All, _) | (_, None) => true,
                (ProviderSelector::One(shut), Some(provider)) => shut == provider,
            })
    }

    /// Returns whether a bottle has a run that an act can aim at.
    pub(crate) fn is_live(bottle: &Bottle) -> bool {
        matches!(
            bottle.told.state,
            BottleState::Running | BottleState::Cutoff
        )
    }
}

/// Returns whether nothing is left of a budget.
pub(crate) fn is_spent(budget: &Budget) -> bool {
    budget.told.exhausted_since.is_some() || budget.told.used >= budget.told.limit
}
