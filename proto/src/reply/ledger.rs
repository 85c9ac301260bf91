//! What is answered to questions about the ledger's entries.

use serde::{Deserialize, Serialize};

use super::Ending;
use crate::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use crate::time::Timestamp;
use crate::units::Tokens;
use crate::usage::{Usage, Wire};

/// What an entry says of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// It was charged.
    Settle,
    /// A later word of the provider, or the operator, changed the charge, by the differences that
    /// stand here.
    Amend,
    /// It was taken back: surely not billed.
    Void,
}

/// Token counts of an entry; the first four are disjoint.
///
/// Those of an amendment are differences. `None` is "the provider did not state it".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EntryUsage {
    /// Prompt tokens neither read from nor written to a cache.
    pub input: Option<i64>,
    /// Prompt tokens read from a cache.
    pub cache_read: Option<i64>,
    /// Prompt tokens written to a cache.
    pub cache_write: Option<i64>,
    /// Generated tokens.
    pub output: Option<i64>,
    /// The part of `output` that is reasoning.
    pub reasoning: Option<i64>,
}

/// An entry of the ledger: never changed, and taken away only by what it is rolled up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its number: later entries have larger ones.
    pub seq: u64,
    /// What it says of its call.
    pub kind: EntryKind,
    /// The call.
    pub call: CallId,
    /// When it was made.
    pub at: Timestamp,
    /// When the call was reserved.
    pub started_at: Timestamp,
    /// The bottle.
    pub bottle: BottleName,
    /// The bottle's run.
    pub run: RunId,
    /// The agent it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The provider.
    pub provider: ProviderKey,
    /// The dialect.
    pub wire: Wire,
    /// The model; empty where the request did not say.
    pub model: String,
    /// What the provider stated, or what was estimated.
    pub usage: EntryUsage,
    /// What it costs the budgets; of an amendment the difference.
    pub charge: i64,
    /// How much of the charge was not reserved.
    pub overrun: Tokens,
    /// Whether the charge is an estimate.
    pub estimated: bool,
    /// How the call ended.
    pub ending: Ending,
    /// The provider's status, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The user id of the peer that corrected the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Why, as that peer gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The output tokens of one choice that its request was capped to by the gate `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<u64>,
    /// Whether nothing bounded it, and the gate `exact` admitted it by estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unbounded: bool,
}

/// Answer of `ledger.correct`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCorrected {
    /// The call.
    pub call: CallId,
    /// What it was charged before.
    pub before: Tokens,
    /// What it is charged now, or would be.
    pub after: Tokens,
    /// What it used, as corrected.
    pub usage: Usage,
    /// Whether nothing was done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Calls that are kept one by one no longer: the sums of those of an hour that agree in what is
/// named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledUp {
    /// The number of the last entry it stands for.
    pub seq: u64,
    /// The number of the first one.
    pub first: u64,
    /// When the hour began in which these entries were made.
    pub hour: Timestamp,
    /// The bottle.
    pub bottle: BottleName,
    /// The bottle's run.
    pub run: RunId,
    /// The agent it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The provider.
    pub provider: ProviderKey,
    /// The model; empty where the requests did not say.
    pub model: String,
    /// Calls that were charged.
    pub calls: u64,
    /// Those of them whose charge is an estimate.
    pub estimated: u64,
    /// Calls that were taken back.
    pub voided: u64,
    /// Amendments, whose differences are in the sums.
    pub amended: u64,
    /// The sums of the counts; `None` where no entry stated one.
    pub usage: EntryUsage,
    /// The sum of the charges.
    pub charge: i64,
    /// The sum of what was not reserved of them.
    pub overrun: Tokens,
}

/// Answer of `ledger.tail` and `ledger.export`, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntries {
    /// The entries.
    pub entries: Vec<LedgerEntry>,
    /// In an export: what entries were rolled up to, in the same order of numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled_up: Vec<RolledUp>,
    /// What to give as `after` to read on: no later entry is left out then, and none told twice.
    pub last: u64,
    /// Whether there are more: later ones, or older ones where the newest were asked for.
    pub more: bool,
}

/// How far the database's file was looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileCheck {
    /// All of it.
    Whole,
    /// Not to its end: so much was written meanwhile that it would have held up the ledger.
    GivenUp,
}

/// A balance that is not the sum of its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceDifference {
    /// The account, such as `host`, `agent:NAME`, `bottle:NAME`, `run:RUN` or `launch:RUN`.
    pub account: String,
    /// The provider.
    pub provider: ProviderKey,
    /// The balance that is kept, which budgets count.
    pub kept: i64,
    /// The sum of the entries.
    pub computed: i64,
}

/// An entry that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFault {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub text: String,
}

/// Answer of `ledger.verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerVerified {
    /// Whether nothing is wrong.
    pub agrees: bool,
    /// Entries that were looked at.
    pub entries: u64,
    /// Entries that are rolled up, whose sums were looked at.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rolled_up: u64,
    /// Balances that were compared.
    pub balances: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How far the file was looked through.
    pub file: FileCheck,
    /// Balances that are not the sums of their entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<BalanceDifference>,
    /// Entries that cannot be right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<EntryFault>,
    /// What is damaged in the file, in the database library's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
    /// How many more differences, faults and damages there are than are listed.
    #[serde(default)]
    pub unlisted: u64,
}

/// Answer of `ledger.backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBackedUp {
    /// The file that was made.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
