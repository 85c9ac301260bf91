//! Owns how a provider is asked what the input of a call is, and what it answers.

use bb_proto::usage::Wire;
use serde::Deserialize;

use super::scan::{Cursor, Member};

/// The longest name of a member that is passed on.
const NAME_BYTES_MAX: usize = 32;

/// What a count needs to know of a call at Anthropic; it refuses anything else.
const ANTHROPIC: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
];
const RESPONSES: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "truncation",
];
const GEMINI: &[&str] = &[
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "tool_config",
    "generationConfig",
    "generation_config",
];

/// A question for the tokens of a call's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRequest {
    /// The path below the provider's base URL.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

impl CountRequest {
    /// Makes the question of a call; `None` where its dialect has none for it.
    pub fn of(wire: Wire, path: &str, body: &[u8]) -> Option<Self> {
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        match wire {
            Wire::AnthropicMessages => {
                let path = path.ends_with("/messages").then_some(path)?;
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                Some(Self {
                    path: format!("{path}/count_tokens{query}"),
                    body: object(body, ANTHROPIC, "")?,
                })
            }
            Wire::OpenaiResponses => {
                let path = path.ends_with("/responses").then_some(path)?;
                Some(Self {
                    path: format!("{path}/input_tokens"),
                    body: object(body, RESPONSES, "")?,
                })
            }
            Wire::Gemini => {
                let (models, last) = path.rsplit_once('/')?;
                // Google's cloud takes another question.
                let is_plain = models.ends_with("/models") && !models.contains("/publishers/");
                let (model, _) = is_plain.then_some(last)?.rsplit_once(':')?;
                let call = object(body, GEMINI, &format!("\"model\":\"models/{model}\""))?;
                Some(Self {
                    path: format!("{models}/{model}:countTokens"),
                    body: [b"{\"generateContentRequest\":", call.as_slice(), b"}"].concat(),
                })
            }
            Wire::OpenaiChat | Wire::OpenaiEmbeddings => None,
        }
    }
}

/// Returns an object with the members of a body that have these names, as they are written.
fn object(body: &[u8], names: &[&str], first: &str) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(body);
    cursor.take(b'{')?;
    let mut object = Vec::with_capacity(body.len());
    object.push(b'{');
    object.extend_from_slice(first.as_bytes());
    while let Member::Key(key) = cursor.member()? {
        let key = key.decode(NAME_BYTES_MAX).unwrap_or_default();
        let raw = cursor.raw(&mut ())?;
        if names.contains(&key.as_ref()) {
            if object.len() > 1 {
                object.push(b',');
            }
            for part in [b"\"", key.as_bytes(), b"\":", raw] {
                object.extend_from_slice(part);
            }
        }
    }
    object.push(b'}');
    cursor.is_at_end().then_some(object)
}

#[derive(Deserialize)]
struct Counted {
    #[serde(alias = "totalTokens")]
    input_tokens: u64,
}

/// Returns the tokens that the answer to a question states.
pub fn counted_tokens(answer: &[u8]) -> Option<u64> {
    let counted: Counted = serde_json::from_slice(answer).ok()?;
    Some(counted.input_tokens)
}
