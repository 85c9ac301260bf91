//! The words of the filter line: all must hold, `!` in front turns one around.

use bb_proto::units::Tokens;
use bb_proto::view::{BottleState, Enforcement};

use super::fleet::{Fleet, Left};
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::rows::Bottle;

/// What the table is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    words: Vec<(bool, Word)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// In name, agent or model.
    Text(String),
    State(Vec<State>),
    Provider(String),
    Agent(String),
    Parent(String),
    /// The scope of the binding budget.
    By(String),
    Model(String),
    Enforced(Enforcement),
    Over(u64),
    Left(Bound),
    Rate(Bound),
    Calls(Bound),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Declared,
    Running,
    Idle,
    Warned,
    Cut,
    Stopped,
    Failed,
    Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Below(u64),
    Above(u64),
}

impl Bound {
    fn read(text: &str, number: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('<') {
            number(rest).map(Self::Below)
        } else {
            number(text.strip_prefix('>').unwrap_or(text)).map(Self::Above)
        }
    }

    fn takes(self, value: u64) -> bool {
        match self {
            Self::Below(bound) => value < bound,
            Self::Above(bound) => value > bound,
        }
    }
}

impl Filter {
    /// Reads a filter line; names the word that it does not understand.
    pub(crate) fn read(line: &str) -> Result<Self, Clean> {
        let mut words = Vec::new();
        for written in line.split_whitespace() {
            let (holds, rest) = match written.strip_prefix('!') {
                Some(rest) => (false, rest),
                None => (true, written),
            };
            if rest.is_empty() {
                continue;
            }
            let word = Word::read(rest).ok_or_else(|| clean!("{written}?"))?;
            words.push((holds, word));
        }
        Ok(Self { words })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns whether a bottle is shown.
    pub(crate) fn takes(&self, fleet: &Fleet, bottle: &Bottle) -> bool {
        self.words
            .iter()
            .all(|(holds, word)| word.is_true(fleet, bottle) == *holds)
    }
}

impl Word {
    fn read(text: &str) -> Option<Self> {
        let Some((key, value)) = text.split_once(':') else {
            return Some(Self::Text(text.to_lowercase()));
        };
        let lower = value.to_lowercase();
        if lower.is_empty() {
            return None;
        }
        match key {
            "state" => lower
                .split(',')
                .map(State::read)
                .collect::<Option<_>>()
                .map(Self::State),
            "provider" => Some(Self::Provider(lower)),
            "agent" => Some(Self::Agent(lower)),
            "parent" => Some(Self::Parent(lower)),
            "by" => Some(Self::By(lower)),
            "model" => Some(Self::Model(lower)),
            "enforced" => Some(Self::Enforced(match lower.as_str() {
                "sealed" => Enforcement::Sealed,
                "keyed" => Enforcement::Keyed,
                "advisory" => Enforcement::Advisory,
                _ => return None,
            })),
            "over" => lower.trim_end_matches('%').parse().ok().map(Self::Over),
            "left" => Bound::read(&lower, milliseconds).map(Self::Left),
            "rate" => Bound::read(&lower, tokens).map(Self::Rate),
            "calls" => Bound::read(&lower, |n| n.parse().ok()).map(Self::Calls),
            _ => None,
        }
    }

    fn is_true(&self, fleet: &Fleet, bottle: &Bottle) -> bool {
        let told = &bottle.told;
        let has = |text: Option<&str>, part: &str| {
            text.is_some_and(|text| text.to_lowercase().contains(part))
        };
        let agent = told.agent.as_ref().map(bb_proto::ids::AgentName::as_str);
        let model = told.last_model.as_deref();
        match self {
            Self::Text(part) => {
                has(Some(told.name.as_str()), part) || has(agent, part) || has(model, part)
            }
            Self::State(states) => states.iter().any(|state| state.is(fleet, bottle)),
            Self::Provider(part) => has(
                fleet
                    .provider(bottle)
                    .map(bb_proto::ids::ProviderKey::as_str),
                part,
            ),
            Self::Agent(part) => has(agent, part),
            Self::Model(part) => has(model, part),
            Self::Parent(part) => told.parents.iter().any(|p| has(Some(p.as_str()), part)),
            Self::By(part) => has(fleet.binding(bottle).map(|b| b.scope.as_str()), part),
            Self::Enforced(enforcement) => told.enforcement == *enforcement,
            Self::Over(percent) => fleet
                .binding(bottle)
                .is_some_and(|b| b.told.used.percent_of(b.told.limit) > *percent),
            Self::Left(bound) => match fleet.left(bottle) {
                Left::Time(ms) => bound.takes(ms),
                Left::Spent => bound.takes(0),
                _ => false,
            },
            Self::Rate(bound) => bound.takes(told.rate_per_minute),
            Self::Calls(bound) => bound.takes(told.in_flight.saturating_add(told.waiting)),
        }
    }
}

impl State {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "declared" => Self::Declared,
            "running" => Self::Running,
            "idle" => Self::Idle,
            "warned" => Self::Warned,
            "cut" | "cutoff" => Self::Cut,
            "stopped" => Self::Stopped,
            "failed" => Self::Failed,
            "wanted" => Self::Wanted,
            _ => return None,
        })
    }

    fn is(self, fleet: &Fleet, bottle: &Bottle) -> bool {
        let told = &bottle.told;
        match self {
            Self::Declared => told.state == BottleState::Declared,
            Self::Running => told.state == BottleState::Running,
            Self::Idle => fleet.left(bottle) == Left::Idle && told.state == BottleState::Running,
            Self::Warned => told.warned,
            Self::Cut => told.state == BottleState::Cutoff,
            Self::Stopped => told.state == BottleState::Stopped,
            Self::Failed => told.state == BottleState::Failed,
            Self::Wanted => told.wanted.is_some(),
        }
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let span = humantime::parse_duration(text).ok()?;
    u64::try_from(span.as_millis()).ok()
}

fn tokens(text: &str) -> Option<u64> {
    text.parse::<Tokens>().ok().map(|count| count.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::fixture;

    fn shown(line: &str) -> Vec<String> {
        let state = fixture::drawing();
        let filter = Filter::read(line).expect(line);
        state
            .fleet
            .bottles()
            .filter(|bottle| filter.takes(&state.fleet, bottle))
            .map(|bottle| bottle.told.name.to_string())
            .collect()
    }

    #[test]
    fn each_word_narrows_and_all_must_hold() {
        for (line, names) in [
            (
                "review",
                &["review", "review-pr-4812", "review-pr-4815"][..],
            ),
            ("agent:ci", &["legacy-ci"]),
            (
                "provider:codex state:cut",
                &["nightly-dependencies-2026-11-20"],
            ),
            ("enforced:advisory", &["legacy-ci"]),
            (
                "parent:base !provider:codex over:61",
                &["api-gateway-controller-linux-arm64", "docs"],
            ),
            (
                "left:<10m !state:cut",
                &["review-pr-4812", "review-pr-4815"],
            ),
            ("rate:>10k", &["review-pr-4812", "web"]),
            ("calls:>3", &["web"]),
            (
                "by:agent model:sonnet",
                &["review-pr-4812", "review-pr-4815"],
            ),
        ] {
            assert_eq!(shown(line), names, "{line}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_named() {
        for (line, word) in [
            ("web colour:red", "colour:red?"),
            ("state:asleep", "state:asleep?"),
            ("!over:many", "!over:many?"),
            ("left:", "left:?"),
        ] {
            assert_eq!(
                Filter::read(line).map_err(|w| w.to_string()),
                Err(word.to_owned())
            );
        }
        assert_eq!(Filter::read("  !  "), Ok(Filter::default()));
    }
}
