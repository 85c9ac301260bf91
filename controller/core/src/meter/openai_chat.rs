//! Chat Completions and its many copies: the last usage object that is stated counts, whole.
//!
//! Completions and embeddings have the same usage object.

use super::choices::{Choice, Choices};
use super::dialect::{Dialect, Documents};
use super::facts::{Facts, Flowed, count, keep_name};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::quirks::Quirks;
use super::standings::Standings;
use crate::ending::openai_chat::Standing;

mod places;
mod usage;

use places::ROOT;
use usage::Stated;

/// How far a usage object has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    #[default]
    Absent,
    /// It is there and null: another chunk will have it.
    Null,
    Open,
    Whole,
}

/// One place for a usage object.
#[derive(Debug, Default)]
struct Slot {
    progress: Progress,
    stated: Stated,
}

impl Slot {
    fn open(&mut self) {
        self.progress = Progress::Open;
        self.stated = Stated::default();
    }

    fn whole(&self) -> Option<Stated> {
        (self.progress == Progress::Whole).then_some(self.stated)
    }
}

/// What one document has said so far.
#[derive(Debug, Default)]
struct Document {
    usage: Slot,
    usage_again: Slot,
    choice: Choice,
    has_choices: bool,
    error: bool,
    thinking: u64,
    thinking_again: u64,
}

impl Document {
    fn clear(&mut self) {
        self.usage.progress = Progress::Absent;
        self.usage_again.progress = Progress::Absent;
        self.has_choices = false;
        self.error = false;
        self.thinking = 0;
        self.thinking_again = 0;
    }
}

/// The reader of Chat Completions.
#[derive(Debug)]
pub(super) struct OpenaiChat {
    facts: Facts,
    quirks: Quirks,
    choices: Choices,
    /// A chunk is still to come that has the usage.
    awaits_usage: bool,
    document: Document,
    pub(super) standings: Standings<Standing>,
}

impl OpenaiChat {
    pub(super) fn new(quirks: Quirks, choices: u32) -> Self {
        Self {
            facts: Facts::default(),
            quirks,
            choices: Choices::new(choices),
            awaits_usage: false,
            document: Document::default(),
            standings: Standings::default(),
        }
    }

    pub(super) fn flowed(&self) -> Flowed {
        let pending = self.document.thinking.max(self.document.thinking_again);
        let flowed = self.facts.flowed;
        Flowed {
            reasoning: flowed.reasoning.saturating_add(pending),
            ..flowed
        }
    }

    fn commit_usage(&mut self) -> bool {
        let whole = self.document.usage.whole();
        let Some(stated) = whole.or_else(|| self.document.usage_again.whole()) else {
            return false;
        };
        let usage = stated.usage(self.quirks);
        if usage.is_stated() {
            self.facts.usage = usage;
        }
        usage.is_stated()
    }
}

impl Sink for OpenaiChat {
    fn begin(&mut self, field: Field) {
        let document = &mut self.document;
        match field {
            Field::Usage => document.usage.open(),
            Field::UsageAgain => document.usage_again.open(),
            Field::Choices => document.has_choices = true,
            Field::Choice => document.choice = Choice::default(),
            Field::Error => document.error = true,
            _ => {}
        }
    }

    fn end(&mut self, field: Field) {
        match field {
            Field::Usage => self.document.usage.progress = Progress::Whole,
            Field::UsageAgain => self.document.usage_again.progress = Progress::Whole,
            Field::Choice => self.choices.note(self.document.choice),
            _ => {}
        }
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let document = &mut self.document;
        match field {
            Field::Usage if value == Value::Null => document.usage.progress = Progress::Null,
            Field::Usage => document.usage.progress = Progress::Absent,
            Field::UsageAgain => document.usage_again.progress = Progress::Absent,
            Field::ChoiceIndex => document.choice.index = count(value),
            Field::Finish => {
                document.choice.has_ended = !matches!(value, Value::Null | Value::Text(b""));
            }
            Field::Error => document.error = value != Value::Null,
            Field::Id => keep_name(&mut self.facts.response_id, value),
            Field::Model => keep_name(&mut self.facts.model, value),
            _ if document.usage_again.progress == Progress::Open => {
                document.usage_again.stated.set(field, value);
            }
            _ => document.usage.stated.set(field, value),
        }
    }

    fn flow(&mut self, field: Field, bytes: u64) {
        let document = &mut self.document;
        let slot = match field {
            Field::Text => &mut self.facts.flowed.text,
            Field::Thinking => &mut document.thinking,
            Field::ThinkingAgain => &mut document.thinking_again,
            // Some streams repeat the whole message in every chunk.
            _ if self.facts.streamed => return,
            Field::WholeText => &mut self.facts.flowed.text,
            Field::WholeThinking => &mut document.thinking,
            Field::WholeThinkingAgain => &mut document.thinking_again,
            _ => return,
        };
        *slot = slot.saturating_add(bytes);
    }
}

impl Documents for OpenaiChat {
    fn open(&mut self) {
        self.facts.flowed = self.flowed();
        self.document.clear();
    }

    fn close(&mut self, _event: &[u8]) -> bool {
        let has_usage = self.commit_usage();
        let document = &self.document;
        let defers_usage = document.usage.progress == Progress::Null;
        self.awaits_usage = !has_usage && (self.awaits_usage || defers_usage);
        self.facts.failed |= document.error;
        let whole = !self.facts.streamed && (document.has_choices || has_usage);
        let ended = whole || (self.choices.all_ended() && !self.awaits_usage);
        self.facts.complete = ended && !self.facts.failed;
        let ends = document.error || whole || (has_usage && ended);
        if ends {
            self.standings.now.end();
        }
        ends
    }

    fn done(&mut self) -> bool {
        self.facts.complete = !self.facts.failed;
        self.standings.now.end();
        true
    }

    fn reach_boundary(&mut self) {
        self.standings.rest();
    }

    fn end_message(&mut self) {
        self.standings.end();
    }
}

impl Dialect for OpenaiChat {
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
        self.commit_usage();
    }
}
