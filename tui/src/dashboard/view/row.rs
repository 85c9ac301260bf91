//! What a bottle's row says in each column.

use bb_proto::budget::{Scope, Window};
use bb_proto::ids::ProviderKey;
use bb_proto::view::{BottleState, Enforcement, PathRole};

use super::columns::Column;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::rows::{Bottle, Budget};
use crate::dashboard::state::{Left, SOON_MS, Sign, State};
use crate::dashboard::theme::Role;
use crate::format;

/// A bottle with what belongs to it, looked up once.
pub(crate) struct Subject<'a> {
    pub(crate) state: &'a State,
    pub(crate) bottle: &'a Bottle,
    pub(crate) budget: Option<&'a Budget>,
    pub(crate) sign: Sign,
    /// What it spends, with those below where it is only named.
    pub(crate) rate: u64,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(state: &'a State, bottle: &'a Bottle, rate: u64) -> Self {
        Self {
            state,
            bottle,
            budget: state.fleet.binding(bottle),
            sign: state.fleet.sign(bottle),
            rate,
        }
    }

    fn is_declared(&self) -> bool {
        self.bottle.told.state == BottleState::Declared
    }

    /// Returns whether its way is closed.
    pub(crate) fn is_cut(&self) -> bool {
        self.sign == Sign::CutOff
    }

    /// Returns the role of the sign and of what it stands for.
    pub(crate) fn role(&self) -> Role {
        match self.sign {
            Sign::Declared | Sign::Stopped | Sign::Idle => Role::Muted,
            Sign::Running => Role::Ok,
            Sign::Warned | Sign::Wanted => Role::Warn,
            Sign::CutOff | Sign::Failed => Role::Crit,
        }
    }

    /// Returns what a text column says, and in which role.
    pub(crate) fn cell(&self, column: Column, width: u16) -> (Clean, Role) {
        match column {
            Column::Bottle | Column::Budget | Column::Recent => (Clean::default(), Role::Text),
            Column::State => (self.state_word(), self.role()),
            Column::Agent => (
                self.bottle
                    .agent
                    .clone()
                    .unwrap_or_default()
                    .shortened(width),
                Role::Muted,
            ),
            Column::Provider => (self.provider(width), Role::Muted),
            Column::Percent => (self.percent(), Role::Text),
            Column::Used => (self.used(), Role::Text),
            Column::By => self.by(width),
            Column::Rate => (rate(self.rate), Role::Text),
            Column::Left => self.left(),
            Column::Pace => self.pace(),
            Column::Resets => (self.resets(), Role::Muted),
            Column::Calls => (self.calls(), Role::Text),
            Column::Refused => match self.bottle.told.refusals {
                0 => (clean!("-"), Role::Muted),
                many => (clean!("{}", format::tokens(many)), Role::Text),
            },
            Column::Own => (self.own(), Role::Muted),
            Column::Model => (self.bottle.model.clone().unwrap_or_default(), Role::Muted),
            Column::Uptime => (self.uptime(), Role::Muted),
            Column::Enforced => self.enforced(width),
        }
    }

    /// Returns the word for what it is doing.
    pub(crate) fn state_word(&self) -> Clean {
        let word = match self.sign {
            Sign::Declared => "parent",
            Sign::Stopped => "stopped",
            Sign::Idle => "idle",
            Sign::Running => "running",
            Sign::Warned => "warned",
            Sign::CutOff => "cut off",
            Sign::Failed => "failed",
            Sign::Wanted => {
                let wanted = self.bottle.told.wanted.as_ref();
                return clean!("»{}", wanted.map_or("?", |wanted| word(wanted.state)));
            }
        };
        clean!("{word}")
    }

    fn provider(&self, width: u16) -> Clean {
        let known = self.state.fleet.provider(self.bottle);
        match (known, self.budget) {
            (Some(provider), _) => clean!("{}", ProviderKey::as_str(provider)).shortened(width),
            (None, Some(budget)) => budget.provider.shortened(width),
            (None, None) => clean!("-"),
        }
    }

    fn percent(&self) -> Clean {
        self.budget.map_or_else(Clean::default, |budget| {
            clean!("{}", format::percent(budget.told.used, budget.told.limit))
        })
    }

    fn used(&self) -> Clean {
        match self.budget {
            Some(budget) => clean!("{}", format::used_of(budget.told.used, budget.told.limit)),
            None if self.is_declared() => Clean::default(),
            None => clean!("{}", format::tokens(self.bottle.told.used_run.0)),
        }
    }

    fn by(&self, width: u16) -> (Clean, Role) {
        let Some(budget) = self.budget else {
            return (clean!("-"), Role::Muted);
        };
        let from_above = self
            .bottle
            .told
            .path
            .iter()
            .any(|on| on.budget == budget.told.id && on.role == PathRole::Ceiling);
        let mark = if from_above { "^" } else { "" };
        let scope = if width >= 14 {
            match budget.told.scope {
                Scope::Launch(_) => clean!("launch{mark}"),
                _ => clean!("{}{mark}", budget.scope),
            }
        } else {
            let word = match &budget.told.scope {
                Scope::Launch(_) => "launch",
                Scope::Agent(_) => "agent",
                Scope::Bottle(name) if *name == self.bottle.told.name => "bottle",
                Scope::Bottle(_) => "parent",
                Scope::Host => "host",
            };
            clean!("{word}{mark}")
        };
        (scope.shortened(width), Role::Muted)
    }

    /// Returns the time left, or why there is none.
    pub(crate) fn left(&self) -> (Clean, Role) {
        match self.sign {
            Sign::Wanted | Sign::CutOff | Sign::Failed => (self.state_word(), self.role()),
            Sign::Stopped => (self.state_word(), Role::Muted),
            Sign::Declared | Sign::Idle | Sign::Running | Sign::Warned => {
                match self.state.fleet.left(self.bottle) {
                    Left::Time(ms) if ms < SOON_MS => {
                        (clean!("{}", format::duration_ms(ms)), Role::Warn)
                    }
                    Left::Time(ms) => (clean!("{}", format::duration_ms(ms)), Role::Text),
                    Left::Spent => (clean!("spent"), Role::Crit),
                    Left::Resets => (clean!("resets"), Role::Muted),
                    Left::Unlimited | Left::Idle if self.is_declared() => {
                        (Clean::default(), Role::Muted)
                    }
                    Left::Unlimited => (clean!("no limit"), Role::Muted),
                    Left::Idle => (clean!("idle"), Role::Muted),
                    Left::Unknown => (clean!("-"), Role::Muted),
                }
            }
        }
    }

    fn pace(&self) -> (Clean, Role) {
        match self.budget.and_then(|budget| budget.told.pace_thousandths) {
            None => (clean!("-"), Role::Muted),
            Some(pace) => (
                pace_text(pace),
                if pace >= 1500 { Role::Warn } else { Role::Text },
            ),
        }
    }

    fn resets(&self) -> Clean {
        match self.budget {
            None => clean!("-"),
            Some(budget) => match budget.told.resets_at {
                Some(at) => self.state.zone().short(at, self.state.now()),
                None => clean!("{}", super::budgets::never(budget.told.window)),
            },
        }
    }

    fn calls(&self) -> Clean {
        let told = &self.bottle.told;
        match (told.in_flight, told.waiting) {
            _ if self.is_declared() => Clean::default(),
            (calls, 0) => clean!("{calls}"),
            (calls, waiting) => clean!("{calls}+{waiting}"),
        }
    }

    fn own(&self) -> Clean {
        let told = &self.bottle.told;
        let window = self.budget.map(|budget| budget.told.window);
        match window {
            _ if self.is_declared() => clean!("-"),
            Some(Window::Total) => clean!("{}", format::tokens(told.used_total.0)),
            _ => clean!("{}", format::tokens(told.used_run.0)),
        }
    }

    fn uptime(&self) -> Clean {
        let told = &self.bottle.told;
        let Some(launched) = told.launched_at else {
            return Clean::default();
        };
        let until = told.ended_at.unwrap_or_else(|| self.state.now());
        clean!("{}", format::duration_ms(until.since(launched).0))
    }

    fn enforced(&self, width: u16) -> (Clean, Role) {
        if self.is_declared() {
            return (Clean::default(), Role::Muted);
        }
        let word = enforcement_word(self.bottle.told.enforcement);
        let role = match self.bottle.told.enforcement {
            Enforcement::Advisory => Role::Warn,
            _ => Role::Muted,
        };
        if width >= 8 {
            return (clean!("{word}"), role);
        }
        let first = word.chars().next().unwrap_or('?').to_ascii_uppercase();
        (clean!("{first}"), role)
    }
}

/// Writes tokens a minute; none is `-`.
pub(crate) fn rate(per_minute: u64) -> Clean {
    match per_minute {
        0 => clean!("-"),
        some => clean!("{}", format::tokens(some)),
    }
}

/// Writes a pace: `1.8`.
pub(crate) fn pace_text(thousandths: u32) -> Clean {
    clean!("{}.{}", thousandths / 1000, thousandths % 1000 / 100)
}

/// Returns the word of a state.
pub(crate) fn word(state: BottleState) -> &'static str {
    match state {
        BottleState::Declared => "parent",
        BottleState::Running => "running",
        BottleState::Cutoff => "cut off",
        BottleState::Stopped => "stopped",
        BottleState::Failed => "failed",
        _ => "?",
    }
}

/// Returns the word of an enforcement.
pub(crate) fn enforcement_word(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Sealed => "sealed",
        Enforcement::Keyed => "keyed",
        Enforcement::Advisory => "advisory",
        _ => "?",
    }
}
