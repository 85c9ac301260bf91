//! What a provider says a call has used.

use serde::{Deserialize, Serialize};

/// The dialect of a model request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Anthropic Messages: `POST /v1/messages`.
    AnthropicMessages,
    /// OpenAI Chat Completions: `POST /v1/chat/completions`.
    OpenaiChat,
    /// OpenAI embeddings: `POST /v1/embeddings`.
    OpenaiEmbeddings,
    /// OpenAI Responses: `POST /v1/responses`.
    OpenaiResponses,
    /// Gemini: `POST /v1beta/models/MODEL:generateContent` and `:streamGenerateContent`.
    Gemini,
}

impl Wire {
    /// Returns the name as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnthropicMessages => "anthropic_messages",
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiEmbeddings => "openai_embeddings",
            Self::OpenaiResponses => "openai_responses",
            Self::Gemini => "gemini",
        }
    }
}

/// Token counts of one response; the first four are disjoint.
///
/// `None` is "the provider did not state it", which is not the same as a stated zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens neither read from nor written to a cache.
    pub input: Option<u64>,
    /// Prompt tokens served from the provider's cache.
    pub cache_read: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Option<u64>,
    /// Every generated token that is billed, reasoning included.
    pub output: Option<u64>,
    /// The part of `output` that is reasoning: a subset, never an addend.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Returns whether the provider stated anything at all.
    pub fn is_stated(&self) -> bool {
        self.input.is_some()
            || self.cache_read.is_some()
            || self.cache_write.is_some()
            || self.output.is_some()
    }

    /// Returns the sum of the four disjoint counts; what is not stated counts as zero.
    pub fn total(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write, self.output]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }
}
