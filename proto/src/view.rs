//! The state as clients see it: what `snapshot` carries.
//!
//! Time left, pace, what binds and what binds next are computed by the controller, so that every
//! client says the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::{BudgetKey, Cap, Gate, Policy, ProviderSelector, Scope, Window};
use crate::ids::{AgentName, BottleName, ProviderKey, RunId};
use crate::process::Process;
use crate::time::Timestamp;
use crate::units::Tokens;

/// Answer of `snapshot`: everything, or what changed since a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Where the controller stands.
    pub head: Head,
    /// Budgets, all or those that changed.
    pub budgets: Vec<Budget>,
    /// Bottles, all or those that changed; those only named as a parent among them.
    pub bottles: Vec<Bottle>,
    /// Whether the rows are all there are, so that a row not in it is gone.
    pub whole: bool,
    /// Budgets that went away since the revision asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets_gone: Vec<BudgetKey>,
    /// Bottles that went away since the revision asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bottles_gone: Vec<BottleName>,
    /// Whether another part follows.
    #[serde(default)]
    pub more: bool,
    /// The `part` to ask for next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// Where the controller stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Grows with every change.
    pub revision: u64,
    /// The controller's time.
    pub now: Timestamp,
    /// The time zone that windows turn in.
    pub time_zone: String,
    /// When the controller started.
    pub started_at: Timestamp,
    /// The version of the messages.
    pub protocol: u32,
    /// The version of the controller.
    pub version: String,
    /// Its home directory.
    pub home: String,
    /// Its process id.
    pub pid: u32,
    /// Where the egress proxy listens, such as `127.0.0.1:7717`.
    pub egress: String,
    /// Whether the ledger takes charges.
    pub ledger: Ledger,
    /// Whether there is a settings file; without one nothing but commands limits anything.
    pub has_settings: bool,
    /// Sums over all bottles.
    pub totals: Totals,
    /// The number of the newest event.
    pub events: u64,
}

/// Whether the ledger takes charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Ledger {
    /// It does.
    Ok,
    /// It does not: new calls are refused.
    Failing {
        /// Since when.
        since: Timestamp,
    },
}

/// Sums over all bottles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Bottles, without those only named.
    pub bottles: u64,
    /// Bottles by state.
    pub by_state: BTreeMap<BottleState, u64>,
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls that wait for admission.
    pub waiting: u64,
    /// Since when the first of them waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// Tokens charged in the last full minute.
    pub rate_per_minute: u64,
    /// Orders not carried out yet.
    pub orders_open: u64,
}

/// What a bottle is doing, as far as we let it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BottleState {
    /// Only named as a parent.
    Declared,
    /// Its calls are admitted.
    Running,
    /// Its way to a provider, or all of it, is closed.
    Cutoff,
    /// Its command ended well, or was stopped.
    Stopped,
    /// Its command ended with an error.
    Failed,
}

/// How far we can stop it without its help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Enforcement {
    /// No way around the proxy.
    Sealed,
    /// It has no provider key of its own.
    Keyed,
    /// It has its own login and its own network.
    Advisory,
}

/// Who closed a way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// A budget that is spent.
    Budget(BudgetKey),
    /// The operator.
    Operator,
}

/// A way that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// To which provider; `all` is all egress.
    pub provider: ProviderSelector,
    /// By whom.
    pub by: ClosedBy,
    /// Since when.
    pub since: Timestamp,
    /// Why, where the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a budget is to a bottle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathRole {
    /// It is in the governing scope and binds.
    Binds,
    /// It binds from above, whatever governs.
    Ceiling,
    /// It warns only.
    Soft,
    /// It counts; a nearer scope governs.
    Counted,
}

/// A budget on a bottle's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathBudget {
    /// Which.
    pub budget: BudgetKey,
    /// What it is to this bottle.
    pub role: PathRole,
}

/// A bottle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bottle {
    /// Its name.
    pub name: BottleName,
    /// Its current or last run; absent where it is only named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What its manifest extends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BottleName>,
    /// The agent it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Its provider, where it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// What it is doing.
    pub state: BottleState,
    /// Whether a budget that binds it has reached a warning level.
    #[serde(default)]
    pub warned: bool,
    /// What the operator wants where it is not so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
    /// How far we can stop it.
    pub enforcement: Enforcement,
    /// Calls in flight.
    pub in_flight: u64,
    /// Calls that wait for admission.
    pub waiting: u64,
    /// Since when the first of them waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// Until when that one may wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// What is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Closed>,
    /// Calls refused in this run.
    pub refusals: u64,
    /// The budgets on its way, nearest scope first.
    pub path: Vec<PathBudget>,
    /// By provider: the budget that will bind first.
    pub binding: BTreeMap<ProviderKey, BudgetKey>,
    /// By provider: the one that binds if that one is raised or unset.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binds_next: BTreeMap<ProviderKey, BudgetKey>,
    /// Tokens charged in this run.
    pub used_run: Tokens,
    /// Tokens charged ever.
    pub used_total: Tokens,
    /// The provider of its newest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_provider: Option<ProviderKey>,
    /// The model of its newest call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_model: Option<String>,
    /// Tokens charged in the last full minute.
    pub rate_per_minute: u64,
    /// Charges of the last 20 half minutes, oldest first; empty where all are zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<u64>,
    /// When this run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How its command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The command it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its process on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// An order that is not carried out yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What is wanted.
    pub state: BottleState,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Where a budget comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Source {
    /// The settings file.
    Settings {
        /// Its line.
        line: u32,
    },
    /// A launch.
    Launch {
        /// The bottle.
        bottle: BottleName,
    },
    /// A command.
    Command {
        /// The user id that gave it.
        uid: u32,
    },
}

/// A raise of a budget's limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// By how much.
    pub by: Tokens,
    /// When it was given.
    pub at: Timestamp,
    /// The user id that gave it.
    pub uid: u32,
    /// Why, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Which: its scope, provider and window in one text.
    pub id: BudgetKey,
    /// Whose tokens.
    pub scope: Scope,
    /// For a launch: the bottle that was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
    /// Which provider's.
    pub provider: ProviderSelector,
    /// Over which time.
    pub window: Window,
    /// When the window began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it resets; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
    /// The limit in force, raises included.
    pub limit: Tokens,
    /// Charged so far.
    pub used: Tokens,
    /// Reserved and not yet resolved.
    pub pending: Tokens,
    /// Whole percent of `used` that went to cache reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_percent: Option<u64>,
    /// The most that one call may be expected to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_call: Option<Tokens>,
    /// Whether it binds from above.
    #[serde(default)]
    pub ceiling: bool,
    /// Whether it blocks.
    pub cap: Cap,
    /// How calls are admitted to it.
    pub gate: Gate,
    /// What happens when it is exhausted, where the budget itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Warning levels in percent.
    pub warn: Vec<u8>,
    /// Those that were reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned: Vec<u8>,
    /// Since when it is exhausted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted_since: Option<Timestamp>,
    /// Where it comes from.
    pub source: Source,
    /// What of the settings or a launch it hides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hides: Option<Source>,
    /// Raises in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raises: Vec<Raise>,
    /// Tokens charged to it in the last full minute.
    pub rate_per_minute: u64,
    /// Milliseconds until it is spent at that rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// When it is spent at that rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_at: Option<Timestamp>,
    /// Whether it resets before it is spent.
    #[serde(default)]
    pub resets_first: bool,
    /// Share of the window that is gone, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_thousandths: Option<u32>,
    /// Used share over elapsed share, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_thousandths: Option<u32>,
}

/// Why calls of a bottle to a provider pass, or do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// To which provider; absent where the bottle has called none and no budget names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// What becomes of a call now.
    pub verdict: Verdict,
    /// The budgets on its way, nearest scope first.
    pub budgets: Vec<ExplainedBudget>,
}

/// What becomes of a call now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    /// Nothing limits it.
    Unlimited,
    /// It is admitted as far as it fits.
    Admitted {
        /// The budget that will bind first.
        binds: BudgetKey,
        /// What is left of that.
        left: Tokens,
    },
    /// A budget is spent, and the next call closes the way.
    Spent {
        /// Which.
        budget: BudgetKey,
    },
    /// The way is closed.
    Closed {
        /// By whom.
        by: ClosedBy,
    },
    /// Its bottle is told to stop.
    Stopping,
    /// Its bottle has ended.
    Ended,
}

/// A budget on the way of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedBudget {
    /// The budget.
    pub budget: Budget,
    /// What it is to the call.
    pub role: PathRole,
    /// What is left of it, calls in flight not counted.
    pub left: Tokens,
    /// Whether it will bind first.
    #[serde(default)]
    pub binds_first: bool,
    /// Whether it binds if that one is raised or unset.
    #[serde(default)]
    pub binds_next: bool,
}
