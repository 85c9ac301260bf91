//! What a call that ended has used, where the provider did not say it to the end.

use bb_proto::usage::{Usage, Wire};

use super::{Estimate, cold};

/// What is known of a call that ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// What the provider stated last.
    pub stated: Usage,
    /// Whether the provider ended the answer normally.
    pub complete: bool,
    /// Bytes of generated text that flowed, reasoning that is shown included.
    pub flowed_bytes: u64,
    /// The part of `flowed_bytes` that is reasoning.
    pub reasoning_bytes: u64,
}

impl Known {
    /// Returns the bytes of text and tool arguments that flowed.
    pub(super) fn text_bytes(&self) -> u64 {
        self.flowed_bytes.saturating_sub(self.reasoning_bytes)
    }
}

/// How the output of a model's calls flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowRate {
    /// Bytes of flowed text a token, in thousandths.
    pub bytes_per_token: u64,
    /// Tokens of reasoning that such calls usually have and that do not flow.
    pub hidden: u64,
}

impl Default for FlowRate {
    fn default() -> Self {
        Self {
            bytes_per_token: cold::OUTPUT_BYTES_PER_TOKEN,
            hidden: 0,
        }
    }
}

impl FlowRate {
    /// Returns how output flows in a dialect before anything was learned.
    pub fn cold(wire: Wire) -> Self {
        Self {
            bytes_per_token: cold::output_bytes_per_token(wire),
            hidden: 0,
        }
    }

    /// Returns the tokens of so many bytes.
    pub fn tokens(self, bytes: u64) -> u64 {
        bytes
            .saturating_mul(1_000)
            .div_ceil(self.bytes_per_token.max(1))
    }
}

/// Returns what a call has used and whether that is an estimate.
///
/// A complete answer with stated usage is taken as stated. Else the provider's last word stands
/// for the input (or the estimate of it), and the output is the larger of its last word and what
/// flowed: the first usage of a stream is a placeholder.
///
/// Reasoning that is hidden is not seen to flow. Where text flowed, the reasoning before it is
/// over, and what such calls usually have of it is added, unless the provider stated it. Before
/// any text it may be none or all, and none is added.
pub fn used(known: &Known, estimate: Estimate) -> (Usage, bool) {
    let stated = known.stated;
    if known.complete && stated.is_stated() && stated.output.is_some() {
        return (stated, false);
    }
    let input_stated =
        stated.input.is_some() || stated.cache_read.is_some() || stated.cache_write.is_some();
    let usage = Usage {
        input: if input_stated {
            stated.input
        } else {
            Some(estimate.input.max(1))
        },
        output: Some(stated.output.unwrap_or(0).max(flowed(known, estimate.flow))),
        ..stated
    };
    (usage, true)
}

/// Returns what a call has used by now, for it to be ended where a budget is crossed.
///
/// Nothing is guessed of reasoning that is hidden, since a call must not be ended for what it may
/// not have used. What follows for the overrun: where reasoning is hidden, the call is ended later
/// than it should by the hidden tokens, and while only hidden reasoning is made it is not ended at
/// all. The overrun is then bounded by the output maximum of the request, or by the provider's
/// where it states none.
pub fn used_so_far(known: &Known, estimate: Estimate) -> Usage {
    let seen = Estimate {
        flow: FlowRate {
            hidden: 0,
            ..estimate.flow
        },
        ..estimate
    };
    used(known, seen).0
}

/// Returns the tokens that flowed, and those that must have been made before.
fn flowed(known: &Known, rate: FlowRate) -> u64 {
    let text = known.text_bytes();
    let shown = known.flowed_bytes.saturating_sub(text);
    match known.stated.reasoning {
        Some(stated) => rate
            .tokens(text)
            .saturating_add(stated.max(rate.tokens(shown))),
        None if text > 0 => rate.tokens(known.flowed_bytes).saturating_add(rate.hidden),
        None => rate.tokens(shown),
    }
}
