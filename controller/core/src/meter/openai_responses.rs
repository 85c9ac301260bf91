//! Responses: the usage of the response that the last event carries, whole.
//!
//! `input_tokens` holds what was read from and written to a cache; `output_tokens` holds the
//! reasoning.

use bb_proto::usage::Usage;

use super::dialect::{Dialect, Documents};
use super::facts::{Facts, Flowed, count, keep_name, uncached};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::standings::Standings;
use crate::ending::openai_responses::Standing;

type Key = (&'static str, Node);

const USAGE: Key = (
    "usage",
    Node::object(
        Field::Usage,
        &[
            ("input_tokens", Node::value(Field::Input)),
            ("output_tokens", Node::value(Field::Output)),
            ("prompt_tokens", Node::value(Field::Input)),
            ("completion_tokens", Node::value(Field::Output)),
            (
                "input_tokens_details",
                Node::object(
                    Field::Nothing,
                    &[
                        ("cached_tokens", Node::value(Field::CacheRead(0))),
                        ("cache_write_tokens", Node::value(Field::CacheWrite(0))),
                    ],
                ),
            ),
            (
                "prompt_tokens_details",
                Node::object(
                    Field::Nothing,
                    &[
                        ("cached_tokens", Node::value(Field::CacheRead(0))),
                        ("cache_write_tokens", Node::value(Field::CacheWrite(0))),
                    ],
                ),
            ),
            (
                "completion_tokens_details",
                Node::object(
                    Field::Nothing,
                    &[("reasoning_tokens", Node::value(Field::Reasoning(0)))],
                ),
            ),
            (
                "output_tokens_details",
                Node::object(
                    Field::Nothing,
                    &[("reasoning_tokens", Node::value(Field::Reasoning(0)))],
                ),
            ),
        ],
    ),
);
const ID: Key = ("id", Node::word(Field::Id));
const MODEL: Key = ("model", Node::word(Field::Model));
const STATUS: Key = ("status", Node::word(Field::Status));
const BACKGROUND: Key = ("background", Node::value(Field::Background));
const WHOLE_CONTENT: Node = Node::object(Field::Nothing, &[("text", Node::flow(Field::WholeText))]);
const WHOLE_SUMMARY: Node = Node::object(
    Field::Nothing,
    &[("text", Node::flow(Field::WholeThinking))],
);
const WHOLE_ITEM: Node = Node::object(
    Field::Nothing,
    &[
        ("content", Node::array(Field::Nothing, &WHOLE_CONTENT)),
        ("summary", Node::array(Field::Nothing, &WHOLE_SUMMARY)),
        ("arguments", Node::flow(Field::WholeText)),
        ("input", Node::flow(Field::WholeText)),
    ],
);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("type", Node::word(Field::Kind)),
        ("sequence_number", Node::value(Field::Sequence)),
        ("delta", Node::flow(Field::Text)),
        (
            "response",
            Node::object(Field::Envelope, &[ID, MODEL, STATUS, BACKGROUND, USAGE]),
        ),
        ID,
        MODEL,
        STATUS,
        BACKGROUND,
        USAGE,
        ("object", Node::word(Field::Object)),
        ("error", Node::value(Field::Error)),
        ("output", Node::array(Field::Choices, &WHOLE_ITEM)),
    ],
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    None,
    /// Completed, or incomplete for a reason that is billed.
    Normal,
    Cancelled,
    Failed,
    /// As the response's own state says.
    ByStatus,
}

impl End {
    fn of_event(kind: &[u8]) -> Self {
        match kind {
            b"response.completed" | b"response.incomplete" => Self::Normal,
            b"response.cancelled" => Self::Cancelled,
            b"response.failed" | b"error" => Self::Failed,
            b"response.done" => Self::ByStatus,
            _ => Self::None,
        }
    }

    fn of_status(status: &[u8]) -> Self {
        match status {
            b"completed" | b"incomplete" => Self::Normal,
            b"cancelled" => Self::Cancelled,
            b"failed" => Self::Failed,
            _ => Self::None,
        }
    }

    fn of_object(object: &[u8]) -> Self {
        match object {
            // Some hosts answer in the other dialect of the same house.
            b"response.compaction" | b"chat.completion" => Self::Normal,
            _ => Self::None,
        }
    }
}

/// What one document has said so far.
#[derive(Debug, Default)]
struct Document {
    kind: Option<End>,
    status: End,
    object: End,
    is_reasoning: bool,
    sequence: Option<u64>,
    error: bool,
    usage: Option<Usage>,
    usage_closed: bool,
    delta: u64,
}

impl Document {
    fn count(&mut self) -> &mut Usage {
        self.usage.get_or_insert_default()
    }
}

/// The reader of Responses.
#[derive(Debug, Default)]
pub(super) struct OpenaiResponses {
    facts: Facts,
    document: Document,
    pub(super) standings: Standings<Standing>,
}

impl OpenaiResponses {
    pub(super) fn flowed(&self) -> Flowed {
        let mut flowed = self.facts.flowed;
        let slot = if self.document.is_reasoning {
            &mut flowed.reasoning
        } else {
            &mut flowed.text
        };
        *slot = slot.saturating_add(self.document.delta);
        flowed
    }

    fn commit_usage(&mut self) {
        let Some(stated) = self.document.usage.filter(Usage::is_stated) else {
            return;
        };
        self.facts.usage = Usage {
            input: stated
                .input
                .map(|input| uncached(input, stated.cache_read, stated.cache_write)),
            ..stated
        };
    }
}

impl Sink for OpenaiResponses {
    fn begin(&mut self, field: Field) {
        match field {
            Field::Usage => {
                self.document.usage = Some(Usage::default());
                self.document.usage_closed = false;
            }
            Field::Error => self.document.error = true,
            _ => {}
        }
    }

    fn end(&mut self, field: Field) {
        if field == Field::Usage {
            self.document.usage_closed = true;
        }
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let document = &mut self.document;
        match (field, value) {
            (Field::Kind, Value::Text(kind)) => {
                document.kind = Some(End::of_event(kind));
                document.is_reasoning = kind.starts_with(b"response.reasoning");
            }
            (Field::Status, Value::Text(status)) => document.status = End::of_status(status),
            (Field::Object, Value::Text(object)) => document.object = End::of_object(object),
            (Field::Background, _) => self.facts.background = value == Value::Bool(true),
            (Field::Sequence, _) => document.sequence = count(value),
            (Field::Error, _) => document.error = value != Value::Null,
            (Field::Id, _) => keep_name(&mut self.facts.response_id, value),
            (Field::Model, _) => keep_name(&mut self.facts.model, value),
            (Field::Usage, _) => document.usage = None,
            (Field::Input, _) => document.count().input = count(value),
            (Field::Output, _) => document.count().output = count(value),
            (Field::CacheRead(_), _) => document.count().cache_read = count(value),
            (Field::CacheWrite(_), _) => document.count().cache_write = count(value),
            (Field::Reasoning(_), _) => document.count().reasoning = count(value),
            _ => {}
        }
    }

    fn flow(&mut self, field: Field, bytes: u64) {
        let slot = match field {
            Field::Text => &mut self.document.delta,
            Field::WholeThinking => &mut self.facts.flowed.reasoning,
            _ => &mut self.facts.flowed.text,
        };
        *slot = slot.saturating_add(bytes);
    }
}

impl Documents for OpenaiResponses {
    fn open(&mut self) {
        self.facts.flowed = self.flowed();
        self.document = Document::default();
    }

    fn close(&mut self, event: &[u8]) -> bool {
        self.commit_usage();
        let document = &self.document;
        let mut end = if self.facts.streamed {
            document.kind.unwrap_or(End::of_event(event))
        } else if document.object == End::None {
            document.status
        } else {
            document.object
        };
        if end == End::ByStatus {
            end = match document.status {
                End::None => End::Normal,
                status => status,
            };
        }
        if document.error {
            end = End::Failed;
        }
        if self.facts.streamed {
            self.standings.now.pass(document.sequence);
        }
        match end {
            End::None | End::ByStatus => return false,
            End::Normal => self.facts.complete = !self.facts.failed,
            End::Cancelled => self.facts.complete = false,
            End::Failed => {
                self.facts.failed = true;
                self.facts.complete = false;
            }
        }
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

impl Dialect for OpenaiResponses {
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
