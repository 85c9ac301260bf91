//! Budgets: where they come from, which are in force, which bind a call.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, Cap, Gate, Policy, ProviderSelector, Scope, Unbounded, Window};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::units::Tokens;
use bb_proto::view::{Raise, Source};

pub mod path;
pub mod span;

pub use path::Path;
pub use span::Span;

/// The warning levels of a budget that names none, in percent.
pub const WARN_DEFAULT: [u8; 3] = [50, 80, 95];

/// A budget as it was declared, before raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Which.
    pub key: BudgetKey,
    /// How many tokens.
    pub limit: Tokens,
    /// The most that one call may be expected to cost.
    pub per_call: Option<Tokens>,
    /// Whether it blocks.
    pub cap: Cap,
    /// Whether it binds from above, whatever governs.
    pub ceiling: bool,
    /// Warning levels in percent, ascending.
    pub warn: Vec<u8>,
    /// What happens when it is exhausted, where it says so itself.
    pub policy: Option<Policy>,
    /// How calls are admitted to it, where it says so itself.
    pub gate: Option<Gate>,
    /// What it does with calls that nothing bounds, where it says so itself.
    pub unbounded: Option<Unbounded>,
    /// Where it comes from.
    pub source: Source,
}

impl Declared {
    /// Returns a hard budget with the usual warning levels.
    pub fn hard(key: BudgetKey, limit: Tokens, source: Source) -> Self {
        Self {
            key,
            limit,
            per_call: None,
            cap: Cap::Hard,
            ceiling: false,
            warn: WARN_DEFAULT.to_vec(),
            policy: None,
            gate: None,
            unbounded: None,
            source,
        }
    }
}

/// A budget in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// As it was declared.
    pub declared: Declared,
    /// Raises that count.
    pub raises: Vec<Raise>,
    /// What it hides: one of the same key from the settings.
    pub hides: Option<Source>,
}

impl Budget {
    /// Returns the limit in force: as declared, and every raise.
    pub fn limit(&self) -> Tokens {
        self.raises
            .iter()
            .fold(self.declared.limit, |sum, raise| sum.plus(raise.by))
    }

    /// Returns the levels in percent at which it warns; one that blocks nothing does at its limit.
    pub fn levels(&self) -> Vec<u8> {
        let mut levels = self.declared.warn.clone();
        if self.declared.cap == Cap::Soft && !levels.contains(&100) {
            levels.push(100);
        }
        levels
    }

    /// Returns which budget this is.
    pub fn key(&self) -> &BudgetKey {
        &self.declared.key
    }
}

/// All budgets, by where they come from.
///
/// One set by command hides one of the same key from the settings; a raise counts on whichever
/// stands under its key. So a reload of the settings never overwrites what the operator ordered.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    settings: BTreeMap<BudgetKey, Declared>,
    commands: BTreeMap<BudgetKey, Declared>,
    launches: BTreeMap<BudgetKey, Declared>,
    raises: BTreeMap<BudgetKey, Vec<Raise>>,
    in_force: BTreeMap<BudgetKey, Budget>,
}

impl Budgets {
    /// Returns the budgets in force, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Budget> {
        self.in_force.values()
    }

    /// Returns a budget in force.
    pub fn get(&self, key: &BudgetKey) -> Option<&Budget> {
        self.in_force.get(key)
    }

    /// Returns the budgets in force of a scope.
    pub fn of_scope<'a>(&'a self, scope: &Scope) -> impl Iterator<Item = &'a Budget> + use<'a> {
        of_scope(&self.in_force, scope).map(|(_, budget)| budget)
    }

    /// Returns whether a command set this budget or raised it.
    pub fn is_commanded(&self, key: &BudgetKey) -> bool {
        self.commands.contains_key(key) || self.raises.contains_key(key)
    }

    /// Takes the settings' budgets in place of those before.
    pub fn take_settings(&mut self, declared: Vec<Declared>) {
        let after = declared.into_iter().map(|d| (d.key.clone(), d)).collect();
        let before = std::mem::replace(&mut self.settings, after);
        let keys: Vec<BudgetKey> = self.settings.keys().cloned().collect();
        for key in before.keys().chain(&keys) {
            self.refresh(key);
        }
    }

    /// Takes the budgets of a launch; those of the bottle's runs before are no longer in force.
    pub fn take_launch(&mut self, run: RunId, before: Option<RunId>, declared: Vec<Declared>) {
        for gone in before.into_iter().chain([run]) {
            self.forget_launch(gone);
        }
        for declared in declared {
            let key = declared.key.clone();
            self.launches.insert(key.clone(), declared);
            self.refresh(&key);
        }
    }

    /// Lets a launch's budgets go, with the raises they had.
    pub fn forget_launch(&mut self, run: RunId) {
        let scope = Scope::Launch(run);
        let keys: Vec<BudgetKey> = of_scope(&self.launches, &scope)
            .map(|(k, _)| k.clone())
            .collect();
        self.raises.retain(|key, _| key.scope != scope);
        for key in keys {
            self.launches.remove(&key);
            self.refresh(&key);
        }
    }

    /// Sets a budget by command.
    pub fn set(&mut self, declared: Declared) {
        let key = declared.key.clone();
        self.raises.remove(&key);
        self.commands.insert(key.clone(), declared);
        self.refresh(&key);
    }

    /// Takes back what commands said of a budget, its raises too.
    pub fn unset(&mut self, key: &BudgetKey) {
        self.commands.remove(key);
        self.raises.remove(key);
        self.refresh(key);
    }

    /// Raises a budget.
    pub fn raise(&mut self, key: &BudgetKey, raise: Raise) {
        self.raises.entry(key.clone()).or_default().push(raise);
        self.refresh(key);
    }

    /// Returns every raise that counts, those too of budgets that are not in force.
    pub fn raises(&self) -> impl Iterator<Item = (&BudgetKey, &Raise)> {
        let all = self.raises.iter();
        all.flat_map(|(key, raises)| raises.iter().map(move |raise| (key, raise)))
    }

    /// Takes back a raise that is over.
    pub fn end_raise(&mut self, key: &BudgetKey, over: &Raise) {
        if let Some(raises) = self.raises.get_mut(key) {
            raises.retain(|raise| raise != over);
            if raises.is_empty() {
                self.raises.remove(key);
            }
        }
        self.refresh(key);
    }

    /// Puts in force what stands under a key.
    fn refresh(&mut self, key: &BudgetKey) {
        let given = self.settings.get(key).or_else(|| self.launches.get(key));
        let ordered = self.commands.get(key);
        let Some(declared) = ordered.or(given) else {
            self.in_force.remove(key);
            return;
        };
        let hidden = given.filter(|_| ordered.is_some());
        let budget = Budget {
            declared: declared.clone(),
            raises: self.raises.get(key).cloned().unwrap_or_default(),
            hides: hidden.map(|hidden| hidden.source.clone()),
        };
        self.in_force.insert(key.clone(), budget);
    }
}

fn of_scope<'a, T>(
    budgets: &'a BTreeMap<BudgetKey, T>,
    scope: &Scope,
) -> impl Iterator<Item = (&'a BudgetKey, &'a T)> + use<'a, T> {
    let first = BudgetKey {
        scope: scope.clone(),
        provider: ProviderSelector::All,
        window: Window::Total,
    };
    let scope = scope.clone();
    let from = budgets.range(first..);
    from.take_while(move |(key, _)| key.scope == scope)
}

/// Returns the budget that `launch` gives a run of `bottle`.
pub fn of_launch(
    run: RunId,
    bottle: &BottleName,
    provider: ProviderSelector,
    limit: Tokens,
) -> Declared {
    let key = BudgetKey {
        scope: Scope::Launch(run),
        provider,
        window: Window::Run,
    };
    Declared::hard(
        key,
        limit,
        Source::Launch {
            bottle: bottle.clone(),
        },
    )
}

#[cfg(test)]
mod tests;
