//! Parameters of what is asked of budgets.

use serde::{Deserialize, Serialize};

use super::Expect;
use super::call::asked_usage;
use crate::budget::{BudgetKey, Cap};
use crate::ids::{BottleName, CallId, ProviderKey};
use crate::time::Millis;
use crate::units::Tokens;
use crate::usage::{Usage, Wire};

/// Parameters of `budget.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetList {
    /// Only those on this bottle's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
}

/// Parameters of `budget.explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetExplain {
    /// Whose calls.
    pub bottle: BottleName,
    /// To which provider; absent: all that it named or called, or that have a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
}

/// Parameters of `budget.check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetCheck {
    /// Whose call.
    pub bottle: BottleName,
    /// To which provider.
    pub provider: ProviderKey,
    /// How many tokens it will cost, as budgets count them; at least one.
    pub tokens: Tokens,
}

/// Parameters of `budget.charge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetCharge {
    /// Its id, a new UUID: the same id twice charges once.
    pub id: CallId,
    /// Who spent them.
    pub bottle: BottleName,
    /// At which provider.
    pub provider: ProviderKey,
    /// The dialect; absent: the provider's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<Wire>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What was used, which the provider's weights make a charge.
    #[serde(
        default,
        deserialize_with = "asked_usage",
        skip_serializing_if = "Option::is_none"
    )]
    pub usage: Option<Usage>,
    /// How many tokens, as budgets count them; one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Only says what would be charged.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `budget.set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSet {
    /// Which budget.
    pub budget: BudgetKey,
    /// How many tokens; at least one.
    pub limit: Tokens,
    /// The most that one call may be expected to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_call: Option<Tokens>,
    /// Whether it blocks.
    #[serde(default)]
    pub cap: Cap,
    /// Whether it binds from above, whatever governs.
    #[serde(default)]
    pub ceiling: bool,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What must still be so: the run of a launch's budget, and that no budget was set, unset or
    /// raised after a revision.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `budget.unset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetUnset {
    /// Which budget.
    pub budget: BudgetKey,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What must still be so: the run of a launch's budget, and that no budget was set, unset or
    /// raised after a revision.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `budget.raise`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRaise {
    /// Which budget.
    pub budget: BudgetKey,
    /// By how many tokens; at least one.
    pub by: Tokens,
    /// For how long; absent, and without `once`: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<Millis>,
    /// Whether it ends when the budget's window turns.
    #[serde(default)]
    pub once: bool,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What must still be so: the run of a launch's budget, and that no budget was set, unset or
    /// raised after a revision.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `budget.reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetReset {
    /// Which budget.
    pub budget: BudgetKey,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What must still be so: the run of a launch's budget, and that no budget was set, unset or
    /// raised after a revision.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}
