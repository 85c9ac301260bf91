//! Each dialect's answers parse, add up, and hold to the request.

use bb_proto::usage::Usage;
use serde_json::{Value, json};

use super::{
    CHAT, CHAT_BODY, CHAT_USAGE_BODY, GEMINI, GEMINI_ARRAY, GEMINI_BODY, GEMINI_SSE, MESSAGES,
    MESSAGES_BODY, MESSAGES_WHOLE, RESPONSES, RESPONSES_BODY, ask,
};
use crate::provider::{Provider, Script, Tool};

/// A usage with no two counts alike.
const USAGE: Usage = Usage {
    input: Some(11),
    cache_read: Some(700),
    cache_write: Some(30),
    output: Some(90),
    reasoning: Some(40),
};

fn thoughtful() -> Script {
    Script {
        thinking: Some("First I look at the house, then at the cat.".to_owned()),
        events: 6,
        ..Script::stating(USAGE)
    }
}

fn pieces(events: &[Value], path: &str) -> String {
    events
        .iter()
        .filter_map(|event| event.pointer(path)?.as_str())
        .collect()
}

#[tokio::test]
async fn an_anthropic_stream_opens_each_block_closes_it_and_states_usage_cumulatively() {
    let provider = Provider::start(thoughtful()).await.unwrap();
    let reply = ask(&provider, MESSAGES, MESSAGES_BODY).await;
    let events = reply.events();
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    let mut expected = vec!["message_start", "content_block_start", "ping"];
    expected.extend(["content_block_delta"; 5]);
    expected.extend(["content_block_stop", "content_block_start"]);
    expected.extend(["content_block_delta"; 6]);
    expected.extend(["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(names, expected);
    let data: Vec<Value> = events.iter().map(super::Event::json).collect();
    assert!(
        data.iter()
            .zip(&names)
            .all(|(data, name)| data["type"] == **name)
    );
    assert_eq!(data[0]["message"]["model"], "claude-opus-4-8");
    assert_eq!(data[0]["message"]["usage"]["output_tokens"], 1);
    assert_eq!(
        data[0]["message"]["usage"]["cache_creation"]["ephemeral_5m_input_tokens"],
        30
    );
    assert_eq!(pieces(&data, "/delta/text"), Script::default().text);
    assert_eq!(
        pieces(&data, "/delta/thinking"),
        thoughtful().thinking.unwrap()
    );
    let end = &data[data.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "end_turn");
    assert_eq!(
        end["usage"],
        json!({"input_tokens": 11, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 700,
            "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 40}})
    );
    assert_eq!(provider.calls()[0].answer.stated, USAGE);
}

#[tokio::test]
async fn a_responses_stream_numbers_its_events_and_states_usage_in_the_last_one_only() {
    let provider = Provider::start(thoughtful()).await.unwrap();
    let events = ask(&provider, RESPONSES, RESPONSES_BODY).await.events();
    let data: Vec<Value> = events.iter().map(super::Event::json).collect();
    for (number, (event, data)) in events.iter().zip(&data).enumerate() {
        assert_eq!(data["sequence_number"], number);
        assert_eq!(data["type"], *event.name);
    }
    let text: Vec<Value> = data
        .iter()
        .filter(|data| data["type"] == "response.output_text.delta")
        .cloned()
        .collect();
    assert_eq!(text.len(), 6);
    assert_eq!(pieces(&text, "/delta"), Script::default().text);
    let (last, earlier) = data.split_last().unwrap();
    assert!(
        earlier
            .iter()
            .all(|data| data["response"]["usage"].is_null())
    );
    assert_eq!(last["type"], "response.completed");
    assert_eq!(
        last["response"]["usage"],
        json!({"input_tokens": 741,
            "input_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 30},
            "output_tokens": 90, "output_tokens_details": {"reasoning_tokens": 40},
            "total_tokens": 831})
    );
    assert_eq!(last["response"]["model"], "gpt-5");
    assert_eq!(last["response"]["output"][0]["type"], "reasoning");
    assert_eq!(
        last["response"]["output"][1]["content"][0]["text"],
        Script::default().text
    );
    assert_eq!(provider.calls()[0].answer.stated, USAGE);
}

#[tokio::test]
async fn a_chat_stream_states_usage_only_if_the_request_wants_it() {
    let provider = Provider::start(thoughtful()).await.unwrap();
    let silent = ask(&provider, CHAT, CHAT_BODY).await.events();
    assert!(silent.iter().all(|event| !event.data.contains("usage")));
    assert_eq!(silent.last().unwrap().data, "[DONE]");

    let events = ask(&provider, CHAT, CHAT_USAGE_BODY).await.events();
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!(done.data, "[DONE]");
    let data: Vec<Value> = chunks.iter().map(super::Event::json).collect();
    let (usage, others) = data.split_last().unwrap();
    assert!(
        others
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
    assert_eq!(
        others.last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );
    assert_eq!(
        pieces(others, "/choices/0/delta/content"),
        Script::default().text
    );
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 741);
    assert_eq!(
        usage["usage"]["prompt_tokens_details"]["cached_tokens"],
        700
    );
    assert_eq!(
        usage["usage"]["completion_tokens_details"]["reasoning_tokens"],
        40
    );
    assert_eq!(usage["usage"]["total_tokens"], 831);

    let calls = provider.calls();
    assert_eq!(calls[0].answer.stated, Usage::default());
    assert_eq!(
        calls[0].answer.billed, USAGE,
        "what is not stated is billed all the same"
    );
    assert_eq!(calls[1].answer.stated, USAGE);
}

#[tokio::test]
async fn a_gemini_stream_states_a_growing_snapshot_in_both_framings() {
    let usage = Usage {
        cache_write: None,
        ..USAGE
    };
    let script = Script {
        tokens: crate::provider::Tokens::Stated(usage),
        ..thoughtful()
    };
    let provider = Provider::start(script).await.unwrap();
    let sse = ask(&provider, GEMINI_SSE, GEMINI_BODY).await;
    assert!(sse.text().contains("\r\n\r\n"));
    let chunks: Vec<Value> = sse.events().iter().map(super::Event::json).collect();
    let array = ask(&provider, GEMINI_ARRAY, GEMINI_BODY).await.json();
    assert_eq!(array.as_array().unwrap().len(), chunks.len());
    let mut before = 0;
    for chunk in &chunks {
        let usage = &chunk["usageMetadata"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        let total = count("totalTokenCount");
        let parts = [
            "promptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
        ];
        assert_eq!(total, parts.into_iter().map(count).sum::<u64>());
        assert!(total >= before);
        before = total;
    }
    let last = chunks.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["modelVersion"], "gemini-2.5-flash");
    assert_eq!(last["usageMetadata"]["cachedContentTokenCount"], 700);
    assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 50);
    assert_eq!(last["usageMetadata"]["promptTokenCount"], 711);
    assert!(
        provider
            .calls()
            .iter()
            .all(|call| call.answer.stated == usage)
    );
}

#[tokio::test]
async fn answers_in_one_piece_say_the_same_as_the_streams() {
    let provider = Provider::start(thoughtful()).await.unwrap();
    let asks = [
        (MESSAGES, MESSAGES_WHOLE.to_owned(), "/content/1/text"),
        (
            CHAT,
            CHAT_BODY.replace("true", "false"),
            "/choices/0/message/content",
        ),
        (
            RESPONSES,
            RESPONSES_BODY.replace("true", "false"),
            "/output/1/content/0/text",
        ),
        (
            GEMINI,
            GEMINI_BODY.to_owned(),
            "/candidates/0/content/parts/1/text",
        ),
    ];
    for (path, body, at) in asks {
        let reply = ask(&provider, path, &body).await;
        assert_eq!(reply.headers["content-type"], "application/json");
        assert!(reply.headers.contains_key("content-length"), "{path}");
        let text = if path == CHAT {
            "/choices/0/message/content"
        } else {
            at
        };
        assert_eq!(
            reply.json().pointer(text),
            Some(&json!(Script::default().text)),
            "{path}"
        );
    }
    let calls = provider.calls();
    let stated: Vec<Option<u64>> = calls.iter().map(|call| call.answer.stated.output).collect();
    assert_eq!(stated, [Some(90); 4]);
}

#[tokio::test]
async fn a_tool_call_arrives_whole_in_every_dialect() {
    let input = r#"{"command":"echo \"$call $model\"","n":2}"#;
    let tool = Tool::Named {
        name: "Bash".to_owned(),
        input: input.to_owned(),
    };
    let provider = Provider::start(Script {
        tool: Some(tool),
        ..Script::default()
    })
    .await
    .unwrap();
    let expected: Value = serde_json::from_str(input).unwrap();
    let data = |events: Vec<super::Event>| -> Vec<Value> {
        let known = events.iter().filter(|event| event.data != "[DONE]");
        known.map(super::Event::json).collect()
    };

    let anthropic = data(ask(&provider, MESSAGES, MESSAGES_BODY).await.events());
    let given: Value = serde_json::from_str(&pieces(&anthropic, "/delta/partial_json")).unwrap();
    assert_eq!(given, expected);
    assert_eq!(
        anthropic[anthropic.len() - 2]["delta"]["stop_reason"],
        "tool_use"
    );

    let chat = data(ask(&provider, CHAT, CHAT_BODY).await.events());
    let arguments = pieces(&chat, "/choices/0/delta/tool_calls/0/function/arguments");
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), expected);
    assert_eq!(
        chat.last().unwrap()["choices"][0]["finish_reason"],
        "tool_calls"
    );

    let responses = data(ask(&provider, RESPONSES, RESPONSES_BODY).await.events());
    let call = &responses.last().unwrap()["response"]["output"][1];
    assert_eq!(call["type"], "function_call");
    let arguments = call["arguments"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), expected);

    let gemini = data(ask(&provider, GEMINI_SSE, GEMINI_BODY).await.events());
    let part = &gemini.last().unwrap()["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(part["args"], expected);
}

#[tokio::test]
async fn a_runaway_agents_answers_call_a_tool_that_the_request_offers() {
    let provider = Provider::start(Script::runaway()).await.unwrap();
    let offers = [
        (
            MESSAGES,
            r#"{"model":"m","max_tokens":9000,"messages":[],"tools":[{"name":"Read"},{"name":"Bash"}]}"#,
            "Bash",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"look"}}]}"#,
            "look",
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":[],"tools":[{"type":"web_search"},{"type":"function","name":"exec_command"}]}"#,
            "exec_command",
        ),
        (
            GEMINI,
            r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"run_shell_command"}]}]}"#,
            "run_shell_command",
        ),
    ];
    for (path, body, name) in offers {
        let text = ask(&provider, path, body).await.text();
        assert!(
            text.contains(&format!(r#""name":"{name}""#))
                || text.contains(&format!(r#""name": "{name}""#)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn ids_are_new_for_every_call_and_alike_within_one() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let events = ask(&provider, CHAT, CHAT_BODY).await.events();
        let ids: Vec<Value> = events[..events.len() - 1]
            .iter()
            .map(|e| e.json()["id"].clone())
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        seen.push(ids[0].clone());
    }
    assert_ne!(seen[0], seen[1]);
}
