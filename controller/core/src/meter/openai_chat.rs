//! Chat Completions and its many copies: the last usage object that is stated counts, whole.
//!
//! `prompt_tokens` holds what was read from and written to a cache; `completion_tokens` mostly
//! holds the reasoning. Completions and embeddings have the same usage object.

use bb_proto::usage::Usage;

use super::choices::{Choice, Choices};
use super::dialect::{Dialect, Documents};
use super::facts::{Facts, Flowed, add, count, keep_name};
use super::field::Field;
use super::json::{Node, Sink, Value};
use super::quirks::Quirks;
use super::standings::Standings;
use crate::ending::openai_chat::Standing;

type Key = (&'static str, Node);

/// The names for tokens read from a cache, the first of which that is stated counts.
const READ_NAMES: usize = 5;
/// The names for tokens written to a cache, likewise.
const WRITE_NAMES: usize = 2;
/// The names for tokens of reasoning, likewise.
const REASONING_NAMES: usize = 2;

const PROMPT_DETAILS: Node = Node::object(
    Field::Nothing,
    &[
        ("cached_tokens", Node::value(Field::CacheRead(0))),
        ("cache_write_tokens", Node::value(Field::CacheWrite(0))),
        ("audio_tokens", Node::value(Field::Audio)),
    ],
);
const COMPLETION_DETAILS: Node = Node::object(
    Field::Nothing,
    &[("reasoning_tokens", Node::value(Field::Reasoning(0)))],
);
const USAGE_KEYS: &[Key] = &[
    ("prompt_tokens", Node::value(Field::Input)),
    ("completion_tokens", Node::value(Field::Output)),
    ("total_tokens", Node::value(Field::Total)),
    ("prompt_tokens_details", PROMPT_DETAILS),
    ("prompt_token_details", PROMPT_DETAILS),
    ("completion_tokens_details", COMPLETION_DETAILS),
    ("completion_token_details", COMPLETION_DETAILS),
    ("reasoning_tokens", Node::value(Field::Reasoning(1))),
    ("prompt_cache_hit_tokens", Node::value(Field::CacheRead(1))),
    ("cached_tokens", Node::value(Field::CacheRead(2))),
    ("num_cached_tokens", Node::value(Field::CacheRead(3))),
    ("cache_read_input_tokens", Node::value(Field::CacheRead(4))),
    (
        "cache_creation_input_tokens",
        Node::value(Field::CacheWrite(1)),
    ),
];

const TOOL_CALL: Node = Node::object(
    Field::Nothing,
    &[(
        "function",
        Node::object(Field::Nothing, &[("arguments", Node::flow(Field::Text))]),
    )],
);
const WHOLE_TOOL_CALL: Node = Node::object(
    Field::Nothing,
    &[(
        "function",
        Node::object(
            Field::Nothing,
            &[("arguments", Node::flow(Field::WholeText))],
        ),
    )],
);
const CHOICE: Node = Node::object(
    Field::Choice,
    &[
        ("index", Node::value(Field::ChoiceIndex)),
        ("finish_reason", Node::word(Field::Finish)),
        (
            "delta",
            Node::object(
                Field::Nothing,
                &[
                    ("content", Node::flow(Field::Text)),
                    ("refusal", Node::flow(Field::Text)),
                    ("reasoning_content", Node::flow(Field::Thinking)),
                    ("reasoning", Node::flow(Field::ThinkingAgain)),
                    ("tool_calls", Node::array(Field::Nothing, &TOOL_CALL)),
                    (
                        "function_call",
                        Node::object(Field::Nothing, &[("arguments", Node::flow(Field::Text))]),
                    ),
                ],
            ),
        ),
        (
            "message",
            Node::object(
                Field::Nothing,
                &[
                    ("content", Node::flow(Field::WholeText)),
                    ("refusal", Node::flow(Field::WholeText)),
                    ("reasoning_content", Node::flow(Field::WholeThinking)),
                    ("reasoning", Node::flow(Field::WholeThinkingAgain)),
                    ("tool_calls", Node::array(Field::Nothing, &WHOLE_TOOL_CALL)),
                ],
            ),
        ),
        ("text", Node::flow(Field::Text)),
    ],
);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("choices", Node::array(Field::Choices, &CHOICE)),
        ("usage", Node::object(Field::Usage, USAGE_KEYS)),
        (
            "x_groq",
            Node::object(
                Field::Nothing,
                &[("usage", Node::object(Field::UsageAgain, USAGE_KEYS))],
            ),
        ),
        ("error", Node::value(Field::Error)),
        ("id", Node::word(Field::Id)),
        ("model", Node::word(Field::Model)),
        ("data", Node::value(Field::Choices)),
    ],
);

/// A usage object as the provider wrote it.
#[derive(Debug, Clone, Copy, Default)]
struct Stated {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    audio: Option<u64>,
    reasonings: [Option<u64>; REASONING_NAMES],
    reads: [Option<u64>; READ_NAMES],
    writes: [Option<u64>; WRITE_NAMES],
}

impl Stated {
    fn set(&mut self, field: Field, value: Value<'_>) {
        let slot = match field {
            Field::Input => Some(&mut self.prompt),
            Field::Output => Some(&mut self.completion),
            Field::Total => Some(&mut self.total),
            Field::Audio => Some(&mut self.audio),
            Field::Reasoning(rank) => self.reasonings.get_mut(usize::from(rank)),
            Field::CacheRead(rank) => self.reads.get_mut(usize::from(rank)),
            Field::CacheWrite(rank) => self.writes.get_mut(usize::from(rank)),
            _ => None,
        };
        if let Some(slot) = slot {
            *slot = count(value);
        }
    }

    fn usage(self, quirks: Quirks) -> Usage {
        let read = self.reads.into_iter().flatten().next();
        let write = self.writes.into_iter().flatten().next();
        let reasoning = self.reasonings.into_iter().flatten().next();
        let Some(prompt) = self.prompt else {
            // Embeddings may state nothing but a total, which is all prompt.
            let only_total = self.total.filter(|_| self.completion.is_none());
            return Usage {
                input: only_total,
                cache_read: read,
                cache_write: write,
                output: self.completion.or(only_total.map(|_| 0)),
                reasoning,
            };
        };
        let prompt = prompt.saturating_add(self.audio_on_top());
        let output = self.output(prompt, reasoning, quirks);
        let hidden = output.zip(self.completion);
        let hidden = hidden.map(|(output, stated)| output.saturating_sub(stated));
        Usage {
            input: Some(uncached(prompt, read, write)),
            cache_read: read,
            cache_write: write,
            output,
            reasoning: reasoning.or(hidden.filter(|hidden| *hidden > 0)),
        }
    }

    /// Some state the tokens of sound beside `prompt_tokens`; their total tells.
    fn audio_on_top(self) -> u64 {
        let audio = self.audio.unwrap_or(0);
        let sum = add(add(self.prompt, self.completion), Some(audio));
        if audio > 0 && self.total == sum {
            audio
        } else {
            0
        }
    }

    fn output(self, prompt: u64, reasoning: Option<u64>, quirks: Quirks) -> Option<u64> {
        let rest_of_total = self.total.map(|total| total.saturating_sub(prompt));
        let Some(completion) = self.completion else {
            // Embeddings state no output at all.
            return rest_of_total;
        };
        if quirks.hidden_thinking_in_total {
            return rest_of_total.max(Some(completion));
        }
        let with_reasoning = completion.saturating_add(reasoning.unwrap_or(0));
        if quirks.reasoning_on_top || rest_of_total == Some(with_reasoning) {
            return Some(with_reasoning);
        }
        Some(completion)
    }
}

/// The part of the prompt that no cache had to do with, never below zero.
///
/// Where reads and writes together exceed the prompt they name the same tokens; where one alone
/// does, it is no part of the prompt.
fn uncached(prompt: u64, read: Option<u64>, write: Option<u64>) -> u64 {
    let (read, write) = (read.unwrap_or(0), write.unwrap_or(0));
    prompt
        .checked_sub(read.saturating_add(write))
        .or_else(|| prompt.checked_sub(read.max(write)))
        .unwrap_or(prompt)
}

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
        if document.error {
            self.standings.now.end();
        }
        document.error || whole || (has_usage && ended)
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
