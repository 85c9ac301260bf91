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
mod json_lines;
mod openai_chat;
mod openai_responses;
mod quirks;
mod recognise;
mod repeats;
mod sse;
mod standings;
mod step;
mod usage_filter;

pub use facts::Flowed;
pub use framing::Framing;
pub use quirks::Quirks;
pub use recognise::recognise;
pub use step::Step;
pub use usage_filter::UsageChunkFilter;

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
    /// The event that ends the message has come, and whether all before it were whole.
    held: Option<bool>,
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
            Wire::AnthropicMessages => (Reader::Anthropic(Anthropic::default()), Anthropic::root()),
            Wire::OpenaiChat | Wire::OpenaiEmbeddings => (
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
            held: None,
        }
    }

    /// Reads the next bytes of the body, cut anywhere.
    pub fn read(&mut self, chunk: &[u8]) -> Step {
        let was_between = self.at_boundary();
        let mut step = Step::default();
        with!(&mut self.reader, dialect => {
            self.frames.read(chunk, &mut self.scanner, dialect, &mut step);
        });
        match (step.hold_at, self.held) {
            (Some(at), None) => self.held = Some(at > 0 || was_between),
            _ => step.hold_at = None,
        }
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

    /// Returns whether the answer says that it goes on after its request has ended.
    pub fn is_background(&self) -> bool {
        self.facts().background
    }

    /// A message ends here: what follows is the next document, whatever this one was.
    ///
    /// For documents one after another whose ends are known otherwise; in any other layout it
    /// means nothing.
    pub fn end_message(&mut self) {
        if let Frames::JsonLines(lines) = &mut self.frames {
            lines.end_line(&mut self.scanner);
        }
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
        self.ending_of(sentence, true)
    }

    /// Returns the same for a client from whom all bytes from [`Step::hold_at`] on were held back.
    ///
    /// They are `None` too where the event that was held had begun in earlier bytes.
    pub fn ending_before_held(&self, sentence: &str) -> Option<Vec<u8>> {
        match self.held {
            Some(false) => None,
            Some(true) if matches!(self.frames, Frames::Json(_)) => None,
            Some(true) => self.ending_of(sentence, false),
            None => self.ending_of(sentence, true),
        }
    }

    fn ending_of(&self, sentence: &str, all: bool) -> Option<Vec<u8>> {
        match &self.frames {
            Frames::Sse(sse) => Some(self.events(sentence, all, sse.line_end())),
            Frames::Unknown(Some(Framing::Sse)) => Some(self.events(sentence, all, LineEnd::Lf)),
            Frames::Unknown(Some(Framing::JsonArray)) => self.element(sentence, all, Some("[")),
            Frames::JsonArray(array) => self.element(sentence, all, array.before_next(all)),
            Frames::JsonLines(_) | Frames::Unknown(Some(Framing::JsonLines)) => {
                self.message(sentence, all)
            }
            Frames::Json(_) if self.scanner.is_closed() => Some(Vec::new()),
            Frames::Json(_) | Frames::Unknown(_) | Frames::Opaque => None,
        }
    }

    fn events(&self, sentence: &str, all: bool, line_end: LineEnd) -> Vec<u8> {
        let names = Names {
            model: self.model(),
            response_id: self.response_id(),
        };
        match &self.reader {
            Reader::Anthropic(dialect) => {
                dialect.standings.of(all).ending(sentence, names, line_end)
            }
            Reader::OpenaiChat(dialect) => dialect.standings.of(all).ending(sentence, line_end),
            Reader::OpenaiResponses(dialect) => {
                dialect.standings.of(all).ending(sentence, names, line_end)
            }
            Reader::Gemini(dialect) => dialect.standings.of(all).event(sentence, line_end),
        }
    }

    fn element(&self, sentence: &str, all: bool, before: Option<&str>) -> Option<Vec<u8>> {
        let Reader::Gemini(dialect) = &self.reader else {
            return None;
        };
        Some(match before {
            Some(before) => dialect.standings.of(all).element(sentence, before),
            None => Vec::new(),
        })
    }

    fn message(&self, sentence: &str, all: bool) -> Option<Vec<u8>> {
        let Reader::OpenaiResponses(dialect) = &self.reader else {
            return None;
        };
        let names = Names {
            model: self.model(),
            response_id: self.response_id(),
        };
        Some(dialect.standings.of(all).message(sentence, names))
    }

    fn facts(&self) -> &Facts {
        with!(&self.reader, dialect => dialect.facts())
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "sums of small offsets")]
mod tests;
