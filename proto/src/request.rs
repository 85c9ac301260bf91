//! The methods of the control socket and their parameters.
//!
//! Every parameter struct refuses fields it does not know. Those that change something take
//! `request_id` (the same id twice gives the first answer), `dry_run` (what would be done) and,
//! where they aim at bottles, `if` (what the target must still be).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::budget::ProviderSelector;
use crate::error::{ErrorCode, RpcError};
use crate::ids::{AgentName, BottleName, ProviderKey, RunId};
use crate::process::Process;
use crate::reply;
use crate::time::Timestamp;
use crate::units::Tokens;

mod budget;
mod call;
mod ledger;

pub use budget::{
    BudgetCharge, BudgetCheck, BudgetExplain, BudgetList, BudgetRaise, BudgetReset, BudgetSet,
    BudgetUnset,
};
pub use call::{CallFlowed, CallReserve, CallSettle, CallVoid, MODEL_BYTES_MAX, STATED_MAX};
pub use ledger::{LedgerBackup, LedgerCorrect, LedgerExport, LedgerTail, LedgerVerify};

/// A method's parameters, which name the method and its reply.
pub trait Method: Serialize + DeserializeOwned {
    /// The method's name on the wire.
    const NAME: &'static str;
    /// What a successful call answers.
    type Reply: Serialize + DeserializeOwned;
}

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident($params:ty) -> $reply:ty = $name:literal;)*) => {
        /// A request, parsed.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Call {
            $($(#[$doc])* $variant($params),)*
        }

        $(impl Method for $params {
            const NAME: &'static str = $name;
            type Reply = $reply;
        })*

        /// The names of all methods.
        pub const METHODS: &[&str] = &[$($name),*];

        impl Call {
            /// Parses a request's parameters by its method; absent ones are an empty object.
            ///
            /// Fails with `unknown_method` or `invalid_params`.
            pub fn parse(method: &str, params: Option<&RawValue>) -> Result<Self, RpcError> {
                let text = params.map_or("{}", RawValue::get);
                match method {
                    $($name => read_params(method, text).map(Self::$variant),)*
                    _ => Err(RpcError::new(
                        ErrorCode::UnknownMethod,
                        format!("{method:?} is no method of this controller"),
                    )
                    .with_hint("the methods are listed in docs/PROTOCOL.md")),
                }
            }

            /// Returns the method's name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }
        }
    };
}

methods! {
    /// Who is there, and which version it speaks.
    Hello(Hello) -> reply::Hello = "hello";
    /// Whether calls can be admitted.
    Health(Health) -> reply::Health = "health";
    /// The whole state, or what changed since a revision.
    Snapshot(Snapshot) -> crate::view::Snapshot = "snapshot";
    /// Makes a bottle known and gives it a token.
    BottleRegister(BottleRegister) -> reply::Registered = "bottle.register";
    /// All bottles.
    BottleList(BottleList) -> reply::Bottles = "bottle.list";
    /// One bottle with the budgets on its path.
    BottleShow(BottleShow) -> reply::BottleDetail = "bottle.show";
    /// The environment and arguments that point a client at us.
    BottleEnv(BottleEnv) -> reply::ClientEnv = "bottle.env";
    /// Closes all egress of bottles.
    BottleCutoff(BottleCutoff) -> reply::Acted = "bottle.cutoff";
    /// Lifts the operator's cutoff.
    BottleRestore(BottleRestore) -> reply::Acted = "bottle.restore";
    /// Ends the processes of bottles.
    BottleStop(BottleStop) -> reply::Acted = "bottle.stop";
    /// Forgets bottles that ended; the ledger keeps their calls.
    BottleRemove(BottleRemove) -> reply::Acted = "bottle.remove";
    /// Says that a bottle's command ended.
    BottleEnded(BottleEnded) -> reply::Acted = "bottle.ended";
    /// All budgets.
    BudgetList(BudgetList) -> reply::Budgets = "budget.list";
    /// Why calls of a bottle pass, or do not.
    BudgetExplain(BudgetExplain) -> reply::Explanation = "budget.explain";
    /// Whether a call would be admitted.
    BudgetCheck(BudgetCheck) -> reply::BudgetChecked = "budget.check";
    /// Charges tokens that were spent outside the proxy.
    BudgetCharge(BudgetCharge) -> reply::BudgetCharged = "budget.charge";
    /// Sets a budget that stands until it is unset.
    BudgetSet(BudgetSet) -> reply::BudgetChanged = "budget.set";
    /// Takes back a budget that was set by command.
    BudgetUnset(BudgetUnset) -> reply::BudgetChanged = "budget.unset";
    /// Raises a budget's limit.
    BudgetRaise(BudgetRaise) -> reply::BudgetChanged = "budget.raise";
    /// Begins a budget's count anew, at nothing.
    BudgetReset(BudgetReset) -> reply::BudgetChanged = "budget.reset";
    /// Asks for a call of a sidecar to be admitted.
    CallReserve(CallReserve) -> reply::CallReserved = "call.reserve";
    /// Says what has flowed of it, and hears whether it is to be cut.
    CallFlowed(CallFlowed) -> reply::CallFlowing = "call.flowed";
    /// Charges it.
    CallSettle(CallSettle) -> reply::CallSettled = "call.settle";
    /// Takes it back: surely not billed.
    CallVoid(CallVoid) -> reply::CallVoided = "call.void";
    /// Tokens used, grouped.
    UsageQuery(UsageQuery) -> reply::Usages = "usage.query";
    /// The newest entries of the ledger, and those that come after.
    LedgerTail(LedgerTail) -> reply::LedgerEntries = "ledger.tail";
    /// All entries of the ledger, page by page.
    LedgerExport(LedgerExport) -> reply::LedgerEntries = "ledger.export";
    /// Whether the balances are the sums of the entries.
    LedgerVerify(LedgerVerify) -> reply::LedgerVerified = "ledger.verify";
    /// Corrects what a call was charged.
    LedgerCorrect(LedgerCorrect) -> reply::LedgerCorrected = "ledger.correct";
    /// Copies the ledger while it works.
    LedgerBackup(LedgerBackup) -> reply::LedgerBackedUp = "ledger.backup";
    /// What was decided and done, by whom and why.
    AuditList(AuditList) -> reply::Events = "audit.list";
    /// Events as they happen, as notifications on this connection.
    EventsWatch(EventsWatch) -> reply::Watching = "events.watch";
    /// Events that happened.
    EventsList(EventsList) -> reply::Events = "events.list";
    /// The settings in force.
    SettingsShow(SettingsShow) -> reply::Settings = "settings.show";
    /// Whether the settings file could be taken as it stands.
    SettingsCheck(SettingsCheck) -> reply::SettingsChecked = "settings.check";
    /// Takes the settings file as it stands.
    SettingsReload(SettingsReload) -> reply::SettingsChecked = "settings.reload";
    /// Ends the controller.
    Shutdown(Shutdown) -> reply::ShuttingDown = "shutdown";
}

/// Reads parameters by name: their order says nothing.
fn read_params<T: DeserializeOwned>(method: &str, text: &str) -> Result<T, RpcError> {
    if !text.starts_with('{') {
        return Err(RpcError::new(
            ErrorCode::InvalidParams,
            format!("{method}: the parameters are no object"),
        )
        .with_hint("name them: {\"name\": \"web\"}"));
    }
    serde_json::from_str(text).map_err(|error| {
        RpcError::new(ErrorCode::InvalidParams, format!("{method}: {error}"))
            .with_hint(format!("docs/PROTOCOL.md says what {method} takes"))
    })
}

/// What a target must still be for an act to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The run that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The revision at which it was seen: no target may have changed after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Parameters of `hello`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// What connects, such as `bb-dash 0.1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The version of the messages the client speaks; another than ours is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
}

/// Parameters of `health`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {}

/// Parameters of `snapshot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Only what changed after this revision; absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Wait this long for a change, in milliseconds, at most 30,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Go on with a snapshot that came in parts: the `next` of the part before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
}

/// A budget given at a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchBudget {
    /// Which provider's tokens.
    pub provider: ProviderSelector,
    /// How many.
    pub limit: Tokens,
}

/// Reads a process in a request, where unknown fields are refused.
fn asked_process<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Process>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        pid: u32,
        start_ticks: u64,
    }
    let asked = Option::<Asked>::deserialize(deserializer)?;
    Ok(asked.map(|Asked { pid, start_ticks }| Process { pid, start_ticks }))
}

/// Parameters of `bottle.register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottleRegister {
    /// Its name.
    pub name: BottleName,
    /// The agent it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// What its manifest extends, in the manifest's order; absent: what the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Vec<BottleName>>,
    /// Its provider where a request leaves two candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// Budgets of this run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<LaunchBudget>,
    /// The command it runs, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The client recipe whose environment is wanted in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Gives a running bottle of this name a new token instead of refusing the name.
    #[serde(default)]
    pub renew: bool,
    /// The process that `bottle.stop` ends and whose end ends the bottle; absent: none of ours.
    #[serde(
        default,
        deserialize_with = "asked_process",
        skip_serializing_if = "Option::is_none"
    )]
    pub process: Option<Process>,
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `bottle.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottleList {}

/// Parameters of `bottle.show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottleShow {
    /// The bottle.
    pub name: BottleName,
}

/// Parameters of `bottle.env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottleEnv {
    /// The bottle.
    pub name: BottleName,
    /// The client recipe, such as `claude`, `codex`, `sdk`.
    pub client: String,
}

macro_rules! bottle_act {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The bottles.
            pub names: Vec<BottleName>,
            /// Why, for the audit.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub why: Option<String>,
            /// What each target must still be.
            #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
            pub expect: Option<Expect>,
            /// The same id twice gives the first answer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub request_id: Option<String>,
            /// Only says what would be done.
            #[serde(default)]
            pub dry_run: bool,
        }
    };
}
bottle_act! {
    /// Parameters of `bottle.cutoff`.
    BottleCutoff
}
bottle_act! {
    /// Parameters of `bottle.restore`.
    BottleRestore
}
bottle_act! {
    /// Parameters of `bottle.stop`.
    BottleStop
}
bottle_act! {
    /// Parameters of `bottle.remove`.
    BottleRemove
}

/// Parameters of `bottle.ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BottleEnded {
    /// The bottle.
    pub name: BottleName,
    /// The run that ended; another one is left alone.
    pub run: RunId,
    /// Its exit code, 128 and the signal's number where a signal ended it.
    pub exit_code: i32,
}

/// By what usage is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// One row a bottle and provider.
    #[default]
    Bottle,
    /// One row an agent and provider.
    Agent,
    /// One row a provider.
    Provider,
    /// One row a provider and model.
    Model,
    /// One row a call, newest first.
    Call,
}

/// Parameters of `usage.query`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Only this bottle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottle: Option<BottleName>,
    /// Only this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Only this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderKey>,
    /// Only calls that ended at or after this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only calls that ended before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// By what it is summed.
    #[serde(default)]
    pub by: UsageBy,
    /// The most rows, at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

macro_rules! event_query {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Only those before this number: the way to read back.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub before: Option<u64>,
            /// Only those of this bottle.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bottle: Option<BottleName>,
            /// Only those whose sentence has this text in it.
            #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
            pub pattern: Option<String>,
            /// The most rows, at most 1,000; absent: 100.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub limit: Option<u32>,
        }
    };
}
event_query! {
    /// Parameters of `audit.list`.
    AuditList
}
event_query! {
    /// Parameters of `events.list`.
    EventsList
}

/// Parameters of `events.watch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsWatch {}

/// Parameters of `settings.show`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsShow {}

/// Parameters of `settings.check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsCheck {}

/// Parameters of `settings.reload`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsReload {
    /// The same id twice gives the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Parameters of `shutdown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}
