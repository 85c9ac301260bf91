//! Owns what a message on a WebSocket of Responses is, from either end.

use std::borrow::Cow;

use super::scan::{Cursor, Member};

/// The longest kind of a message that is compared with a known one, in bytes.
const KIND_BYTES_MAX: usize = 64;
/// The longest id of a response that is compared with another, in bytes.
const ID_BYTES_MAX: usize = 128;

/// What a client's message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMessage {
    /// It asks for a response: a call.
    Create,
    /// It asks that the response in flight be broken off.
    Cancel,
    /// It says that a response was seen.
    Acknowledge,
    /// It asks for something else, which may be a response too.
    Other,
    /// It is no JSON object with one kind: what its reader takes it for is not known.
    Unreadable,
}

impl ClientMessage {
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
            let kind = match cursor.string()?.decode(KIND_BYTES_MAX)?.as_ref() {
                "response.create" => Self::Create,
                "response.cancel" => Self::Cancel,
                "response.processed" => Self::Acknowledge,
                _ => Self::Other,
            };
            if found.replace(kind).is_some_and(|before| before != kind) {
                return None;
            }
        }
        cursor.is_at_end().then_some(found?)
    }
}

/// What a provider's message is; ids are those of the response that it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderMessage<'a> {
    /// A response begins, or is under way.
    Begins(Option<Cow<'a, str>>),
    /// A response ends.
    Ends(Option<Cow<'a, str>>),
    /// Something of a response.
    Part,
    /// An error, of a response or of what a message asked for.
    Error,
    /// Something that is of no response, or cannot be read.
    Aside,
}

impl<'a> ProviderMessage<'a> {
    /// Reads a message, as far as it takes: of a part of a response its kind alone.
    pub fn read(text: &'a [u8]) -> Self {
        Self::of(text).unwrap_or(Self::Aside)
    }

    fn of(text: &'a [u8]) -> Option<Self> {
        let kind = Cursor::new(text).find(b"type")?.string()?;
        let id = || {
            let mut response = Cursor::new(text).find(b"response")?;
            response.find_here(b"id")?.string()?.decode(ID_BYTES_MAX)
        };
        let kind = kind.decode(KIND_BYTES_MAX)?;
        Some(match kind.strip_prefix("response.") {
            Some("created" | "queued" | "in_progress") => Self::Begins(id()),
            Some("completed" | "incomplete" | "failed" | "cancelled" | "done") => Self::Ends(id()),
            Some(_) => Self::Part,
            None if kind == "error" => Self::Error,
            None => Self::Aside,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_from_what_is_none_and_what_cannot_be_read() {
        use ClientMessage::{Acknowledge, Cancel, Create, Other, Unreadable};
        for (text, message) in [
            (r#"{"type":"response.create","model":"gpt-5"}"#, Create),
            (
                r#" {"input":[{"type":"message"}],"type" : "response.create"} "#,
                Create,
            ),
            (r#"{"ty\u0070e":"response.cre\u0061te"}"#, Create),
            (
                r#"{"type":"response.create","type":"response.create"}"#,
                Create,
            ),
            (r#"{"type":"response.cancel"}"#, Cancel),
            (
                r#"{"type":"response.processed","response_id":"r"}"#,
                Acknowledge,
            ),
            (r#"{"type":"response.steer"}"#, Other),
            (
                r#"{"type":"x","response":{"type":"response.create"}}"#,
                Other,
            ),
            (r#"{"type":"ping","type":"response.create"}"#, Unreadable),
            (r#"{"type":"response.create"}{"#, Unreadable),
            (r#"{"type":["response.create"]}"#, Unreadable),
            (r#"[{"type":"response.create"}]"#, Unreadable),
            (r#"{"model":"gpt-5"}"#, Unreadable),
            (r#"{"type":"response.create""#, Unreadable),
            ("", Unreadable),
        ] {
            assert_eq!(ClientMessage::read(text.as_bytes()), message, "{text}");
        }
    }

    #[test]
    fn a_response_is_followed_by_its_id() {
        use ProviderMessage::{Aside, Begins, Ends, Error, Part};
        let id = |id: &'static str| Some(Cow::Borrowed(id));
        for (text, message) in [
            (
                r#"{"type":"response.created","response":{"object":"response","id":"r1"}}"#,
                Begins(id("r1")),
            ),
            (
                r#"{"response":{"output":[{"id":"m"}],"id":"r1"},"type":"response.completed"}"#,
                Ends(id("r1")),
            ),
            (
                r#"{"type":"response.failed","response":{"error":{}}}"#,
                Ends(None),
            ),
            (r#"{"type":"response.done","response":null}"#, Ends(None)),
            (r#"{"type":"response.output_text.delta","delta":"x"}"#, Part),
            (r#"{"type":"error","status":400}"#, Error),
            (r#"{"type":"codex.rate_limits"}"#, Aside),
            (r#"{"type":7}"#, Aside),
            ("ping", Aside),
            ("", Aside),
        ] {
            assert_eq!(ProviderMessage::read(text.as_bytes()), message, "{text}");
        }
    }
}
