//! Owns the reading of YAML: a text becomes a small tree in which every key and value knows its
//! place, or mistakes. Nothing outside this file knows the YAML library.
//!
//! Only what settings need is taken: mappings, lists and scalars on one line. Whatever makes a
//! value stand elsewhere than where it is read (anchors, tags, block text) is refused.

mod syntax;

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::mistakes::{At, Mistakes, quote};

/// How deep a file may nest; the deepest setting needs less than half of it.
pub(super) const DEPTH_MAX: usize = 16;

const SPACED: &str = "put a space after the colon: KEY: VALUE";

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Mapping(Vec<Entry>),
    List(Vec<Node>),
    Scalar(Scalar),
    /// Nothing was written, or `null`.
    Nothing,
    /// Something whose mistake is already told.
    Refused,
}

/// A scalar as it was written.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether it stands without quotes.
    pub(super) plain: bool,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: At,
    pub(super) value: Node,
}

impl Node {
    /// Returns the entries, none where this is no mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// Says what to write where this is `KEY:VALUE`, which is one word, and not a key with its
    /// value.
    pub(super) fn spaced_hint(&self) -> Option<String> {
        let Kind::Scalar(Scalar { text, plain: true }) = &self.kind else {
            return None;
        };
        lacks_space(text).then(|| SPACED.to_owned())
    }

    /// Says what this is, for a sentence that says what was expected.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(scalar) => quote(&scalar.text),
            _ => self.kind_name().to_owned(),
        }
    }

    /// Says of what kind this is.
    pub(super) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Mapping(_) => "a mapping",
            Kind::List(_) => "a list",
            Kind::Scalar(_) => "a single value",
            Kind::Nothing | Kind::Refused => "nothing",
        }
    }
}

/// Reads a text; `None` where there is nothing in it, or nothing that could be read to the end.
pub(super) fn read(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let mut reader = Reader {
        text,
        events: Parser::new_from_str(text),
        mistakes,
        folded_at: None,
    };
    reader.document().ok().flatten()
}

/// What follows cannot be read; its mistake is told.
struct Unreadable;

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    mistakes: &'a mut Mistakes,
    /// Where the plain scalar over several lines ended that was read last.
    folded_at: Option<Marker>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                // A line joined to the one before it is told already, and this is only its echo.
                if self
                    .folded_at
                    .is_none_or(|end| end.line() != error.marker().line())
                {
                    let place = syntax::place(self.text, &error).unwrap_or(at(error.marker()));
                    let (what, hint) = syntax::explain(error.info());
                    self.mistakes.add(place, what, hint);
                }
                Err(Unreadable)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Unreadable> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) if root.is_some() => {
                    self.mistakes.add(
                        at(&span.start),
                        "a second document begins here",
                        "settings are one document: take the line --- away",
                    );
                    return Ok(root);
                }
                (Event::DocumentStart(_), _) => {
                    let first = self.next()?;
                    root = Some(self.node(first, None, 0)?);
                }
                _ => {}
            }
        }
    }

    fn node(
        &mut self,
        (event, span): (Event<'a>, Span),
        key: Option<At>,
        depth: usize,
    ) -> Result<Node, Unreadable> {
        let place = at(&span.start);
        if depth > DEPTH_MAX {
            self.mistakes
                .add_plain(place, format!("this is nested more than {DEPTH_MAX} deep"));
            return Err(Unreadable);
        }
        let kind = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let fine = self.bare(place, anchor, tag.as_ref());
                let one_line = self.one_line(&text, style, &span, key);
                match (fine && one_line, style) {
                    (false, _) => Kind::Refused,
                    (true, ScalarStyle::Plain) if is_nothing(&text) => Kind::Nothing,
                    (true, _) => Kind::Scalar(Scalar {
                        plain: style == ScalarStyle::Plain,
                        text: text.into_owned(),
                    }),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                let fine = self.bare(place, anchor, tag.as_ref());
                let items = self.list(depth)?;
                if fine {
                    Kind::List(items)
                } else {
                    Kind::Refused
                }
            }
            Event::MappingStart(anchor, tag) => {
                let fine = self.bare(place, anchor, tag.as_ref());
                let entries = self.mapping(depth)?;
                if fine {
                    Kind::Mapping(entries)
                } else {
                    Kind::Refused
                }
            }
            Event::Alias(_) => {
                self.mistakes.add(
                    place,
                    "an alias (*NAME) is not taken in settings",
                    "write the value itself again",
                );
                Kind::Refused
            }
            _ => Kind::Nothing,
        };
        Ok(Node { at: place, kind })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                event => items.push(self.node(event, None, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Unreadable> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, (At, bool)> = HashMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(entries),
                event => self.node(event, None, depth + 1)?,
            };
            let value = self.next()?;
            let value = self.node(value, Some(key.at), depth + 1)?;
            let text = match key.kind {
                Kind::Scalar(scalar) => scalar.text,
                Kind::Refused => continue,
                _ => {
                    let text = format!("a key is one word; this is {}", key.describe());
                    self.mistakes.add(key.at, text, "write KEY: VALUE");
                    continue;
                }
            };
            match seen.get_mut(&text) {
                None => {
                    seen.insert(text.clone(), (key.at, false));
                    entries.push(Entry {
                        key: text,
                        at: key.at,
                        value,
                    });
                }
                Some((first, told)) => {
                    if !std::mem::replace(told, true) {
                        let again =
                            format!("{} is written again on line {}", quote(&text), key.at.line);
                        self.mistakes.add(*first, again, "keep one of them");
                    }
                    let before =
                        format!("{} is already written on line {}", quote(&text), first.line);
                    self.mistakes.add(key.at, before, "keep one of them");
                }
            }
        }
    }

    /// Tells of an anchor or a tag, and returns whether there is none.
    fn bare(&mut self, place: At, anchor: usize, tag: Option<&Cow<'_, Tag>>) -> bool {
        if anchor > 0 {
            self.mistakes.add(
                place,
                "an anchor (&NAME) is not taken in settings",
                "write the value itself wherever it is needed",
            );
        }
        if tag.is_some() {
            self.mistakes.add(
                place,
                "a tag (!NAME) is not taken in settings",
                "take it away; the key already says what the value is",
            );
        }
        anchor == 0 && tag.is_none()
    }

    /// Tells of a scalar over several lines, and returns whether it is on one.
    ///
    /// Block text begins on the line after its key, so it is told where the key is.
    fn one_line(&mut self, text: &str, style: ScalarStyle, span: &Span, key: Option<At>) -> bool {
        let (what, hint) = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                self.mistakes.add(
                    key.unwrap_or(at(&span.start)),
                    "a block of text (| or >) is not taken in settings",
                    "write the value behind its key, on one line",
                );
                return false;
            }
            _ if span.start.line() == span.end.line() => return true,
            ScalarStyle::Plain => {
                self.folded_at = Some(span.end);
                (
                    "this value goes on in the next line",
                    if lacks_space(text) {
                        SPACED
                    } else {
                        "a value stands on one line; a key that belongs under another is indented, \
                         and the other one then has no value of its own"
                    },
                )
            }
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (
                "this quoted text goes on in the next line",
                "close the quote on the same line",
            ),
        };
        self.mistakes.add(at(&span.start), what, hint);
        false
    }
}

fn at(marker: &Marker) -> At {
    At {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(marker.col())
            .unwrap_or(u32::MAX)
            .saturating_add(1),
    }
}

fn lacks_space(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with(' '))
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
