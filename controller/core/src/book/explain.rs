//! Why a call of a bottle would pass or not: every budget on its way, what it is to the call, and
//! what is left of it.

use std::collections::BTreeSet;

use bb_proto::budget::ProviderSelector;
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::view::{Explained, ExplainedBudget, PathRole, Verdict};

use super::Book;

/// How many raises of a budget are kept with a refusal.
const RAISES_KEPT: usize = 3;

impl Book {
    /// Returns the explanation of each provider's calls that a bottle's row speaks of, or of one.
    ///
    /// Of a bottle of which no provider is known there is one, of whichever provider it may call.
    pub fn explain(
        &self,
        name: &BottleName,
        provider: Option<&ProviderKey>,
        now: Timestamp,
    ) -> Vec<Explained> {
        let shown = self.bottle_view(name, now);
        let mut providers: BTreeSet<Option<ProviderKey>> = match provider {
            Some(provider) => BTreeSet::from([Some(provider.clone())]),
            None => shown.binding.keys().cloned().map(Some).collect(),
        };
        providers.extend(self.also_called(name, provider));
        if providers.is_empty() {
            providers.insert(None);
        }
        let explained = providers
            .into_iter()
            .map(|it| self.explained(name, it, now));
        explained.collect()
    }

    /// Returns providers that a bottle named or called, though nothing binds them.
    fn also_called(
        &self,
        name: &BottleName,
        asked: Option<&ProviderKey>,
    ) -> Vec<Option<ProviderKey>> {
        if asked.is_some() {
            return Vec::new();
        }
        let named = self.bottles.get(name).and_then(|it| it.provider.clone());
        let called = self
            .last_call
            .get(name)
            .map(|(provider, _)| provider.clone());
        named.into_iter().chain(called).map(Some).collect()
    }

    /// Returns the explanation that is kept with a refusal: without all but the newest raises.
    pub(super) fn explained_briefly(
        &self,
        name: &BottleName,
        provider: &ProviderKey,
        now: Timestamp,
    ) -> Explained {
        let mut explained = self.explained(name, Some(provider.clone()), now);
        for budget in &mut explained.budgets {
            let raises = &mut budget.budget.raises;
            raises.drain(..raises.len().saturating_sub(RAISES_KEPT));
        }
        explained
    }

    fn explained(
        &self,
        name: &BottleName,
        provider: Option<ProviderKey>,
        now: Timestamp,
    ) -> Explained {
        let path = self.bottles.path(name);
        let roles = match &provider {
            Some(provider) => path.roles(&self.budgets, provider),
            None => path.roles_of_all(&self.budgets),
        };
        let mut urgent: Vec<_> = roles
            .iter()
            .filter(|(_, role)| matches!(role, PathRole::Binds | PathRole::Ceiling))
            .map(|(budget, _)| (self.urgency(budget, now), budget.key()))
            .collect();
        urgent.sort();
        let first = urgent.first().map(|(_, key)| *key);
        let next = first.and_then(|first| Self::binds_after(first, &urgent, &roles));
        let budgets: Vec<ExplainedBudget> = roles
            .iter()
            .map(|(budget, role)| {
                let shown = self.budget_view(budget, now);
                ExplainedBudget {
                    left: shown.limit.minus(shown.used),
                    role: *role,
                    binds_first: first == Some(budget.key()),
                    binds_next: next == Some(budget.key()),
                    budget: shown,
                }
            })
            .collect();
        Explained {
            verdict: self.verdict(name, provider.as_ref(), &budgets),
            provider,
            budgets,
        }
    }

    fn verdict(
        &self,
        name: &BottleName,
        provider: Option<&ProviderKey>,
        budgets: &[ExplainedBudget],
    ) -> Verdict {
        let bottle = self.bottles.get(name);
        if bottle.is_none_or(|bottle| !bottle.is_running()) {
            return Verdict::Ended;
        }
        if bottle.is_some_and(|bottle| bottle.stop_ordered_at.is_some()) {
            return Verdict::Stopping;
        }
        let closing = bottle.and_then(|bottle| {
            if let Some(provider) = provider {
                return bottle.closing(provider).cloned();
            }
            let mut closings = bottle.closings.iter();
            let of_all = closings.find(|closing| closing.provider == ProviderSelector::All);
            of_all.cloned()
        });
        if let Some(closing) = closing {
            return Verdict::Closed { by: closing.by };
        }
        match budgets.iter().find(|it| it.binds_first) {
            None => Verdict::Unlimited,
            Some(first) if first.left.0 == 0 => Verdict::Spent {
                budget: first.budget.id.clone(),
            },
            Some(first) => Verdict::Admitted {
                binds: first.budget.id.clone(),
                left: first.left,
            },
        }
    }
}
