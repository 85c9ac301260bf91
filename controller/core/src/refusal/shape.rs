//! Owns the shape that each dialect gives its errors.

use bb_proto::usage::Wire;
use serde::Serialize;

use super::Reason;

/// The content type of every refusal's body.
pub const CONTENT_TYPE: &str = "application/json";

/// Returns the headers that a refusal carries besides its content type.
///
/// What does not pass by itself says so. `retry-after` is never among them: some clients sleep
/// for as long as it says, without a word, whatever else the answer tells them.
pub fn headers(reason: Reason) -> &'static [(&'static str, &'static str)] {
    if reason.is_passing() {
        &[]
    } else {
        &[("x-should-retry", "false")]
    }
}

/// Returns the body of a refusal in the shape that a dialect gives its errors.
///
/// Without a dialect the shape is `{"error":{"message":…,"type":…}}`. The one field with digits
/// is the `code` of a Gemini error, which is the status.
pub fn body(wire: Option<Wire>, reason: Reason) -> Vec<u8> {
    let message = reason.sentence();
    let (kind, error) = match wire {
        Some(Wire::AnthropicMessages) => (
            Some("error"),
            Error::Anthropic {
                r#type: anthropic_type(reason),
                message,
            },
        ),
        Some(Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses) => (
            None,
            Error::Openai {
                message,
                r#type: "invalid_request_error",
                param: None,
                code: openai_code(reason),
            },
        ),
        Some(Wire::Gemini) => (
            None,
            Error::Gemini {
                code: reason.status(),
                message,
                status: gemini_status(reason),
            },
        ),
        None => (
            None,
            Error::Neutral {
                message,
                r#type: reason.as_str(),
            },
        ),
    };
    // Writing these structs to memory has no way to fail; an empty body would still be refused.
    serde_json::to_vec(&Envelope {
        r#type: kind,
        error,
    })
    .unwrap_or_default()
}

/// Returns the message that refuses a response asked for on a WebSocket.
///
/// A client that was tried prints the sentence and asks no more.
pub fn message(reason: Reason) -> Vec<u8> {
    let message = reason.sentence();
    let error = Error::Openai {
        message,
        r#type: "invalid_request_error",
        param: None,
        code: Some("invalid_prompt"),
    };
    // As with a body, there is no way to fail.
    serde_json::to_vec(&Message {
        r#type: "error",
        status: 400,
        error,
    })
    .unwrap_or_default()
}

#[derive(Serialize)]
struct Message {
    r#type: &'static str,
    status: u16,
    error: Error,
}

#[derive(Serialize)]
struct Envelope {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    error: Error,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Error {
    Anthropic {
        r#type: &'static str,
        message: &'static str,
    },
    Openai {
        message: &'static str,
        r#type: &'static str,
        param: Option<&'static str>,
        code: Option<&'static str>,
    },
    Gemini {
        code: u16,
        message: &'static str,
        status: &'static str,
    },
    Neutral {
        message: &'static str,
        r#type: &'static str,
    },
}

/// Returns the `error.type` of an Anthropic error object.
pub fn anthropic_type(reason: Reason) -> &'static str {
    match reason {
        Reason::Budget | Reason::SharedBudget | Reason::NoRoom | Reason::TooLarge => {
            "billing_error"
        }
        Reason::Operator
        | Reason::Frozen
        | Reason::RouteRefused
        | Reason::HostRefused
        | Reason::TokenMismatch => "permission_error",
        Reason::Token => "authentication_error",
        Reason::UnknownProvider | Reason::UnknownPath => "not_found_error",
        Reason::Unbounded
        | Reason::Background
        | Reason::HostMismatch
        | Reason::BodyTooLarge
        | Reason::BadRequest
        | Reason::Upgrade => "invalid_request_error",
        Reason::LedgerClosed
        | Reason::NoCredential
        | Reason::UpstreamUnreachable
        | Reason::UpstreamTimeout
        | Reason::Busy
        | Reason::Draining => "api_error",
    }
}

/// Returns the `error.code` of an OpenAI error object.
///
/// Codex prints the sentence of a 400 only under this code; under another it prints raw JSON.
pub fn openai_code(reason: Reason) -> Option<&'static str> {
    (reason.status() == 400).then_some("invalid_prompt")
}

/// Returns the `error.status` of a Gemini error object.
pub fn gemini_status(reason: Reason) -> &'static str {
    match reason {
        Reason::Budget
        | Reason::SharedBudget
        | Reason::NoRoom
        | Reason::Operator
        | Reason::Frozen
        | Reason::LedgerClosed
        | Reason::NoCredential => "FAILED_PRECONDITION",
        Reason::TooLarge
        | Reason::Unbounded
        | Reason::Background
        | Reason::BodyTooLarge
        | Reason::BadRequest
        | Reason::HostMismatch
        | Reason::Upgrade
        | Reason::Token
        | Reason::TokenMismatch
        | Reason::RouteRefused => "INVALID_ARGUMENT",
        Reason::HostRefused => "PERMISSION_DENIED",
        Reason::UnknownProvider | Reason::UnknownPath => "NOT_FOUND",
        Reason::UpstreamTimeout => "DEADLINE_EXCEEDED",
        Reason::UpstreamUnreachable | Reason::Busy | Reason::Draining => "INTERNAL",
    }
}
