//! Server-sent events: lines to documents, at any cut of the bytes.
//!
//! It owns the place in a line and in an event, and keeps neither. A line ends with LF, CR LF or
//! CR; several `data` lines of an event are one document with line breaks between them.

use memchr::memchr2;

use super::dialect::Documents;
use super::json::Scanner;
use super::repeats::{Repeats, Whole};
use super::step::Step;
use crate::ending::LineEnd;

/// What a stream says when it is done, in place of a document.
const DONE: &[u8] = b"[DONE]";
/// The longest event name kept, in bytes.
const NAME_MAX: usize = 40;
/// The longest field name that means anything, in bytes.
const FIELD_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nothing of it has come.
    Start,
    /// In the field's name, so many bytes into it.
    Field(usize),
    /// Behind the colon, where one space may stand.
    Space(Of),
    Inside(Of),
}

/// What a line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Data,
    Event,
    Other,
}

/// The reader of one stream of events.
#[derive(Debug)]
pub(super) struct Sse {
    line: Line,
    field: [u8; FIELD_MAX],
    /// The last byte was a CR that ended a line: an LF behind it belongs to it.
    after_cr: bool,
    /// How its first line ended.
    line_end: Option<LineEnd>,
    /// The bytes end between two events.
    between: bool,
    has_data: bool,
    /// How much of [`DONE`] the data so far is; `None` once it is something else.
    done: Option<usize>,
    name: [u8; NAME_MAX],
    name_len: usize,
    repeats: Repeats,
}

/// What was seen of an event in the bytes at hand, all of it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Where it begins in these bytes.
    from: usize,
    /// Where the content of its only data line stands in them.
    data: Option<(usize, usize)>,
}

impl Sse {
    pub(super) fn new() -> Self {
        Self {
            line: Line::Start,
            field: [0; FIELD_MAX],
            after_cr: false,
            line_end: None,
            between: true,
            has_data: false,
            done: Some(0),
            name: [0; NAME_MAX],
            name_len: 0,
            repeats: Repeats::default(),
        }
    }

    /// Returns how its lines end, as far as that is known.
    pub(super) fn line_end(&self) -> LineEnd {
        self.line_end.unwrap_or_default()
    }

    /// Returns whether the bytes so far end between two events.
    ///
    /// Behind the CR of a stream whose lines end with CR LF they do not.
    pub(super) fn is_between(&self) -> bool {
        self.between && !(self.after_cr && self.line_end != Some(LineEnd::Cr))
    }

    /// Returns whether the bytes so far end inside a document.
    pub(super) fn is_inside(&self, scanner: &Scanner) -> bool {
        self.has_data && !scanner.is_closed() && !scanner.is_broken()
    }

    pub(super) fn read<D: Documents>(
        &mut self,
        chunk: &[u8],
        scanner: &mut Scanner,
        dialect: &mut D,
        step: &mut Step,
    ) {
        let mut rest = chunk;
        if self.after_cr && !chunk.is_empty() {
            rest = self.after_cr(chunk, rest, step);
        }
        let mut seen = None;
        while let Some((&byte, behind)) = rest.split_first() {
            match self.line {
                Line::Start => match byte {
                    b'\n' | b'\r' => {
                        rest = self.end_line(chunk, rest, byte, step);
                        let end = chunk.len().saturating_sub(rest.len());
                        let seen = seen.take().filter(|_| scanner.is_closed());
                        if let Some(whole) = seen.and_then(|seen: Seen| seen.whole(chunk, end)) {
                            let name = self.name.get(..self.name_len).unwrap_or_default();
                            self.repeats.learn(whole, name, scanner.root());
                        }
                        self.end_event(chunk, rest, dialect, step);
                    }
                    _ if self.between => {
                        if let Some((len, ends)) = self.repeats.pass(rest, dialect) {
                            if ends {
                                dialect.end_message();
                                step.hold();
                            }
                            rest = rest.get(len..).unwrap_or_default();
                            self.end_event(chunk, rest, dialect, step);
                        } else {
                            seen = Some(Seen {
                                from: chunk.len().saturating_sub(rest.len()),
                                data: None,
                            });
                            self.between = false;
                            rest = self.begin_line(rest);
                        }
                    }
                    _ => rest = self.begin_line(rest),
                },
                Line::Field(len) => match byte {
                    b'\n' | b'\r' => rest = self.end_line(chunk, rest, byte, step),
                    b':' => {
                        self.line = Line::Space(self.of(len));
                        rest = behind;
                    }
                    _ => {
                        if let Some(place) = self.field.get_mut(len) {
                            *place = byte;
                        }
                        self.line = Line::Field(len.saturating_add(1));
                        rest = behind;
                    }
                },
                Line::Space(of) => {
                    if byte == b' ' {
                        rest = behind;
                    }
                    self.begin_content(of, scanner, dialect);
                }
                Line::Inside(of) => {
                    let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    let (content, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                    if of == Of::Data {
                        let to = chunk.len().saturating_sub(behind.len());
                        let data = (to.saturating_sub(content.len()), to);
                        seen = seen.and_then(|seen: Seen| seen.with(data));
                    }
                    self.content(of, content, scanner, dialect, step);
                    rest = match behind.first() {
                        Some(&byte) => self.end_line(chunk, behind, byte, step),
                        None => behind,
                    };
                }
            }
        }
    }

    fn begin_line<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        if let Some(behind) = rest.strip_prefix(b"data:") {
            self.line = Line::Space(Of::Data);
            return behind;
        }
        self.line = Line::Field(0);
        rest
    }

    fn of(&self, len: usize) -> Of {
        match self.field.get(..len) {
            Some(b"data") => Of::Data,
            Some(b"event") => Of::Event,
            _ => Of::Other,
        }
    }

    /// Passes over the line end that `rest` begins with; returns what is behind it.
    fn end_line<'b>(
        &mut self,
        chunk: &[u8],
        rest: &'b [u8],
        byte: u8,
        step: &mut Step,
    ) -> &'b [u8] {
        self.line = Line::Start;
        let behind = rest.get(1..).unwrap_or_default();
        if byte == b'\n' {
            self.line_end.get_or_insert(LineEnd::Lf);
            return behind;
        }
        self.after_cr = true;
        if behind.is_empty() {
            behind
        } else {
            self.after_cr(chunk, behind, step)
        }
    }

    /// Passes over the LF that belongs to the CR before it.
    fn after_cr<'b>(&mut self, chunk: &[u8], rest: &'b [u8], step: &mut Step) -> &'b [u8] {
        self.after_cr = false;
        let lf = rest.strip_prefix(b"\n");
        self.line_end.get_or_insert(if lf.is_some() {
            LineEnd::CrLf
        } else {
            LineEnd::Cr
        });
        let behind = lf.unwrap_or(rest);
        if self.between {
            step.boundary = Some(chunk.len().saturating_sub(behind.len()));
        }
        behind
    }

    fn begin_content<D: Documents>(&mut self, of: Of, scanner: &mut Scanner, dialect: &mut D) {
        self.line = Line::Inside(of);
        match of {
            Of::Data if self.has_data => {
                scanner.feed(b"\n", dialect);
                self.done = None;
            }
            Of::Data => {
                self.has_data = true;
                self.done = Some(0);
                scanner.reset();
                dialect.open();
            }
            Of::Event => self.name_len = 0,
            Of::Other => {}
        }
    }

    fn content<D: Documents>(
        &mut self,
        of: Of,
        content: &[u8],
        scanner: &mut Scanner,
        dialect: &mut D,
        step: &mut Step,
    ) {
        match of {
            Of::Data => {
                if scanner.feed(content, dialect).is_some() {
                    let name = self.name.get(..self.name_len).unwrap_or_default();
                    if dialect.close(name) {
                        dialect.end_message();
                        step.hold();
                    }
                }
                self.look_for_done(content, dialect, step);
            }
            Of::Event => {
                let room = NAME_MAX.saturating_sub(self.name_len);
                let piece = content.get(..room).unwrap_or(content);
                let end = self.name_len.saturating_add(piece.len());
                if let Some(place) = self.name.get_mut(self.name_len..end) {
                    place.copy_from_slice(piece);
                    self.name_len = end;
                }
            }
            Of::Other => {}
        }
    }

    fn look_for_done<D: Documents>(&mut self, content: &[u8], dialect: &mut D, step: &mut Step) {
        let Some(seen) = self.done else { return };
        let wanted = DONE.get(seen..).unwrap_or_default();
        let common = wanted.iter().zip(content).take_while(|(a, b)| a == b);
        let common = common.count();
        if common == wanted.len() {
            self.done = None;
            if dialect.done() {
                dialect.end_message();
                step.hold();
            }
        } else if common == content.len() {
            self.done = Some(seen.saturating_add(common));
        } else {
            self.done = None;
        }
    }

    fn end_event<D: Documents>(
        &mut self,
        chunk: &[u8],
        rest: &[u8],
        dialect: &mut D,
        step: &mut Step,
    ) {
        self.between = true;
        self.has_data = false;
        self.name_len = 0;
        if self.is_between() {
            step.boundary = Some(chunk.len().saturating_sub(rest.len()));
        }
        dialect.reach_boundary();
    }
}

impl Seen {
    /// Returns the event if it has one data line, and an object in it; it ends at `end`.
    fn whole(self, chunk: &[u8], end: usize) -> Option<Whole<'_>> {
        let (from, to) = self.data?;
        let event = chunk.get(self.from..end)?;
        let is_object = chunk.get(from) == Some(&b'{');
        (is_object && event.ends_with(b"\n")).then(|| Whole {
            event,
            data: (from.saturating_sub(self.from), to.saturating_sub(self.from)),
        })
    }

    /// Adds the content of a data line; there may be but one.
    fn with(self, data: (usize, usize)) -> Option<Self> {
        self.data.is_none().then_some(Self {
            data: Some(data),
            ..self
        })
    }
}
