//! Ends a Chat Completions stream: an error object in place of a chunk.

use serde_json::json;

use super::{LineEnd, push_event};

/// Where a stream stands between two events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    is_over: bool,
}

impl Standing {
    /// The answer ended, or the provider broke it off.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Returns the bytes that end the stream here; none where it has ended.
    pub(crate) fn ending(self, sentence: &str, line_end: LineEnd) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.is_over {
            let data = json!({"error": {
                "message": sentence,
                "type": "invalid_request_error",
                "param": null,
                "code": "invalid_prompt",
            }});
            push_event(&mut out, line_end, None, &data);
        }
        out
    }
}
