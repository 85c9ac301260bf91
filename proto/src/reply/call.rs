//! What a sidecar is answered that meters calls itself.

use serde::{Deserialize, Serialize};

use super::Ending;
use crate::budget::BudgetKey;
use crate::ids::{BottleName, CallId, ProviderKey};
use crate::time::Timestamp;
use crate::units::Tokens;

/// Answer of `budget.charge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetCharged {
    /// The id it came with.
    pub id: CallId,
    /// Who spent them.
    pub bottle: BottleName,
    /// At which provider.
    pub provider: ProviderKey,
    /// What it costs the budgets.
    pub charge: Tokens,
    /// When it was charged.
    pub at: Timestamp,
    /// Whether it was charged before by the same id: nothing was done now.
    #[serde(default)]
    pub already: bool,
    /// Whether nothing was done because only the consequence was asked for.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer of `call.reserve`: one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReserved {
    /// The call.
    pub call: CallId,
    /// It may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<CallAdmitted>,
    /// It may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<CallRefused>,
    /// It was resolved under this id before, and may not go again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<CallResolved>,
}

/// What was set aside for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAdmitted {
    /// Tokens set aside for it; zero where no budget binds it.
    pub reserved: Tokens,
    /// What it is expected to use.
    pub estimate: CallEstimate,
}

/// What a call is expected to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEstimate {
    /// Tokens of input.
    pub input: u64,
    /// Tokens of output.
    pub output: u64,
}

/// Why a call may not go, or must end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRefused {
    /// Why.
    pub reason: RefusedFor,
    /// The budget that refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetKey>,
    /// That budget's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Tokens>,
    /// What was charged to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Tokens>,
    /// What to tell the agent: a sentence that makes no client ask again.
    pub sentence: String,
}

/// Why a call may not go, or must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusedFor {
    /// A budget of the bottle is spent.
    Budget,
    /// A budget that it shares is spent.
    SharedBudget,
    /// What a budget has left is set aside for calls that are open.
    NoRoom,
    /// It is expected to cost more than a budget lets one call cost.
    TooLarge,
    /// A budget admits only what has a bound, and nothing bounds it.
    Unbounded,
    /// The operator closed the bottle's egress.
    Operator,
    /// The bottle's run ended.
    Ended,
    /// It would go on where nobody could cut it.
    Background,
    /// The ledger takes no charges: its disk is full or failing.
    LedgerClosed,
    /// Too much waits for the ledger.
    Busy,
    /// The controller is ending.
    Draining,
}

/// How a call was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResolved {
    /// How it ended.
    pub ending: Ending,
    /// What it was charged; zero where it was taken back.
    pub charge: Tokens,
    /// How much of that was not set aside.
    pub overrun: Tokens,
    /// Whether the charge is an estimate.
    pub estimated: bool,
    /// What it was admitted with, as long as that is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<CallAdmitted>,
}

/// Answer of `call.flowed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFlowing {
    /// Why the call must end now; null: it may go on.
    pub cut: Option<CallRefused>,
}

/// Answer of `call.settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSettled {
    /// The call.
    pub call: CallId,
    /// What it costs its budgets.
    pub charge: Tokens,
    /// How much of that was not set aside.
    pub overrun: Tokens,
    /// Whether the charge is an estimate.
    pub estimated: bool,
    /// How it ended.
    pub ending: Ending,
    /// Whether it was charged before: this is the first answer.
    #[serde(default)]
    pub already: bool,
}

/// Answer of `call.void`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallVoided {
    /// The call.
    pub call: CallId,
    /// Whether it was taken back before.
    #[serde(default)]
    pub already: bool,
}
