//! Bottles: who they are, who they extend, what is closed to them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bb_proto::budget::{BudgetKey, Gate, ProviderSelector, Unbounded};
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::process::Process;
use bb_proto::request::LaunchBudget;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::ClosedBy;

use crate::budget::Path;

/// Where a run of a bottle stands, enforcement aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// It may call.
    Running,
    /// Its command ended well, or it was stopped.
    Stopped,
    /// Its command ended with an error.
    Failed,
}

/// A way that is closed to a bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// To which provider; `all` is all egress.
    pub provider: ProviderSelector,
    /// By whom.
    pub by: ClosedBy,
    /// Since when.
    pub since: Timestamp,
    /// Why, where the operator said.
    pub why: Option<String>,
    /// Where a call alone did not fit into a budget, what it had left: it opens by itself only above
    /// it. Else it opens once the budget has room.
    pub room: Option<Tokens>,
}

/// A bottle and its current or last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bottle {
    /// Its name.
    pub name: BottleName,
    /// The run.
    pub run: RunId,
    /// What its manifest extends, in the manifest's order.
    pub parents: Vec<BottleName>,
    /// The agent it runs.
    pub agent: Option<AgentName>,
    /// Its provider, where it named one.
    pub provider: Option<ProviderKey>,
    /// What it identifies itself by.
    pub token: String,
    /// The command it runs, for people.
    pub command: Vec<String>,
    /// Its process on this host.
    pub process: Option<Process>,
    /// Budgets of this run.
    pub budgets: Vec<LaunchBudget>,
    /// Where the run stands.
    pub lifecycle: Lifecycle,
    /// When the run began.
    pub launched_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How its command ended.
    pub exit_code: Option<i32>,
    /// Since when the operator wants it stopped.
    pub stop_ordered_at: Option<Timestamp>,
    /// What is closed to it.
    pub closings: Vec<Closing>,
    /// Calls refused in this run.
    pub refusals: u64,
}

impl Bottle {
    /// Returns whether its run goes on.
    pub fn is_running(&self) -> bool {
        self.lifecycle == Lifecycle::Running
    }

    /// Returns whether the operator closed all egress.
    pub fn is_closed_by_operator(&self) -> bool {
        self.closings
            .iter()
            .any(|closing| closing.by == ClosedBy::Operator)
    }

    /// Returns the budgets that close a way to it.
    fn closed_by(&self) -> impl Iterator<Item = &BudgetKey> {
        self.closings
            .iter()
            .filter_map(|closing| match &closing.by {
                ClosedBy::Budget(key) => Some(key),
                ClosedBy::Operator => None,
            })
    }

    /// Returns what closes a call to `provider`: an operator's order before a budget.
    pub fn closing(&self, provider: &ProviderKey) -> Option<&Closing> {
        let matching = || {
            self.closings
                .iter()
                .filter(|c| c.provider.matches(provider))
        };
        matching()
            .find(|c| c.by == ClosedBy::Operator)
            .or_else(|| matching().next())
    }
}

/// What the settings say of a bottle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// What it extends, in the manifest's order.
    pub parents: Vec<BottleName>,
    /// The agent it runs.
    pub agent: Option<AgentName>,
    /// Its provider.
    pub provider: Option<ProviderKey>,
    /// How its calls are admitted where a budget does not say.
    pub gate: Option<Gate>,
    /// What becomes of its calls that nothing bounds where a budget does not say.
    pub unbounded: Option<Unbounded>,
}

/// All bottles that were launched, and what the settings say of any.
#[derive(Debug, Default)]
pub struct Bottles {
    known: BTreeMap<BottleName, Bottle>,
    /// The current or last run of each.
    runs: HashSet<RunId>,
    /// Those to whom a budget closed a way, by budget.
    closed: BTreeMap<BudgetKey, BTreeSet<BottleName>>,
    manifests: BTreeMap<BottleName, Manifest>,
}

impl Bottles {
    /// Returns a bottle that was launched.
    pub fn get(&self, name: &BottleName) -> Option<&Bottle> {
        self.known.get(name)
    }

    /// Returns all bottles that were launched, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Bottle> {
        self.known.values()
    }

    /// Puts a bottle in the place of the one of its name.
    pub fn put(&mut self, bottle: Bottle) {
        self.remove(&bottle.name);
        self.runs.insert(bottle.run);
        for key in bottle.closed_by() {
            let closed = self.closed.entry(key.clone()).or_default();
            closed.insert(bottle.name.clone());
        }
        self.known.insert(bottle.name.clone(), bottle);
    }

    /// Returns the bottles to whom any budget closed a way, by name.
    pub fn closed_by_budgets(&self) -> impl Iterator<Item = &Bottle> {
        let names: BTreeSet<&BottleName> = self.closed.values().flatten().collect();
        names.into_iter().filter_map(|name| self.known.get(name))
    }

    /// Returns the bottles to whom a budget closed a way, by name.
    pub fn closed_by(&self, key: &BudgetKey) -> impl Iterator<Item = &Bottle> {
        let names = self.closed.get(key).into_iter().flatten();
        names.filter_map(|name| self.known.get(name))
    }

    /// Returns whether a run is the current or last one of its bottle.
    pub fn has_run(&self, run: RunId) -> bool {
        self.runs.contains(&run)
    }

    /// Forgets a bottle.
    pub fn remove(&mut self, name: &BottleName) -> Option<Bottle> {
        let removed = self.known.remove(name)?;
        self.runs.remove(&removed.run);
        for key in removed.closed_by() {
            if let Some(closed) = self.closed.get_mut(key) {
                closed.remove(name);
                if closed.is_empty() {
                    self.closed.remove(key);
                }
            }
        }
        Some(removed)
    }

    /// Returns a bottle to change what is kept in memory only.
    pub fn get_mut(&mut self, name: &BottleName) -> Option<&mut Bottle> {
        self.known.get_mut(name)
    }

    /// Takes what the settings say of bottles.
    pub fn take_manifests(&mut self, manifests: BTreeMap<BottleName, Manifest>) {
        self.manifests = manifests;
    }

    /// Returns what the settings say of a bottle.
    pub fn manifest(&self, name: &BottleName) -> Option<&Manifest> {
        self.manifests.get(name)
    }

    /// Returns what a bottle extends: as it was launched, else as the settings say.
    pub fn parents(&self, name: &BottleName) -> &[BottleName] {
        let launched = self.known.get(name).map(|bottle| bottle.parents.as_slice());
        launched
            .or_else(|| self.manifests.get(name).map(|m| m.parents.as_slice()))
            .unwrap_or(&[])
    }

    /// Returns the ancestors of a bottle with these `parents`: depth first, last-listed first,
    /// each once.
    pub fn ancestors(&self, parents: &[BottleName]) -> Vec<BottleName> {
        let mut found = Vec::new();
        let mut waiting: Vec<&BottleName> = parents.iter().collect();
        while let Some(name) = waiting.pop() {
            if !found.contains(name) {
                found.push(name.clone());
                waiting.extend(self.parents(name));
            }
        }
        found
    }

    /// Returns every name that is only named: as a parent, or in the settings.
    pub fn declared(&self) -> Vec<BottleName> {
        let named = self.known.values().flat_map(|bottle| &bottle.parents);
        let manifests = self.manifests.iter();
        let named = named.chain(manifests.flat_map(|(name, m)| m.parents.iter().chain([name])));
        let mut declared: Vec<BottleName> = named
            .filter(|name| !self.known.contains_key(*name))
            .cloned()
            .collect();
        declared.sort();
        declared.dedup();
        declared
    }

    /// Returns the path of a bottle's calls; one that is only named has a path without a run.
    pub fn path(&self, name: &BottleName) -> Path {
        let bottle = self.known.get(name);
        let manifest = || self.manifests.get(name);
        let lineage = [name.clone()].into_iter().chain(
            self.ancestors(self.parents(name))
                .into_iter()
                .filter(|ancestor| ancestor != name),
        );
        Path {
            run: bottle.map(|b| b.run),
            agent: match bottle {
                Some(bottle) => bottle.agent.clone(),
                None => manifest().and_then(|m| m.agent.clone()),
            },
            lineage: lineage
                .map(|name| {
                    let run = self.known.get(&name).map(|bottle| bottle.run);
                    (name, run)
                })
                .collect(),
        }
    }

    /// Returns the bottles that extend this one directly.
    pub fn children(&self, name: &BottleName) -> Vec<BottleName> {
        self.known
            .values()
            .filter(|b| b.parents.contains(name))
            .map(|b| b.name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> BottleName {
        BottleName::new(text).expect(text)
    }

    fn manifests(of: &[(&str, &[&str])]) -> Bottles {
        let mut bottles = Bottles::default();
        bottles.take_manifests(
            of.iter()
                .map(|(child, parents)| {
                    let parents = parents.iter().map(|p| name(p)).collect();
                    (
                        name(child),
                        Manifest {
                            parents,
                            ..Manifest::default()
                        },
                    )
                })
                .collect(),
        );
        bottles
    }

    #[test]
    fn ancestry_is_depth_first_last_listed_first_each_once() {
        let bottles = manifests(&[
            ("web", &["a", "b"]),
            ("a", &["root"]),
            ("b", &["mid"]),
            ("mid", &["root"]),
        ]);
        let found = bottles.ancestors(bottles.parents(&name("web")));
        assert_eq!(found, ["b", "mid", "root", "a"].map(name));
    }

    #[test]
    fn a_loop_ends_the_walk() {
        let bottles = manifests(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(bottles.path(&name("a")).lineage.len(), 2);
    }

    #[test]
    fn a_name_that_is_only_named_is_declared() {
        let bottles = manifests(&[("web", &["base"])]);
        assert_eq!(bottles.declared(), ["base", "web"].map(name));
    }
}
