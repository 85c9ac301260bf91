//! An incremental JSON reader: reports the values at a few places of a document as it passes.
//!
//! It owns the grammar and the place in it, never the document: what it keeps is bounded, whatever
//! the document's size and depth. It takes bytes at any cut. What is inside a string is never
//! taken for structure. Subtrees in which nothing is asked for are passed over by their strings
//! and brackets alone.

use super::field::Field;

mod node;
mod scalar;
mod shape;
mod text;
mod word;

pub(super) use node::Node;
use node::Take;
use scalar::{Literal, Number};
#[cfg(test)]
pub(super) use shape::SHAPE_SIZE_MAX;
pub(super) use shape::{Fit, Shape};
use word::Word;

/// The deepest place that can be asked for.
const PATH_MAX: usize = 12;
/// The largest number taken as a count: 2^53, which every JSON writer keeps exactly.
const COUNT_MAX: u64 = 1 << 53;
/// How much of a string is looked at byte by byte before a search is worth its start.
const SHORT: usize = 24;

/// A scalar at a place that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// A whole number that can be a count.
    Count(u64),
    /// A number that cannot: negative, with a fraction or an exponent, or too large.
    OddNumber,
    /// A string; empty where only its presence was asked for.
    Text(&'a [u8]),
}

/// What hears of the values.
pub(super) trait Sink {
    /// An object or array opens at a place that was asked for.
    fn begin(&mut self, field: Field);
    /// It closes.
    fn end(&mut self, field: Field);
    /// A scalar stands at a place that was asked for.
    fn value(&mut self, field: Field, value: Value<'_>);
    /// So many bytes passed at a place whose size is asked for.
    fn flow(&mut self, field: Field, bytes: u64);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Key,
    Value,
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must follow.
    Value,
    /// A value or the end of the array must follow.
    FirstItem,
    /// A key or the end of the object must follow.
    FirstKey,
    /// A key must follow.
    Key,
    Colon,
    /// A comma or the end of the container must follow.
    After,
    Text(Text),
    /// Just behind a backslash.
    Escape(Text),
    /// Behind `\u` and so many digits, with the number they make.
    Unicode(Text, u8, u16),
    Number(Number),
    /// In `true`, `false` or `null`, so many bytes into it.
    Literal(Literal, u8),
    /// Inside a container nobody asks for.
    Skip,
    Closed,
    Broken,
}

/// The reader of one document after another.
#[derive(Debug)]
pub(super) struct Scanner {
    root: &'static Node,
    state: State,
    /// The containers that are open and looked into.
    path: [&'static Node; PATH_MAX],
    depth: usize,
    /// Which of them are arrays, by bit.
    arrays: u32,
    /// The place of the value that is read or awaited.
    node: &'static Node,
    /// Containers open inside the one that is passed over, itself included.
    skipped: u64,
    word: Word,
}

impl Scanner {
    pub(super) fn new(root: &'static Node) -> Self {
        Self {
            root,
            state: State::Value,
            path: [&Node::NOWHERE; PATH_MAX],
            depth: 0,
            arrays: 0,
            node: root,
            skipped: 0,
            word: Word::default(),
        }
    }

    /// Makes ready for the next document.
    pub(super) fn reset(&mut self) {
        self.state = State::Value;
        self.depth = 0;
        self.arrays = 0;
        self.node = self.root;
        self.skipped = 0;
    }

    /// Returns the places that are asked for.
    pub(super) fn root(&self) -> &'static Node {
        self.root
    }

    /// Returns whether the document is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Returns whether what was read is no JSON.
    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Reads on; returns what is left behind the document where it closed in these bytes.
    pub(super) fn feed<'b, S: Sink>(&mut self, bytes: &'b [u8], sink: &mut S) -> Option<&'b [u8]> {
        if matches!(self.state, State::Closed | State::Broken) {
            return None;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = rest.len();
            let counted = self.skipped > 0 && self.node.take == Take::Flow;
            rest = self.step(rest, sink);
            if counted {
                sink.flow(self.node.field, size(before.saturating_sub(rest.len())));
            }
            match self.state {
                State::Closed => return Some(rest),
                State::Broken => return None,
                _ => {}
            }
        }
        None
    }

    fn step<'b, S: Sink>(&mut self, rest: &'b [u8], sink: &mut S) -> &'b [u8] {
        match self.state {
            State::Text(of) => self.text(of, rest, sink),
            State::Skip => self.skip(rest, sink),
            State::Number(number) => self.number(number, rest, sink),
            State::Literal(literal, passed) => self.literal(literal, passed, rest, sink),
            State::Escape(of) => self.escape(of, rest, sink),
            State::Unicode(of, digits, unit) => self.unicode(of, digits, unit, rest, sink),
            State::Closed | State::Broken => &[],
            State::Value
            | State::FirstItem
            | State::FirstKey
            | State::Key
            | State::Colon
            | State::After => self.structure(rest, sink),
        }
    }

    /// Reads what stands between scalars, as long as nothing else begins.
    fn structure<'b, S: Sink>(&mut self, rest: &'b [u8], sink: &mut S) -> &'b [u8] {
        let mut rest = rest;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = match (self.state, byte) {
                (State::FirstKey | State::Key, b'"') => self.begin_text(Text::Key, behind, sink),
                (State::Colon, b':') => {
                    self.state = State::Value;
                    behind
                }
                (State::After, b',') => {
                    if self.in_array() {
                        self.node = self.container().item();
                        self.state = State::Value;
                    } else {
                        self.state = State::Key;
                    }
                    behind
                }
                (State::After | State::FirstItem, b']') if self.in_array() => {
                    self.close(sink);
                    behind
                }
                (State::After | State::FirstKey, b'}') if !self.in_array() => {
                    self.close(sink);
                    behind
                }
                (State::Closed, _) => return rest,
                (_, b' ' | b'\n' | b'\r' | b'\t') if self.is_structural() => behind,
                (State::Value | State::FirstItem, _) => self.begin_value(byte, behind, sink),
                (_, _) if self.is_structural() => {
                    self.state = State::Broken;
                    return rest;
                }
                _ => return rest,
            };
        }
        rest
    }

    fn is_structural(&self) -> bool {
        matches!(
            self.state,
            State::Value
                | State::FirstItem
                | State::FirstKey
                | State::Key
                | State::Colon
                | State::After
        )
    }

    fn begin_value<'b, S: Sink>(&mut self, byte: u8, behind: &'b [u8], sink: &mut S) -> &'b [u8] {
        match byte {
            b'"' => return self.begin_text(Text::Value, behind, sink),
            b'{' => self.open(false, sink),
            b'[' => self.open(true, sink),
            b'0' => return self.number(Number::Zero, behind, sink),
            b'1'..=b'9' => {
                let first = u64::from(byte.saturating_sub(b'0'));
                return self.number(Number::Whole(first), behind, sink);
            }
            b'-' => return self.number(Number::Odd, behind, sink),
            b't' => return self.literal(Literal::True, 1, behind, sink),
            b'f' => return self.literal(Literal::False, 1, behind, sink),
            b'n' => return self.literal(Literal::Null, 1, behind, sink),
            _ => self.state = State::Broken,
        }
        behind
    }

    fn container(&self) -> &'static Node {
        self.depth
            .checked_sub(1)
            .and_then(|top| self.path.get(top))
            .copied()
            .unwrap_or(&Node::NOWHERE)
    }

    fn in_array(&self) -> bool {
        self.depth > 0 && self.arrays & 1 == 1
    }

    fn open<S: Sink>(&mut self, array: bool, sink: &mut S) {
        let node = self.node;
        if node.field != Field::Nothing {
            sink.begin(node.field);
        }
        let barren = if array {
            node.items.is_none()
        } else {
            node.keys.is_empty()
        };
        let place = self.path.get_mut(self.depth);
        match place {
            Some(place) if !barren => {
                *place = node;
                self.depth = self.depth.saturating_add(1);
                self.arrays = self.arrays << 1 | u32::from(array);
                self.node = node.item();
                self.state = if array {
                    State::FirstItem
                } else {
                    State::FirstKey
                };
            }
            _ => {
                self.skipped = 1;
                self.state = State::Skip;
            }
        }
    }

    fn close<S: Sink>(&mut self, sink: &mut S) {
        let node = self.container();
        self.depth = self.depth.saturating_sub(1);
        self.arrays >>= 1;
        if node.field != Field::Nothing {
            sink.end(node.field);
        }
        self.after();
    }

    fn after(&mut self) {
        self.state = if self.depth == 0 {
            State::Closed
        } else {
            State::After
        };
    }

    /// Passes over a container by its strings and brackets alone.
    fn skip<'b, S: Sink>(&mut self, rest: &'b [u8], sink: &mut S) -> &'b [u8] {
        let wanted = |b: &u8| matches!(b, b'"' | b'{' | b'}' | b'[' | b']');
        let Some(at) = rest.iter().position(wanted) else {
            return &[];
        };
        let (found, behind) = split_behind(rest, at);
        match found {
            b'"' => self.state = State::Text(Text::Skipped),
            b'{' | b'[' => self.skipped = self.skipped.saturating_add(1),
            _ => {
                self.skipped = self.skipped.saturating_sub(1);
                if self.skipped == 0 {
                    if self.node.field != Field::Nothing {
                        sink.end(self.node.field);
                    }
                    self.after();
                }
            }
        }
        behind
    }
}

fn split_behind(bytes: &[u8], at: usize) -> (u8, &[u8]) {
    match bytes.get(at..).and_then(<[u8]>::split_first) {
        Some((&found, behind)) => (found, behind),
        None => (0, &[]),
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
