//! What a call will probably use, and what one that ended early probably has used.
//!
//! The estimator learns from what providers report: bytes of request a token of input, and the
//! output such calls usually have. Integer arithmetic throughout.

use std::collections::HashMap;

use bb_proto::ids::ProviderKey;
use bb_proto::usage::Usage;

/// Request bytes a token of input where nothing was learned yet, in thousandths.
pub const INPUT_BYTES_PER_TOKEN_COLD: u64 = 4_000;
/// The fewest bytes a token that are learned: a call whose input is not in its body, such as one
/// that names an earlier response, would make every other look too large to be admitted.
pub const INPUT_BYTES_PER_TOKEN_MIN: u64 = 1_500;
/// The most bytes a token that are learned: media are many bytes and few tokens.
pub const INPUT_BYTES_PER_TOKEN_MAX: u64 = 16_000;
/// Tokens of output where nothing was learned yet: coding agents ask for 64,000 and use about 900.
pub const OUTPUT_TOKENS_COLD: u64 = 1_000;
/// Bytes of streamed text a token of output.
pub const OUTPUT_BYTES_PER_TOKEN: u64 = 4;
/// Each new observation counts one part in this many.
const LEARNING_PARTS: u64 = 8;
/// The most models remembered; beyond it new ones stay at the cold-start values.
const MODELS_MAX: usize = 1_024;

/// What a call is expected to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Estimate {
    /// Tokens of input, cached or not.
    pub input: u64,
    /// Tokens of output.
    pub output: u64,
}

/// What is known of one model of one provider.
#[derive(Debug, Clone, Copy)]
struct Learned {
    /// Request bytes a token of input, in thousandths.
    bytes_per_token: u64,
    /// Tokens of output a call.
    output: u64,
}

/// Learns what calls use, a model at a time.
#[derive(Debug, Default)]
pub struct Estimator {
    models: HashMap<ProviderKey, HashMap<String, Learned>>,
}

impl Estimator {
    /// Returns what a call is expected to use: `body_bytes` of request, at most `output_max`
    /// tokens of output for each of `choices`.
    pub fn estimate(
        &self,
        provider: &ProviderKey,
        model: &str,
        body_bytes: u64,
        output_max: Option<u64>,
        choices: u32,
    ) -> Estimate {
        let learned = self.models.get(provider).and_then(|of| of.get(model));
        let per_token = learned
            .map_or(INPUT_BYTES_PER_TOKEN_COLD, |l| l.bytes_per_token)
            .max(1);
        let output = learned.map_or(OUTPUT_TOKENS_COLD, |l| l.output);
        // A learned output is that of the whole call; a cold one is of one choice.
        let output = match learned {
            Some(_) => output,
            None => output.saturating_mul(u64::from(choices.max(1))),
        };
        let output_cap = output_max.map(|max| max.saturating_mul(u64::from(choices.max(1))));
        Estimate {
            input: body_bytes.saturating_mul(1000).div_ceil(per_token),
            output: output_cap.map_or(output, |cap| output.min(cap)),
        }
    }

    /// Learns from a call whose usage the provider stated in full.
    pub fn learn(&mut self, provider: &ProviderKey, model: &str, body_bytes: u64, usage: &Usage) {
        let input = [usage.input, usage.cache_read, usage.cache_write]
            .into_iter()
            .flatten()
            .fold(0_u64, u64::saturating_add);
        let (Some(output), true) = (usage.output, input > 0 && body_bytes > 0) else {
            return;
        };
        let seen = Learned {
            bytes_per_token: body_bytes
                .saturating_mul(1000)
                .checked_div(input)
                .unwrap_or(INPUT_BYTES_PER_TOKEN_COLD)
                .clamp(INPUT_BYTES_PER_TOKEN_MIN, INPUT_BYTES_PER_TOKEN_MAX),
            output,
        };
        let known: usize = self.models.values().map(HashMap::len).sum();
        let models = self.models.entry(provider.clone()).or_default();
        if let Some(learned) = models.get_mut(model) {
            learned.bytes_per_token = towards(learned.bytes_per_token, seen.bytes_per_token);
            learned.output = towards(learned.output, seen.output);
        } else if known < MODELS_MAX {
            models.insert(model.to_owned(), seen);
        }
    }
}

/// Moves `known` one part of the way to `seen`, at least by one where they differ.
fn towards(known: u64, seen: u64) -> u64 {
    if seen >= known {
        known.saturating_add(seen.saturating_sub(known).div_ceil(LEARNING_PARTS))
    } else {
        known.saturating_sub(known.saturating_sub(seen).div_ceil(LEARNING_PARTS))
    }
}

/// What is known of a call that ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// What the provider stated last.
    pub stated: Usage,
    /// Whether the provider ended the answer normally.
    pub complete: bool,
    /// Bytes of generated text that flowed.
    pub flowed_bytes: u64,
}

/// Returns what a call has used and whether that is an estimate.
///
/// A complete answer with stated usage is taken as stated. Else the provider's last word stands
/// for the input (or the estimate of it), and the output is the larger of its last word and what
/// flowed: the first usage of a stream is a placeholder.
pub fn used(known: &Known, estimate: Estimate) -> (Usage, bool) {
    let stated = known.stated;
    if known.complete && stated.is_stated() && stated.output.is_some() {
        return (stated, false);
    }
    let input_stated =
        stated.input.is_some() || stated.cache_read.is_some() || stated.cache_write.is_some();
    let flowed = known.flowed_bytes.div_ceil(OUTPUT_BYTES_PER_TOKEN);
    let usage = Usage {
        input: if input_stated {
            stated.input
        } else {
            Some(estimate.input.max(1))
        },
        output: Some(stated.output.unwrap_or(0).max(flowed)),
        ..stated
    };
    (usage, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> ProviderKey {
        ProviderKey::new("claude").expect("a name")
    }

    #[test]
    fn a_large_output_maximum_is_not_what_a_call_is_expected_to_use() {
        let estimator = Estimator::default();
        let estimate = estimator.estimate(&provider(), "opus", 85_000, Some(64_000), 1);
        assert_eq!(
            estimate,
            Estimate {
                input: 21_250,
                output: 1_000
            }
        );
        assert_eq!(
            estimator
                .estimate(&provider(), "opus", 85_000, Some(100), 2)
                .output,
            200
        );
    }

    #[test]
    fn estimates_move_to_what_the_provider_reports() {
        let mut estimator = Estimator::default();
        let usage = Usage {
            input: Some(1_000),
            cache_read: Some(9_000),
            output: Some(400),
            ..Usage::default()
        };
        for _ in 0..50 {
            estimator.learn(&provider(), "opus", 30_000, &usage);
        }
        let estimate = estimator.estimate(&provider(), "opus", 60_000, None, 1);
        assert_eq!(
            estimate,
            Estimate {
                input: 20_000,
                output: 400
            }
        );
    }

    #[test]
    fn one_call_whose_input_is_not_in_its_body_does_not_make_all_others_look_huge() {
        let mut estimator = Estimator::default();
        let usage = Usage {
            cache_read: Some(18_700),
            output: Some(40),
            ..Usage::default()
        };
        estimator.learn(&provider(), "opus", 300, &usage);
        let estimate = estimator.estimate(&provider(), "opus", 90_000, None, 1);
        assert_eq!(estimate.input, 60_000);
    }

    #[test]
    fn a_call_that_ended_early_is_never_charged_nothing_or_a_placeholder() {
        let estimate = Estimate {
            input: 500,
            output: 1_000,
        };
        let (usage, estimated) = used(&Known::default(), estimate);
        assert_eq!(
            (usage.input, usage.output, estimated),
            (Some(500), Some(0), true)
        );

        let known = Known {
            stated: Usage {
                input: Some(700),
                output: Some(1),
                ..Usage::default()
            },
            complete: false,
            flowed_bytes: 4_001,
        };
        let (usage, estimated) = used(&known, estimate);
        assert_eq!(
            (usage.input, usage.output, estimated),
            (Some(700), Some(1_001), true)
        );
    }

    #[test]
    fn a_complete_answer_is_taken_as_stated_zero_included() {
        let stated = Usage {
            input: Some(0),
            output: Some(0),
            ..Usage::default()
        };
        let known = Known {
            stated,
            complete: true,
            flowed_bytes: 400,
        };
        assert_eq!(
            used(
                &known,
                Estimate {
                    input: 5,
                    output: 5
                }
            ),
            (stated, false)
        );
    }
}
