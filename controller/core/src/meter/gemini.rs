//! Gemini: `usageMetadata` is a running snapshot; the last one counts, whole.
//!
//! Counts may shrink from chunk to chunk, so nothing is summed, merged or compared.

use bb_proto::usage::Usage;

use super::choices::{Choice, Choices};
use super::dialect::{Dialect, Documents};
use super::facts::{Facts, Flowed, add, count, keep_name};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::standings::Standings;
use crate::ending::gemini::Standing;

type Key = (&'static str, Node);

const PART: Node = Node::object(
    Field::Part,
    &[
        ("text", Node::flow(Field::Text)),
        ("thought", Node::value(Field::Thought)),
        (
            "functionCall",
            Node::object(Field::Nothing, &[("args", Node::flow(Field::Text))]),
        ),
        (
            "executableCode",
            Node::object(Field::Nothing, &[("code", Node::flow(Field::Text))]),
        ),
    ],
);
const CANDIDATE: Node = Node::object(
    Field::Choice,
    &[
        (
            "content",
            Node::object(
                Field::Nothing,
                &[("parts", Node::array(Field::Nothing, &PART))],
            ),
        ),
        ("finishReason", Node::word(Field::Finish)),
        ("index", Node::value(Field::ChoiceIndex)),
    ],
);
const CANDIDATES: Key = ("candidates", Node::array(Field::Choices, &CANDIDATE));
const USAGE: Key = (
    "usageMetadata",
    Node::object(
        Field::Usage,
        &[
            ("promptTokenCount", Node::value(Field::Input)),
            ("cachedContentTokenCount", Node::value(Field::CacheRead(0))),
            ("toolUsePromptTokenCount", Node::value(Field::ToolInput)),
            ("candidatesTokenCount", Node::value(Field::Output)),
            ("thoughtsTokenCount", Node::value(Field::Reasoning(0))),
            ("totalTokenCount", Node::value(Field::Total)),
        ],
    ),
);
const MODEL: Key = ("modelVersion", Node::word(Field::Model));
const ID: Key = ("responseId", Node::word(Field::Id));
const FEEDBACK: Key = (
    "promptFeedback",
    Node::object(
        Field::Nothing,
        &[("blockReason", Node::word(Field::Blocked))],
    ),
);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        CANDIDATES,
        USAGE,
        MODEL,
        ID,
        FEEDBACK,
        ("error", Node::value(Field::Error)),
        (
            "response",
            Node::object(Field::Envelope, &[CANDIDATES, USAGE, MODEL, ID, FEEDBACK]),
        ),
    ],
);

/// A usage object as the provider wrote it.
#[derive(Debug, Clone, Copy, Default)]
struct Stated {
    prompt: Option<u64>,
    cached: Option<u64>,
    tool_prompt: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
}

impl Stated {
    /// Maps the snapshot; a count left out of one that has any is zero.
    ///
    /// Chunks before the last may have a snapshot without counts, which states nothing; that of
    /// a blocked prompt states zero.
    fn usage(self, is_blocked: bool) -> Option<Usage> {
        let counts = [
            self.prompt,
            self.tool_prompt,
            self.candidates,
            self.thoughts,
            self.total,
        ];
        if !is_blocked && counts == [None; 5] {
            return None;
        }
        let prompt = self.prompt.unwrap_or(0);
        let uncached = prompt
            .checked_sub(self.cached.unwrap_or(0))
            .unwrap_or(prompt);
        Some(Usage {
            input: add(Some(uncached), self.tool_prompt),
            cache_read: self.cached,
            cache_write: None,
            output: add(self.candidates, self.thoughts).or(Some(0)),
            reasoning: self.thoughts,
        })
    }
}

/// What one document has said so far.
#[derive(Debug, Default)]
struct Document {
    stated: Option<Stated>,
    usage_closed: bool,
    choice: Choice,
    is_blocked: bool,
    error: bool,
    part: Part,
}

/// One part of a candidate as it is read.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    is_thought: bool,
    bytes: u64,
}

/// The reader of Gemini.
#[derive(Debug)]
pub(super) struct Gemini {
    facts: Facts,
    choices: Choices,
    is_blocked: bool,
    document: Document,
    pub(super) standings: Standings<Standing>,
}

impl Gemini {
    pub(super) fn new(choices: u32) -> Self {
        Self {
            facts: Facts::default(),
            choices: Choices::new(choices),
            is_blocked: false,
            document: Document::default(),
            standings: Standings::default(),
        }
    }

    pub(super) fn flowed(&self) -> Flowed {
        let mut flowed = self.facts.flowed;
        let slot = if self.document.part.is_thought {
            &mut flowed.reasoning
        } else {
            &mut flowed.text
        };
        *slot = slot.saturating_add(self.document.part.bytes);
        flowed
    }

    fn end_part(&mut self) {
        self.facts.flowed = self.flowed();
        self.document.part = Part::default();
    }

    fn commit_usage(&mut self) -> bool {
        let stated = self.document.stated;
        match stated.and_then(|stated| stated.usage(self.document.is_blocked)) {
            Some(usage) => {
                self.facts.usage = usage;
                true
            }
            None => false,
        }
    }
}

impl Sink for Gemini {
    fn begin(&mut self, field: Field) {
        match field {
            Field::Usage => {
                self.document.stated = Some(Stated::default());
                self.document.usage_closed = false;
            }
            Field::Choice => self.document.choice = Choice::default(),
            Field::Part => self.end_part(),
            Field::Error => self.document.error = true,
            Field::Envelope => self.standings.now.wrap(),
            _ => {}
        }
    }

    fn end(&mut self, field: Field) {
        match field {
            Field::Usage => self.document.usage_closed = true,
            Field::Choice => self.choices.note(self.document.choice),
            Field::Part => self.end_part(),
            _ => {}
        }
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let document = &mut self.document;
        match field {
            Field::Usage => document.stated = None,
            Field::ChoiceIndex => document.choice.index = count(value),
            Field::Finish => document.choice.has_ended = is_reason(value),
            Field::Blocked => document.is_blocked = is_reason(value),
            Field::Thought => document.part.is_thought = value == Value::Bool(true),
            Field::Error => document.error = value != Value::Null,
            Field::Id => keep_name(&mut self.facts.response_id, value),
            Field::Model => keep_name(&mut self.facts.model, value),
            _ => {
                let Some(stated) = &mut document.stated else {
                    return;
                };
                match field {
                    Field::Input => stated.prompt = count(value),
                    Field::CacheRead(_) => stated.cached = count(value),
                    Field::ToolInput => stated.tool_prompt = count(value),
                    Field::Output => stated.candidates = count(value),
                    Field::Reasoning(_) => stated.thoughts = count(value),
                    Field::Total => stated.total = count(value),
                    _ => {}
                }
            }
        }
    }

    fn flow(&mut self, _field: Field, bytes: u64) {
        let part = &mut self.document.part;
        part.bytes = part.bytes.saturating_add(bytes);
    }
}

impl Documents for Gemini {
    fn open(&mut self) {
        self.end_part();
        self.document = Document::default();
    }

    fn close(&mut self, _event: &[u8]) -> bool {
        let has_usage = self.commit_usage();
        let document = &self.document;
        self.is_blocked |= document.is_blocked;
        self.facts.failed |= document.error;
        let whole = has_usage && !self.facts.streamed;
        let ended = whole || self.is_blocked || self.choices.all_ended();
        self.facts.complete = ended && !self.facts.failed;
        if document.error || ended {
            self.standings.now.end();
        }
        document.error || (has_usage && ended)
    }

    fn reach_boundary(&mut self) {
        self.standings.rest();
    }

    fn end_message(&mut self) {
        self.standings.end();
    }
}

impl Dialect for Gemini {
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
        if self.document.usage_closed {
            self.commit_usage();
        }
    }
}

/// Reasons are names, or numbers where enumerations are written so; zero is unspecified.
fn is_reason(value: Value<'_>) -> bool {
    match value {
        Value::Text(name) => name != b"FINISH_REASON_UNSPECIFIED",
        Value::Count(number) => number != 0,
        _ => false,
    }
}
