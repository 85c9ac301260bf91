//! What the methods answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::BudgetKey;
use crate::event::Event;
use crate::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use crate::time::Timestamp;
use crate::units::Tokens;
use crate::usage::{Usage, Wire};
use crate::view::{Bottle, BottleState, Budget, Explained, Ledger};

mod call;
mod ledger;

pub use call::{
    BudgetCharged, CallAdmitted, CallEstimate, CallFlowing, CallRefused, CallReserved,
    CallResolved, CallSettled, CallVoided, RefusedFor,
};
pub use ledger::{
    BalanceDifference, EntryFault, EntryKind, EntryUsage, FileCheck, LedgerBackedUp,
    LedgerCorrected, LedgerEntries, LedgerEntry, LedgerVerified, RolledUp,
};

/// Answer of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the messages.
    pub protocol: u32,
    /// The version of the controller.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Its home directory.
    pub home: String,
    /// Its log file.
    pub log: String,
    /// Where the egress proxy listens.
    pub egress: String,
    /// When it started.
    pub started_at: Timestamp,
}

/// Answer of `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether calls are admitted.
    pub ok: bool,
    /// Whether the ledger takes charges.
    pub ledger: Ledger,
    /// What is wrong or missing, and what to do.
    pub findings: Vec<Finding>,
    /// By provider: how far what calls were expected to use was from what they used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub estimates: BTreeMap<ProviderKey, EstimateErrors>,
    /// How the command of `on_event` fared; absent where none was set since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
}

/// How the command that is run at events fared since the controller started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// How many run now.
    pub running: u64,
    /// How often it ended well.
    pub succeeded: u64,
    /// How often it could not be started, ended with a failure or was killed.
    pub failed: u64,
    /// How many events were left out because too many waited for their turn.
    pub dropped: u64,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<HookFailure>,
}

/// A failure of the command that is run at events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    /// When.
    pub at: Timestamp,
    /// A sentence for people.
    pub text: String,
}

/// How far estimates were from what a provider stated, over its last calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimateErrors {
    /// Of how many calls: the last 64 of each model.
    pub calls: u64,
    /// Of the input.
    pub input: Spread,
    /// Of the output.
    pub output: Spread,
}

/// Relative errors, over and under alike, in thousandths of what was stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the calls were within it.
    pub median_thousandths: u32,
    /// 95 of 100 calls were within it.
    pub p95_thousandths: u32,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// Something is weaker than it could be.
    Warning,
    /// Something that was asked for does not hold.
    Error,
}

/// Something that is enforced, missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What.
    pub text: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a client is pointed at us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEnv {
    /// The recipe it is made by.
    pub client: String,
    /// Environment variables to set.
    pub env: BTreeMap<String, String>,
    /// Environment variables to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_remove: Vec<String>,
    /// Arguments to put right after the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// Answer of `bottle.register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub name: BottleName,
    /// This run.
    pub run: RunId,
    /// What it identifies itself by.
    pub token: String,
    /// Where it sends its calls, such as `http://127.0.0.1:7717`.
    pub base_url: String,
    /// How the client asked for is pointed at us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientEnv>,
    /// What weakens the enforcement, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Answer of `bottle.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bottles {
    /// The revision they were read at.
    pub revision: u64,
    /// All bottles, those only named too.
    pub bottles: Vec<Bottle>,
}

/// Answer of `bottle.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BottleDetail {
    /// The revision it was read at.
    pub revision: u64,
    /// The bottle.
    pub bottle: Bottle,
    /// The budgets on its path, nearest scope first.
    pub budgets: Vec<Budget>,
    /// Its children.
    pub children: Vec<BottleName>,
}

/// Answer of what acts on bottles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// Whether nothing was done because only the consequence was asked for.
    #[serde(default)]
    pub dry_run: bool,
    /// One for each bottle named, in that order.
    pub targets: Vec<Target>,
}

/// What an act did to one bottle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The bottle.
    pub name: BottleName,
    /// Its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Whether anything changed; false where it already was so.
    pub changed: bool,
    /// Streams that were ended, or would be.
    #[serde(default)]
    pub streams_ended: u64,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub took_us: u64,
    /// The state that was observed after it.
    pub observed: BottleState,
    /// What else there is to say: what was not reached, what is still closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Answer of `budget.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// The revision they were read at.
    pub revision: u64,
    /// The budgets.
    pub budgets: Vec<Budget>,
}

/// Answer of `budget.explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The revision it was read at.
    pub revision: u64,
    /// Whose calls.
    pub bottle: BottleName,
    /// By provider.
    pub providers: Vec<Explained>,
}

/// Answer of `budget.check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetChecked {
    /// What would become of the call.
    pub would: Would,
    /// The budget that refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetKey>,
    /// That budget's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Tokens>,
    /// What was charged to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Tokens>,
}

/// What would become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Would {
    /// It would go.
    Pass,
    /// It would wait until open calls are settled.
    Wait,
    /// A budget would refuse it.
    BeOverBudget,
    /// The operator closed the way.
    BeCutOff,
    /// The bottle has ended.
    HaveEnded,
}

/// Answer of what changes a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetChanged {
    /// Whether nothing was done because only the consequence was asked for.
    #[serde(default)]
    pub dry_run: bool,
    /// The budget as it is now; absent where none of that key is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The limit it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_before: Option<Tokens>,
    /// Bottles that were opened by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<BottleName>,
    /// Bottles that were cut off by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut_off: Vec<BottleName>,
}

/// Answer of `usage.query`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usages {
    /// The rows.
    pub rows: Vec<UsageRow>,
    /// The sum of all calls asked for, also those beyond the row limit.
    pub total: UsageSum,
}

/// Sums of the calls of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSum {
    /// Calls that were charged.
    pub calls: u64,
    /// Of those, how many were charged by an estimate.
    pub estimated: u64,
    /// Prompt tokens neither read from nor written to a cache.
    pub input: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Generated tokens.
    pub output: u64,
    /// The part of `output` that is reasoning.
    pub reasoning: u64,
    /// What they cost the budgets.
    pub charge: Tokens,
}

/// A row of `usage.query`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The bottle, where rows are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
    /// The agent, where rows are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The provider, where rows are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// The model, where rows are of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The call, where rows are calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallRow>,
    /// The sums.
    pub sum: UsageSum,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ending {
    /// The provider ended it.
    Complete,
    /// The provider reported an error within the answer.
    ProviderError,
    /// The provider answered with an error status.
    Refused,
    /// The client went away.
    ClientGone,
    /// The provider went away.
    UpstreamGone,
    /// We ended it.
    Cut,
    /// It goes on at the provider after its request has ended; a later look at it states the rest.
    Background,
    /// The controller ended while it was open.
    Crash,
    /// It was no call of the proxy: tokens that were spent outside of it, as `budget.charge` said.
    Outside,
    /// It was taken back: surely not billed.
    Voided,
}

/// What is known of one call besides its sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// Its id.
    pub id: CallId,
    /// The bottle's run.
    pub run: RunId,
    /// The dialect.
    pub wire: Wire,
    /// When it was reserved.
    pub started_at: Timestamp,
    /// When it was resolved.
    pub ended_at: Timestamp,
    /// What the provider stated.
    pub usage: Usage,
    /// Whether the charge is an estimate.
    pub estimated: bool,
    /// How it ended.
    pub ending: Ending,
    /// The provider's status, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// Answer of `audit.list` and `events.list`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Answer of `events.watch`; notifications follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {
    /// The number of the newest event before the first that will be sent.
    pub after: u64,
}

/// Answer of `settings.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The file.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// When it was taken.
    pub loaded_at: Timestamp,
    /// What is in force, secrets left out.
    pub settings: serde_json::Value,
}

/// Answer of `settings.check` and `settings.reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChecked {
    /// The file.
    pub path: String,
    /// Whether it was taken; false also where only a check was asked for.
    pub applied: bool,
    /// Every mistake; empty where it can be taken.
    pub mistakes: Vec<Mistake>,
    /// What taking it changes, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// A mistake in the settings file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its line, from 1.
    pub line: u32,
    /// Its column, from 1.
    pub column: u32,
    /// What is wrong.
    pub text: String,
    /// What was meant, or what to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Answer of `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShuttingDown {
    /// How long calls in flight may still take, in milliseconds.
    pub grace_ms: u64,
    /// Calls in flight.
    pub in_flight: u64,
}
