//! What a call asks for, and what it is answered.

use bb_proto::budget::BudgetKey;
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::usage::Wire;

use super::Terms;
use crate::budget::Budget;
use crate::estimate::{Called, Estimate, InputSize};
use crate::request::Bound;

/// A call that asks to be admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its id, new.
    pub call: CallId,
    /// The bottle.
    pub bottle: BottleName,
    /// The run its token stands for.
    pub run: RunId,
    /// The provider.
    pub provider: ProviderKey,
    /// The dialect.
    pub wire: Wire,
    /// The model asked for; empty where the request does not say.
    pub model: String,
    /// How large its input is.
    pub input: InputSize,
    /// The most output tokens it asks for, of each choice.
    pub output_max: Option<u64>,
    /// How many choices it asks for.
    pub choices: u32,
    /// Whether it is to be answered in the background, where nobody could cut it.
    pub background: bool,
    /// The most that it can use; none where nothing bounds it.
    pub bound: Option<Bound>,
    /// Where a sidecar asks, which meters it by itself.
    pub sidecar: Option<SidecarAsk>,
}

/// What a sidecar wants besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SidecarAsk {
    /// The longest its call waits for room, where that is less than the settings say.
    pub wait_max: Option<Millis>,
}

impl Ask {
    /// Returns how long it waits for room, where the settings say `wait`.
    pub(super) fn wait(&self, wait: Millis) -> Millis {
        let wait_max = self.sidecar.and_then(|sidecar| sidecar.wait_max);
        wait_max.map_or(wait, |wait_max| wait_max.min(wait))
    }

    pub(super) fn called(&self) -> Called<'_> {
        Called {
            provider: &self.provider,
            wire: self.wire,
            model: &self.model,
        }
    }
}

/// A call that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The call.
    pub call: CallId,
    /// Tokens set aside for it.
    pub reserved: Tokens,
    /// What it is expected to use.
    pub estimate: Estimate,
    /// On what terms it goes.
    pub terms: Terms,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// A budget is spent.
    Budget,
    /// What a budget has left is set aside for calls that are open.
    NoRoom,
    /// The operator closed the bottle's egress.
    Operator,
    /// The bottle's run ended.
    Ended,
    /// It is expected to cost more than a budget lets one call cost.
    PerCall,
    /// It is to be answered in the background, and a hard budget binds it.
    Background,
    /// Nothing bounds it, and a budget admits only what is bounded.
    Unbounded,
}

/// Why a call is refused, and by which budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The budget that refuses it.
    pub budget: Option<BudgetKey>,
    /// That budget's limit.
    pub limit: Option<Tokens>,
    /// What was charged to it.
    pub used: Option<Tokens>,
    /// When its window turns, where that is known.
    pub resets_at: Option<Timestamp>,
}

impl Refusal {
    pub(super) fn plain(reason: RefusalReason) -> Self {
        Self {
            reason,
            budget: None,
            limit: None,
            used: None,
            resets_at: None,
        }
    }

    pub(super) fn by(budget: &Budget, used: Tokens, resets_at: Option<Timestamp>) -> Self {
        Self {
            reason: RefusalReason::Budget,
            budget: Some(budget.key().clone()),
            limit: Some(budget.limit()),
            used: Some(used),
            resets_at,
        }
    }
}

/// What the book answers to a call that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may go.
    Admitted(Admitted),
    /// It waits; an [`Effect::Admit`](super::Effect::Admit) or [`Effect::Refuse`](super::Effect::Refuse) follows.
    Waiting,
    /// It may not.
    Refused(Refusal),
}
