//! One JSON array of chunks, each of them a document.

use super::dialect::Documents;
use super::json::Scanner;
use super::step::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    /// Behind the bracket that opens the array.
    Opened,
    Inside,
    /// Behind a chunk.
    Behind,
    /// Behind the comma after a chunk.
    Comma,
    Closed,
    Broken,
}

/// The reader of one array of chunks.
#[derive(Debug)]
pub(super) struct JsonArray {
    place: Place,
    /// The last place that was no chunk's inside.
    boundary: Place,
    /// That before the chunk that ends the message.
    before_end: Option<Place>,
}

impl JsonArray {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Before,
            boundary: Place::Before,
            before_end: None,
        }
    }

    /// Returns whether the bytes so far end between two chunks.
    pub(super) fn is_between(&self) -> bool {
        !matches!(self.place, Place::Inside | Place::Broken)
    }

    /// Returns what must precede another chunk; `None` behind the end.
    ///
    /// It follows the last boundary, or with `all` unset the one before the end of the message.
    pub(super) fn before_next(&self, all: bool) -> Option<&'static str> {
        let before_end = self.before_end.unwrap_or(self.boundary);
        match if all { self.boundary } else { before_end } {
            Place::Before => Some("["),
            Place::Behind => Some(","),
            Place::Opened | Place::Comma => Some(""),
            Place::Inside | Place::Closed | Place::Broken => None,
        }
    }

    pub(super) fn read<D: Documents>(
        &mut self,
        chunk: &[u8],
        scanner: &mut Scanner,
        dialect: &mut D,
        step: &mut Step,
    ) {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            if self.place == Place::Inside {
                let Some(left) = scanner.feed(rest, dialect) else {
                    if scanner.is_broken() {
                        self.place = Place::Broken;
                    }
                    return;
                };
                if dialect.close(b"") {
                    dialect.end_message();
                    self.before_end.get_or_insert(self.boundary);
                    step.hold();
                }
                rest = left;
                self.stand(Place::Behind, chunk, rest, dialect, step);
                continue;
            }
            if byte.is_ascii_whitespace() {
                rest = behind;
                continue;
            }
            let next = match (self.place, byte) {
                (Place::Before, b'[') => Place::Opened,
                (Place::Opened | Place::Behind, b']') => Place::Closed,
                (Place::Behind, b',') => Place::Comma,
                (Place::Opened | Place::Comma, _) => {
                    self.place = Place::Inside;
                    scanner.reset();
                    dialect.open();
                    continue;
                }
                _ => {
                    self.place = Place::Broken;
                    return;
                }
            };
            rest = behind;
            self.stand(next, chunk, rest, dialect, step);
        }
    }

    fn stand<D: Documents>(
        &mut self,
        place: Place,
        chunk: &[u8],
        rest: &[u8],
        dialect: &mut D,
        step: &mut Step,
    ) {
        self.place = place;
        self.boundary = place;
        step.boundary = Some(chunk.len().saturating_sub(rest.len()));
        dialect.reach_boundary();
    }
}
