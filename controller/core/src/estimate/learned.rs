//! What one model's calls, or one family's, have taught.

use bb_proto::usage::{Usage, Wire};

use super::cold;
use super::input::InputSize;
use super::used::{FlowRate, Known};

/// The bytes of text a token of input that are learned, in thousandths.
///
/// A call whose input is not all in its body would make every other look too large to be admitted;
/// one that is mostly white space would make them look like nothing.
pub(super) const INPUT_BYTES_PER_TOKEN: (u64, u64) = (1_500, 16_000);
/// The bytes of flowed text a token of output that are learned, in thousandths.
pub(super) const OUTPUT_BYTES_PER_TOKEN: (u64, u64) = (1_000, 8_000);
/// The tokens of a medium that are learned.
pub(super) const MEDIUM_TOKENS: (u64, u64) = (50, 4_000);
/// The most tokens that a provider is taken to add to each call.
pub(super) const PREAMBLE_TOKENS_MAX: u64 = 1_000;
/// The most tokens of output, and of hidden reasoning, that calls are taken to have usually.
pub(super) const OUTPUT_TOKENS_MAX: u64 = 128_000;
/// A smaller body says little of bytes a token, and much of what the provider adds to it.
pub(super) const RATIO_BYTES_MIN: u64 = 2_048;
/// Less flowed text says little of bytes a token.
const FLOWED_BYTES_MIN: u64 = 64;
/// Of so many calls is told what reasoning is usually hidden.
const HIDDEN_CALLS: usize = 7;
/// Each new observation counts one part in this many, the first few more.
const LEARNING_PARTS: u64 = 8;

/// A value that moves to what is observed.
#[derive(Debug, Clone, Copy)]
struct Value {
    is: u64,
    /// How many observations are in it, what a family taught counting as one.
    seen: u64,
}

impl Value {
    /// Returns a value that the first observation takes the place of.
    fn cold(is: u64) -> Self {
        Self { is, seen: 0 }
    }

    /// Returns a value that counts as one observation, since single ones are far apart.
    fn given(is: u64) -> Self {
        Self { is, seen: 1 }
    }

    /// Returns the value as the start of another.
    fn start(self) -> Self {
        Self {
            is: self.is,
            seen: self.seen.min(1),
        }
    }

    /// Moves one part of the way to `seen`, at least by one where they differ.
    fn learn(&mut self, seen: u64) {
        self.seen = self.seen.saturating_add(1);
        let parts = self.seen.min(LEARNING_PARTS);
        let step = self.is.abs_diff(seen).div_ceil(parts);
        self.is = if seen >= self.is {
            self.is.saturating_add(step)
        } else {
            self.is.saturating_sub(step)
        };
    }
}

/// The hidden reasoning of the last calls, in tokens, oldest first.
#[derive(Debug, Clone, Copy, Default)]
struct Hidden([u64; HIDDEN_CALLS]);

impl Hidden {
    fn note(&mut self, tokens: u64) {
        self.0.rotate_left(1);
        if let Some(last) = self.0.last_mut() {
            *last = tokens;
        }
    }

    /// Returns the median: none where most of the calls hid none, or few were seen.
    fn usual(&self) -> u64 {
        let mut sorted = self.0;
        sorted.sort_unstable();
        sorted.get(HIDDEN_CALLS / 2).copied().unwrap_or(0)
    }
}

/// What is known of the calls of one model, or of one family in one dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    structure_weight: u64,
    /// Bytes of text a token of input, in thousandths.
    input_bytes_per_token: Value,
    /// Tokens that the provider adds to a call, without tools and with.
    preamble: Value,
    preamble_with_tools: Value,
    /// Tokens of a medium.
    medium: Value,
    /// Tokens of output a call.
    output: Value,
    /// Bytes of flowed text a token of output, in thousandths.
    output_bytes_per_token: Value,
    /// Tokens of reasoning a call that do not flow.
    hidden: Hidden,
}

impl Learned {
    /// Returns what is taken as given of a dialect.
    pub(super) fn cold(wire: Wire) -> Self {
        Self {
            structure_weight: cold::structure_weight(wire),
            input_bytes_per_token: Value::cold(cold::INPUT_BYTES_PER_TOKEN),
            preamble: Value::cold(cold::preamble(wire, false)),
            preamble_with_tools: Value::cold(cold::preamble(wire, true)),
            medium: Value::cold(cold::medium(wire)),
            output: Value::cold(cold::OUTPUT_TOKENS),
            output_bytes_per_token: Value::given(cold::output_bytes_per_token(wire)),
            hidden: Hidden::default(),
        }
    }

    /// Returns what a model starts from that is of this family.
    pub(super) fn start(&self) -> Self {
        Self {
            structure_weight: self.structure_weight,
            input_bytes_per_token: self.input_bytes_per_token.start(),
            preamble: self.preamble.start(),
            preamble_with_tools: self.preamble_with_tools.start(),
            medium: self.medium.start(),
            output: self.output.start(),
            output_bytes_per_token: self.output_bytes_per_token.start(),
            hidden: self.hidden,
        }
    }

    /// Returns the tokens that an input of this size is expected to have; at least 1 of any bytes.
    pub(super) fn input(&self, size: &InputSize) -> u64 {
        let media = self.medium.is.saturating_mul(u64::from(size.media));
        let least = u64::from(size.body_bytes() > 0);
        self.of_bytes(size)
            .saturating_add(self.preamble(size))
            .saturating_add(media)
            .saturating_add(size.context_tokens)
            .max(least)
    }

    /// Returns the tokens of output that a call of so many choices is expected to have.
    pub(super) fn output(&self, choices: u64) -> u64 {
        // A learned output is that of the whole call; a cold one is of one choice.
        match self.output.seen {
            0 => self.output.is.saturating_mul(choices),
            _ => self.output.is,
        }
    }

    /// Returns how the output of a call flows.
    pub(super) fn flow(&self) -> FlowRate {
        FlowRate {
            bytes_per_token: self.output_bytes_per_token.is,
            hidden: self.hidden.usual(),
        }
    }

    /// Learns from a call whose usage was stated in full.
    ///
    /// One of which no output was expected, such as a warm-up, and that had none, says nothing of
    /// the output of others.
    pub(super) fn learn(&mut self, size: &InputSize, known: &Known, expected: u64) {
        let usage = known.stated;
        let is_elsewhere = size.elsewhere || size.context_tokens > 0;
        if let (false, Some(input)) = (is_elsewhere, stated_input(&usage)) {
            self.learn_input(size, input);
        }
        if expected > 0 || usage.output > Some(0) {
            self.learn_output(&usage);
        }
        self.learn_flow(known);
    }

    /// Learns how much output a call has.
    pub(super) fn learn_output(&mut self, usage: &Usage) {
        if let Some(output) = usage.output {
            self.output.learn(output.min(OUTPUT_TOKENS_MAX));
        }
    }

    /// Learns one thing from a call's input: what its media, or its few bytes, or its many have.
    fn learn_input(&mut self, size: &InputSize, stated: u64) {
        let bytes = self.text_alike(size);
        if size.media > 0 {
            let rest = self.of_bytes(size).saturating_add(self.preamble(size));
            let media = stated.saturating_sub(rest);
            let each = media.checked_div(u64::from(size.media)).unwrap_or(0);
            self.medium.learn(within(each, MEDIUM_TOKENS));
        } else if bytes < RATIO_BYTES_MIN {
            let added = stated.saturating_sub(self.of_bytes(size));
            let preamble = if size.has_tools {
                &mut self.preamble_with_tools
            } else {
                &mut self.preamble
            };
            preamble.learn(added.min(PREAMBLE_TOKENS_MAX));
        } else {
            let of_body = stated.saturating_sub(self.preamble(size)).max(1);
            if let Some(seen) = bytes.saturating_mul(1_000).checked_div(of_body) {
                let seen = within(seen, INPUT_BYTES_PER_TOKEN);
                self.input_bytes_per_token.learn(seen);
            }
        }
    }

    /// Learns what a token of output is in bytes, and how much reasoning is not seen to flow.
    ///
    /// Stated reasoning is taken out of both sides. Where none is stated, what flows of it is
    /// taken as all of it.
    fn learn_flow(&mut self, known: &Known) {
        let Some(output) = known.stated.output else {
            return;
        };
        let text = known.text_bytes();
        let (bytes, tokens) = match known.stated.reasoning {
            Some(reasoning) => (text, output.saturating_sub(reasoning)),
            None => (known.flowed_bytes, output),
        };
        if bytes >= FLOWED_BYTES_MIN
            && let Some(seen) = bytes.saturating_mul(1_000).checked_div(tokens)
        {
            let seen = within(seen, OUTPUT_BYTES_PER_TOKEN);
            self.output_bytes_per_token.learn(seen);
        }
        if let Some(reasoning) = known.stated.reasoning {
            let shown = self.flow().tokens(known.reasoning_bytes);
            let hidden = reasoning.saturating_sub(shown);
            self.hidden.note(hidden.min(OUTPUT_TOKENS_MAX));
        }
    }

    /// Returns the bytes of text that cost as much as the text and the structure of a body.
    fn text_alike(&self, size: &InputSize) -> u64 {
        let structure = size.structure_bytes.saturating_mul(self.structure_weight);
        size.text_bytes.saturating_add(structure.div_ceil(1_000))
    }

    fn of_bytes(&self, size: &InputSize) -> u64 {
        let bytes = self.text_alike(size).saturating_mul(1_000);
        bytes.div_ceil(self.input_bytes_per_token.is.max(1))
    }

    fn preamble(&self, size: &InputSize) -> u64 {
        match (size.body_bytes(), size.has_tools) {
            (0, _) => 0,
            (_, true) => self.preamble_with_tools.is,
            (_, false) => self.preamble.is,
        }
    }
}

/// Returns the tokens of input that were stated, cached or not; `None` of none.
pub(super) fn stated_input(usage: &Usage) -> Option<u64> {
    let stated = [usage.input, usage.cache_read, usage.cache_write];
    let sum = stated.into_iter().flatten().fold(0, u64::saturating_add);
    (sum > 0).then_some(sum)
}

fn within(value: u64, (least, most): (u64, u64)) -> u64 {
    value.clamp(least, most)
}
