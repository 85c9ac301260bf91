//! Newline-delimited JSON: one object a line, with a longest line.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::RpcError;

/// The longest line either side may send, in bytes, without its newline.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// A request as it stands on the line.
#[derive(Debug, Deserialize, Serialize)]
pub struct RequestLine {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// What the answer will carry; absent on a notification, which gets no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The method's name.
    pub method: String,
    /// The method's parameters; absent is the same as an empty object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Box<RawValue>>,
}

/// A response as it stands on the line: `result` or `error`.
#[derive(Debug, Deserialize, Serialize)]
pub struct ResponseLine {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// The request's id; null where it could not be read.
    pub id: Option<Id>,
    /// The method's reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// A line that the controller sends without being asked.
#[derive(Debug, Deserialize, Serialize)]
pub struct NotificationLine {
    /// Always `2.0`.
    pub jsonrpc: Version,
    /// What it is: `event`.
    pub method: String,
    /// The notification itself.
    pub params: Box<RawValue>,
}

/// The id that a client gives its request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

/// The literal `2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Version {
    /// JSON-RPC 2.0.
    #[serde(rename = "2.0")]
    V2,
}

/// What the line reader found.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line, without its end.
    Whole(Vec<u8>),
    /// A line longer than [`LINE_BYTES_MAX`]; its bytes up to the newline are gone.
    TooLong,
}

/// Cuts bytes into lines, at any chunking, holding at most one line.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    searched: usize,
    skipping: bool,
}

impl LineBuffer {
    /// Adds bytes as they came.
    pub fn extend(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// Takes the next line, if a whole one (or the end of one too long) is there.
    pub fn next_line(&mut self) -> Option<Line> {
        let found = self
            .bytes
            .iter()
            .skip(self.searched)
            .position(|b| *b == b'\n');
        let Some(offset) = found else {
            self.searched = self.bytes.len();
            if self.bytes.len() > LINE_BYTES_MAX {
                self.skipping = true;
                self.bytes.clear();
                self.searched = 0;
            }
            return None;
        };
        let end = self.searched + offset;
        let rest = self.bytes.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if std::mem::take(&mut self.skipping) || line.len() > LINE_BYTES_MAX {
            return Some(Line::TooLong);
        }
        Some(Line::Whole(line))
    }

    /// Returns whether bytes of an unfinished line are there: at the end of input, a torn line.
    pub fn is_torn(&self) -> bool {
        self.skipping || !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<Line>, bool) {
        let mut buffer = LineBuffer::default();
        let mut out = Vec::new();
        for chunk in chunks {
            buffer.extend(chunk);
            while let Some(line) = buffer.next_line() {
                out.push(line);
            }
        }
        (out, buffer.is_torn())
    }

    #[test]
    fn lines_are_the_same_at_any_cut() {
        let text = b"{\"a\":1}\r\n\n{\"b\":2}\nrest";
        let whole = lines(&[text]);
        assert_eq!(
            whole,
            (
                vec![
                    Line::Whole(b"{\"a\":1}".to_vec()),
                    Line::Whole(Vec::new()),
                    Line::Whole(b"{\"b\":2}".to_vec())
                ],
                true
            )
        );
        for cut in 0..text.len() {
            assert_eq!(lines(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_too_long_is_said_once_and_the_next_one_is_read() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let half = LINE_BYTES_MAX / 2;
        let (out, torn) = lines(&[&long[..half], &long[half..], b"yyy", b"\nnext\n"]);
        assert_eq!(out, vec![Line::TooLong, Line::Whole(b"next".to_vec())]);
        assert!(!torn);
    }
}
