//! Anthropic Messages: all counts are cumulative, so each one stated overwrites the one before.

use bb_proto::usage::Usage;

use super::dialect::{Dialect, Documents};
use super::facts::{Facts, count, keep_name};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::standings::Standings;
use crate::ending::anthropic::{Block, Standing};

mod places;
mod usage;

use places::ROOT;
use usage::{Pass, Passes, Stated};

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
