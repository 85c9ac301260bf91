//! An agent in its bottle: a loop of model calls, each with what the one before brought.
//!
//! It reads its environment as a program does that is written with a provider's library, and
//! knows nothing of budgets. What it is refused it asks for again.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::cast::{Dialect, Part};
use crate::harness::{Answer, send};

/// What an agent reads all day.
const FILE: &str = "\
    pub fn settle(&mut self, call: CallId, usage: Usage) -> Result<Settled, Unknown> {\n        \
        let reservation = self.open.remove(&call).ok_or(Unknown(call))?;\n        \
        let charge = usage.weigh(&self.weights).max(reservation.floor);\n        \
        self.accounts.post(&reservation.accounts, charge);\n        \
        Ok(Settled { charge, overrun: charge.saturating_sub(reservation.tokens) })\n    }\n";

/// Between a refusal and the next attempt.
const AFTER_REFUSAL: Duration = Duration::from_secs(2);
/// Attempts without any answer after which nobody seems to be there.
const SILENCE_MAX: u32 = 10;

/// Where an agent sends its calls, and what it identifies itself by.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// `127.0.0.1:7717`
    pub(super) address: String,
    /// What the path of every call begins with.
    pub(super) root: String,
    pub(super) key: String,
}

/// Plays a part until it is ended.
pub(super) async fn run(part: &str) -> anyhow::Result<()> {
    let part = Part::of(part).with_context(|| format!("nobody plays {part:?}"))?;
    let access = Access::of_environment(part.dialect)?;
    let mut conversations = JoinSet::new();
    for _ in 0..part.at_once {
        conversations.spawn(converse(part, access.clone()));
    }
    match conversations.join_next().await {
        Some(ended) => ended.context("a conversation broke off")?,
        None => bail!("{} has no conversation", part.name),
    }
}

async fn converse(part: &'static Part, access: Access) -> anyhow::Result<()> {
    let mut conversation = Conversation::begin(part);
    let mut silence = 0;
    loop {
        let answered = conversation.ask(&access).await;
        let pause = match &answered {
            Ok(answer) if answer.status == StatusCode::OK => {
                note(&format!("answered: {} bytes", answer.body.len()))?;
                conversation.go_on();
                part.pause
            }
            Ok(answer) => {
                note(&format!("{}: {}", answer.status, message(answer)))?;
                AFTER_REFUSAL
            }
            Err(error) => {
                note(&format!("no answer: {error:#}"))?;
                AFTER_REFUSAL
            }
        };
        silence = if answered.is_ok() { 0 } else { silence + 1 };
        if silence == SILENCE_MAX {
            bail!("nobody answered {SILENCE_MAX} times");
        }
        tokio::time::sleep(pause).await;
    }
}

/// Returns the sentence of an error, in whichever dialect.
fn message(answer: &Answer) -> String {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let sentence = body
        .as_ref()
        .and_then(|body| body.pointer("/error/message"))
        .and_then(Value::as_str);
    sentence.map_or_else(|| answer.text(), str::to_owned)
}

fn note(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

/// What was said so far: every call sends all of it again.
#[derive(Debug)]
pub(super) struct Conversation {
    part: &'static Part,
    turns: Vec<String>,
}

impl Conversation {
    pub(super) fn begin(part: &'static Part) -> Self {
        Self {
            part,
            turns: vec![text(part.context.begins_at)],
        }
    }

    /// Takes in the answer and what the agent read because of it.
    fn go_on(&mut self) {
        let context = &self.part.context;
        let bytes: usize = self.turns.iter().map(String::len).sum();
        if bytes.saturating_add(context.grows_by) > context.ends_at {
            *self = Self::begin(self.part);
            return;
        }
        self.turns
            .push("I look at it once more and run the tests again.".to_owned());
        self.turns.push(text(context.grows_by));
    }

    pub(super) async fn ask(&self, access: &Access) -> anyhow::Result<Answer> {
        let root = &access.root;
        let (path, key_header, key) = match self.part.dialect {
            Dialect::Anthropic => (
                format!("{root}/v1/messages"),
                "x-api-key",
                access.key.clone(),
            ),
            Dialect::Openai => (
                format!("{root}/responses"),
                "authorization",
                format!("Bearer {}", access.key),
            ),
            Dialect::Gemini => (
                format!(
                    "{root}/v1beta/models/{}:streamGenerateContent?alt=sse",
                    self.part.model
                ),
                "x-goog-api-key",
                access.key.clone(),
            ),
        };
        let headers = [
            (key_header, key.as_str()),
            ("content-type", "application/json"),
            ("anthropic-version", "2023-06-01"),
        ];
        let body = self.body().to_string();
        send(&access.address, Method::POST, &path, &headers, body).await
    }

    fn body(&self) -> Value {
        let model = self.part.model;
        match self.part.dialect {
            Dialect::Anthropic => json!({
                "model": model,
                "max_tokens": 32_000,
                "stream": true,
                "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
                "messages": self.messages("assistant", |text| json!(text)),
            }),
            Dialect::Openai => json!({
                "model": model,
                "stream": true,
                "input": self.messages("assistant", |text| json!(text)),
            }),
            Dialect::Gemini => {
                let contents = self.turns.iter().enumerate().map(|(turn, text)| {
                    json!({"role": speaker(turn, "model"), "parts": [{"text": text}]})
                });
                json!({"contents": contents.collect::<Vec<_>>()})
            }
        }
    }

    fn messages(&self, other: &str, content: impl Fn(&str) -> Value) -> Vec<Value> {
        let turns = self.turns.iter().enumerate();
        turns
            .map(|(turn, text)| json!({"role": speaker(turn, other), "content": content(text)}))
            .collect()
    }
}

/// The user begins.
fn speaker(turn: usize, other: &str) -> &str {
    if turn.is_multiple_of(2) {
        "user"
    } else {
        other
    }
}

fn text(bytes: usize) -> String {
    FILE.chars().cycle().take(bytes).collect()
}

impl Access {
    fn of_environment(dialect: Dialect) -> anyhow::Result<Self> {
        let (url, key) = match dialect {
            Dialect::Anthropic => ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
            Dialect::Openai => ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
            Dialect::Gemini => ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
        };
        let variable = |name: &'static str| std::env::var(name).context(name);
        Self::at(&variable(url)?, variable(key)?)
    }

    pub(super) fn at(url: &str, key: String) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .with_context(|| format!("{url} is no http:// URL"))?;
        let (address, root) = rest
            .find('/')
            .map_or((rest, ""), |slash| rest.split_at(slash));
        Ok(Self {
            address: address.to_owned(),
            root: root.trim_end_matches('/').to_owned(),
            key,
        })
    }
}
