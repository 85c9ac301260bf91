//! Owns what a client's message on a WebSocket of Responses is.

use super::scan::{Cursor, Member};

/// The longest kind of a message that is compared with a known one, in bytes.
const KIND_BYTES_MAX: usize = 64;
const CREATE: &str = "response.create";

/// What a client's message on a WebSocket of Responses is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// It asks for a response: a call.
    Create,
    /// It asks for something else.
    Other,
    /// It is no JSON object with one kind: what its reader takes it for is not known.
    Unreadable,
}

impl Message {
    /// Reads a message; whichever of its kinds a lenient reader heeds, a call is one.
    pub fn read(text: &[u8]) -> Self {
        Self::of(text).unwrap_or(Self::Unreadable)
    }

    fn of(text: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let mut found = None;
        cursor.take(b'{')?;
        while let Member::Key(key) = cursor.member()? {
            if key.decode("type".len()).as_deref() != Some("type") {
                cursor.skip(&mut ())?;
                continue;
            }
            if cursor.peek()? != b'"' {
                return None;
            }
            let kind = cursor.string()?.decode(KIND_BYTES_MAX)?;
            let kind = if kind == CREATE {
                Self::Create
            } else {
                Self::Other
            };
            if found.replace(kind).is_some_and(|before| before != kind) {
                return None;
            }
        }
        cursor.is_at_end().then_some(found?)
    }
}

/// Returns whether a provider's message is the first of a response.
pub fn begins_response(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    let mut kind = || {
        cursor.take(b'{')?;
        while let Member::Key(key) = cursor.member()? {
            if key.decode("type".len()).as_deref() == Some("type") {
                return cursor.string()?.decode(KIND_BYTES_MAX);
            }
            cursor.skip(&mut ())?;
        }
        None
    };
    matches!(
        kind().as_deref(),
        Some("response.created" | "response.queued" | "response.in_progress")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_from_what_is_none_and_what_cannot_be_read() {
        for (text, message) in [
            (
                r#"{"type":"response.create","model":"gpt-5"}"#,
                Message::Create,
            ),
            (
                r#" {"input":[{"type":"message"}],"type" : "response.create"} "#,
                Message::Create,
            ),
            (r#"{"ty\u0070e":"response.cre\u0061te"}"#, Message::Create),
            (
                r#"{"type":"response.create","type":"response.create"}"#,
                Message::Create,
            ),
            (r#"{"type":"response.cancel"}"#, Message::Other),
            (
                r#"{"type":"x","response":{"type":"response.create"}}"#,
                Message::Other,
            ),
            (
                r#"{"type":"ping","type":"response.create"}"#,
                Message::Unreadable,
            ),
            (r#"{"type":"response.create"}{"#, Message::Unreadable),
            (r#"{"type":["response.create"]}"#, Message::Unreadable),
            (r#"[{"type":"response.create"}]"#, Message::Unreadable),
            (r#"{"model":"gpt-5"}"#, Message::Unreadable),
            (r#"{"type":"response.create""#, Message::Unreadable),
            ("", Message::Unreadable),
        ] {
            assert_eq!(Message::read(text.as_bytes()), message, "{text}");
        }
    }
}
