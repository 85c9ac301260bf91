//! The way of a call through the scopes, and what binds it there.

use bb_proto::budget::{Cap, Scope};
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::view::PathRole;

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
    /// budgets bind. A ceiling of a wider scope binds too. A soft budget never does.
    pub fn roles<'a>(
        &self,
        budgets: &'a Budgets,
        provider: &ProviderKey,
    ) -> Vec<(&'a Budget, PathRole)> {
        let mut governed = false;
        let mut roles = Vec::new();
        for scope in self.scopes() {
            let mut governs = false;
            for budget in budgets.of_scope(&scope) {
                if !budget.key().provider.matches(provider) {
                    continue;
                }
                let declared = &budget.declared;
                let role = match declared.cap {
                    Cap::Soft => PathRole::Soft,
                    Cap::Hard if !governed => {
                        governs = true;
                        PathRole::Binds
                    }
                    Cap::Hard if declared.ceiling => PathRole::Ceiling,
                    Cap::Hard => PathRole::Counted,
                };
                roles.push((budget, role));
            }
            governed = governed || governs;
        }
        roles
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
