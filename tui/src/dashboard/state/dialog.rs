//! A question that waits for the operator: what an order will do, and to whom exactly.

use bb_proto::units::Tokens;
use bb_proto::view::BottleState;

use super::fleet::Fleet;
use crate::dashboard::clean::Clean;
use crate::dashboard::msg::{Deal, Target};
use crate::dashboard::rows::{Budget, Deed, Failure};

/// A confirm dialog. Its target is a name and a run, as they were when it opened.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) deal: Deal,
    pub(crate) target: Target,
    pub(crate) name: Clean,
    /// What the controller says it would do; `None` until it answered.
    pub(crate) forecast: Option<Result<Deed, Failure>>,
    /// Calls in flight when that was asked for.
    pub(crate) asked_at_calls: u64,
    /// The focused button is the one that does it; it opens on the other.
    pub(crate) on_yes: bool,
}

/// What became of a dialog's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// It is what it was.
    Same,
    /// It ended.
    Ended,
    /// It was launched again under the same name.
    Relaunched,
    /// It is not known any more.
    Gone,
}

impl Dialog {
    /// Returns whether its target is still what it was when it opened.
    pub(crate) fn aim(&self, fleet: &Fleet) -> Aim {
        match fleet.bottle(&self.target.name) {
            None => Aim::Gone,
            Some(bottle) if bottle.told.run != Some(self.target.run) => Aim::Relaunched,
            Some(bottle) => match bottle.told.state {
                BottleState::Stopped | BottleState::Failed => Aim::Ended,
                _ => Aim::Same,
            },
        }
    }

    /// Returns whether `yes` may be pressed.
    pub(crate) fn may_act(&self, fleet: &Fleet) -> bool {
        self.aim(fleet) == Aim::Same && !matches!(self.forecast, Some(Err(_)))
    }
}

/// The form that raises a budget.
#[derive(Debug, Clone)]
pub(crate) struct RaiseForm {
    /// The budget as it was when the form opened.
    pub(crate) budget: Budget,
    /// What is typed: by how much.
    pub(crate) by: String,
}

impl RaiseForm {
    /// Opens with as much again as the limit.
    pub(crate) fn new(budget: Budget) -> Self {
        let by = crate::format::tokens(budget.told.limit.0);
        Self { budget, by }
    }

    /// Returns what is typed, if it is a number of tokens above zero.
    pub(crate) fn amount(&self) -> Option<Tokens> {
        let typed = self.by.trim().trim_start_matches('+');
        typed.parse().ok().filter(|by: &Tokens| by.0 > 0)
    }

    /// Doubles or halves what is typed.
    pub(crate) fn scale(&mut self, double: bool) {
        if let Some(Tokens(by)) = self.amount() {
            let scaled = if double {
                by.saturating_mul(2).min(bb_proto::units::TOKENS_MAX)
            } else {
                (by / 2).max(1)
            };
            self.by = crate::format::tokens(scaled);
        }
    }
}
