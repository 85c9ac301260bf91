//! What happened, as `events.watch`, `events.list` and `audit.list` say it.

use serde::{Deserialize, Serialize};

use crate::budget::BudgetKey;
use crate::ids::{BottleName, ProviderKey, RunId};
use crate::time::Timestamp;
use crate::view::Explained;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The controller started.
    Started,
    /// The controller stopped.
    Stopped,
    /// A bottle was launched or registered.
    Launched,
    /// A bottle's command ended.
    Ended,
    /// A bottle was removed.
    Removed,
    /// A budget reached a warning level.
    Warned,
    /// A budget is used faster than its window's time goes.
    Paced,
    /// A hard budget was exhausted.
    Exhausted,
    /// A bottle's way to a provider, or all of it, was closed.
    Cutoff,
    /// It was opened again.
    Restored,
    /// A bottle was told to stop.
    StopOrdered,
    /// A budget was set, unset, raised or reset, or a raise of it ended.
    BudgetChanged,
    /// Calls were refused.
    Refused,
    /// A call's charge was more than its reservation.
    Overrun,
    /// The settings were taken, or could not be.
    Settings,
    /// The ledger was closed or opened.
    Ledger,
    /// Calls that were open when the controller ended were charged.
    Recovered,
    /// A charge was corrected by the operator.
    Corrected,
    /// The host's clock jumped.
    Clock,
    /// Tokens that were spent outside the proxy were charged.
    Charged,
    /// A call was charged whose sidecar said nothing of it for too long.
    Abandoned,
}

/// Who caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A budget.
    Budget,
    /// The person at the host.
    Operator,
    /// The controller itself.
    System,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number: grows by one with each event of a home, and never repeats.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Who.
    pub actor: Actor,
    /// The bottle it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
    /// That bottle's run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The budget it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetKey>,
    /// The provider it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// A sentence for people.
    pub text: String,
    /// The user id of the peer that ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Why, as that peer gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of calls that were refused: every budget on their way, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Box<Explained>>,
}

/// What the command of `on_event` in the settings is given on standard input: one line of JSON, the
/// fields of the event and one more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookInput {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// How many of the same budget, bottle or kind came before it and are not told, since the
    /// command was run less than a second ago.
    pub skipped: u64,
}

/// What `events.watch` sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNotification {
    /// The event.
    pub event: Event,
    /// How many were left out before it because the client read too slowly.
    #[serde(default)]
    pub lost: u64,
}
