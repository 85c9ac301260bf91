//! Owns what a request says of itself: the facts that an estimate and a refusal need.
//!
//! A body is read once, without a tree, and is never judged: what is malformed is the
//! provider's to refuse. Facts err to the side of the larger call, since the agent that wrote
//! the body may not wish the call to be counted.

mod bound;
mod cap;
mod count;
mod edit;
mod input;
mod message;
mod read;
mod scan;
mod tool;

use bb_proto::usage::Wire;

pub use bound::Bound;
pub use cap::{Cap, with_cap};
pub use count::{CountRequest, counted_tokens};
pub use edit::with_include_usage;
pub use message::{ClientMessage, ProviderMessage};

use crate::estimate::InputSize;

/// The longest model name that is kept, in bytes.
pub const MODEL_BYTES_MAX: usize = 128;

/// What a request says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and every combination occurs"
)]
pub struct RequestFacts {
    /// The model asked for, without control and direction characters.
    ///
    /// `None` where none is named or the name has more than [`MODEL_BYTES_MAX`] bytes.
    pub model: Option<String>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The largest number of output tokens the request admits, for one choice.
    ///
    /// `None` where it states none, or one that is no whole number. Of several statements the
    /// largest.
    pub output_max: Option<u64>,
    /// The tokens the request allows for thinking, which `output_max` must exceed.
    pub thinking_budget: Option<u64>,
    /// How many answers are asked for at once; at least 1.
    pub choices: u32,
    /// What `stream_options.include_usage` says; `None` where it is not there.
    pub include_usage: Option<bool>,
    /// Whether the call is to go on after its request has ended.
    pub background: bool,
    /// Whether the request names input that its body does not hold: an earlier response, a
    /// stored prompt, a cache, a file, a URL.
    pub stored_input: bool,
    /// Whether the provider may run tools of its own, whose tokens the body does not bound.
    pub server_tools: bool,
    /// Whether it asks for something of which no cap on its output bounds the tokens, or has no
    /// place where a cap could be put.
    pub uncapped: bool,
    /// How many tools are declared.
    pub tools: u32,
    /// How many of them are the client's to run, and described to the model by the provider.
    pub described_tools: u32,
    /// The length of the body.
    pub body_bytes: u64,
    /// The bytes inside string literals, escapes as they are written, media excepted.
    pub text_bytes: u64,
    /// The bytes of media inside the body, in base64.
    pub media_bytes: u64,
    /// How many media there are inside the body.
    pub media: u32,
    /// How many images its parts say there are.
    pub images: u32,
    /// How many of its parts are media, as its dialect marks them.
    pub media_parts: u32,
    /// Whether the body is one JSON object from its first to its last byte, as far as strings
    /// and brackets tell.
    ///
    /// Where it is not, the other facts are of the part that could be read.
    pub is_whole: bool,
}

impl RequestFacts {
    /// Reads a body of a dialect that is sent to a path; never fails.
    ///
    /// The body must be as the provider will see it after its content encoding is undone. The
    /// time is linear in the body, the memory constant, and nesting costs nothing.
    pub fn read(wire: Wire, path: &str, body: &[u8]) -> Self {
        read::facts(wire, path, body)
    }

    /// Returns how large the input is, as far as the body tells.
    ///
    /// What of a body cannot be read as JSON may be text, and counts as such.
    pub fn input(&self) -> InputSize {
        let rest = self.body_bytes.saturating_sub(self.media_bytes);
        let text_bytes = if self.is_whole {
            self.text_bytes.min(rest)
        } else {
            rest
        };
        InputSize {
            text_bytes,
            structure_bytes: rest.saturating_sub(text_bytes),
            media: self.media,
            media_bytes: self.media_bytes,
            has_tools: self.tools > 0,
            context_tokens: 0,
            elsewhere: self.stored_input || self.server_tools,
        }
    }
}

#[cfg(test)]
mod tests;
