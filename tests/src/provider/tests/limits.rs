//! What the request says holds: its limits, its counts, and what the real APIs would refuse.

use std::io::Write as _;

use super::{
    CHAT, GEMINI, GEMINI_BODY, MESSAGES, MESSAGES_BODY, RESPONSES, RESPONSES_BODY, ask, open,
    open_bytes,
};
use crate::provider::{Provider, Script};

#[tokio::test]
async fn a_request_limit_on_the_output_ends_the_answer_there() {
    let provider = Provider::start(Script::costing(10, 1000)).await.unwrap();
    let limited = |limit: &str| MESSAGES_BODY.replace("64000", limit);
    let events = ask(&provider, MESSAGES, &limited("100")).await.events();
    let end = events[events.len() - 2].json();
    assert_eq!(end["delta"]["stop_reason"], "max_tokens");
    assert_eq!(end["usage"]["output_tokens"], 100);

    let body = r#"{"model":"gpt-5","stream":true,"input":"hi","max_output_tokens":100}"#;
    let last = ask(&provider, RESPONSES, body)
        .await
        .events()
        .last()
        .unwrap()
        .json();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(
        last["response"]["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    assert_eq!(last["response"]["usage"]["output_tokens"], 100);

    let body = r#"{"model":"gpt-5","messages":[],"max_completion_tokens":100,"n":2}"#;
    let whole = ask(&provider, CHAT, body).await.json();
    assert_eq!(whole["choices"].as_array().unwrap().len(), 2);
    assert_eq!(whole["choices"][1]["finish_reason"], "length");
    assert_eq!(
        whole["usage"]["completion_tokens"], 200,
        "the limit is each choice's"
    );

    let body = r#"{"contents":[],"generationConfig":{"maxOutputTokens":100}}"#;
    let whole = ask(&provider, GEMINI, body).await.json();
    assert_eq!(whole["candidates"][0]["finishReason"], "MAX_TOKENS");
    assert_eq!(whole["usageMetadata"]["candidatesTokenCount"], 100);
}

/// Returns the body of a question for a count: Anthropic refuses what it does not depend on.
fn counted_of(body: &str) -> String {
    body.replace(r#""max_tokens":64000,"stream":true,"#, "")
}

#[tokio::test]
async fn a_count_of_the_prompt_is_what_the_call_is_billed_for_it() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let counts = [
        (
            "/v1/messages/count_tokens",
            "/input_tokens",
            MESSAGES,
            MESSAGES_BODY,
        ),
        (
            "/v1/responses/input_tokens",
            "/input_tokens",
            RESPONSES,
            RESPONSES_BODY,
        ),
        (
            "/v1beta/models/m:countTokens",
            "/totalTokens",
            GEMINI,
            GEMINI_BODY,
        ),
    ];
    let refused = ask(&provider, "/v1/messages/count_tokens", MESSAGES_BODY).await;
    assert_eq!(refused.status, 400);
    for (path, at, call, body) in counts {
        let counted = ask(&provider, path, &counted_of(body))
            .await
            .json()
            .pointer(at)
            .unwrap()
            .as_u64()
            .unwrap();
        ask(&provider, call, body).await;
        let stated = provider.calls().last().unwrap().answer.stated;
        assert_eq!(stated.total() - stated.output.unwrap(), counted, "{path}");
    }
    assert_eq!(
        (provider.totals().calls, provider.totals().side_requests),
        (3, 4)
    );
}

#[tokio::test]
async fn requests_that_the_real_apis_refuse_are_refused_in_their_words() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let bad = [
        (
            MESSAGES,
            r#"{"model":"m","messages":[]}"#,
            "max_tokens: Field required",
        ),
        (
            MESSAGES,
            r#"{"model":"m","max_tokens":100,"thinking":{"budget_tokens":100},"messages":[]}"#,
            "must be greater than",
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":"x","max_output_tokens":15}"#,
            "below minimum value",
        ),
        (CHAT, r#"{"messages":[]}"#, "Field required"),
        (MESSAGES, "{", "not valid JSON"),
    ];
    for (path, body, words) in bad {
        let reply = ask(&provider, path, body).await;
        assert_eq!(reply.status, 400);
        let json = reply.json();
        assert!(
            json["error"]["message"].as_str().unwrap().contains(words),
            "{json}"
        );
    }
    assert_eq!(ask(&provider, "/v1/nothing", "{}").await.status, 404);
    assert_eq!(provider.totals().refused, 5);
    assert_eq!(provider.totals().billed.total(), 0);
}

#[tokio::test]
async fn model_lists_come_in_the_dialect_of_the_asker_and_upgrades_get_426() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let anthropic = open(
        &provider,
        "/v1/models",
        &[("anthropic-version", "2023-06-01")],
        "",
    )
    .await;
    assert_eq!(anthropic.read().await.json()["data"][0]["type"], "model");
    assert_eq!(
        ask(&provider, "/v1/models", "").await.json()["object"],
        "list"
    );
    assert!(ask(&provider, "/v1beta/models", "").await.json()["models"].is_array());
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let reply = open(&provider, "/v1/responses", &upgrade, "")
        .await
        .read()
        .await;
    assert_eq!(reply.status, 426);
    assert_eq!(provider.totals().calls, 0);
}

#[tokio::test]
async fn a_compressed_request_is_read_and_one_in_an_unknown_coding_answered_all_the_same() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(RESPONSES_BODY.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let gzip = [("content-encoding", "gzip")];
    open_bytes(&provider, RESPONSES, &gzip, packed)
        .await
        .read()
        .await;
    let zstd = [
        ("content-encoding", "zstd"),
        ("accept", "text/event-stream"),
    ];
    let reply = open_bytes(&provider, RESPONSES, &zstd, vec![0x28, 0xb5])
        .await
        .read()
        .await;
    assert_eq!(reply.events().last().unwrap().name, "response.completed");
    let calls = provider.calls();
    assert_eq!(
        (calls[0].request.model.as_str(), calls[0].request.streamed),
        ("gpt-5", true)
    );
    assert_eq!(calls[1].request.body.as_ref(), [0x28, 0xb5]);
}
