//! What a request's body asks for: the model, whether it streams, its limits, its tools.

use std::borrow::Cow;
use std::io::Read as _;

use bb_proto::usage::Wire;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Endpoint, Form, Kind};
use crate::provider::script::Tool;

/// What the body of a model call or a count asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) struct Asked {
    pub(in crate::provider) model: String,
    pub(in crate::provider) form: Form,
    /// Chat completions: whether the stream is to state usage.
    pub(in crate::provider) include_usage: bool,
    pub(in crate::provider) output_max: Option<u64>,
    pub(in crate::provider) choices: u64,
    /// The tokens of the prompt: a quarter of the bytes of what the model reads.
    pub(in crate::provider) prompt_tokens: u64,
}

/// Why a body is refused, in the words of the real API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) struct Invalid(pub(in crate::provider) String);

/// Which fields of the body are looked at; the raw ones only for their length or on demand.
#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    n: Option<u64>,
    stream_options: Option<StreamOptions>,
    thinking: Option<Thinking>,
    #[serde(rename = "generationConfig")]
    generation: Option<Generation>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow, rename = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    /// A count of Gemini's: the call whose prompt is counted.
    #[serde(borrow, rename = "generateContentRequest")]
    counted: Option<Box<Body<'a>>>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Thinking {
    budget_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generation {
    max_output_tokens: Option<u64>,
    candidate_count: Option<u64>,
}

impl Asked {
    pub(in crate::provider) fn read(
        endpoint: &Endpoint,
        headers: &HeaderMap,
        raw: &[u8],
    ) -> Result<Self, Invalid> {
        let Some(decoded) = decoded(headers, raw) else {
            return Ok(Self::unreadable(endpoint, headers, raw.len()));
        };
        let body: Body<'_> = serde_json::from_slice(&decoded)
            .map_err(|error| Invalid(format!("The request body is not valid JSON: {error}")))?;
        let model = match (&endpoint.model, &body.model) {
            (Some(model), _) => model.clone(),
            (None, Some(model)) => model.clone().into_owned(),
            (None, None) => return Err(Invalid("model: Field required".to_owned())),
        };
        match endpoint.kind {
            Kind::Call => body.check(endpoint.wire)?,
            _ => body.check_count(endpoint.wire)?,
        }
        let streamed = if body.stream.unwrap_or(false) {
            Form::Sse
        } else {
            Form::Json
        };
        Ok(Self {
            model,
            form: endpoint.form.unwrap_or(streamed),
            include_usage: body
                .stream_options
                .as_ref()
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
            output_max: body.output_max(endpoint.wire),
            choices: body.choices().clamp(1, 8),
            prompt_tokens: body.content_bytes().div_ceil(4).max(1),
        })
    }

    /// A body in an encoding that this provider does not decode: answered, since the real ones do.
    fn unreadable(endpoint: &Endpoint, headers: &HeaderMap, length: usize) -> Self {
        let accepts = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        let sse = accepts.is_some_and(|accepts| accepts.contains("text/event-stream"));
        let streamed = if sse { Form::Sse } else { Form::Json };
        Self {
            model: endpoint
                .model
                .clone()
                .unwrap_or_else(|| "unread".to_owned()),
            form: endpoint.form.unwrap_or(streamed),
            include_usage: false,
            output_max: None,
            choices: 1,
            prompt_tokens: u64::try_from(length).unwrap_or(u64::MAX).max(1),
        }
    }
}

impl Body<'_> {
    fn output_max(&self, wire: Wire) -> Option<u64> {
        match wire {
            Wire::AnthropicMessages => self.max_tokens,
            Wire::OpenaiChat | Wire::OpenaiEmbeddings => {
                self.max_completion_tokens.or(self.max_tokens)
            }
            Wire::OpenaiResponses => self.max_output_tokens,
            Wire::Gemini => self
                .generation
                .as_ref()
                .and_then(|config| config.max_output_tokens),
        }
    }

    fn choices(&self) -> u64 {
        let config = self.generation.as_ref();
        let candidates = config.and_then(|config| config.candidate_count);
        self.n.or(candidates).unwrap_or(1)
    }

    /// Refuses what the real API refuses to count.
    fn check_count(&self, wire: Wire) -> Result<(), Invalid> {
        let is_extra =
            wire == Wire::AnthropicMessages && (self.max_tokens.is_some() || self.stream.is_some());
        if is_extra {
            let text = "max_tokens: Extra inputs are not permitted";
            return Err(Invalid(text.to_owned()));
        }
        Ok(())
    }

    /// Refuses what the real API refuses, where a proxy that edits requests could get it wrong.
    fn check(&self, wire: Wire) -> Result<(), Invalid> {
        let limit = self.output_max(wire);
        let refusal = match wire {
            Wire::AnthropicMessages => match (limit, &self.thinking) {
                (None, _) => Some("max_tokens: Field required".to_owned()),
                (Some(0), _) => Some("max_tokens: must be greater than or equal to 1".to_owned()),
                (
                    Some(limit),
                    Some(Thinking {
                        budget_tokens: Some(budget),
                    }),
                ) if *budget >= limit => {
                    Some("`max_tokens` must be greater than `thinking.budget_tokens`".to_owned())
                }
                _ if self.messages.is_none() => Some("messages: Field required".to_owned()),
                _ => None,
            },
            Wire::OpenaiResponses if limit.is_some_and(|limit| limit < 16) => Some(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
                    .to_owned(),
            ),
            Wire::OpenaiChat if self.messages.is_none() => {
                Some("Missing required parameter: 'messages'.".to_owned())
            }
            Wire::Gemini if self.contents.is_none() => {
                Some("* GenerateContentRequest.contents: contents is not specified".to_owned())
            }
            _ => None,
        };
        refusal.map_or(Ok(()), |message| Err(Invalid(message)))
    }

    fn content_bytes(&self) -> u64 {
        if let Some(counted) = &self.counted {
            return counted.content_bytes();
        }
        [
            self.tools,
            self.messages,
            self.system,
            self.input,
            self.instructions,
            self.contents,
            self.system_instruction,
        ]
        .into_iter()
        .flatten()
        .map(|raw| u64::try_from(raw.get().len()).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add)
    }
}

/// Chooses a tool of the request and a harmless input for it; `None` if it offers none.
pub(in crate::provider) fn harmless_tool(headers: &HeaderMap, raw: &[u8]) -> Option<Tool> {
    let decoded = decoded(headers, raw)?;
    let body: serde_json::Value = serde_json::from_slice(&decoded).ok()?;
    let tools = body.get("tools")?.as_array()?;
    let declared = tools
        .iter()
        .filter_map(|tool| tool.get("functionDeclarations")?.as_array())
        .flatten();
    let names: Vec<&str> = tools
        .iter()
        .chain(declared)
        .filter_map(|tool| {
            tool.get("name")
                .or_else(|| tool.get("function")?.get("name"))?
                .as_str()
        })
        .collect();
    let known = [
        ("Bash", r#"{"command":"true","description":"Do nothing"}"#),
        ("exec_command", r#"{"cmd":"true"}"#),
        ("shell", r#"{"command":["true"]}"#),
        ("run_shell_command", r#"{"command":"true"}"#),
        ("bash", r#"{"command":"true","description":"Do nothing"}"#),
    ];
    let (name, input) = known
        .into_iter()
        .find(|(name, _)| names.contains(name))
        .or_else(|| names.first().map(|name| (*name, "{}")))?;
    Some(Tool::Named {
        name: name.to_owned(),
        input: input.to_owned(),
    })
}

/// Returns whether the request accepts gzip.
pub(in crate::provider) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            coding
                .split(';')
                .next()
                .is_some_and(|name| name.trim() == "gzip")
        })
}

fn decoded<'a>(headers: &HeaderMap, raw: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(http::HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Some(Cow::Borrowed(raw)),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(raw)
                .read_to_end(&mut plain)
                .ok()?;
            Some(Cow::Owned(plain))
        }
        Some(b"deflate") => {
            let mut plain = Vec::new();
            flate2::read::ZlibDecoder::new(raw)
                .read_to_end(&mut plain)
                .ok()?;
            Some(Cow::Owned(plain))
        }
        Some(b"zstd") => Some(Cow::Owned(zstd::decode_all(raw).ok()?)),
        Some(_) => None,
    }
}
