//! A stream says the same thing again and again: the shape of an event, to pass the next ones by.
//!
//! A shape is the bytes of one event but for its holes: the strings and numbers that may differ.
//! An event that is equal but for the holes means the same calls of the sink, so it need not be
//! read token by token. A shape never guesses: where an event differs in anything else, or a hole
//! holds what the scanner would not take, it does not fit.

use memchr::memchr3;

use super::{COUNT_MAX, Field, Node, SHORT, Scanner, Sink, State, Take, Text, Value};

/// The longest event whose shape is learned, in bytes.
const EVENT_BYTES_MAX: usize = 1024;
/// The most bytes of it that may stand outside of holes.
const SHAPE_BYTES_MAX: usize = 512;
/// The most holes of a shape.
const HOLES_MAX: usize = 16;
/// The most calls of a shape.
const CALLS_MAX: usize = 32;
/// The most bytes that a shape takes beside its own size.
#[cfg(test)]
pub(in crate::meter) const SHAPE_SIZE_MAX: usize =
    SHAPE_BYTES_MAX + HOLES_MAX * size_of::<Hole>() + CALLS_MAX * size_of::<Call>();

/// What may stand in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The inside of a string.
    Text,
    /// A number that can be a count.
    Count,
    /// A number nobody asks for.
    Number,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    kind: Kind,
    /// Where it stands in the bytes that are kept.
    at: u16,
}

/// One call of the sink.
#[derive(Debug, Clone, Copy)]
enum Call {
    Begin(Field),
    End(Field),
    Null(Field),
    Bool(Field, bool),
    /// A string whose content is the same each time; where it stands in the bytes that are kept.
    Word(Field, u16, u16),
    /// A string whose content does not matter.
    Text(Field),
    /// The number in a hole.
    Count(Field, u8),
    /// The size of the string in a hole.
    Flow(Field, u8),
}

/// The shape of an event.
#[derive(Debug)]
pub(in crate::meter) struct Shape {
    /// What stands outside of the holes.
    bytes: Box<[u8]>,
    holes: Box<[Hole]>,
    calls: Box<[Call]>,
}

/// An event that fits a shape.
#[derive(Debug)]
pub(in crate::meter) struct Fit<'s> {
    shape: &'s Shape,
    /// What the holes hold: a number, or the size of a string.
    found: [u64; HOLES_MAX],
    /// The length of the event, in bytes.
    pub(in crate::meter) len: usize,
}

impl Shape {
    /// Learns the shape of an event whose document stands from `from` to `to` in it.
    ///
    /// Returns `None` for one that is too long or too odd to be worth it.
    pub(in crate::meter) fn learn(
        event: &[u8],
        from: usize,
        to: usize,
        root: &'static Node,
    ) -> Option<Self> {
        if event.len() > EVENT_BYTES_MAX {
            return None;
        }
        let mut scanner = Scanner::new(root);
        let mut learner = Learner::new();
        learner.keep(event.get(..from)?)?;
        for byte in event.get(from..to)? {
            let before = scanner.state;
            scanner.feed(&[*byte], &mut learner);
            learner.pass(*byte, before, &scanner)?;
        }
        learner.keep(event.get(to..)?)?;
        scanner.is_closed().then(|| Self {
            bytes: learner.bytes.into(),
            holes: learner.holes.into(),
            calls: learner.calls.into(),
        })
    }

    /// Returns whether `bytes` begin with an event of this shape.
    pub(in crate::meter) fn fit(&self, bytes: &[u8]) -> Option<Fit<'_>> {
        let mut found = [0; HOLES_MAX];
        let mut rest = bytes;
        let mut same = 0;
        for (hole, found) in self.holes.iter().zip(&mut found) {
            let at = usize::from(hole.at);
            rest = rest.strip_prefix(self.bytes.get(same..at)?)?;
            let (size, behind) = match hole.kind {
                Kind::Text => pass_text(rest)?,
                Kind::Count => pass_count(rest)?,
                Kind::Number => pass_number(rest)?,
            };
            *found = size;
            rest = behind;
            same = at;
        }
        rest = rest.strip_prefix(self.bytes.get(same..)?)?;
        Some(Fit {
            shape: self,
            found,
            len: bytes.len().saturating_sub(rest.len()),
        })
    }

    fn word(&self, from: u16, to: u16) -> &[u8] {
        self.bytes
            .get(usize::from(from)..usize::from(to))
            .unwrap_or_default()
    }
}

impl Fit<'_> {
    /// Tells the sink what the scanner would have told it.
    pub(in crate::meter) fn replay<S: Sink>(&self, sink: &mut S) {
        let found = |hole: u8| self.found.get(usize::from(hole)).copied().unwrap_or(0);
        for call in &self.shape.calls {
            match *call {
                Call::Begin(field) => sink.begin(field),
                Call::End(field) => sink.end(field),
                Call::Null(field) => sink.value(field, Value::Null),
                Call::Bool(field, it) => sink.value(field, Value::Bool(it)),
                Call::Word(field, from, to) => {
                    sink.value(field, Value::Text(self.shape.word(from, to)));
                }
                Call::Text(field) => sink.value(field, Value::Text(b"")),
                Call::Count(field, hole) => sink.value(field, Value::Count(found(hole))),
                Call::Flow(field, hole) => sink.flow(field, found(hole)),
            }
        }
    }
}

/// Writes down the calls of one document that is read byte by byte, and where its holes are.
///
/// It takes no more than a shape may, however long and odd the document is.
#[derive(Debug)]
struct Learner {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    calls: Vec<Call>,
    /// Where the word that is read begins.
    word: u16,
    is_odd: bool,
}

impl Learner {
    fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(SHAPE_BYTES_MAX),
            holes: Vec::with_capacity(HOLES_MAX),
            calls: Vec::with_capacity(CALLS_MAX),
            word: 0,
            is_odd: false,
        }
    }

    /// Keeps bytes that are the same each time; `None` where they are too many.
    fn keep(&mut self, bytes: &[u8]) -> Option<()> {
        let room = SHAPE_BYTES_MAX.checked_sub(self.bytes.len())?;
        (bytes.len() <= room).then(|| self.bytes.extend_from_slice(bytes))
    }

    /// Looks at what `byte` did to the scanner; `None` where no shape comes of it.
    fn pass(&mut self, byte: u8, before: State, scanner: &Scanner) -> Option<()> {
        if scanner.skipped > 0 && scanner.node.take == Take::Flow {
            return None;
        }
        let is_word = scanner.node.take == Take::Word;
        match scanner.state {
            State::Escape(of) if of == Text::Key || (of == Text::Value && is_word) => return None,
            State::Text(Text::Value) if is_word => {
                self.keep(&[byte])?;
                if !is_inside(before) {
                    self.word = self.at();
                }
            }
            State::Text(Text::Value | Text::Skipped) | State::Escape(_) | State::Unicode(..) => {
                if !is_inside(before) {
                    self.keep(&[byte])?;
                    self.dig(Kind::Text)?;
                    if scanner.state == State::Text(Text::Value) && scanner.node.take == Take::Flow
                    {
                        self.call(Call::Flow(scanner.node.field, self.last_hole()));
                    }
                }
            }
            State::Number(_) if matches!(before, State::Number(_)) => {}
            State::Number(_) if scanner.node.field == Field::Nothing => self.dig(Kind::Number)?,
            State::Number(_) => self.dig(Kind::Count)?,
            _ => self.keep(&[byte])?,
        }
        (!self.is_odd).then_some(())
    }

    fn at(&self) -> u16 {
        u16::try_from(self.bytes.len()).unwrap_or(u16::MAX)
    }

    fn dig(&mut self, kind: Kind) -> Option<()> {
        let at = self.at();
        (self.holes.len() < HOLES_MAX).then(|| self.holes.push(Hole { kind, at }))
    }

    fn call(&mut self, call: Call) {
        if self.calls.len() < CALLS_MAX {
            self.calls.push(call);
        } else {
            self.is_odd = true;
        }
    }

    fn last_hole(&self) -> u8 {
        u8::try_from(self.holes.len().saturating_sub(1)).unwrap_or(u8::MAX)
    }
}

impl Sink for Learner {
    fn begin(&mut self, field: Field) {
        self.call(Call::Begin(field));
    }

    fn end(&mut self, field: Field) {
        self.call(Call::End(field));
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let call = match value {
            Value::Null => Call::Null(field),
            Value::Bool(it) => Call::Bool(field, it),
            Value::Count(_) => Call::Count(field, self.last_hole()),
            Value::OddNumber => {
                self.is_odd = true;
                return;
            }
            Value::Text(b"") => Call::Text(field),
            Value::Text(_) => Call::Word(field, self.word, self.at()),
        };
        self.call(call);
    }

    fn flow(&mut self, _field: Field, _bytes: u64) {}
}

fn is_inside(state: State) -> bool {
    let (State::Text(of) | State::Escape(of) | State::Unicode(of, ..)) = state else {
        return false;
    };
    of != Text::Key
}

/// Passes the inside of a string; returns its size as it reads, and what begins at its quote.
fn pass_text(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut size = 0_u64;
    let mut rest = bytes;
    loop {
        let at = end_of_plain(rest)?;
        let (plain, behind) = rest.split_at_checked(at)?;
        size = size.saturating_add(super::size(plain.len()));
        let (found, behind) = match behind.split_first()? {
            (b'"', _) => return Some((size, behind)),
            (b'\\', escape) => escape.split_first()?,
            _ => return None,
        };
        let (more, behind) = match found {
            b'\n' | b'\r' => return None,
            b'u' => pass_unicode(behind)?,
            _ => (1, behind),
        };
        size = size.saturating_add(more);
        rest = behind;
    }
}

/// Returns where a quote, a backslash or the end of the line stands.
fn end_of_plain(bytes: &[u8]) -> Option<usize> {
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r');
    let (short, long) = bytes.split_at_checked(SHORT).unwrap_or((bytes, &[]));
    if let Some(at) = short.iter().position(is_end) {
        return Some(at);
    }
    let at = memchr3(b'"', b'\\', b'\n', long)?;
    let plain = long.get(..at)?;
    memchr::memchr(b'\r', plain)
        .is_none()
        .then(|| at.saturating_add(short.len()))
}

/// Passes the four digits of an escape; returns the size of what they stand for.
fn pass_unicode(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, behind) = bytes.split_at_checked(4)?;
    let mut unit = 0;
    for digit in digits {
        unit = unit << 4 | char::from(*digit).to_digit(16)?;
    }
    let size = char::from_u32(unit).map_or(2, char::len_utf8);
    Some((super::size(size), behind))
}

fn pass_count(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, behind) = bytes.split_at_checked(len)?;
    if matches!(behind, [b'.' | b'e' | b'E' | b'+' | b'-', ..]) {
        return None;
    }
    let count = match digits {
        [] | [b'0', _, ..] => return None,
        _ => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    (count <= COUNT_MAX).then_some((count, behind))
}

fn pass_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let is_end = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let (_, behind) = bytes.split_at_checked(bytes.iter().position(is_end)?)?;
    matches!(bytes, [b'0'..=b'9' | b'-', ..]).then_some((0, behind))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "sums of small sizes")]
mod tests;
