//! The way of a call through the scopes, and what binds it there.

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope, Window};
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::view::{PathRole, Source};

use super::{Budget, Budgets};

/// The scopes a bottle's calls count on, from the most specific to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The run that calls; absent for a bottle that is only named.
    pub run: Option<RunId>,
    /// The agent it runs.
    pub agent: Option<AgentName>,
    /// The bottle, then its ancestors, nearest first, each with its own current run.
    pub lineage: Vec<(BottleName, Option<RunId>)>,
}

impl Path {
    /// Returns the scopes, most specific first.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        let launch = self.run.map(Scope::Launch);
        let agent = self.agent.clone().map(Scope::Agent);
        let bottles = self
            .lineage
            .iter()
            .map(|(name, _)| Scope::Bottle(name.clone()));
        launch
            .into_iter()
            .chain(agent)
            .chain(bottles)
            .chain([Scope::Host])
    }

    /// Returns every budget on the path of a call to `provider`, with what it is to that call.
    ///
    /// The nearest scope with a hard budget for the provider or for `all` governs: its hard
    /// budgets bind. A ceiling of a wider scope binds too. A soft budget never does. A launch
    /// stands for what the settings say of its agent and its bottle, not for what was ordered.
    pub fn roles<'a>(
        &self,
        budgets: &'a Budgets,
        provider: &ProviderKey,
    ) -> Vec<(&'a Budget, PathRole)> {
        self.roles_where(budgets, |selector| selector.matches(provider))
    }

    /// Returns the same of a call to a provider that has no budget of its own.
    pub fn roles_of_all<'a>(&self, budgets: &'a Budgets) -> Vec<(&'a Budget, PathRole)> {
        self.roles_where(budgets, |selector| *selector == ProviderSelector::All)
    }

    fn roles_where<'a>(
        &self,
        budgets: &'a Budgets,
        is_of: impl Fn(&ProviderSelector) -> bool,
    ) -> Vec<(&'a Budget, PathRole)> {
        let mut governing: Option<Scope> = None;
        let mut roles = Vec::new();
        for scope in self.scopes() {
            let launch_governs = matches!(governing, Some(Scope::Launch(_)));
            let mut governs = false;
            for budget in budgets.of_scope(&scope) {
                if !is_of(&budget.key().provider) {
                    continue;
                }
                let declared = &budget.declared;
                let ordered = matches!(declared.source, Source::Command { .. });
                let role = match declared.cap {
                    Cap::Soft => PathRole::Soft,
                    Cap::Hard if !self.counts(budget.key()) => PathRole::Counted,
                    Cap::Hard if governing.is_none() => {
                        governs = true;
                        PathRole::Binds
                    }
                    Cap::Hard if declared.ceiling => PathRole::Ceiling,
                    Cap::Hard if launch_governs && ordered && self.is_own(&scope) => {
                        PathRole::Binds
                    }
                    Cap::Hard => PathRole::Counted,
                };
                roles.push((budget, role));
            }
            if governs {
                governing = Some(scope);
            }
        }
        roles
    }

    /// Returns whether a scope is the caller's own: its run, its agent, its bottle.
    fn is_own(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Launch(_) | Scope::Agent(_) => true,
            Scope::Bottle(name) => self.lineage.first().is_some_and(|(own, _)| own == name),
            Scope::Host => false,
        }
    }

    /// Returns whether a budget counts anything: that of a bottle's run does not before it ran.
    fn counts(&self, key: &BudgetKey) -> bool {
        let has_run = |name: &BottleName| {
            let mut lineage = self.lineage.iter();
            lineage.any(|(bottle, run)| bottle == name && run.is_some())
        };
        match (&key.scope, key.window) {
            (Scope::Bottle(name), Window::Run) => has_run(name),
            _ => true,
        }
    }

    /// Returns the budgets that bind a call to `provider`, nearest scope first.
    pub fn binding<'a>(&self, budgets: &'a Budgets, provider: &ProviderKey) -> Vec<&'a Budget> {
        self.roles(budgets, provider)
            .into_iter()
            .filter(|(_, role)| matches!(role, PathRole::Binds | PathRole::Ceiling))
            .map(|(budget, _)| budget)
            .collect()
    }
}
