//! What is taken as given of a call before a provider has stated anything: constants by dialect.
//!
//! The figures are of `benches/estimate.rs`, and stand in `docs/ARCHITECTURE.md`.

use bb_proto::usage::Wire;

/// Bytes of text a token of input, in thousandths, in every dialect.
///
/// Long requests have 3.1 to 5.1 bytes a token, those of repeated plain prose 5.8 to 6.4: the low
/// side, so that a call looks rather too large than too small.
pub(super) const INPUT_BYTES_PER_TOKEN: u64 = 4_000;
/// Bytes of streamed text a token of output, in thousandths, where the dialect is not known.
pub(super) const OUTPUT_BYTES_PER_TOKEN: u64 = 4_000;
/// Tokens of output of one choice: coding agents ask for 64,000 and use about 900.
pub(super) const OUTPUT_TOKENS: u64 = 1_000;

/// Returns how much a byte of structure counts as text, in thousandths.
///
/// Anthropic counts the declaration of a tool about as it is written. The others write it anew for
/// the model: the punctuation costs between none and a thirtieth of a token a byte.
pub(super) fn structure_weight(wire: Wire) -> u64 {
    match wire {
        Wire::AnthropicMessages => 1_000,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses | Wire::Gemini => 250,
    }
}

/// Returns the tokens that the provider adds to a call.
///
/// Anthropic adds instructions where tools are declared: 488 and 509 tokens were measured.
pub(super) fn preamble(wire: Wire, has_tools: bool) -> u64 {
    match wire {
        Wire::AnthropicMessages if has_tools => 500,
        _ => 0,
    }
}

/// Returns the tokens of a medium: an image of usual size.
///
/// Anthropic stated 239 for one and 1,311 for another, the chat dialect 270 to 1,118 and Gemini
/// 152 to 345; how many bytes the medium has says nothing.
pub(super) fn medium(wire: Wire) -> u64 {
    match wire {
        Wire::AnthropicMessages => 1_500,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => 1_000,
        Wire::Gemini => 300,
    }
}

/// Returns the bytes of streamed text a token of output, in thousandths.
///
/// Prose has 4.2 to 5.3 bytes a token in every dialect. The calls of tools have 1.0 to 2.6 at
/// Anthropic, and agents' output is mostly those: between the two, and what the longest answer of
/// a newer model has. Of all answers of 100 bytes and more the median was 4.2 in the chat dialect,
/// 3.5 in Responses and 4.4 at Gemini.
pub(super) fn output_bytes_per_token(wire: Wire) -> u64 {
    match wire {
        Wire::AnthropicMessages | Wire::OpenaiResponses => 3_500,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::Gemini => OUTPUT_BYTES_PER_TOKEN,
    }
}
