//! Takes the usage chunk out of a chat stream whose client did not ask for one.
//!
//! It owns what it holds back of an event that is still coming, up to a bound; all else passes in
//! the bytes it came in.

use bytes::{Buf, Bytes};
use memchr::{memchr2, memmem};

use super::dialect::Documents;
use super::field::Field;
use super::json::{Node, Scanner, Sink, Value};
use super::sse::Sse;
use super::step::Step;

/// The most held back of one event, in bytes; a longer one is no usage chunk and passes.
const HELD_MAX: usize = 64 << 10;

const CHOICE: Node = Node::value(Field::Choice);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("choices", Node::array(Field::Choices, &CHOICE)),
        ("usage", Node::value(Field::Usage)),
    ],
);

/// The filter of one chat stream in which the usage chunk was asked for on the client's behalf.
#[derive(Debug)]
pub struct UsageChunkFilter {
    lines: Lines,
    held: Vec<u8>,
    /// The event that is coming was too long to hold and passes as it comes.
    is_passing: bool,
}

impl UsageChunkFilter {
    /// Makes the filter of one stream.
    pub fn new() -> Self {
        Self {
            lines: Lines::default(),
            held: Vec::new(),
            is_passing: false,
        }
    }

    /// Takes the next bytes, cut anywhere; returns what passes on.
    pub fn pass(&mut self, mut chunk: Bytes) -> Vec<Bytes> {
        let mut out = Vec::new();
        // Where the bytes begin that pass and were not given out yet, and the event's own.
        let mut from = 0;
        let mut start = 0;
        while let Some(end) = self.lines.end_of_event(&chunk, start) {
            let event = chunk.get(start..end).unwrap_or_default();
            let is_usage = !self.is_passing && self.ends_usage_chunk(event);
            self.is_passing = false;
            if is_usage {
                push(&mut out, chunk.slice(from..start));
                from = end;
                self.held.clear();
            } else if !self.held.is_empty() {
                self.held.extend_from_slice(event);
                push(&mut out, Bytes::from(std::mem::take(&mut self.held)));
                from = end;
            }
            start = end;
        }
        let tail = chunk.get(start..).unwrap_or_default();
        if self.held.len().saturating_add(tail.len()) > HELD_MAX {
            self.is_passing = true;
        }
        if self.is_passing {
            push(&mut out, Bytes::from(std::mem::take(&mut self.held)));
        } else {
            self.held.extend_from_slice(tail);
            chunk.truncate(start);
        }
        chunk.advance(from);
        push(&mut out, chunk);
        out
    }

    /// The stream ended; returns what was held back of it and passes on.
    pub fn finish(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty() && !is_usage_chunk(&held)).then(|| Bytes::from(held))
    }

    fn ends_usage_chunk(&self, event: &[u8]) -> bool {
        if self.held.is_empty() {
            return is_usage_chunk(event);
        }
        let whole = [self.held.as_slice(), event].concat();
        is_usage_chunk(&whole)
    }
}

impl Default for UsageChunkFilter {
    fn default() -> Self {
        Self::new()
    }
}

fn push(out: &mut Vec<Bytes>, bytes: Bytes) {
    if !bytes.is_empty() {
        out.push(bytes);
    }
}

/// Finds the ends of events: behind a blank line, with the LF that belongs to its CR.
#[derive(Debug)]
struct Lines {
    /// The line that is coming is blank so far.
    is_blank: bool,
    /// The last byte was a CR; whether the line it ended was blank.
    after_cr: Option<bool>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            is_blank: true,
            after_cr: None,
        }
    }
}

impl Lines {
    /// Returns where the event ends that goes on at `start`; `None` if it goes on behind `chunk`.
    fn end_of_event(&mut self, chunk: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        while let Some(&byte) = chunk.get(at) {
            let was_blank = self.after_cr.take();
            if let Some(was_blank) = was_blank {
                let behind = at.saturating_add(usize::from(byte == b'\n'));
                if was_blank {
                    return Some(behind);
                }
                if behind > at {
                    at = behind;
                    continue;
                }
            }
            match byte {
                b'\n' => {
                    at = at.saturating_add(1);
                    if std::mem::replace(&mut self.is_blank, true) {
                        return Some(at);
                    }
                }
                b'\r' => {
                    at = at.saturating_add(1);
                    self.after_cr = Some(std::mem::replace(&mut self.is_blank, true));
                }
                _ => {
                    self.is_blank = false;
                    let rest = chunk.get(at..).unwrap_or_default();
                    let line = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    at = at.saturating_add(line);
                }
            }
        }
        None
    }
}

fn is_usage_chunk(event: &[u8]) -> bool {
    if memmem::find(event, b"\"usage\"").is_none() {
        return false;
    }
    let mut chunk = UsageChunk::default();
    let mut scanner = Scanner::new(&ROOT);
    Sse::new().read(event, &mut scanner, &mut chunk, &mut Step::default());
    chunk.is_whole && chunk.has_usage && chunk.choices == Some(0)
}

/// What tells a usage chunk: no choice in `choices`, and an object in `usage`.
#[derive(Debug, Default)]
struct UsageChunk {
    choices: Option<u32>,
    has_usage: bool,
    is_whole: bool,
}

impl UsageChunk {
    fn add_choice(&mut self) {
        self.choices = self.choices.map(|count| count.saturating_add(1));
    }
}

impl Sink for UsageChunk {
    fn begin(&mut self, field: Field) {
        match field {
            Field::Choices => self.choices = Some(0),
            Field::Choice => self.add_choice(),
            Field::Usage => self.has_usage = true,
            _ => {}
        }
    }

    fn end(&mut self, _field: Field) {}

    fn value(&mut self, field: Field, _value: Value<'_>) {
        match field {
            Field::Choices => self.choices = None,
            Field::Choice => self.add_choice(),
            Field::Usage => self.has_usage = false,
            _ => {}
        }
    }

    fn flow(&mut self, _field: Field, _bytes: u64) {}
}

impl Documents for UsageChunk {
    fn open(&mut self) {
        *self = Self::default();
    }

    fn close(&mut self, _event: &[u8]) -> bool {
        self.is_whole = true;
        false
    }

    fn end_message(&mut self) {}

    fn reach_boundary(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}";
    const QUOTED: &str =
        r#"data: {"choices":[{"delta":{"content":"{\"choices\":[],\"usage\":{\"a\":1}}"}}]}"#;
    const FINISH: &str = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":null}";
    const FILTERED: &str = "data: {\"choices\":[],\"prompt_filter_results\":[],\"usage\":null}";
    const WITH_CHOICE: &str = "data: {\"choices\":[{\"index\":0}],\"usage\":{\"total_tokens\":3}}";
    const USAGE: &str = "data: {\"choices\": [],\"usage\":{\"total_tokens\":3}}";
    const DONE: &str = "data: [DONE]";

    fn stream(events: &[&str], line_end: &str) -> String {
        let end = |event: &&str| format!("{event}{line_end}{line_end}");
        events.iter().map(end).collect()
    }

    fn passed(stream: &str, apart: usize) -> String {
        let mut filter = UsageChunkFilter::new();
        let mut out = Vec::new();
        for piece in stream.as_bytes().chunks(apart) {
            out.extend(filter.pass(Bytes::copy_from_slice(piece)));
        }
        out.extend(filter.finish());
        String::from_utf8(out.concat()).unwrap()
    }

    #[test]
    fn only_the_usage_chunk_is_taken_out_at_any_cut() {
        let keep = [": hello", FILTERED, TEXT, QUOTED, WITH_CHOICE, FINISH, DONE];
        let all = [
            ": hello",
            FILTERED,
            TEXT,
            QUOTED,
            WITH_CHOICE,
            FINISH,
            USAGE,
            DONE,
        ];
        for line_end in ["\n", "\r\n", "\r"] {
            let (all, kept) = (stream(&all, line_end), stream(&keep, line_end));
            for apart in 1..=all.len() {
                assert_eq!(
                    passed(&all, apart),
                    kept,
                    "{line_end:?}, {apart} bytes at once"
                );
            }
        }
    }

    #[test]
    fn a_usage_chunk_that_ends_the_stream_without_a_blank_line_is_taken_out() {
        let all = format!("{}{USAGE}", stream(&[TEXT], "\n"));
        for apart in 1..=all.len() {
            assert_eq!(passed(&all, apart), stream(&[TEXT], "\n"));
        }
    }

    #[test]
    fn what_is_cut_off_passes_at_the_end() {
        let all = format!("{}{}", stream(&[TEXT], "\n"), &USAGE[..20]);
        assert_eq!(passed(&all, 7), all);
    }

    #[test]
    fn bytes_without_a_usage_chunk_pass_as_they_are() {
        let chunk = Bytes::from(stream(&[TEXT, TEXT, FINISH], "\n"));
        let out = UsageChunkFilter::new().pass(chunk.clone());
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), chunk.as_ptr());
        assert_eq!(out[0], chunk);
    }

    #[test]
    fn an_event_too_long_to_hold_passes_as_it_comes() {
        let long = format!(
            "data: {{\"choices\":[],\"usage\":{{\"x\":\"{}\"}}}}\n\n",
            "y".repeat(2 * HELD_MAX)
        );
        let mut filter = UsageChunkFilter::new();
        let mut out = Vec::new();
        for piece in long.as_bytes().chunks(1000) {
            out.extend(filter.pass(Bytes::copy_from_slice(piece)));
            assert!(filter.held.len() <= HELD_MAX);
        }
        let usage = stream(&[USAGE, DONE], "\n");
        out.extend(filter.pass(Bytes::from(usage)));
        let kept = format!("{long}{}", stream(&[DONE], "\n"));
        assert!(out.concat() == kept.as_bytes());
    }
}
