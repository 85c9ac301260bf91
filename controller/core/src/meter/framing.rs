//! How an answer's documents are laid in its bytes.

use super::dialect::Dialect;
use super::json::Scanner;
use super::json_array::JsonArray;
use super::json_lines::JsonLines;
use super::sse::Sse;
use super::step::Step;

/// How an answer's documents are laid in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, a document each.
    Sse,
    /// One document.
    Json,
    /// One array of documents.
    JsonArray,
    /// Documents one after another: lines, or a WebSocket's messages with a line's end behind each.
    JsonLines,
}

impl Framing {
    /// Returns what a `content-type` header says; `None` where it says nothing of use.
    pub fn from_content_type(content_type: Option<&str>) -> Option<Self> {
        let kind = content_type?.split(';').next()?.trim();
        if kind.eq_ignore_ascii_case("text/event-stream") {
            Some(Self::Sse)
        } else if kind.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// Whether a document is the only one of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Perhaps,
    /// What follows it is no document.
    Surely,
}

/// The reader of the layer between bytes and documents.
///
/// The first byte that is not blank decides it: header and body do disagree, the header is only
/// believed where nothing has come yet.
#[derive(Debug)]
pub(super) enum Frames {
    Unknown(Option<Framing>),
    Sse(Sse),
    Json(Alone),
    JsonArray(JsonArray),
    JsonLines(JsonLines),
    /// Neither of these: nothing in it means anything.
    Opaque,
}

impl Frames {
    pub(super) fn new(framing: Option<Framing>) -> Self {
        Self::Unknown(framing)
    }

    pub(super) fn read<D: Dialect>(
        &mut self,
        chunk: &[u8],
        scanner: &mut Scanner,
        dialect: &mut D,
        step: &mut Step,
    ) {
        let mut rest = chunk;
        if let Self::Unknown(hint) = *self {
            let Some(at) = chunk.iter().position(|byte| !is_blank(*byte)) else {
                return;
            };
            rest = chunk.get(at..).unwrap_or_default();
            *self = Self::of(rest.first().copied().unwrap_or_default(), hint);
            dialect.set_streamed(!matches!(self, Self::Json(_)));
            if matches!(self, Self::Json(_)) {
                dialect.open();
            }
        }
        let mut inner = Step::default();
        match self {
            Self::Sse(sse) => sse.read(rest, scanner, dialect, &mut inner),
            Self::JsonArray(array) => array.read(rest, scanner, dialect, &mut inner),
            Self::JsonLines(lines) => lines.read(rest, scanner, dialect, &mut inner),
            Self::Json(alone) => {
                let behind = if scanner.is_closed() {
                    rest
                } else {
                    match scanner.feed(rest, dialect) {
                        Some(behind) => {
                            if dialect.close(b"") {
                                dialect.end_message();
                                inner.hold();
                            }
                            inner.boundary = Some(rest.len().saturating_sub(behind.len()));
                            dialect.reach_boundary();
                            behind
                        }
                        None => &[],
                    }
                };
                // Another one follows: it was not the only document, but the first of many.
                let behind = behind.trim_ascii_start();
                if !behind.is_empty() && !behind.starts_with(b"{") {
                    *alone = Alone::Surely;
                }
                if *alone == Alone::Perhaps && !behind.is_empty() {
                    dialect.set_streamed(true);
                    let mut lines = JsonLines::new();
                    let mut more = Step::default();
                    lines.read(behind, scanner, dialect, &mut more);
                    *self = Self::JsonLines(lines);
                    let before = rest.len().saturating_sub(behind.len());
                    let shift = |at: usize| at.saturating_add(before);
                    inner.hold_at = inner.hold_at.or(more.hold_at.map(shift));
                    inner.boundary = more.boundary.map(shift).or(inner.boundary);
                }
            }
            Self::Unknown(_) | Self::Opaque => {}
        }
        let skipped = chunk.len().saturating_sub(rest.len());
        let shift = |at: usize| {
            if at == 0 {
                0
            } else {
                at.saturating_add(skipped)
            }
        };
        step.hold_at = inner.hold_at.map(shift);
        step.boundary = inner.boundary.map(|at| at.saturating_add(skipped));
    }

    fn of(first: u8, hint: Option<Framing>) -> Self {
        match (first, hint) {
            (_, Some(Framing::JsonLines)) => Self::JsonLines(JsonLines::new()),
            (b'{', _) => Self::Json(Alone::Perhaps),
            (b'[', _) => Self::JsonArray(JsonArray::new()),
            (b'd' | b'e' | b'i' | b'r' | b':', _) | (_, Some(Framing::Sse)) => {
                Self::Sse(Sse::new())
            }
            _ => Self::Opaque,
        }
    }

    /// Returns whether the bytes so far end inside a document.
    pub(super) fn is_inside(&self, scanner: &Scanner) -> bool {
        match self {
            Self::Sse(sse) => sse.is_inside(scanner),
            Self::JsonArray(array) => !array.is_between(),
            Self::JsonLines(lines) => !lines.is_between(),
            Self::Json(_) => !scanner.is_closed(),
            Self::Unknown(_) | Self::Opaque => false,
        }
    }

    /// Returns whether the bytes so far end between two documents.
    pub(super) fn is_between(&self, scanner: &Scanner) -> bool {
        match self {
            Self::Unknown(hint) => matches!(
                hint,
                Some(Framing::Sse | Framing::JsonArray | Framing::JsonLines)
            ),
            Self::Sse(sse) => sse.is_between(),
            Self::JsonArray(array) => array.is_between(),
            Self::JsonLines(lines) => lines.is_between(),
            Self::Json(_) => scanner.is_closed(),
            Self::Opaque => false,
        }
    }
}

/// White space, and the byte order mark that some put first.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF)
}
