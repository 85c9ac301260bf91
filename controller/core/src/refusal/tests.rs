use bb_proto::usage::Wire;
use serde_json::{Value, json};

use super::*;

const WIRES: [Option<Wire>; 5] = [
    None,
    Some(Wire::AnthropicMessages),
    Some(Wire::OpenaiChat),
    Some(Wire::OpenaiResponses),
    Some(Wire::Gemini),
];

// What one client takes, anywhere in an error's text, for a fault that passes, the last three only
// in the text of a stream. Compared in lower case, and somewhat wider than that client does.
const RETRIED: &[&str] = &[
    "429",
    "500",
    "502",
    "503",
    "504",
    "524",
    "rate increased too quickly",
    "rate limit",
    "rate-limit",
    "rate_limit",
    "too many requests",
    "overloaded",
    "service unavailable",
    "service_unavailable",
    "internal error",
    "internal_error",
    "internal server error",
    "server error",
    "server_error",
    "provider returned error",
    "terminated",
    "fetch failed",
    "failed to fetch",
    "network error",
    "network-error",
    "network_error",
    "upstream connect",
    "connection error",
    "connection refused",
    "connection lost",
    "connection reset",
    "econnreset",
    "etimedout",
    "timeout",
    "timed out",
    "time out",
    "try your request again",
    "retry",
    "resource exhausted",
    "resource_exhausted",
    "try again",
    "at capacity",
    "exhausted",
    "unavailable",
    "too_many_requests",
];

// What clients take for a full context window, and answer with a compaction and another call.
const COMPACTED: &[&str] = &[
    "too long",
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "token limit",
    "too many tokens",
    "exceeds the",
    "exceeded",
    "reduce the length",
    "too large",
    "too_large",
];

fn text(wire: Option<Wire>, reason: Reason) -> String {
    String::from_utf8(body(wire, reason)).unwrap()
}

fn without_code(wire: Option<Wire>, reason: Reason, body: &str) -> String {
    match wire {
        Some(Wire::Gemini) => {
            let code = format!("\"code\":{},", reason.status());
            assert_eq!(body.matches(&code).count(), 1, "{body}");
            body.replace(&code, "")
        }
        _ => body.to_owned(),
    }
}

#[test]
fn no_body_has_a_digit_or_a_word_that_makes_a_client_ask_again() {
    for reason in Reason::ALL {
        for wire in WIRES {
            let body = without_code(wire, reason, &text(wire, reason));
            assert!(!body.contains(|c: char| c.is_numeric()), "{body}");
            let body = body.to_lowercase();
            for word in RETRIED {
                assert!(!body.contains(word), "{word:?} in {body}");
            }
        }
    }
}

#[test]
fn no_sentence_has_a_digit_or_a_word_that_makes_a_client_ask_again_or_compact() {
    for reason in Reason::ALL {
        let sentence = reason.sentence();
        assert!(!sentence.contains(|c: char| c.is_numeric()), "{sentence}");
        let lower = sentence.to_lowercase();
        for word in RETRIED.iter().chain(COMPACTED) {
            assert!(!lower.contains(word), "{word:?} in {sentence}");
        }
    }
}

#[test]
fn a_sentence_is_one_line_of_plain_text() {
    for reason in Reason::ALL {
        let sentence = reason.sentence();
        assert!(
            sentence.bytes().all(|b| (b' '..=b'~').contains(&b)),
            "{sentence}"
        );
        assert!(!sentence.contains("  "), "{sentence}");
        assert!(!sentence.contains(['"', '\\']), "{sentence}");
        assert!((20..=160).contains(&sentence.len()), "{sentence}");
        assert!(!sentence.ends_with('.'), "{sentence}");
    }
}

#[test]
fn every_reason_has_a_sentence_and_a_name_of_its_own() {
    for (at, one) in Reason::ALL.iter().enumerate() {
        for other in &Reason::ALL[at + 1..] {
            assert_ne!(one.sentence(), other.sentence());
            assert_ne!(one.as_str(), other.as_str());
        }
    }
}

#[test]
fn the_budget_sentence_is_the_one_that_was_tried_with_real_clients() {
    assert_eq!(
        Reason::Budget.sentence(),
        "this bottle has spent its token budget; ask the operator to raise it"
    );
}

#[test]
fn each_dialect_gets_its_own_shape() {
    let message = Reason::Budget.sentence();
    let openai = json!({"error": {"message": message, "type": "invalid_request_error",
        "param": null, "code": "invalid_prompt"}});
    let lines = [
        (
            Some(Wire::AnthropicMessages),
            json!({"type": "error", "error": {"type": "billing_error", "message": message}}),
        ),
        (Some(Wire::OpenaiChat), openai.clone()),
        (Some(Wire::OpenaiResponses), openai),
        (
            Some(Wire::Gemini),
            json!({"error": {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}}),
        ),
        (
            None,
            json!({"error": {"message": message, "type": "budget"}}),
        ),
    ];
    for (wire, expected) in lines {
        let value: Value = serde_json::from_slice(&body(wire, Reason::Budget)).unwrap();
        assert_eq!(value, expected, "{wire:?}");
    }
    assert!(text(Some(Wire::AnthropicMessages), Reason::Budget).starts_with(r#"{"type":"error""#));
}

#[test]
fn the_message_of_every_body_is_the_sentence() {
    for reason in Reason::ALL {
        for wire in WIRES {
            let value: Value = serde_json::from_slice(&body(wire, reason)).unwrap();
            assert_eq!(value["error"]["message"], reason.sentence(), "{wire:?}");
        }
    }
}

#[test]
fn a_refusal_that_stays_is_a_single_request_and_one_that_passes_is_asked_again() {
    let others = [
        (Reason::HostRefused, 403),
        (Reason::UnknownProvider, 404),
        (Reason::UnknownPath, 404),
        (Reason::HostMismatch, 421),
        (Reason::Upgrade, 426),
        (Reason::UpstreamUnreachable, 502),
        (Reason::Busy, 503),
        (Reason::Draining, 503),
        (Reason::UpstreamTimeout, 504),
    ];
    for reason in Reason::ALL {
        let other = others.iter().find(|(other, _)| *other == reason);
        assert_eq!(
            reason.status(),
            other.map_or(400, |(_, status)| *status),
            "{reason:?}"
        );
        assert_eq!(reason.is_passing(), reason.status() >= 500, "{reason:?}");
    }
}

#[test]
fn a_refusal_that_stays_says_so_and_none_says_when_to_ask_again() {
    for reason in Reason::ALL {
        let expected: &[(&str, &str)] = if reason.is_passing() {
            &[]
        } else {
            &[("x-should-retry", "false")]
        };
        assert_eq!(headers(reason), expected, "{reason:?}");
    }
}

#[test]
fn codex_prints_the_sentence_of_every_refusal_that_stays() {
    for reason in Reason::ALL {
        let code = (reason.status() == 400).then_some("invalid_prompt");
        assert_eq!(openai_code(reason), code, "{reason:?}");
    }
}

#[test]
fn a_refused_route_has_a_reason() {
    for refusal in [
        RouteRefusal::Batch,
        RouteRefusal::Realtime,
        RouteRefusal::Files,
    ] {
        assert_eq!(Reason::from(refusal), Reason::RouteRefused);
    }
}
