//! The gate `exact`: what a call can use at the most, and how much of that it is granted.

use bb_proto::budget::{Gate, Unbounded};
use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;

use super::admission::{Ask, Refusal, RefusalReason};
use super::reserve::{Grant, Look, Need};
use super::{Book, Terms};
use crate::budget::Budget;
use crate::estimate::Estimate;
use crate::weights::Weights;

/// The least output of one choice that a call is left, in tokens, where nothing else is said.
pub const FLOOR_DEFAULT: u64 = 1_024;
/// A call that has waited for this part of its wait goes with less.
pub(super) const IMPATIENT_AFTER: u64 = 2;
/// A call is capped to so many times what such calls usually have, where that lets it go beside
/// others; to less only where it is alone.
const TIMES_THE_USUAL: u64 = 4;

/// The most that a call can use, and how far that can be lowered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    weights: Weights,
    /// Tokens of input.
    input: u64,
    choices: u64,
    /// Tokens of output of one choice: what it asks for, or what is put in.
    output: u64,
    is_stated: bool,
    /// The least that it can be capped to.
    least: u64,
    /// The least that it is capped to while others are open.
    comfortable: u64,
}

impl Most {
    /// Returns the most of a call of which only the whole cost is known.
    pub(super) fn of_tokens(tokens: Tokens) -> Self {
        Self {
            weights: Weights::default(),
            input: tokens.0,
            choices: 1,
            output: 0,
            is_stated: true,
            least: 0,
            comfortable: 0,
        }
    }

    /// Returns the same of a call that has waited for long: it goes with the least it can do with.
    pub(super) fn impatient(self) -> Self {
        Self {
            comfortable: self.least,
            ..self
        }
    }

    /// Returns what the call costs at the most that is capped to so many tokens a choice.
    fn cost(&self, cap: u64) -> Tokens {
        let output = cap.saturating_mul(self.choices);
        let input = self.weights.charge_input(self.input);
        input.plus(self.weights.charge_output(output))
    }

    /// Returns the largest cap that costs no more than there is room for.
    fn cap_within(&self, room: Tokens) -> u64 {
        let room = room.minus(self.weights.charge_input(self.input));
        let weight = u128::from(self.weights.output.0).saturating_mul(u128::from(self.choices));
        let cap = u128::from(room.0).saturating_mul(1_000).checked_div(weight);
        let cap = cap.map_or(u64::MAX, |cap| u64::try_from(cap).unwrap_or(u64::MAX));
        cap.min(self.output)
    }

    fn grant(&self, cap: u64) -> Look {
        Look::Fits(Grant {
            reserved: self.cost(cap),
            terms: Terms::Exact {
                input: self.input,
                output: cap.saturating_mul(self.choices),
                cap: (!self.is_stated || cap < self.output).then_some(cap),
            },
        })
    }
}

/// Whether the budgets that bind a call admit it by the most that it can use.
pub(super) enum Exactness {
    /// None does.
    None,
    /// One does, and this is the most.
    Bounded(Most),
    /// One does and nothing bounds the call; it goes by what it is expected to use.
    Unbounded,
    /// One does and refuses what nothing bounds.
    Refused(Refusal),
}

impl Book {
    /// Returns whether calls of a bottle to a provider are admitted by the most they can use.
    pub fn admits_exactly(&self, bottle: &BottleName, provider: &ProviderKey) -> bool {
        let path = self.bottles.path(bottle);
        let gate = self.gate_of_bottle(bottle);
        let binding = path.binding(&self.budgets, provider);
        binding
            .into_iter()
            .any(|budget| budget.declared.gate.unwrap_or(gate) == Gate::Exact)
    }

    /// Returns how a bottle's calls are admitted where a budget does not say: as the nearest of it
    /// and its ancestors says.
    pub(super) fn gate_of_bottle(&self, bottle: &BottleName) -> Gate {
        let said = self.said_of(bottle, |manifest| manifest.gate);
        said.unwrap_or(self.rules.gate)
    }

    pub(super) fn unbounded_of_bottle(&self, bottle: &BottleName) -> Unbounded {
        let said = self.said_of(bottle, |manifest| manifest.unbounded);
        said.unwrap_or(self.rules.unbounded)
    }

    fn said_of<T>(
        &self,
        bottle: &BottleName,
        said: impl Fn(&crate::bottle::Manifest) -> Option<T>,
    ) -> Option<T> {
        if self.rules.manifests.values().all(|it| said(it).is_none()) {
            return None;
        }
        let path = self.bottles.path(bottle);
        let mut lineage = path.lineage.iter();
        lineage.find_map(|(name, _)| self.bottles.manifest(name).and_then(&said))
    }

    pub(super) fn most(&self, ask: &Ask, estimate: Estimate) -> Option<Most> {
        let bound = ask.bound?;
        let choices = u64::from(ask.choices.max(1));
        let least = self.rules.floor.saturating_add(bound.thinking);
        let usual = estimate.output.checked_div(choices).unwrap_or(0);
        let comfortable = usual.saturating_mul(TIMES_THE_USUAL).max(least);
        Some(Most {
            weights: self.weights(&ask.provider),
            input: bound.input,
            choices,
            output: bound.output,
            is_stated: bound.is_stated,
            least: least.min(bound.output),
            comfortable: comfortable.min(bound.output),
        })
    }

    /// Looks whether one of the budgets that bind a call admits by the most it can use; all of them
    /// do then, since one amount is set aside for all.
    pub(super) fn exactness(&self, binding: &[&Budget], need: &Need) -> Exactness {
        let is_exact = |budget: &&&Budget| budget.declared.gate.unwrap_or(need.gate) == Gate::Exact;
        let mut exact = binding.iter().filter(is_exact).peekable();
        if exact.peek().is_none() {
            return Exactness::None;
        }
        if let Some(most) = need.most {
            return Exactness::Bounded(most);
        }
        let refuses = |budget: &&&Budget| {
            budget.declared.unbounded.unwrap_or(need.unbounded) == Unbounded::Refuse
        };
        let spent = |budget: &&Budget| self.sum_of(budget.key()).balance.posted >= budget.limit();
        match exact.find(refuses) {
            // That it is spent is said first, and once for all.
            Some(budget) if !binding.iter().any(spent) => Exactness::Refused(Refusal {
                reason: RefusalReason::Unbounded,
                ..self.refused_by(budget)
            }),
            _ => Exactness::Unbounded,
        }
    }

    /// Looks at every budget that binds a call by the most it can use; its cap is lowered to what
    /// all of them have left.
    ///
    /// While others are open a call leaves half of what there is to those that come, so that several
    /// go at once where there is little left.
    pub(super) fn look_exactly(&self, binding: &[&Budget], gate: Gate, most: &Most) -> Look {
        let mut cap = most.output;
        let mut waits = false;
        for budget in binding {
            let sum = self.sum_of(budget.key());
            let (posted, pending) = (sum.balance.posted, sum.aside.pending);
            let limit = budget.limit();
            let refusal = || self.refused_by(budget);
            if posted >= limit {
                return Look::Exhausted(budget.key().clone(), refusal());
            }
            if budget.declared.gate.unwrap_or(gate) == Gate::Off {
                continue;
            }
            let room = limit.minus(posted.plus(pending));
            if most.cost(most.output) <= room {
                continue;
            }
            let is_alone = sum.aside.calls == 0;
            let fits = most.cost(most.least) <= limit.minus(posted);
            match (is_alone, fits) {
                (true, true) => cap = cap.min(most.cap_within(limit.minus(posted))),
                (true, false) => return Look::Exhausted(budget.key().clone(), refusal()),
                (false, true) if most.cost(most.comfortable) <= room => {
                    let half = most.cap_within(room).div_euclid(2);
                    cap = cap.min(half.max(most.comfortable));
                }
                (false, true) => waits = true,
                (false, false) => {
                    return Look::Refuse(Refusal {
                        reason: RefusalReason::NoRoom,
                        ..refusal()
                    });
                }
            }
        }
        if waits { Look::Wait } else { most.grant(cap) }
    }
}

impl Terms {
    /// Returns what a call is expected to use on these terms: no more than was granted.
    pub(super) fn expected(self, estimate: Estimate) -> Estimate {
        let Self::Exact { input, output, .. } = self else {
            return estimate;
        };
        Estimate {
            input: estimate.input.min(input),
            output: estimate.output.min(output),
            ..estimate
        }
    }

    /// Returns usage of which what its provider did not state is no more than was granted.
    pub(super) fn within(self, usage: Usage, stated: &Usage) -> Usage {
        let Self::Exact { input, output, .. } = self else {
            return usage;
        };
        let is_input_stated =
            stated.input.is_some() || stated.cache_read.is_some() || stated.cache_write.is_some();
        let output = output.max(stated.output.unwrap_or(0));
        Usage {
            input: match usage.input {
                Some(count) if !is_input_stated => Some(count.min(input)),
                count => count,
            },
            output: usage.output.map(|count| count.min(output)),
            reasoning: usage.reasoning.map(|count| count.min(output)),
            ..usage
        }
    }
}
