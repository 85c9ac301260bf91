//! What an answer has said of itself so far, in any dialect.

use bb_proto::usage::Usage;

use super::json::Value;

/// The longest model name or response id kept, in bytes.
pub(super) const NAME_MAX: usize = 128;

/// Bytes of generated text that have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flowed {
    /// Text and tool arguments.
    pub text: u64,
    /// Reasoning, where the provider shows it.
    pub reasoning: u64,
}

/// What every dialect's reader finds out.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and every combination occurs"
)]
pub(super) struct Facts {
    pub(super) usage: Usage,
    pub(super) complete: bool,
    pub(super) failed: bool,
    pub(super) model: Option<String>,
    pub(super) response_id: Option<String>,
    pub(super) flowed: Flowed,
    /// Whether the answer says that it goes on after its request has ended.
    pub(super) background: bool,
    /// Whether the answer comes as a stream of events, not as one document.
    pub(super) streamed: bool,
}

/// Keeps a name, bounded; what is empty or no text changes nothing.
pub(super) fn keep_name(slot: &mut Option<String>, value: Value<'_>) {
    let Value::Text(text) = value else { return };
    let text = whole_characters(text.get(..NAME_MAX).unwrap_or(text));
    let is_known = slot.as_ref().is_some_and(|known| known.as_bytes() == text);
    if !text.is_empty() && !is_known {
        let name = String::from_utf8_lossy(text);
        let end = name.floor_char_boundary(NAME_MAX);
        *slot = name.get(..end).map(str::to_owned);
    }
}

/// Leaves out a character at the end that is cut.
fn whole_characters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => {
            text.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => text,
    }
}

/// Returns the count, if it is one.
pub(super) fn count(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Count(n) => Some(n),
        _ => None,
    }
}

/// Adds two counts; a sum of nothing stated is not stated.
pub(super) fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (None, None) => None,
        _ => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

/// The part of the prompt that no cache had to do with, never below zero.
///
/// Where reads and writes together exceed the prompt they name the same tokens; where one alone
/// does, it is no part of the prompt.
pub(super) fn uncached(prompt: u64, read: Option<u64>, write: Option<u64>) -> u64 {
    let (read, write) = (read.unwrap_or(0), write.unwrap_or(0));
    prompt
        .checked_sub(read.saturating_add(write))
        .or_else(|| prompt.checked_sub(read.max(write)))
        .unwrap_or(prompt)
}
