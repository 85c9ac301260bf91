//! What names a budget: scope, provider, window.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentName, BottleName, NameError, ProviderKey, RunId};

mod window;

pub use window::{Minutes, SPAN_MAX, TimeOfDay, Weekday, Window};

/// Whose tokens a budget limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// One run of a bottle: `launch:RUN`.
    Launch(RunId),
    /// Every bottle that runs this agent: `agent:NAME`.
    Agent(AgentName),
    /// A bottle and its descendants, over all runs: `bottle:NAME`.
    Bottle(BottleName),
    /// Every bottle of the host: `host`.
    Host,
}

/// Which provider's tokens a budget limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProviderSelector {
    /// Every provider together: `all`.
    All,
    /// One provider.
    One(ProviderKey),
}

/// What makes a budget one and the same: its scope, provider and window.
///
/// Written `SCOPE/PROVIDER/WINDOW`, such as `bottle:web/claude/total`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BudgetKey {
    /// Whose tokens.
    pub scope: Scope,
    /// Which provider's.
    pub provider: ProviderSelector,
    /// Over which time.
    pub window: Window,
}

/// Whether a budget blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Binds: what does not fit is refused.
    #[default]
    Hard,
    /// Warns only; never hides or blocks anything.
    Soft,
}

/// What happens to a bottle when a hard budget is exhausted, or the operator says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Its way to the provider is closed; its processes live on.
    #[default]
    Cutoff,
}

/// How a call is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Nothing is set aside; a call is admitted while anything is left.
    Off,
    /// The estimated input and the output such calls usually have are set aside.
    #[default]
    Estimate,
    /// The most that a call can use is set aside, and its request is capped to what is left.
    Exact,
}

/// What the gate `exact` does with a call that nothing bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unbounded {
    /// It is refused.
    #[default]
    Refuse,
    /// It is admitted by estimate, and flagged.
    Estimate,
}

/// Why a text is no scope, window or budget key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one of the scopes.
    #[error("{0:?} is no scope; a scope is host, bottle:NAME, agent:NAME or launch:RUN")]
    Scope(String),
    /// Not one of the windows.
    #[error(
        "{0:?} is no window; a window is total, run, hour, day, week, month, rolling 5h or block 5h"
    )]
    Window(String),
    /// Not a time at which a day can turn.
    #[error("{0:?} is no time of day for a window to turn at; write HH:MM at a quarter of an hour")]
    TimeOfDay(String),
    /// Not a day of the week.
    #[error("{0:?} is no day of the week; write mon, tue, wed, thu, fri, sat or sun")]
    Weekday(String),
    /// Not a span that is counted.
    #[error("{0:?} is no span of a window; write one from 1m to 31d, such as 90m, 5h or 7d")]
    Span(String),
    /// A window of any length without one.
    #[error("the window {0:?} has no length; write it behind, such as {0} 5h")]
    NoSpan(String),
    /// `run` with a scope that has no runs.
    #[error("the window run is for launches and bottles only, not for {0}")]
    RunScope(String),
    /// Not three parts.
    #[error("{0:?} is no budget; write SCOPE/PROVIDER/WINDOW, such as host/claude/total")]
    Key(String),
    /// A name in it is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A run id in it is none.
    #[error("{0:?} is no run id")]
    Run(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(run) => write!(f, "launch:{run}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Bottle(name) => write!(f, "bottle:{name}"),
            Self::Host => f.write_str("host"),
        }
    }
}

impl FromStr for Scope {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.split_once(':') {
            None if text == "host" => Ok(Self::Host),
            Some(("agent", name)) => Ok(Self::Agent(AgentName::new(name)?)),
            Some(("bottle", name)) => Ok(Self::Bottle(BottleName::new(name)?)),
            Some(("launch", run)) => run
                .parse()
                .map(Self::Launch)
                .map_err(|_| KeyError::Run(run.to_owned())),
            _ => Err(KeyError::Scope(text.to_owned())),
        }
    }
}

impl ProviderSelector {
    /// Returns whether a call to `provider` counts.
    pub fn matches(&self, provider: &ProviderKey) -> bool {
        match self {
            Self::All => true,
            Self::One(key) => key == provider,
        }
    }
}

impl fmt::Display for ProviderSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::One(key) => key.fmt(f),
        }
    }
}

impl FromStr for ProviderSelector {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "all" {
            Ok(Self::All)
        } else {
            ProviderKey::new(text).map(Self::One)
        }
    }
}

impl BudgetKey {
    /// Makes a key.
    ///
    /// Fails with [`KeyError::RunScope`] where the window is `run` and the scope has no runs.
    pub fn new(scope: Scope, provider: ProviderSelector, window: Window) -> Result<Self, KeyError> {
        if window == Window::Run && matches!(scope, Scope::Agent(_) | Scope::Host) {
            return Err(KeyError::RunScope(scope.to_string()));
        }
        Ok(Self {
            scope,
            provider,
            window,
        })
    }
}

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scope, self.provider, self.window)
    }
}

impl FromStr for BudgetKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(scope), Some(provider), Some(window)) => {
                Self::new(scope.parse()?, provider.parse()?, window.parse()?)
            }
            _ => Err(KeyError::Key(text.to_owned())),
        }
    }
}

macro_rules! as_text {
    ($name:ident, $error:ty) => {
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}
as_text!(Scope, KeyError);
as_text!(ProviderSelector, NameError);
as_text!(Window, KeyError);
as_text!(BudgetKey, KeyError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_as_it_was_written() {
        for text in [
            "host/claude/total",
            "host/all/total",
            "agent:reviewer/codex/total",
            "bottle:translate-日本語/gemini/run",
            "launch:018f4b2e-6f00-7000-8000-000000000000/all/run",
            "host/all/week sun 09:00",
            "bottle:web/claude/rolling 5h",
        ] {
            assert_eq!(
                text.parse::<BudgetKey>().map(|k| k.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn a_window_that_cannot_be_is_refused_by_its_reason() {
        let error = |s: &str| s.parse::<BudgetKey>().expect_err(s);
        assert!(matches!(error("host/claude/run"), KeyError::RunScope(_)));
        assert!(matches!(
            error("host/claude/fortnight"),
            KeyError::Window(_)
        ));
        assert!(matches!(error("planet/claude/total"), KeyError::Scope(_)));
        assert!(matches!(error("host/claude"), KeyError::Key(_)));
    }
}
