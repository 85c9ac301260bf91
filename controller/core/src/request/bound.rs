//! Owns the most that a call can use, as far as its request bounds it.

use bb_proto::usage::Wire;

use super::RequestFacts;

/// The tokens that a provider puts around a prompt.
const ADDED_TOKENS: u64 = 100;
/// The tokens of instructions that a provider adds where tools are declared: Anthropic's were
/// measured at 509 and are documented at up to 530.
const TOOLS_TOKENS: u64 = 1_000;
/// The tokens of one tool that the provider itself describes to the model: the largest that is
/// documented, Anthropic's for a computer, has 735 and 499 of instructions.
const DESCRIBED_TOOL_TOKENS: u64 = 1_500;
/// The tokens of an image at Anthropic: it is scaled down to what has 4,784 at the most.
const ANTHROPIC_IMAGE_TOKENS: u64 = 5_000;
/// The tokens of an image at OpenAI: 2,833 and 5,667 for each of at most 8 tiles, at the model
/// that counts them highest.
const OPENAI_IMAGE_TOKENS: u64 = 50_000;
/// How a model's name ends that looks for things by itself, at a gateway to many models.
const SEARCHING_MODEL: &str = ":online";
/// What a provider takes as the least budget for thinking.
pub(super) const THINKING_TOKENS_MIN: u64 = 1_024;
/// A provider's count is said to be an estimate that may be off by a small amount: 2 % and
/// [`ADDED_TOKENS`] are allowed for that.
const COUNT_SLACK_DIVISOR: u64 = 50;

/// The most that a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Tokens of input.
    pub input: u64,
    /// Tokens of output of one choice: what the request says, or what is put in.
    pub output: u64,
    /// Whether the request says it.
    pub is_stated: bool,
    /// Tokens of output that are needed for thinking, besides those for an answer.
    pub thinking: u64,
}

impl Bound {
    /// Returns the bound of a call whose input its provider counted; never above the one it has.
    #[must_use]
    pub fn counted(self, tokens: u64) -> Self {
        let slack = tokens
            .div_euclid(COUNT_SLACK_DIVISOR)
            .saturating_add(ADDED_TOKENS);
        Self {
            input: self.input.min(tokens.saturating_add(slack)),
            ..self
        }
    }
}

/// Returns the output tokens of one choice that are put in where a request states none: no more
/// than the models of the dialect take.
fn output_put_in(wire: Wire) -> u64 {
    match wire {
        Wire::AnthropicMessages | Wire::Gemini => 8_192,
        Wire::OpenaiChat | Wire::OpenaiResponses => 16_384,
        Wire::OpenaiEmbeddings => 0,
    }
}

/// Returns the most tokens of an image, where that is documented.
fn image_tokens(wire: Wire) -> Option<u64> {
    match wire {
        Wire::AnthropicMessages => Some(ANTHROPIC_IMAGE_TOKENS),
        Wire::OpenaiChat | Wire::OpenaiResponses => Some(OPENAI_IMAGE_TOKENS),
        Wire::OpenaiEmbeddings | Wire::Gemini => None,
    }
}

impl RequestFacts {
    /// Returns the most that the call can use; none where its body does not bound it.
    ///
    /// Tokenizers of bytes give at most one token a byte, however the text is put. Input that is
    /// elsewhere, tools of the provider, media other than images and output that no cap counts
    /// have no bound.
    pub fn bound(&self, wire: Wire) -> Option<Bound> {
        self.bound_with(wire, self.input_bound(wire)?)
    }

    /// Returns the same of a call whose input its provider counted, which may have media of any
    /// kind.
    pub fn bound_counted(&self, wire: Wire, tokens: u64) -> Option<Bound> {
        let input = self.input_bound(wire).unwrap_or(u64::MAX);
        Some(self.bound_with(wire, input)?.counted(tokens))
    }

    fn bound_with(&self, wire: Wire, input: u64) -> Option<Bound> {
        let searches = |model: &String| model.ends_with(SEARCHING_MODEL);
        let is_bounded = self.is_whole
            && !self.model.as_ref().is_some_and(searches)
            && !(self.stored_input || self.server_tools || self.uncapped || self.background);
        is_bounded.then(|| Bound {
            input,
            output: self.output_max.unwrap_or_else(|| output_put_in(wire)),
            is_stated: self.output_max.is_some(),
            thinking: self.thinking_budget.map_or(0, |_| THINKING_TOKENS_MIN),
        })
    }

    fn input_bound(&self, wire: Wire) -> Option<u64> {
        if self.media_parts > self.images {
            return None;
        }
        // A medium that no part of the body accounts for is text to the model.
        let text = if self.media <= self.images {
            self.body_bytes.saturating_sub(self.media_bytes)
        } else {
            self.body_bytes
        };
        let images = match self.images {
            0 => 0,
            images => image_tokens(wire)?.saturating_mul(u64::from(images)),
        };
        let tools = if self.tools > 0 { TOOLS_TOKENS } else { 0 };
        let described = DESCRIBED_TOOL_TOKENS.saturating_mul(u64::from(self.described_tools));
        let parts = [text, images, tools, described, ADDED_TOKENS];
        Some(parts.into_iter().fold(0, u64::saturating_add))
    }
}
