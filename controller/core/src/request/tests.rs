mod bound;
mod cap;
mod count;
mod edit;
mod elsewhere;

use bb_proto::usage::Wire;
use proptest::prelude::*;

use super::*;

const PATH: &str = "/v1/messages?beta=true";

fn read(wire: Wire, body: &str) -> RequestFacts {
    RequestFacts::read(wire, PATH, body.as_bytes())
}

fn anthropic(body: &str) -> RequestFacts {
    read(Wire::AnthropicMessages, body)
}

fn chat(body: &str) -> RequestFacts {
    read(Wire::OpenaiChat, body)
}

fn responses(body: &str) -> RequestFacts {
    read(Wire::OpenaiResponses, body)
}

fn gemini(path: &str, body: &str) -> RequestFacts {
    RequestFacts::read(Wire::Gemini, path, body.as_bytes())
}

fn nothing(wire: Wire) -> RequestFacts {
    let mut facts = RequestFacts::read(wire, "/", b"{}");
    facts.body_bytes = 0;
    facts
}

#[test]
fn a_claude_code_request_states_model_stream_cap_thinking_and_tools() {
    let body = r#"{"model":"claude-opus-4-8","messages":[{"role":"user","content":[{"type":"text",
        "text":"say \"hi\"","cache_control":{"type":"ephemeral"}}]}],"system":[{"type":"text",
        "text":"You"}],"tools":[{"name":"Bash","description":"run","input_schema":{"type":"object",
        "properties":{"url":{"type":"string"},"file":{"type":"string"}}}},{"type":"custom",
        "name":"x","input_schema":{}},{"type":"bash_20250124","name":"bash"}],
        "metadata":{"user_id":"{}"},"max_tokens":64000,
        "thinking":{"type":"enabled","budget_tokens":16000},"stream":true}"#;
    let facts = anthropic(body);
    assert_eq!(
        facts,
        RequestFacts {
            model: Some("claude-opus-4-8".into()),
            stream: true,
            output_max: Some(64_000),
            thinking_budget: Some(16_000),
            tools: 3,
            described_tools: 1,
            body_bytes: 577,
            text_bytes: facts.text_bytes,
            is_whole: true,
            ..nothing(Wire::AnthropicMessages)
        }
    );
    assert!(
        (180..350).contains(&facts.text_bytes),
        "{}",
        facts.text_bytes
    );
}

#[test]
fn a_codex_request_states_no_cap_and_a_tool_that_the_provider_runs() {
    let body = r#"{"model":"gpt-5","stream":true,"input":[{"type":"message","role":"user"}],
        "tools":[{"type":"function","name":"exec_command","parameters":{"type":"object"}},
        {"type":"web_search","external_web_access":false}],"store":false}"#;
    let facts = responses(body);
    assert_eq!(facts.model.as_deref(), Some("gpt-5"));
    assert!(facts.stream && facts.server_tools && facts.is_whole);
    assert_eq!((facts.output_max, facts.tools), (None, 2));
    assert!(!facts.stored_input && !facts.background);
}

#[test]
fn a_gemini_request_states_model_and_stream_in_its_path() {
    let lines = [
        (
            "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
            Some("gemini-3.8-flash"),
            true,
        ),
        (
            "/v1/models/gemini-2.5-flash:generateContent",
            Some("gemini-2.5-flash"),
            false,
        ),
        (
            "/v1beta/tunedModels/mine:generateContent",
            Some("mine"),
            false,
        ),
        ("/v1beta/models", Some("models"), false),
        ("", None, false),
    ];
    let body = r#"{"contents":[{"parts":[{"text":"hi"}],"role":"user"}],"model":"x","stream":true,
        "generationConfig":{"temperature":1,"maxOutputTokens":9000,"candidateCount":2}}"#;
    for (path, model, stream) in lines {
        let facts = gemini(path, body);
        assert_eq!(facts.model.as_deref(), model, "{path}");
        assert_eq!(facts.stream, stream, "{path}");
        assert_eq!((facts.output_max, facts.choices), (Some(9000), 2));
    }
    let snake = r#"{"generation_config":{"max_output_tokens":"77","candidate_count":3}}"#;
    let facts = gemini("", snake);
    assert_eq!((facts.output_max, facts.choices), (Some(77), 3));
}

#[test]
fn a_cap_is_read_from_the_members_of_its_dialect_only() {
    let body = r#"{"max_tokens":1,"max_completion_tokens":2,"max_output_tokens":3,"n":4,
        "generationConfig":{"maxOutputTokens":5}}"#;
    let cap = |wire| {
        let facts = read(wire, body);
        (facts.output_max, facts.choices)
    };
    assert_eq!(cap(Wire::AnthropicMessages), (Some(1), 1));
    assert_eq!(cap(Wire::OpenaiChat), (Some(2), 4));
    assert_eq!(cap(Wire::OpenaiResponses), (Some(3), 1));
    assert_eq!(cap(Wire::Gemini), (Some(5), 1));
}

#[test]
fn of_several_caps_the_largest_counts_and_an_unreadable_one_is_none() {
    let lines = [
        (r#"{"max_tokens":1,"max_tokens":900}"#, Some(900)),
        (r#"{"max_tokens":900,"max_tokens":1}"#, Some(900)),
        (r#"{"max_tokens":1,"max_tokens":1e9}"#, None),
        (r#"{"max_tokens":1e9,"max_tokens":1}"#, None),
        (r#"{"max_tokens":null}"#, None),
        (r#"{"max_tokens":-5}"#, None),
        (r#"{"max_tokens":64.0}"#, None),
        (r#"{"max_tokens":99999999999999999999}"#, None),
        (r#"{"max_tokens":18446744073709551615}"#, Some(u64::MAX)),
        (r#"{"max\u005ftokens":7}"#, Some(7)),
        (r#"{"max_tokens":{"a":1}}"#, None),
        (r#"{"x":{"max_tokens":7}}"#, None),
    ];
    for (body, expected) in lines {
        assert_eq!(anthropic(body).output_max, expected, "{body}");
    }
}

#[test]
fn the_last_of_several_models_and_streams_counts() {
    let facts = chat(r#"{"model":"a","stream":true,"model":"b","stream":false}"#);
    assert_eq!(facts.model.as_deref(), Some("b"));
    assert!(!facts.stream);
    assert!(chat(r#"{"stream" :  true }"#).stream);
    assert!(!chat(r#"{"stream":"true"}"#).stream);
    assert!(!chat(r#"{"messages":[{"stream":true}]}"#).stream);
}

#[test]
fn a_models_name_is_bounded_and_has_no_characters_that_move_the_screen() {
    let model = |name: &str| chat(&format!(r#"{{"model":"{name}"}}"#)).model;
    assert_eq!(model("m\\u0061x"), Some("max".into()));
    assert_eq!(
        model("a\\u001b[31mb\\u202ec\\u200bd"),
        Some("a[31mbcd".into())
    );
    assert_eq!(model(&"x".repeat(128)), Some("x".repeat(128)));
    assert_eq!(model(&"x".repeat(129)), None);
    assert_eq!(model(&"x".repeat(1_000_000)), None);
    assert_eq!(model(""), None);
    assert_eq!(model("\\ud800"), None);
    assert_eq!(chat(r#"{"model":7}"#).model, None);
    assert_eq!(chat(r#"{"model":["a"]}"#).model, None);
    let path = format!("/v1beta/models/{}:generateContent", "x".repeat(200));
    assert_eq!(gemini(&path, "{}").model, None);
}

#[test]
fn usage_in_the_stream_is_asked_for_only_where_every_statement_says_so() {
    let lines = [
        (r"{}", None),
        (r#"{"stream_options":{}}"#, None),
        (r#"{"stream_options":null}"#, None),
        (r#"{"stream_options":[]}"#, None),
        (r#"{"stream_options":{"include_usage":true}}"#, Some(true)),
        (r#"{"stream_options":{"include_usage":false}}"#, Some(false)),
        (r#"{"stream_options":{"include_usage":null}}"#, Some(false)),
        (
            r#"{"stream_options":{"include_usage":false,"include_usage":true}}"#,
            Some(false),
        ),
        (
            r#"{"stream\u005foptions":{"\u0069nclude_usage": true }}"#,
            Some(true),
        ),
        (r#"{"x":{"stream_options":{"include_usage":true}}}"#, None),
    ];
    for (body, expected) in lines {
        assert_eq!(chat(body).include_usage, expected, "{body}");
    }
}

#[test]
fn a_body_that_is_no_object_is_no_error_and_not_whole() {
    let odd: [&[u8]; 16] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"{}\"",
        b"{",
        b"{\"",
        b"{\"model",
        b"{\"model\":",
        b"{\"model\":\"a\"",
        b"{\"model\":\"a\\\"}",
        b"{\"a\":{]",
        b"{}}",
        b"{} {}",
        b"\x28\xb5\x2f\xfd\x00",
        b"\xff\xfe{\x00}\x00",
    ];
    for body in odd {
        for wire in [
            Wire::AnthropicMessages,
            Wire::OpenaiChat,
            Wire::OpenaiResponses,
            Wire::Gemini,
        ] {
            assert!(!RequestFacts::read(wire, PATH, body).is_whole, "{body:?}");
        }
    }
    for body in ["{}", " {\n} \r\n", "\u{feff}{}", r#"{"a":NaN,"b":[1,]}"#] {
        assert!(chat(body).is_whole, "{body:?}");
    }
}

#[test]
fn what_comes_before_a_torn_end_is_known() {
    let facts = chat(r#"{"model":"a","stream":true,"messages":[{"content":"abc"#);
    assert_eq!(facts.model.as_deref(), Some("a"));
    assert!(facts.stream && !facts.is_whole);
}

#[test]
fn a_body_that_nests_without_end_is_read_to_its_end() {
    let deep = 2_000_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"{"image_url":"#, "}")] {
        let body = format!(
            r#"{{"x":{}1{},"max_tokens":5}}"#,
            open.repeat(deep),
            close.repeat(deep)
        );
        let facts = chat(&body);
        assert_eq!(facts.output_max, Some(5), "{open}");
        assert!(facts.is_whole, "{open}");
        assert!(!chat(&format!(r#"{{"x":{}"#, open.repeat(deep))).is_whole);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_fail(body in prop::collection::vec(any::<u8>(), 0..400)) {
        for wire in [Wire::AnthropicMessages, Wire::OpenaiChat, Wire::Gemini] {
            let facts = RequestFacts::read(wire, PATH, &body);
            prop_assert_eq!(usize::try_from(facts.body_bytes).unwrap(), body.len());
            prop_assert!(facts.choices >= 1);
        }
    }

    #[test]
    fn no_bytes_that_are_nearly_json_make_the_reading_fail(
        body in r#"\{([{}\[\]:,"\\ ]|"(model|tools|image_url|type|data|url|stream)":?|true|1){0,60}"#
    ) {
        for wire in [Wire::AnthropicMessages, Wire::OpenaiResponses, Wire::Gemini] {
            let facts = read(wire, &body);
            prop_assert!(facts.text_bytes.saturating_add(facts.media_bytes) <= facts.body_bytes);
        }
    }

    #[test]
    fn an_object_is_whole_and_its_beginning_is_not(
        value in edit::json_values(),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = serde_json::json!({ "max_tokens": 7, "tools": value, "x": value }).to_string();
        for wire in [Wire::AnthropicMessages, Wire::OpenaiChat] {
            prop_assert!(read(wire, &body).is_whole, "{}", body);
            prop_assert_eq!(read(wire, &body).output_max, Some(7));
            let torn = &body.as_bytes()[..cut.index(body.len())];
            prop_assert!(!RequestFacts::read(wire, PATH, torn).is_whole);
        }
    }
}

#[test]
fn a_model_that_only_the_path_names_is_known() {
    let path =
        "/v1/projects/p/locations/l/publishers/anthropic/models/claude-3@20250219:rawPredict";
    let body = br#"{"anthropic_version":"vertex-2023-10-16","max_tokens":5,"messages":[]}"#;
    let facts = RequestFacts::read(Wire::AnthropicMessages, path, body);
    assert_eq!(facts.model.as_deref(), Some("claude-3@20250219"));
    assert_eq!((facts.stream, facts.output_max), (false, Some(5)));
    let stream = path.replace(":rawPredict", ":streamRawPredict");
    assert!(RequestFacts::read(Wire::AnthropicMessages, &stream, body).stream);
}

#[test]
fn an_embedding_asks_for_no_output() {
    let body = br#"{"model":"text-embedding-3-small","input":["a","b"],"encoding_format":"float"}"#;
    let facts = RequestFacts::read(Wire::OpenaiEmbeddings, "/v1/embeddings", body);
    assert_eq!(facts.model.as_deref(), Some("text-embedding-3-small"));
    assert_eq!(facts.output_max, Some(0));
}
