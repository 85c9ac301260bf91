use bb_proto::usage::Wire;

use crate::request::{CountRequest, counted_tokens};

fn asked(wire: Wire, path: &str, body: &str) -> Option<(String, String)> {
    let asked = CountRequest::of(wire, path, body.as_bytes())?;
    Some((asked.path, String::from_utf8(asked.body).unwrap()))
}

#[test]
fn a_provider_is_asked_of_what_its_count_depends_on() {
    let told = |path: &str, body: &str| Some((path.to_owned(), body.to_owned()));
    assert_eq!(
        asked(
            Wire::AnthropicMessages,
            "/v1/messages?beta=true",
            r#"{"model":"m","max_tokens":9, "system" : "s","stream":true,"messages":[{"a":"}"}]}"#,
        ),
        told(
            "/v1/messages/count_tokens?beta=true",
            r#"{"model":"m","system":"s","messages":[{"a":"}"}]}"#,
        )
    );
    assert_eq!(
        asked(
            Wire::OpenaiResponses,
            "/v1/responses",
            r#"{"store":false,"input":"x","model":"m","max_output_tokens":5}"#,
        ),
        told("/v1/responses/input_tokens", r#"{"input":"x","model":"m"}"#)
    );
    assert_eq!(
        asked(
            Wire::Gemini,
            "/v1beta/models/g:streamGenerateContent?alt=sse",
            r#"{"contents":[],"safetySettings":[]}"#,
        ),
        told(
            "/v1beta/models/g:countTokens",
            r#"{"generateContentRequest":{"model":"models/g","contents":[]}}"#,
        )
    );
}

#[test]
fn a_dialect_or_a_path_that_has_no_count_is_not_asked() {
    for (wire, path, body) in [
        (Wire::OpenaiChat, "/v1/chat/completions", "{}"),
        (Wire::OpenaiResponses, "/v1/responses/compact", "{}"),
        (
            Wire::AnthropicMessages,
            "/v1/models/claude:rawPredict",
            "{}",
        ),
        (
            Wire::Gemini,
            "/v1/publishers/google/models/g:generateContent",
            "{}",
        ),
        (Wire::AnthropicMessages, "/v1/messages", "[]"),
    ] {
        assert_eq!(asked(wire, path, body), None, "{path}");
    }
}

#[test]
fn a_count_is_read_from_each_answer() {
    assert_eq!(counted_tokens(br#"{"input_tokens":7}"#), Some(7));
    assert_eq!(
        counted_tokens(br#"{"object":"response.input_tokens","input_tokens":8}"#),
        Some(8)
    );
    assert_eq!(
        counted_tokens(br#"{"totalTokens":9,"promptTokensDetails":[]}"#),
        Some(9)
    );
    assert_eq!(counted_tokens(br#"{"error":{}}"#), None);
    assert_eq!(counted_tokens(b""), None);
}
