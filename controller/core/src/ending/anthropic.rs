//! Ends an Anthropic Messages stream: the sentence where the client shows it, then `error`.

use serde_json::{Value, json};

use super::{LineEnd, Names, push_event};

/// A content block as its start announces it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) index: Option<u64>,
    pub(crate) is_text: bool,
}

/// Where a stream stands between two events.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    is_started: bool,
    open: Option<Open>,
    next_index: u64,
    has_finished_block: bool,
    is_over: bool,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    index: u64,
    is_text: bool,
}

impl Standing {
    /// The message began.
    pub(crate) fn start(&mut self) {
        self.is_started = true;
    }

    /// A content block began.
    pub(crate) fn open(&mut self, block: Block) {
        let index = block.index.unwrap_or(self.next_index);
        self.is_started = true;
        self.next_index = index.saturating_add(1);
        self.open = Some(Open {
            index,
            is_text: block.is_text,
        });
    }

    /// A content block ended.
    pub(crate) fn close(&mut self, index: Option<u64>) {
        let open = self.open.map(|open| open.index);
        if index.is_none() || index == open {
            self.open = None;
        }
        self.has_finished_block = true;
    }

    /// The message ended, or the provider broke it off.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    /// Returns the bytes that end the stream here; none where it has ended.
    ///
    /// An open text block is closed. Another open block is not, since a client acts on a tool
    /// call that is closed; the sentence follows at the next index instead. An error with no
    /// block before it would be retried, so the sentence is a block of its own then.
    pub(crate) fn ending(self, sentence: &str, names: Names<'_>, line_end: LineEnd) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_over {
            return out;
        }
        let mut push = |name: &str, data: Value| {
            push_event(&mut out, line_end, Some(name), &data);
        };
        if !self.is_started {
            push("message_start", message_start(names));
        }
        match self.open {
            Some(open) if open.is_text => push("content_block_stop", block_stop(open.index)),
            None if self.has_finished_block => {}
            _ => {
                let index = self.next_index;
                push(
                    "content_block_start",
                    json!({"type": "content_block_start", "index": index,
                           "content_block": {"type": "text", "text": ""}}),
                );
                push(
                    "content_block_delta",
                    json!({"type": "content_block_delta", "index": index,
                           "delta": {"type": "text_delta", "text": sentence}}),
                );
                push("content_block_stop", block_stop(index));
            }
        }
        push(
            "error",
            json!({"type": "error", "error": {"type": "billing_error", "message": sentence}}),
        );
        out
    }
}

fn block_stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn message_start(names: Names<'_>) -> Value {
    json!({"type": "message_start", "message": {
        "id": names.response_id.unwrap_or("msg_ended"),
        "type": "message",
        "role": "assistant",
        "model": names.model.unwrap_or("none"),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }})
}
