//! The usage object of a chat, as its many writers fill it in.
//!
//! `prompt_tokens` holds what was read from and written to a cache; `completion_tokens` mostly
//! holds the reasoning.

use bb_proto::usage::Usage;

use crate::meter::facts::{add, count, uncached};
use crate::meter::field::Field;
use crate::meter::json::Value;
use crate::meter::quirks::Quirks;

/// The names for tokens read from a cache, the first of which that is stated counts.
const READ_NAMES: usize = 5;
/// The names for tokens written to a cache, likewise.
const WRITE_NAMES: usize = 2;
/// The names for tokens of reasoning, likewise.
const REASONING_NAMES: usize = 2;

/// A usage object as the provider wrote it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stated {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    audio: Option<u64>,
    reasonings: [Option<u64>; REASONING_NAMES],
    reads: [Option<u64>; READ_NAMES],
    writes: [Option<u64>; WRITE_NAMES],
}

impl Stated {
    pub(super) fn set(&mut self, field: Field, value: Value<'_>) {
        let slot = match field {
            Field::Input => Some(&mut self.prompt),
            Field::Output => Some(&mut self.completion),
            Field::Total => Some(&mut self.total),
            Field::Audio => Some(&mut self.audio),
            Field::Reasoning(rank) => self.reasonings.get_mut(usize::from(rank)),
            Field::CacheRead(rank) => self.reads.get_mut(usize::from(rank)),
            Field::CacheWrite(rank) => self.writes.get_mut(usize::from(rank)),
            _ => None,
        };
        if let Some(slot) = slot {
            *slot = count(value);
        }
    }

    pub(super) fn usage(self, quirks: Quirks) -> Usage {
        let read = self.reads.into_iter().flatten().next();
        let write = self.writes.into_iter().flatten().next();
        let reasoning = self.reasonings.into_iter().flatten().next();
        let Some(prompt) = self.prompt else {
            // Embeddings may state nothing but a total, which is all prompt.
            let only_total = self.total.filter(|_| self.completion.is_none());
            return Usage {
                input: only_total,
                cache_read: read,
                cache_write: write,
                output: self.completion.or(only_total.map(|_| 0)),
                reasoning,
            };
        };
        let prompt = prompt.saturating_add(self.audio_on_top());
        let output = self.output(prompt, reasoning, quirks);
        let hidden = output.zip(self.completion);
        let hidden = hidden.map(|(output, stated)| output.saturating_sub(stated));
        Usage {
            input: Some(uncached(prompt, read, write)),
            cache_read: read,
            cache_write: write,
            output,
            reasoning: reasoning.or(hidden.filter(|hidden| *hidden > 0)),
        }
    }

    /// Some state the tokens of sound beside `prompt_tokens`; their total tells.
    fn audio_on_top(self) -> u64 {
        let audio = self.audio.unwrap_or(0);
        let sum = add(add(self.prompt, self.completion), Some(audio));
        if audio > 0 && self.total == sum {
            audio
        } else {
            0
        }
    }

    fn output(self, prompt: u64, reasoning: Option<u64>, quirks: Quirks) -> Option<u64> {
        let rest_of_total = self.total.map(|total| total.saturating_sub(prompt));
        let Some(completion) = self.completion else {
            // Embeddings state no output at all.
            return rest_of_total;
        };
        if quirks.hidden_thinking_in_total {
            return rest_of_total.max(Some(completion));
        }
        let with_reasoning = completion.saturating_add(reasoning.unwrap_or(0));
        if quirks.reasoning_on_top || rest_of_total == Some(with_reasoning) {
            return Some(with_reasoning);
        }
        Some(completion)
    }
}
