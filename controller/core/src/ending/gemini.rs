//! Ends a Gemini stream: the sentence as a last part of text with a finish reason.

use serde_json::{Value, json};

use super::{LineEnd, push_event};

/// Where a stream stands between two chunks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    is_wrapped: bool,
    is_over: bool,
}

impl Standing {
    /// The chunks come inside another object's `response`.
    pub(crate) fn wrap(&mut self) {
        self.is_wrapped = true;
    }

    /// The answer ended, or the provider broke it off.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Returns the event that ends the stream here; nothing where it has ended.
    pub(crate) fn event(self, sentence: &str, line_end: LineEnd) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.is_over {
            push_event(&mut out, line_end, None, &self.chunk(sentence));
        }
        out
    }

    /// Returns what closes an array of chunks here; `before` is what must precede an element.
    pub(crate) fn element(self, sentence: &str, before: &str) -> Vec<u8> {
        if !self.is_over {
            return format!("{before}{}]", self.chunk(sentence)).into_bytes();
        }
        let close = match before {
            "[" => "[]",
            // Behind a comma a chunk must follow: one that says nothing.
            "" => "{}]",
            _ => "]",
        };
        close.as_bytes().to_vec()
    }

    fn chunk(self, sentence: &str) -> Value {
        let chunk = json!({"candidates": [{
            "content": {"parts": [{"text": sentence}], "role": "model"},
            "finishReason": "MAX_TOKENS",
            "index": 0,
        }]});
        if self.is_wrapped {
            json!({"response": chunk})
        } else {
            chunk
        }
    }
}
