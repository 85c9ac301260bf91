//! Strings: keys, words, and what is only counted, at any cut.

use memchr::memchr2;

use super::word::WORD_MAX;
use super::{Field, SHORT, Scanner, Sink, State, Take, Text, Value, size, split_behind};

impl Scanner {
    pub(super) fn begin_text<'b, S: Sink>(
        &mut self,
        of: Text,
        behind: &'b [u8],
        sink: &mut S,
    ) -> &'b [u8] {
        self.word.clear();
        let is_word = of == Text::Key || self.node.take == Take::Word;
        // Most keys and words are whole here and need no copy.
        if let Some(at) = end_of_plain(behind).filter(|at| is_word && *at <= WORD_MAX)
            && let (b'"', rest) = split_behind(behind, at)
        {
            let word = behind.get(..at).unwrap_or_default();
            self.end_word(of, word, sink);
            return rest;
        }
        self.text(of, behind, sink)
    }

    fn end_word<S: Sink>(&mut self, of: Text, word: &[u8], sink: &mut S) {
        if of == Text::Key {
            self.node = self.container().child(word);
            self.state = State::Colon;
        } else {
            self.after();
            if self.node.field != Field::Nothing {
                sink.value(self.node.field, Value::Text(word));
            }
        }
    }

    /// Reads inside a string, up to its end or an escape.
    pub(super) fn text<'b, S: Sink>(&mut self, of: Text, rest: &'b [u8], sink: &mut S) -> &'b [u8] {
        self.state = State::Text(of);
        let mut rest = rest;
        loop {
            let Some(at) = end_of_plain(rest) else {
                self.take(of, rest, sink);
                return &[];
            };
            self.take(of, rest.get(..at).unwrap_or_default(), sink);
            let (found, behind) = split_behind(rest, at);
            if found == b'"' {
                self.end_text(of, sink);
                return behind;
            }
            self.state = State::Escape(of);
            if matches!(behind.first(), None | Some(b'u')) {
                return behind;
            }
            rest = self.escape(of, behind, sink);
        }
    }

    fn take<S: Sink>(&mut self, of: Text, piece: &[u8], sink: &mut S) {
        match (of, self.node.take) {
            (Text::Key, _) | (Text::Value, Take::Word) => self.word.push(piece),
            (Text::Value, Take::Flow) => sink.flow(self.node.field, size(piece.len())),
            _ => {}
        }
    }

    fn end_text<S: Sink>(&mut self, of: Text, sink: &mut S) {
        match of {
            Text::Key => {
                self.node = self.container().child(self.word.bytes());
                self.state = State::Colon;
            }
            Text::Value => {
                if self.node.field != Field::Nothing {
                    sink.value(self.node.field, Value::Text(self.word.bytes()));
                }
                self.after();
            }
            Text::Skipped => self.state = State::Skip,
        }
    }

    pub(super) fn escape<'b, S: Sink>(
        &mut self,
        of: Text,
        rest: &'b [u8],
        sink: &mut S,
    ) -> &'b [u8] {
        let Some((&byte, behind)) = rest.split_first() else {
            return rest;
        };
        let plain = match byte {
            b'u' => {
                self.state = State::Unicode(of, 0, 0);
                return behind;
            }
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            other => other,
        };
        self.state = State::Text(of);
        self.take(of, &[plain], sink);
        behind
    }

    pub(super) fn unicode<'b, S: Sink>(
        &mut self,
        of: Text,
        digits: u8,
        unit: u16,
        rest: &'b [u8],
        sink: &mut S,
    ) -> &'b [u8] {
        let Some((&byte, behind)) = rest.split_first() else {
            return rest;
        };
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Broken;
            return behind;
        };
        let unit = unit << 4 | u16::try_from(digit).unwrap_or(0);
        if digits < 3 {
            self.state = State::Unicode(of, digits.saturating_add(1), unit);
            return behind;
        }
        self.state = State::Text(of);
        let mut room = [0; 4];
        match char::from_u32(u32::from(unit)) {
            Some(c) => self.take(of, c.encode_utf8(&mut room).as_bytes(), sink),
            // Half a pair: the two halves make four bytes together.
            None => self.take(of, b"??", sink),
        }
        behind
    }
}

/// Returns where a quote or a backslash stands.
fn end_of_plain(bytes: &[u8]) -> Option<usize> {
    let (short, long) = bytes.split_at_checked(SHORT).unwrap_or((bytes, &[]));
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\');
    short
        .iter()
        .position(is_end)
        .or_else(|| memchr2(b'"', b'\\', long).map(|at| at.saturating_add(short.len())))
}
