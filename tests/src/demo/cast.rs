//! Who plays: four bottles, what their agents do and what the provider answers them.

use std::time::Duration;

use crate::provider::{Script, Tokens, Tool};

/// The bottle that runs away.
pub(super) const RUNAWAY: &str = "nightly-deps";

/// The host's settings, but for its providers. Two bottles extend `base` and share its budget.
pub(super) const SETTINGS: &str = "\
budget:
  claude: 2M
  all:
    limit: 4M
    cap: soft
bottles:
  base:
    budget:
      all: 900k
agents:
  reviewer:
    budget:
      codex: 400k
egress:
  listen: 127.0.0.1:0
";

/// The API that an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Anthropic,
    Openai,
    Gemini,
}

/// One bottle and the agent in it.
#[derive(Debug)]
pub(super) struct Part {
    /// The bottle's name.
    pub(super) name: &'static str,
    /// What `bb-ctl run` is told of it.
    pub(super) launch: &'static [&'static str],
    pub(super) dialect: Dialect,
    /// No other part has it: the provider answers by it.
    pub(super) model: &'static str,
    /// Conversations at the same time.
    pub(super) at_once: usize,
    pub(super) context: Context,
    /// Between an answer and the next call.
    pub(super) pause: Duration,
    pub(super) answer: Answer,
}

/// How a conversation grows, in bytes; a token is about four.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) begins_at: usize,
    pub(super) grows_by: usize,
    /// Beyond it the conversation begins anew, as agents do that compact theirs.
    pub(super) ends_at: usize,
}

/// What the provider answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) events: usize,
    pub(super) delay: Duration,
    pub(super) output_tokens: u64,
    /// Whether it calls a tool each time, so that the agent never comes to an end.
    pub(super) calls_tool: bool,
}

pub(super) const CAST: [Part; 4] = [
    Part {
        name: "web",
        launch: &["--parent", "base"],
        dialect: Dialect::Anthropic,
        model: "claude-opus-4-7",
        at_once: 1,
        context: Context {
            begins_at: 72_000,
            grows_by: 9_000,
            ends_at: 200_000,
        },
        pause: Duration::from_millis(1_800),
        answer: Answer {
            events: 60,
            delay: Duration::from_millis(110),
            output_tokens: 1_150,
            calls_tool: false,
        },
    },
    Part {
        name: "docs",
        launch: &["--parent", "base"],
        dialect: Dialect::Gemini,
        model: "gemini-3-flash",
        at_once: 1,
        context: Context {
            begins_at: 24_000,
            grows_by: 4_000,
            ends_at: 90_000,
        },
        pause: Duration::from_millis(2_600),
        answer: Answer {
            events: 12,
            delay: Duration::from_millis(180),
            output_tokens: 620,
            calls_tool: false,
        },
    },
    Part {
        name: "review-pr-42",
        launch: &["--agent", "reviewer"],
        dialect: Dialect::Openai,
        model: "gpt-5.6-codex",
        at_once: 2,
        context: Context {
            begins_at: 40_000,
            grows_by: 6_000,
            ends_at: 120_000,
        },
        pause: Duration::from_millis(3_100),
        answer: Answer {
            events: 90,
            delay: Duration::from_millis(90),
            output_tokens: 1_900,
            calls_tool: false,
        },
    },
    Part {
        name: RUNAWAY,
        launch: &["--budget", "400k"],
        dialect: Dialect::Anthropic,
        model: "claude-sonnet-4-7",
        at_once: 3,
        context: Context {
            begins_at: 24_000,
            grows_by: 8_000,
            ends_at: 64_000,
        },
        pause: Duration::from_millis(450),
        answer: Answer {
            events: 8,
            delay: Duration::from_millis(110),
            output_tokens: 240,
            calls_tool: true,
        },
    },
];

impl Part {
    /// Finds a part by its bottle's name.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        CAST.iter().find(|part| part.name == name)
    }

    /// Returns what the provider answers this part's model.
    pub(super) fn script(&self) -> Script {
        let answer = &self.answer;
        Script {
            tokens: Tokens::Output(answer.output_tokens),
            events: answer.events,
            delay: answer.delay,
            first_byte_delay: Duration::from_millis(300),
            tool: answer.calls_tool.then_some(Tool::FromRequest),
            ..Script::default()
        }
    }
}
