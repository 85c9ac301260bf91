//! What the provider is told to answer: a value, so that a test reads as the story it tells.

use std::sync::Arc;
use std::time::Duration;

use bb_proto::usage::{Usage, Wire};

const DEFAULT_TEXT: &str = "I have read the file you named, changed the function so that it returns \
    early when there is nothing to do, and run the tests: all of them pass. Say so if you would \
    rather have the check at the caller.";

/// One answer: what it says, what it states as usage, how its bytes travel, what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The usage a complete answer states.
    pub tokens: Tokens,
    /// The answer's text; it is repeated where `events` asks for more words than it has.
    pub text: String,
    /// The number of text deltas of a streamed answer.
    pub events: usize,
    /// A thinking block before the text.
    pub thinking: Option<String>,
    /// A tool call after the text; the answer then ends because of it.
    pub tool: Option<Tool>,
    /// The time from one delta to the next.
    pub delay: Duration,
    /// The time from the whole request to the response headers.
    pub first_byte_delay: Duration,
    /// How the body is cut into frames.
    pub chunking: Chunking,
    /// The content encoding, where the request accepts it.
    pub encoding: Encoding,
    /// Trailer fields; over HTTP/1.1 they are sent only if the request says `te: trailers`.
    pub trailers: Vec<(String, String)>,
    /// Whether usage is stated at all, where the wire would state it.
    pub usage_stated: bool,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            tokens: Tokens::FromRequest,
            text: DEFAULT_TEXT.to_owned(),
            events: 15,
            thinking: None,
            tool: None,
            delay: Duration::ZERO,
            first_byte_delay: Duration::ZERO,
            chunking: Chunking::Events,
            encoding: Encoding::Identity,
            trailers: Vec::new(),
            usage_stated: true,
            fault: None,
        }
    }
}

impl Script {
    /// Answers with `text` and no more, in as many deltas as the default if it has the words.
    pub fn saying(text: impl Into<String>) -> Self {
        let text = text.into();
        let base = Self::default();
        let words = text.split_inclusive(' ').count();
        Self {
            events: base.events.min(words),
            text,
            ..base
        }
    }

    /// States exactly `usage`; fields that are `None` are not in the answer.
    pub fn stating(usage: Usage) -> Self {
        Self {
            tokens: Tokens::Stated(usage),
            ..Self::default()
        }
    }

    /// States `input` uncached prompt tokens and `output` tokens, and no cache counts.
    pub fn costing(input: u64, output: u64) -> Self {
        Self::stating(Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        })
    }

    /// Refuses with `status` and the dialect's own error body.
    pub fn refusing(status: u16) -> Self {
        Self::failing(Fault::Status {
            status,
            body: None,
            headers: Vec::new(),
        })
    }

    /// The default answer, with `fault`.
    pub fn failing(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// A stream of `events` deltas, `delay` apart.
    pub fn slow(events: usize, delay: Duration) -> Self {
        Self {
            events,
            delay,
            ..Self::default()
        }
    }

    /// A runaway agent's provider: each answer is a tool call, so the agent calls again.
    pub fn runaway() -> Self {
        Self {
            text: "Let me look at that once more.".to_owned(),
            events: 4,
            tool: Some(Tool::FromRequest),
            ..Self::default()
        }
    }
}

/// Where the stated usage comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// The prompt is about a quarter of the bytes of the request's content, mostly read from the
    /// cache as agents' prompts are; the output is a quarter of the answer's bytes.
    FromRequest,
    /// The prompt as above; so many output tokens.
    Output(u64),
    /// As given. Without `output` the output is derived from the text. A request's own limit on
    /// the output still holds.
    Stated(Usage),
}

/// Which tool is called, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// The tool `name` with `input`, a JSON object.
    Named { name: String, input: String },
    /// A harmless call of a tool the request offers, one that a coding agent carries out by
    /// itself where it offers such a one.
    FromRequest,
}

/// How the body is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// Each event is one frame.
    Events,
    /// So many events in one frame.
    Together(usize),
    /// A frame each so many bytes, wherever that cuts.
    Split(usize),
}

/// The content encoding of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    /// Flushed at each event, as providers do. Only where the request accepts it.
    Gzip,
}

/// What goes wrong. Events are counted from one, openings and closings included; the body of an
/// answer that is not streamed is one event, of which the first half is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An answer with this status; `body: None` is the dialect's own error.
    Status {
        status: u16,
        body: Option<String>,
        headers: Vec<(String, String)>,
    },
    /// The connection ends before any response header.
    DropBeforeHeaders,
    /// The connection ends after so many events.
    Drop { after: usize },
    /// Nothing more comes after so many events, and the connection stays open.
    Stall { after: usize },
    /// After so many events comes the dialect's error event, and a proper end of the body.
    ErrorEvent { after: usize },
    /// The body ends properly after so many events, the terminal event never among them.
    Truncate { after: usize },
}

/// Which requests a script is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Requests whose path is this one.
    Path(String),
    /// Requests for this model.
    Model(String),
    /// Requests in this dialect.
    Wire(Wire),
}

/// A script as the provider keeps it; the number tells cached renderings of scripts apart.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) script: Arc<Script>,
}
