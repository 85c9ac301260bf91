//! Ends a Responses stream: `response.failed` with the one code whose message clients show.

use serde_json::{Value, json};

use super::{LineEnd, Names, push_event};

const FAILED: &str = "response.failed";

/// Where a stream stands between two events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    next_sequence: u64,
    is_over: bool,
}

impl Standing {
    /// An event passed; not every provider numbers them.
    pub(crate) fn pass(&mut self, sequence: Option<u64>) {
        let next = sequence.unwrap_or(self.next_sequence).saturating_add(1);
        self.next_sequence = self.next_sequence.max(next);
    }

    /// The response ended, or the provider broke it off.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Returns the bytes that end the stream here; none where it has ended.
    pub(crate) fn ending(self, sentence: &str, names: Names<'_>, line_end: LineEnd) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.is_over {
            let data = self.failed(sentence, names);
            push_event(&mut out, line_end, Some(FAILED), &data);
        }
        out
    }

    /// Returns the same as the one message of a WebSocket.
    pub(crate) fn message(self, sentence: &str, names: Names<'_>) -> Vec<u8> {
        if self.is_over {
            Vec::new()
        } else {
            self.failed(sentence, names).to_string().into_bytes()
        }
    }

    fn failed(self, sentence: &str, names: Names<'_>) -> Value {
        json!({
            "type": FAILED,
            "sequence_number": self.next_sequence,
            "response": {
                "id": names.response_id.unwrap_or("resp_ended"),
                "object": "response",
                "created_at": 0,
                "status": "failed",
                "error": {"code": "invalid_prompt", "message": sentence},
                "incomplete_details": null,
                "model": names.model.unwrap_or("none"),
                "output": [],
                "usage": null,
            },
        })
    }
}
