//! What an answer will say: the script, bounded by what the request allows.

use bb_proto::usage::{Usage, Wire};

use crate::provider::request::{Asked, Form};
use crate::provider::script::{Script, Tokens, Tool};

/// Why the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Stop {
    EndOfTurn,
    ToolCall,
    OutputLimit,
}

/// A tool call, its input cut into deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) struct Call {
    pub(super) name: String,
    pub(super) pieces: Vec<String>,
}

/// All that a dialect needs to render an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) struct Plan {
    pub(super) wire: Wire,
    pub(super) form: Form,
    pub(super) model: String,
    pub(super) thinking: Vec<String>,
    pub(super) text: Vec<String>,
    pub(super) tool: Option<Call>,
    pub(super) stop: Stop,
    pub(super) choices: u64,
    /// The usage of the complete answer, whether or not it is stated.
    pub(super) usage: Usage,
    pub(super) usage_stated: bool,
    /// Chat completions: the request's `include_usage`.
    pub(super) include_usage: bool,
    pub(super) created: u64,
}

impl Plan {
    pub(in crate::provider) fn new(
        script: &Script,
        wire: Wire,
        asked: &Asked,
        tool: Option<&Tool>,
        created: u64,
    ) -> Self {
        let thinking = script
            .thinking
            .as_deref()
            .map(|text| pieces(text, 4))
            .unwrap_or_default();
        let mut text = pieces(&script.text, script.events);
        let mut tool = tool.and_then(|tool| match tool {
            Tool::Named { name, input } => Some(Call {
                name: name.clone(),
                pieces: halves(input),
            }),
            Tool::FromRequest => None,
        });
        let mut usage = usage(script, wire, asked, &thinking, &text, tool.as_ref());
        let mut stop = if tool.is_some() {
            Stop::ToolCall
        } else {
            Stop::EndOfTurn
        };
        let wanted = usage.output.unwrap_or(0);
        let limit = asked
            .output_max
            .map(|limit| limit.saturating_mul(asked.choices));
        if let Some(limit) = limit.filter(|limit| *limit < wanted) {
            usage.output = Some(limit);
            usage.reasoning = usage.reasoning.map(|reasoning| reasoning.min(limit));
            let kept = share(text.len(), limit, wanted).max(1);
            text.truncate(kept);
            tool = None;
            stop = Stop::OutputLimit;
        }
        Self {
            wire,
            form: asked.form,
            model: asked.model.clone(),
            thinking,
            text,
            tool,
            stop,
            choices: if wire == Wire::OpenaiChat {
                asked.choices
            } else {
                1
            },
            usage,
            usage_stated: script.usage_stated,
            include_usage: asked.include_usage,
            created,
        }
    }

    /// The number of deltas of the whole answer.
    pub(super) fn deltas(&self) -> usize {
        let tool = self.tool.as_ref().map_or(0, |call| call.pieces.len());
        self.thinking.len() + self.text.len() + tool
    }

    /// The output tokens that exist after `sent` deltas.
    pub(super) fn generated(&self, sent: usize) -> u64 {
        let output = self.usage.output.unwrap_or(0);
        let all = u64::try_from(self.deltas()).unwrap_or(u64::MAX).max(1);
        let sent = u64::try_from(sent).unwrap_or(u64::MAX).min(all);
        // At least one token a delta once it is sent, as far as there are that many.
        (output.saturating_mul(sent) / all).max(sent.min(output))
    }
}

impl Call {
    pub(super) fn input(&self) -> String {
        self.pieces.concat()
    }
}

fn usage(
    script: &Script,
    wire: Wire,
    asked: &Asked,
    thinking: &[String],
    text: &[String],
    tool: Option<&Call>,
) -> Usage {
    let visible = tokens(text) + tool.map_or(0, |call| tokens(&call.pieces));
    let reasoning = tokens(thinking);
    match script.tokens {
        Tokens::Stated(usage) => {
            let output = usage
                .output
                .unwrap_or_else(|| visible + usage.reasoning.unwrap_or(0));
            Usage {
                output: Some(output),
                ..usage
            }
        }
        Tokens::Output(output) => Usage {
            output: Some(output),
            ..prompt(wire, asked.prompt_tokens, reasoning.min(output))
        },
        Tokens::FromRequest => Usage {
            output: Some((visible + reasoning).saturating_mul(asked.choices)),
            ..prompt(wire, asked.prompt_tokens, reasoning)
        },
    }
}

/// Splits a prompt as the real providers do for an agent in the middle of its work, and says of
/// reasoning what they say.
fn prompt(wire: Wire, tokens: u64, reasoning: u64) -> Usage {
    let thought = (reasoning > 0).then_some(reasoning);
    // OpenAI caches whole blocks of 128 tokens, from 1024 on.
    let blocks = if tokens < 1024 {
        0
    } else {
        tokens * 3 / 4 / 128 * 128
    };
    match wire {
        Wire::AnthropicMessages => {
            let (read, write) = (tokens * 7 / 10, tokens / 5);
            Usage {
                input: Some(tokens - read - write),
                cache_read: Some(read),
                cache_write: Some(write),
                reasoning: thought,
                output: None,
            }
        }
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => Usage {
            input: Some(tokens - blocks),
            cache_read: Some(blocks),
            reasoning: Some(reasoning),
            ..Usage::default()
        },
        Wire::Gemini => Usage {
            input: Some(tokens - blocks),
            cache_read: (blocks > 0).then_some(blocks),
            reasoning: thought,
            ..Usage::default()
        },
    }
}

fn tokens(pieces: &[String]) -> u64 {
    let bytes: usize = pieces.iter().map(String::len).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(4)
}

/// Cuts `text` into `count` deltas at its spaces; it is said again where it is too short.
fn pieces(text: &str, count: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    if words.is_empty() || count == 0 {
        return Vec::new();
    }
    if words.len() < count {
        return (0..count)
            .map(|index| words[index % words.len()].to_owned())
            .collect();
    }
    (0..count)
        .map(|index| words[words.len() * index / count..words.len() * (index + 1) / count].concat())
        .collect()
}

fn halves(input: &str) -> Vec<String> {
    let middle = input.floor_char_boundary(input.len() / 2);
    let (first, second) = input.split_at(middle);
    [first, second]
        .into_iter()
        .filter(|half| !half.is_empty())
        .map(str::to_owned)
        .collect()
}

fn share(of: usize, part: u64, whole: u64) -> usize {
    let of = u64::try_from(of).unwrap_or(u64::MAX);
    usize::try_from(of.saturating_mul(part) / whole.max(1)).unwrap_or(usize::MAX)
}
