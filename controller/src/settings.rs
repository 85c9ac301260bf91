//! Owns what the operator wrote in `settings.yml`: read whole, checked whole, and final.
//!
//! A file gives either one typed value, in which nothing is left to be checked, or all of its
//! mistakes with their places. What is done with a setting, and when the file is read again, is
//! decided elsewhere; no key is read from the environment here until it is asked for.

mod agent;
mod block;
mod bottle;
mod budget;
mod changes;
mod credential;
mod egress;
mod keys;
pub mod limits;
pub mod live;
mod mistakes;
mod on_event;
mod provider;
pub mod providers;
mod quantity;
mod read;
mod reference;
mod tree;
mod value;
mod view;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bb_core::book::FLOOR_DEFAULT;
use bb_core::budget::WARN_DEFAULT;
use bb_core::provider::Upstream;
use bb_core::weights::Weights;
use bb_proto::budget::{BudgetKey, Cap, Gate, Policy, Unbounded};
use bb_proto::ids::{AgentName, BottleName, ProviderKey};
use bb_proto::reply::Mistake;
use bb_proto::units::Tokens;

pub use credential::{CREDENTIAL_BYTES_MAX, Credential, CredentialError, Secret};
pub use on_event::{HOOK_TIMEOUT_DEFAULT, HookSetting};
pub use reference::reference;

/// The largest settings file, in bytes.
pub const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;
/// The most ancestors a bottle may have; each call is counted on every one of them.
pub const ANCESTORS_MAX: usize = 32;
/// How long a call waits for room, where nothing else is written.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// How long the answer to a client that hung up is read on, where nothing else is written.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(10);
/// How long calls are kept one by one, where nothing else is written.
pub const KEEP_CALLS_DEFAULT: Duration = Duration::from_hours(90 * 24);
/// Where the proxy listens, where nothing else is written.
pub const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7717);
/// The largest request body, where nothing else is written: the 32 MB that a provider takes, and
/// a little more, so that it is the provider who says that one is too large.
pub const BODY_MAX_DEFAULT: u64 = 33 * 1024 * 1024;
/// How long calls may still take at the end, where nothing else is written.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// How long reaching a provider may take, where nothing else is written.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a provider may take to begin its answer, where nothing else is written: as long as
/// the providers' own clients wait.
pub const RESPONSE_TIMEOUT_DEFAULT: Duration = Duration::from_mins(10);
/// How long a provider may be silent within an answer, where nothing else is written.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_mins(5);

/// Everything that is set, with the defaults where nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The budgets of host, agents and bottles, in the order of the file; no key twice.
    pub budgets: Vec<BudgetSetting>,
    /// What happens when a budget is spent that says nothing itself.
    pub shutdown: Policy,
    /// How a call is admitted by a budget that says nothing itself.
    pub gate: Gate,
    /// What the gate `exact` does with calls that nothing bounds, where nobody else says.
    pub unbounded: Unbounded,
    /// The least output of one choice that the gate `exact` leaves, in tokens.
    pub floor: u64,
    /// How long a call waits for room.
    pub wait: Duration,
    /// How long the answer to a client that hung up is read on.
    pub drain: Duration,
    /// How long calls are kept one by one before they are rolled up to hours.
    pub keep_calls: Duration,
    /// What happens to calls that are under way when their budget is spent.
    pub in_flight: InFlight,
    /// Warning levels in percent, ascending, of a budget that says nothing itself.
    pub warn: Vec<u8>,
    /// The time zone in which days begin and clients show times, as it was written: one there is.
    pub time_zone: Option<String>,
    /// The command that is run at events.
    pub on_event: Option<HookSetting>,
    /// What holds for single bottles; every parent that is named, listed here or not, is legal.
    pub bottles: BTreeMap<BottleName, BottleSetting>,
    /// The agents that have budgets.
    pub agents: BTreeMap<AgentName, AgentSetting>,
    /// Changes to known providers, and new ones.
    pub providers: BTreeMap<ProviderKey, ProviderSetting>,
    /// The proxy.
    pub egress: EgressSetting,
}

/// A budget in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetSetting {
    /// What it limits.
    pub key: BudgetKey,
    /// How many tokens; never zero.
    pub limit: Tokens,
    /// The most that one call may be expected to cost; never of a soft one.
    pub per_call: Option<Tokens>,
    /// Whether it blocks.
    pub cap: Cap,
    /// Whether it binds although a nearer scope governs; never of a soft one.
    pub ceiling: bool,
    /// Warning levels in percent, ascending.
    pub warn: Vec<u8>,
    /// What happens when it is spent, where it says so itself; never of a soft one.
    pub policy: Option<Policy>,
    /// How it admits, where it says so itself; never of a soft one.
    pub gate: Option<Gate>,
    /// What it does with calls that nothing bounds, where it says so itself; never of a soft one.
    pub unbounded: Option<Unbounded>,
    /// Where it stands in the file.
    pub line: u32,
}

/// A bottle in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BottleSetting {
    /// What it extends, in the order written; no loops.
    pub parents: Vec<BottleName>,
    /// The agent it runs.
    pub agent: Option<AgentName>,
    /// The provider that the recipes of its clients point at, where it speaks as they do.
    pub provider: Option<ProviderKey>,
    /// What happens to it when a budget is spent, whatever the budget says.
    pub shutdown: Option<Policy>,
    /// How its calls are admitted by a budget that says nothing itself.
    pub gate: Option<Gate>,
    /// What becomes of its calls that nothing bounds, by a budget that says nothing itself.
    pub unbounded: Option<Unbounded>,
    /// Where it stands in the file.
    pub line: u32,
}

/// An agent in the file; its budgets are among [`Settings::budgets`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSetting {
    /// Where it stands in the file.
    pub line: u32,
}

/// A provider in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSetting {
    /// The known provider it speaks like; set exactly where it is not a known one itself.
    pub copies: Option<ProviderKey>,
    /// Where its calls go instead.
    pub upstream: Option<Upstream>,
    /// Where its key comes from; `None` passes the client's own login through.
    pub credential: Option<Credential>,
    /// What its tokens count; never all zero.
    pub weights: Weights,
    /// Whether a streamed chat request may be made to ask for its usage.
    pub include_usage: Option<bool>,
    /// Whether a WebSocket is proxied, else refused.
    pub websocket: Option<bool>,
    /// Whether it is asked what the input of a call is.
    pub count_tokens: bool,
    /// Where it stands in the file.
    pub line: u32,
}

/// The proxy's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSetting {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The largest request body, in bytes.
    pub body_max: u64,
    /// How long calls may still take at the end.
    pub grace: Duration,
    /// How long reaching a provider may take.
    pub connect_timeout: Duration,
    /// How long a provider may take to begin its answer.
    pub response_timeout: Duration,
    /// How long a provider may be silent within an answer.
    pub idle_timeout: Duration,
}

/// What happens to calls that are under way when their budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InFlight {
    /// They are ended.
    #[default]
    Cut,
    /// They go on to their end.
    Finish,
}

/// Why a settings file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is there and cannot be read.
    #[error("reading the settings {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has mistakes, never none.
    #[error("{} in the settings {}", count(mistakes.len()), path.display())]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All of them, in the order of the file.
        mistakes: Vec<Mistake>,
    },
}

fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "one mistake".to_owned(),
        n => format!("{n} mistakes"),
    }
}

impl Default for Settings {
    /// What holds without a file: nothing is limited.
    fn default() -> Self {
        Self {
            budgets: Vec::new(),
            shutdown: Policy::default(),
            gate: Gate::default(),
            unbounded: Unbounded::default(),
            floor: FLOOR_DEFAULT,
            wait: WAIT_DEFAULT,
            drain: DRAIN_DEFAULT,
            keep_calls: KEEP_CALLS_DEFAULT,
            in_flight: InFlight::default(),
            warn: WARN_DEFAULT.to_vec(),
            time_zone: None,
            on_event: None,
            bottles: BTreeMap::new(),
            agents: BTreeMap::new(),
            providers: BTreeMap::new(),
            egress: EgressSetting::default(),
        }
    }
}

impl Default for EgressSetting {
    fn default() -> Self {
        Self {
            listen: LISTEN_DEFAULT,
            body_max: BODY_MAX_DEFAULT,
            grace: GRACE_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            response_timeout: RESPONSE_TIMEOUT_DEFAULT,
            idle_timeout: IDLE_TIMEOUT_DEFAULT,
        }
    }
}

/// Reads a text; `known` are the providers that need no declaration.
///
/// Fails with every mistake of the text, in its order.
pub fn parse(text: &str, known: &[ProviderKey]) -> Result<Settings, Vec<Mistake>> {
    read::settings(text, known)
}

/// Reads a file; `None` where there is none.
///
/// Fails where it cannot be read, and with every mistake in it.
pub fn load(path: &Path, known: &[ProviderKey]) -> Result<Option<Settings>, LoadError> {
    let read_error = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    // A link that leads nowhere is no missing file: somebody meant there to be settings.
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(read_error)?,
    };
    if !std::fs::metadata(path).map_err(read_error)?.is_file() {
        return Err(read_error(io::Error::other("this is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(read_error)?
        .take(SETTINGS_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    read::text(&bytes)
        .and_then(|text| parse(text, known))
        .map(Some)
        .map_err(|mistakes| LoadError::Mistakes {
            path: path.to_owned(),
            mistakes,
        })
}

#[cfg(test)]
mod tests;
