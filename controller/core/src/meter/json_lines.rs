//! Documents one after another with nothing but blanks between them: lines, or messages of a
//! WebSocket with a line's end behind each.

use super::dialect::Documents;
use super::json::Scanner;
use super::step::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    Inside,
    Broken,
}

/// The reader of documents one after another.
#[derive(Debug)]
pub(super) struct JsonLines {
    place: Place,
}

impl JsonLines {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Between,
        }
    }

    /// Returns whether the bytes so far end between two documents.
    pub(super) fn is_between(&self) -> bool {
        self.place == Place::Between
    }

    /// The next document begins behind here, whatever this one was.
    pub(super) fn end_line(&mut self, scanner: &mut Scanner) {
        if self.place != Place::Between {
            scanner.reset();
            self.place = Place::Between;
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
            match self.place {
                Place::Between if byte.is_ascii_whitespace() => rest = behind,
                Place::Between => {
                    self.place = Place::Inside;
                    scanner.reset();
                    dialect.open();
                }
                Place::Inside => {
                    let Some(left) = scanner.feed(rest, dialect) else {
                        if scanner.is_broken() {
                            self.place = Place::Broken;
                        }
                        return;
                    };
                    if dialect.close(b"") {
                        dialect.end_message();
                        step.hold();
                    }
                    rest = left;
                    self.place = Place::Between;
                    step.boundary = Some(chunk.len().saturating_sub(rest.len()));
                    dialect.reach_boundary();
                }
                Place::Broken => return,
            }
        }
    }
}
