//! Reads what a provider's answer says of itself as its bytes pass: counts, state, end.
//!
//! It owns the dialects and how they are laid in bytes; it must not know where bytes come from or
//! what becomes of them. Its memory is bounded, whatever the size of a body or an event, and what
//! it says does not depend on where the bytes were cut.

use bb_proto::usage::{Usage, Wire};

use crate::ending::{LineEnd, Names};

mod anthropic;
mod choices;
mod dialect;
mod facts;
mod field;
mod framing;
mod gemini;
mod json;
mod json_array;
mod openai_chat;
mod openai_responses;
mod quirks;
mod sse;
mod step;

pub use facts::Flowed;
pub use framing::Framing;
pub use quirks::Quirks;
pub use step::Step;

use anthropic::Anthropic;
use dialect::Dialect;
use facts::Facts;
use framing::Frames;
use gemini::Gemini;
use json::Scanner;
use openai_chat::OpenaiChat;
use openai_responses::OpenaiResponses;

/// The meter of one answer.
#[derive(Debug)]
pub struct Meter {
    frames: Frames,
    scanner: Scanner,
    reader: Reader,
    /// The event that ends the message has come.
    has_held: bool,
}

#[derive(Debug)]
enum Reader {
    Anthropic(Anthropic),
    OpenaiChat(OpenaiChat),
    OpenaiResponses(OpenaiResponses),
    Gemini(Gemini),
}

/// Does the same with whichever dialect it is.
macro_rules! with {
    ($reader:expr, $dialect:ident => $body:expr) => {
        match $reader {
            Reader::Anthropic($dialect) => $body,
            Reader::OpenaiChat($dialect) => $body,
            Reader::OpenaiResponses($dialect) => $body,
            Reader::Gemini($dialect) => $body,
        }
    };
}

impl Meter {
    /// Makes the meter of one answer.
    ///
    /// `framing` is what the headers say; the body itself decides. `choices` is how many answers
    /// the request asked for, at least one.
    pub fn new(wire: Wire, framing: Option<Framing>, quirks: Quirks, choices: u32) -> Self {
        let (reader, root) = match wire {
            Wire::AnthropicMessages => {
                (Reader::Anthropic(Anthropic::default()), Anthropic::root())
            }
            Wire::OpenaiChat => (
                Reader::OpenaiChat(OpenaiChat::new(quirks, choices)),
                OpenaiChat::root(),
            ),
            Wire::OpenaiResponses => (
                Reader::OpenaiResponses(OpenaiResponses::default()),
                OpenaiResponses::root(),
            ),
            Wire::Gemini => (Reader::Gemini(Gemini::new(choices)), Gemini::root()),
        };
        Self {
            frames: Frames::new(framing),
            scanner: Scanner::new(root),
            reader,
            has_held: false,
        }
    }

    /// Reads the next bytes of the body, cut anywhere.
    pub fn read(&mut self, chunk: &[u8]) -> Step {
        let mut step = Step::default();
        with!(&mut self.reader, dialect => {
            self.frames.read(chunk, &mut self.scanner, dialect, &mut step);
        });
        if self.has_held {
            step.hold_at = None;
        }
        self.has_held |= step.hold_at.is_some();
        step
    }

    /// The body ended.
    pub fn finish(&mut self) {
        if self.frames.is_inside(&self.scanner) {
            with!(&mut self.reader, dialect => dialect.cut());
        }
    }

    /// Returns the usage last stated; `None` in it is "not stated".
    pub fn usage(&self) -> Usage {
        self.facts().usage
    }

    /// Returns whether the provider ended the answer normally.
    pub fn is_complete(&self) -> bool {
        self.facts().complete
    }

    /// Returns whether the provider reported an error in the body.
    pub fn failed(&self) -> bool {
        self.facts().failed
    }

    /// Returns how many bytes of generated text have passed.
    pub fn flowed_bytes(&self) -> Flowed {
        match &self.reader {
            Reader::Anthropic(dialect) => dialect.facts().flowed,
            Reader::OpenaiChat(dialect) => dialect.flowed(),
            Reader::OpenaiResponses(dialect) => dialect.flowed(),
            Reader::Gemini(dialect) => dialect.flowed(),
        }
    }

    /// Returns the model that the provider names, cut at 128 bytes.
    pub fn model(&self) -> Option<&str> {
        self.facts().model.as_deref()
    }

    /// Returns the provider's id of the answer, cut at 128 bytes.
    pub fn response_id(&self) -> Option<&str> {
        self.facts().response_id.as_deref()
    }

    /// Returns the tokens that other models used for this answer, at most eight models.
    ///
    /// They are in no count of [`Meter::usage`].
    pub fn other_models(&self) -> &[(String, Usage)] {
        match &self.reader {
            Reader::Anthropic(dialect) => dialect.other_models(),
            _ => &[],
        }
    }

    /// Returns whether the bytes so far end between two events, where an ending may follow.
    pub fn at_boundary(&self) -> bool {
        self.frames.is_between(&self.scanner)
    }

    /// Returns the bytes that end this answer in its dialect behind the last boundary.
    ///
    /// They are empty where the provider has ended it, and `None` where nothing can end it: in
    /// the middle of a single document, and where the layout is not known.
    pub fn ending(&self, sentence: &str) -> Option<Vec<u8>> {
        match &self.frames {
            Frames::Sse(sse) => Some(self.events(sentence, sse.line_end)),
            Frames::Unknown(Some(Framing::Sse)) => Some(self.events(sentence, LineEnd::Lf)),
            Frames::Unknown(Some(Framing::JsonArray)) => self.element(sentence, Some("[")),
            Frames::JsonArray(array) => self.element(sentence, array.before_next()),
            Frames::Json if self.scanner.is_closed() => Some(Vec::new()),
            Frames::Json | Frames::Unknown(_) | Frames::Opaque => None,
        }
    }

    fn events(&self, sentence: &str, line_end: LineEnd) -> Vec<u8> {
        let names = Names {
            model: self.model(),
            response_id: self.response_id(),
        };
        match &self.reader {
            Reader::Anthropic(dialect) => dialect.standing.ending(sentence, names, line_end),
            Reader::OpenaiChat(dialect) => dialect.standing.ending(sentence, line_end),
            Reader::OpenaiResponses(dialect) => dialect.standing.ending(sentence, names, line_end),
            Reader::Gemini(dialect) => dialect.standing.event(sentence, line_end),
        }
    }

    fn element(&self, sentence: &str, before: Option<&str>) -> Option<Vec<u8>> {
        match (&self.reader, before) {
            (Reader::Gemini(dialect), Some(before)) => {
                Some(dialect.standing.element(sentence, before))
            }
            (Reader::Gemini(_), None) => Some(Vec::new()),
            _ => None,
        }
    }

    fn facts(&self) -> &Facts {
        with!(&self.reader, dialect => dialect.facts())
    }
}
