//! What a request line and its headers say: the endpoint, and the dialect it is in.

mod asked;

use bb_proto::usage::Wire;
use http::{HeaderMap, Method, header};

pub(super) use asked::{Asked, accepts_gzip, harmless_tool};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A model call, the only kind that is billed.
    Call,
    /// A count of a prompt's tokens.
    CountTokens,
    /// A list of models.
    Models,
    /// A look whether anybody is there: `HEAD /`.
    Probe,
    /// A WebSocket upgrade.
    Upgrade,
    /// Anything else, which is answered with 404.
    Unknown,
}

impl Kind {
    /// Returns the name as it stands in the referee's report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Probe => "probe",
            Self::Upgrade => "upgrade",
            Self::Unknown => "unknown",
        }
    }
}

/// How an answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Json,
    Sse,
    JsonArray,
}

/// The endpoint that a request line and its headers name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) kind: Kind,
    /// The dialect, also of an error.
    pub(super) wire: Wire,
    /// Gemini says both in its path.
    model: Option<String>,
    form: Option<Form>,
}

impl Endpoint {
    pub(super) fn of(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Self {
        let plain = |kind, wire| Self {
            kind,
            wire,
            model: None,
            form: None,
        };
        if let Some(endpoint) = Self::gemini(method, path, query) {
            return endpoint;
        }
        match (method.as_str(), path) {
            ("POST", "/v1/messages") => plain(Kind::Call, Wire::AnthropicMessages),
            ("POST", "/v1/messages/count_tokens") => {
                plain(Kind::CountTokens, Wire::AnthropicMessages)
            }
            ("POST", "/v1/chat/completions" | "/v1beta/openai/chat/completions") => {
                plain(Kind::Call, Wire::OpenaiChat)
            }
            ("POST", "/v1/responses" | "/backend-api/codex/responses") => {
                plain(Kind::Call, Wire::OpenaiResponses)
            }
            ("POST", "/v1/responses/input_tokens") => {
                plain(Kind::CountTokens, Wire::OpenaiResponses)
            }
            ("GET", "/v1/responses" | "/backend-api/codex/responses")
                if headers.contains_key(header::UPGRADE) =>
            {
                plain(Kind::Upgrade, Wire::OpenaiResponses)
            }
            ("GET", "/v1/models") if headers.contains_key("anthropic-version") => {
                plain(Kind::Models, Wire::AnthropicMessages)
            }
            ("GET", "/v1/models") => plain(Kind::Models, Wire::OpenaiResponses),
            ("GET", "/v1beta/models") => plain(Kind::Models, Wire::Gemini),
            ("HEAD", _) => plain(Kind::Probe, Wire::AnthropicMessages),
            _ => plain(Kind::Unknown, Wire::AnthropicMessages),
        }
    }

    fn gemini(method: &Method, path: &str, query: &str) -> Option<Self> {
        let rest = path
            .strip_prefix("/v1beta/models/")
            .or_else(|| path.strip_prefix("/v1/models/"))?;
        let (model, verb) = rest.split_once(':')?;
        let sse = query.split('&').any(|pair| pair == "alt=sse");
        let (kind, form) = match verb {
            "generateContent" => (Kind::Call, Form::Json),
            "streamGenerateContent" if sse => (Kind::Call, Form::Sse),
            "streamGenerateContent" => (Kind::Call, Form::JsonArray),
            "countTokens" => (Kind::CountTokens, Form::Json),
            _ => return None,
        };
        (method == Method::POST).then(|| Self {
            kind,
            wire: Wire::Gemini,
            model: Some(model.to_owned()),
            form: Some(form),
        })
    }
}
