//! Anthropic Messages: all counts are cumulative, so each one stated overwrites the one before.
//!
//! The passes of `usage.iterations` are summed where one of them is a compaction, which the top
//! level leaves out; the passes of an advisor belong to another model.

use bb_proto::usage::Usage;

use super::dialect::{Dialect, Documents};
use super::facts::{Facts, add, count, keep_name};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::standings::Standings;
use crate::ending::anthropic::{Block, Standing};

/// The most other models kept apart; what is beyond is added to the last.
const OTHER_MODELS_MAX: usize = 8;

type Key = (&'static str, Node);

const INPUT: Key = ("input_tokens", Node::value(Field::Input));
const READ: Key = ("cache_read_input_tokens", Node::value(Field::CacheRead(0)));
const WRITE: Key = (
    "cache_creation_input_tokens",
    Node::value(Field::CacheWrite(0)),
);
const WRITE_SPLIT: Key = (
    "cache_creation",
    Node::object(
        Field::Nothing,
        &[
            (
                "ephemeral_5m_input_tokens",
                Node::value(Field::CacheWriteShort),
            ),
            (
                "ephemeral_1h_input_tokens",
                Node::value(Field::CacheWriteLong),
            ),
        ],
    ),
);
const OUTPUT: Key = ("output_tokens", Node::value(Field::Output));
const OUTPUT_SPLIT: Key = (
    "output_tokens_details",
    Node::object(
        Field::Nothing,
        &[("thinking_tokens", Node::value(Field::Reasoning(0)))],
    ),
);

const ITERATION: Node = Node::object(
    Field::Iteration,
    &[
        ("type", Node::word(Field::IterationKind)),
        ("model", Node::word(Field::IterationModel)),
        INPUT,
        READ,
        WRITE,
        WRITE_SPLIT,
        OUTPUT,
        OUTPUT_SPLIT,
    ],
);
const USAGE: Key = (
    "usage",
    Node::object(
        Field::Usage,
        &[
            INPUT,
            READ,
            WRITE,
            WRITE_SPLIT,
            OUTPUT,
            OUTPUT_SPLIT,
            ("iterations", Node::array(Field::Nothing, &ITERATION)),
        ],
    ),
);
const ID: Key = ("id", Node::word(Field::Id));
const MODEL: Key = ("model", Node::word(Field::Model));
const WHOLE_BLOCK: Node = Node::object(
    Field::Nothing,
    &[
        ("text", Node::flow(Field::WholeText)),
        ("input", Node::flow(Field::WholeText)),
        ("thinking", Node::flow(Field::WholeThinking)),
    ],
);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("type", Node::word(Field::Kind)),
        ("index", Node::value(Field::BlockIndex)),
        (
            "delta",
            Node::object(
                Field::Nothing,
                &[
                    ("text", Node::flow(Field::Text)),
                    ("partial_json", Node::flow(Field::Text)),
                    ("content", Node::flow(Field::Text)),
                    ("thinking", Node::flow(Field::Thinking)),
                ],
            ),
        ),
        (
            "content_block",
            Node::object(Field::Nothing, &[("type", Node::word(Field::BlockKind))]),
        ),
        ("message", Node::object(Field::Nothing, &[ID, MODEL, USAGE])),
        USAGE,
        ("error", Node::value(Field::Error)),
        ID,
        MODEL,
        ("content", Node::array(Field::Nothing, &WHOLE_BLOCK)),
    ],
);

/// Counts of one usage object or one pass, as far as they were read.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    usage: Usage,
    write_short: Option<u64>,
    write_long: Option<u64>,
}

impl Counts {
    fn set(&mut self, field: Field, value: Value<'_>) {
        let slot = match field {
            Field::Input => &mut self.usage.input,
            Field::CacheRead(_) => &mut self.usage.cache_read,
            Field::CacheWrite(_) => &mut self.usage.cache_write,
            Field::CacheWriteShort => &mut self.write_short,
            Field::CacheWriteLong => &mut self.write_long,
            Field::Output => &mut self.usage.output,
            Field::Reasoning(_) => &mut self.usage.reasoning,
            _ => return,
        };
        *slot = count(value);
    }

    fn usage(self) -> Usage {
        let split = add(self.write_short, self.write_long);
        Usage {
            cache_write: self.usage.cache_write.or(split),
            ..self.usage
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pass {
    #[default]
    Message,
    Compaction,
    Advisor,
    Other,
}

impl Pass {
    fn of(kind: &[u8]) -> Self {
        match kind {
            b"message" => Self::Message,
            b"compaction" => Self::Compaction,
            b"advisor_message" => Self::Advisor,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Other,
    MessageStart,
    BlockStart,
    BlockStop,
    MessageStop,
    Message,
    Error,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::MessageStart,
            b"content_block_start" => Self::BlockStart,
            b"content_block_stop" => Self::BlockStop,
            b"message_stop" => Self::MessageStop,
            b"message" => Self::Message,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// The passes of one usage object.
#[derive(Debug, Default)]
struct Passes {
    /// The pass that is read, if one is.
    current: Option<Counts>,
    kind: Pass,
    model: Option<String>,
    count: u32,
    has_compaction: bool,
    sum: Usage,
    others: Vec<(String, Usage)>,
}

impl Passes {
    fn begin(&mut self) {
        self.current = Some(Counts::default());
        self.kind = Pass::Other;
        self.model = None;
    }

    fn end(&mut self) {
        let Some(counts) = self.current.take() else {
            return;
        };
        let usage = counts.usage();
        self.count = self.count.saturating_add(1);
        match self.kind {
            Pass::Compaction | Pass::Message => {
                self.has_compaction |= self.kind == Pass::Compaction;
                self.sum = sum(self.sum, usage);
            }
            Pass::Advisor => {
                add_other(
                    &mut self.others,
                    self.model.take().unwrap_or_default(),
                    usage,
                );
            }
            Pass::Other => {}
        }
    }
}

/// A usage object as far as it was read.
#[derive(Debug, Default)]
struct Stated {
    counts: Counts,
    passes: Passes,
    is_whole: bool,
}

impl Stated {
    fn set(&mut self, field: Field, value: Value<'_>) {
        match &mut self.passes.current {
            Some(pass) => pass.set(field, value),
            None => self.counts.set(field, value),
        }
    }

    fn usage(&self) -> Usage {
        let usage = self.counts.usage();
        if !self.passes.has_compaction {
            return usage;
        }
        Usage {
            reasoning: self.passes.sum.reasoning.or(usage.reasoning),
            ..self.passes.sum
        }
    }
}

/// What one document has said so far.
#[derive(Debug, Default)]
struct Document {
    kind: Option<Kind>,
    index: Option<u64>,
    is_text_block: bool,
    error: bool,
    stated: Option<Stated>,
}

impl Document {
    fn passes(&mut self, change: impl FnOnce(&mut Passes)) {
        if let Some(stated) = &mut self.stated {
            change(&mut stated.passes);
        }
    }
}

/// The reader of Anthropic Messages.
#[derive(Debug, Default)]
pub(super) struct Anthropic {
    facts: Facts,
    others: Vec<(String, Usage)>,
    document: Document,
    pub(super) standings: Standings<Standing>,
}

impl Anthropic {
    pub(super) fn other_models(&self) -> &[(String, Usage)] {
        &self.others
    }

    fn commit_usage(&mut self) {
        let Some(stated) = self.document.stated.take() else {
            return;
        };
        let usage = stated.usage();
        let known = self.facts.usage;
        self.facts.usage = Usage {
            input: usage.input.or(known.input),
            cache_read: usage.cache_read.or(known.cache_read),
            cache_write: usage.cache_write.or(known.cache_write),
            output: usage.output.or(known.output),
            reasoning: usage.reasoning.or(known.reasoning),
        };
        if stated.passes.count > 0 {
            self.others = stated.passes.others;
        }
    }
}

impl Sink for Anthropic {
    fn begin(&mut self, field: Field) {
        match field {
            Field::Usage => self.document.stated = Some(Stated::default()),
            Field::Iteration => self.document.passes(Passes::begin),
            Field::Error => self.document.error = true,
            _ => {}
        }
    }

    fn end(&mut self, field: Field) {
        match field {
            Field::Usage => {
                if let Some(stated) = &mut self.document.stated {
                    stated.is_whole = true;
                }
            }
            Field::Iteration => self.document.passes(Passes::end),
            _ => {}
        }
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let document = &mut self.document;
        match (field, value) {
            (Field::Kind, Value::Text(kind)) => document.kind = Some(Kind::of(kind)),
            (Field::BlockIndex, _) => document.index = count(value),
            (Field::BlockKind, Value::Text(kind)) => document.is_text_block = kind == b"text",
            (Field::Id, _) => keep_name(&mut self.facts.response_id, value),
            (Field::Model, _) => keep_name(&mut self.facts.model, value),
            (Field::Error, _) => document.error = value != Value::Null,
            (Field::Usage, _) => document.stated = None,
            (Field::IterationKind, Value::Text(kind)) => {
                document.passes(|passes| passes.kind = Pass::of(kind));
            }
            (Field::IterationModel, _) => {
                document.passes(|passes| keep_name(&mut passes.model, value));
            }
            _ => {
                if let Some(stated) = &mut document.stated {
                    stated.set(field, value);
                }
            }
        }
    }

    fn flow(&mut self, field: Field, bytes: u64) {
        let flowed = &mut self.facts.flowed;
        match field {
            Field::Text | Field::WholeText => flowed.text = flowed.text.saturating_add(bytes),
            _ => flowed.reasoning = flowed.reasoning.saturating_add(bytes),
        }
    }
}

impl Documents for Anthropic {
    fn open(&mut self) {
        self.document = Document::default();
    }

    fn close(&mut self, event: &[u8]) -> bool {
        let mut kind = self.document.kind.unwrap_or(Kind::of(event));
        if self.document.error {
            kind = Kind::Error;
        }
        self.commit_usage();
        match kind {
            Kind::MessageStart => self.standings.now.start(),
            Kind::BlockStart => self.standings.now.open(Block {
                index: self.document.index,
                is_text: self.document.is_text_block,
            }),
            Kind::BlockStop => self.standings.now.close(self.document.index),
            Kind::MessageStop | Kind::Message => {
                self.facts.complete = !self.facts.failed;
                self.standings.now.end();
            }
            Kind::Error => {
                self.facts.failed = true;
                self.facts.complete = false;
                self.standings.now.end();
            }
            Kind::Other => {}
        }
        matches!(kind, Kind::MessageStop | Kind::Message | Kind::Error)
    }

    fn reach_boundary(&mut self) {
        self.standings.rest();
    }

    fn end_message(&mut self) {
        self.standings.end();
    }
}

impl Dialect for Anthropic {
    fn root() -> &'static Node {
        &ROOT
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn set_streamed(&mut self, streamed: bool) {
        self.facts.streamed = streamed;
    }

    fn cut(&mut self) {
        self.facts.complete = false;
        if self
            .document
            .stated
            .as_ref()
            .is_some_and(|stated| stated.is_whole)
        {
            self.commit_usage();
        }
    }
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        input: add(a.input, b.input),
        cache_read: add(a.cache_read, b.cache_read),
        cache_write: add(a.cache_write, b.cache_write),
        output: add(a.output, b.output),
        reasoning: add(a.reasoning, b.reasoning),
    }
}

fn add_other(others: &mut Vec<(String, Usage)>, model: String, usage: Usage) {
    let is_full = others.len() >= OTHER_MODELS_MAX;
    let known = match others.iter().position(|(name, _)| *name == model) {
        Some(at) => others.get_mut(at),
        None if is_full => others.last_mut(),
        None => None,
    };
    match known {
        Some((_, total)) => *total = sum(*total, usage),
        None => others.push((model, usage)),
    }
}
