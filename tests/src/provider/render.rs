//! An answer rendered once and sent many times: its events, with holes where a call's id goes.
//!
//! Rendering costs far more than copying, and a bench asks for the same answer a million times,
//! so what depends on the call alone is left open and filled in as each event is sent.

mod anthropic;
mod chat;
mod gemini;
mod plan;
mod responses;

use std::fmt::{Display, Write as _};

use bb_proto::usage::{Usage, Wire};
use bytes::Bytes;

pub(super) use plan::{Plan, Stop};

use super::request::Form;

/// The length of what fills a hole.
pub(super) const ID_BYTES: usize = 24;

/// A call's own part of every id in its answer.
pub(super) type CallId = [u8; ID_BYTES];

/// Why an event is where it is; decides which ones wait and which a truncated answer lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Frame,
    Delta,
    Terminal,
}

/// One event on the wire, and what has been said and generated once it is sent.
#[derive(Debug)]
pub(super) struct Event {
    template: Vec<u8>,
    holes: Vec<usize>,
    pub(super) part: Part,
    /// The usage that is stated in it.
    pub(super) stated: Option<Usage>,
    /// The output tokens that exist by now.
    pub(super) generated: u64,
}

impl Event {
    pub(super) fn bytes(&self, call: &CallId) -> Bytes {
        let mut bytes = self.template.clone();
        for hole in &self.holes {
            bytes[*hole..hole + ID_BYTES].copy_from_slice(call);
        }
        Bytes::from(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.template.len()
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) events: Vec<Event>,
    /// What the dialect says when the provider itself fails in mid-stream.
    pub(super) error: Event,
    /// The usage of the complete answer.
    pub(super) usage: Usage,
    pub(super) form: Form,
}

/// Renders `plan`; an error event, should there be one, comes after `error_after` others.
pub(super) fn render(plan: &Plan, error_after: usize) -> Rendered {
    let (events, error) = match plan.wire {
        Wire::AnthropicMessages => (anthropic::events(plan), anthropic::error_event()),
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => (chat::events(plan), chat::error_event()),
        Wire::OpenaiResponses => (
            responses::events(plan),
            responses::error_event(plan, error_after),
        ),
        Wire::Gemini => (
            gemini::events(plan),
            gemini::error_event(plan.form, error_after == 0),
        ),
    };
    Rendered {
        events,
        error,
        usage: plan.usage,
        form: plan.form,
    }
}

/// The body of an HTTP error in the dialect of `wire`.
pub(super) fn error_body(wire: Wire, status: u16, message: &str) -> String {
    let message = quoted(message);
    match wire {
        Wire::AnthropicMessages => {
            let kind = quoted(anthropic::error_type(status));
            format!(r#"{{"type":"error","error":{{"type":{kind},"message":{message}}}}}"#)
        }
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => {
            let kind = quoted(responses::error_type(status));
            format!(r#"{{"error":{{"message":{message},"type":{kind},"param":null,"code":null}}}}"#)
        }
        Wire::Gemini => {
            let name = quoted(gemini::error_status(status));
            format!(r#"{{"error":{{"code":{status},"message":{message},"status":{name}}}}}"#)
        }
    }
}

/// The body of a token count in the dialect of `wire`.
pub(super) fn count_body(wire: Wire, tokens: u64) -> String {
    match wire {
        Wire::AnthropicMessages => format!(r#"{{"input_tokens":{tokens}}}"#),
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => {
            format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#)
        }
        Wire::Gemini => format!(
            r#"{{"totalTokens":{tokens},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":{tokens}}}]}}"#
        ),
    }
}

/// The body of a list of models in the dialect of `wire`.
pub(super) fn models_body(wire: Wire) -> &'static str {
    match wire {
        Wire::AnthropicMessages => {
            r#"{"data":[{"type":"model","id":"claude-opus-4-8","display_name":"Claude Opus 4.8","created_at":"2026-05-01T00:00:00Z"}],"has_more":false,"first_id":"claude-opus-4-8","last_id":"claude-opus-4-8"}"#
        }
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => {
            r#"{"object":"list","data":[{"id":"gpt-5","object":"model","created":1754425777,"owned_by":"system"}]}"#
        }
        Wire::Gemini => {
            r#"{"models":[{"name":"models/gemini-2.5-flash","version":"001","displayName":"Gemini 2.5 Flash","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"]}]}"#
        }
    }
}

/// Renders text as a JSON string.
fn quoted(text: &str) -> String {
    sealed(&serde_json::Value::from(text).to_string())
}

/// Makes JSON safe to stand in a template: a dollar sign in its strings names no value.
fn sealed(json: &str) -> String {
    json.replace('$', r"\u0024")
}

/// The events of one answer in the making.
#[derive(Debug, Default)]
struct Events {
    events: Vec<Event>,
    generated: u64,
}

impl Events {
    fn push(&mut self, part: Part, template: &str, values: &[(&str, &dyn Display)]) -> &mut Event {
        let (template, holes) = filled(template, values);
        let index = self.events.len();
        let generated = self.generated;
        self.events.push(Event {
            template,
            holes,
            part,
            stated: None,
            generated,
        });
        &mut self.events[index]
    }

    /// A delta after which `generated` output tokens exist.
    fn delta(
        &mut self,
        generated: u64,
        template: &str,
        values: &[(&str, &dyn Display)],
    ) -> &mut Event {
        self.generated = generated;
        self.push(Part::Delta, template, values)
    }
}

/// Fills `$name` from `values`; `$call` is left as a hole.
fn filled(template: &str, values: &[(&str, &dyn Display)]) -> (Vec<u8>, Vec<usize>) {
    let mut text = String::with_capacity(template.len() + 64);
    let mut holes = Vec::new();
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        text.push_str(&rest[..dollar]);
        let tail = &rest[dollar + 1..];
        let end = tail
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        if name == "call" {
            holes.push(text.len());
            text.extend(std::iter::repeat_n('0', ID_BYTES));
        } else if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            // A nested rendering has holes of its own, which are still written as `$call`.
            let value = value.to_string();
            let mut parts = value.split("$call");
            text.push_str(parts.next().unwrap_or_default());
            for part in parts {
                holes.push(text.len());
                text.extend(std::iter::repeat_n('0', ID_BYTES));
                text.push_str(part);
            }
        } else {
            let _infallible = write!(text, "${name}");
        }
        rest = after;
    }
    text.push_str(rest);
    (text.into_bytes(), holes)
}

/// A lone event outside an answer's own order.
fn lone(template: &str, values: &[(&str, &dyn Display)]) -> Event {
    let (template, holes) = filled(template, values);
    Event {
        template,
        holes,
        part: Part::Frame,
        stated: None,
        generated: 0,
    }
}

/// Writes the members of a JSON object that are there.
#[derive(Debug, Default)]
struct Members(String);

impl Members {
    fn with(mut self, name: &str, value: impl Display) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _infallible = write!(self.0, r#"{comma}"{name}":{value}"#);
        self
    }

    fn maybe(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn object(self) -> String {
        format!("{{{}}}", self.0)
    }
}
