//! What the numbers mean, dialect by dialect.

use bb_proto::usage::{Usage, Wire};

use super::super::Flowed;
use super::*;
use crate::provider::quirks_at;

#[test]
fn a_whole_stream_states_its_usage_model_id_and_end() {
    for wire in WIRES {
        let meter = read(wire, &short_stream(wire).concat());
        assert_eq!(meter.usage(), short_usage(wire), "{wire:?}");
        assert!(meter.is_complete(), "{wire:?}");
        assert!(!meter.failed(), "{wire:?}");
        assert!(meter.model().is_some_and(|model| model.ends_with("-x")));
        assert!(meter.response_id().is_some_and(|id| id.ends_with('1')));
    }
}

#[test]
fn generated_bytes_are_counted_as_they_read_not_as_they_are_written() {
    for wire in WIRES {
        let text = if wire == Wire::AnthropicMessages {
            "Hé\né \"usage\":{".len()
        } else {
            "Hé\n \"usage\":{".len()
        };
        let text = u64::try_from(text).unwrap();
        let flowed = read(wire, &short_stream(wire).concat()).flowed_bytes();
        assert_eq!(flowed, Flowed { text, reasoning: 0 }, "{wire:?}");
    }
}

#[test]
fn reasoning_is_counted_apart_from_text() {
    let flowed = |wire, event: String| read(wire, &event).flowed_bytes();
    let reasoning = Flowed {
        text: 0,
        reasoning: 5,
    };
    let anthropic = data(r#"{"type":"content_block_delta","delta":{"thinking":"hm..."}}"#);
    assert_eq!(flowed(Wire::AnthropicMessages, anthropic), reasoning);
    let twice = r#"{"choices":[{"delta":{"reasoning":"hm...","reasoning_content":"hm..."}}]}"#;
    assert_eq!(flowed(Wire::OpenaiChat, data(twice)), reasoning);
    let summary = r#"{"delta":"hm...","type":"response.reasoning_summary_text.delta"}"#;
    assert_eq!(flowed(Wire::OpenaiResponses, data(summary)), reasoning);
    let thought =
        r#"{"candidates":[{"content":{"parts":[{"text":"hm...","thought":true},{"text":""}]}}]}"#;
    assert_eq!(flowed(Wire::Gemini, data(thought)), reasoning);
}

#[test]
fn tool_arguments_count_as_generated() {
    let text = |wire, event: String| read(wire, &event).flowed_bytes().text;
    let partial = r#"{"type":"content_block_delta","delta":{"partial_json":"{\"a\":1}"}}"#;
    assert_eq!(text(Wire::AnthropicMessages, data(partial)), 7);
    let call = r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"a\":1}"}}]}}]}"#;
    assert_eq!(text(Wire::OpenaiChat, data(call)), 7);
    let arguments = r#"{"type":"response.function_call_arguments.delta","delta":"{\"a\":1}"}"#;
    assert_eq!(text(Wire::OpenaiResponses, data(arguments)), 7);
    let call = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"a":1}}}]}}]}"#;
    assert_eq!(text(Wire::Gemini, data(call)), 6);
}

#[test]
fn each_anthropic_count_overwrites_the_one_before_and_is_never_added() {
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":2293,"cache_read_input_tokens":7,"output_tokens":1}}}"#;
    let delta = r#"{"type":"message_delta","usage":{"input_tokens":4714,"output_tokens":300,"cache_read_input_tokens":null}}"#;
    let last = r#"{"type":"message_delta","usage":{"output_tokens":301}}"#;
    let meter = read(
        Wire::AnthropicMessages,
        &[start, delta, last].map(data).concat(),
    );
    let expected = Usage {
        cache_write: None,
        ..usage(4714, 7, 0, 301)
    };
    assert_eq!(meter.usage(), expected);
    assert!(!meter.is_complete(), "message_stop has not come");
}

#[test]
fn a_cache_write_is_the_sum_of_its_two_lifetimes_where_no_sum_is_stated() {
    let body = r#"{"type":"message","usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30},"output_tokens":2}}"#;
    assert_eq!(
        read(Wire::AnthropicMessages, body).usage().cache_write,
        Some(50)
    );
}

#[test]
fn passes_are_summed_with_a_compaction_among_them_and_an_advisor_stays_apart() {
    let message = r#"{"type":"message","input_tokens":229,"cache_creation_input_tokens":0,"output_tokens":5}"#;
    let compaction = r#"{"output_tokens":131,"cache_creation_input_tokens":55096,"input_tokens":100,"type":"compaction"}"#;
    let advisor =
        r#"{"type":"advisor_message","model":"claude-big","input_tokens":40,"output_tokens":4}"#;
    let body = |passes: &[&str]| {
        format!(
            r#"{{"type":"message","usage":{{"input_tokens":229,"output_tokens":5,"iterations":[{}]}}}}"#,
            passes.join(",")
        )
    };
    let meter = read(Wire::AnthropicMessages, &body(&[compaction, message]));
    assert_eq!(
        (meter.usage().input, meter.usage().output),
        (Some(329), Some(136))
    );
    assert_eq!(meter.usage().cache_write, Some(55096));
    let meter = read(
        Wire::AnthropicMessages,
        &body(&[message, advisor, message, advisor]),
    );
    assert_eq!(
        (meter.usage().input, meter.usage().output),
        (Some(229), Some(5))
    );
    let [(model, other)] = meter.other_models() else {
        panic!("one other model, not {:?}", meter.other_models());
    };
    assert_eq!(
        (model.as_str(), other.input, other.output),
        ("claude-big", Some(80), Some(8))
    );
}

#[test]
fn more_other_models_than_are_kept_lose_no_token() {
    let pass = |n| {
        format!(r#"{{"type":"advisor_message","model":"m{n}","input_tokens":1,"output_tokens":1}}"#)
    };
    let passes: Vec<String> = (0..50).map(pass).collect();
    let body = format!(
        r#"{{"type":"message","usage":{{"input_tokens":1,"iterations":[{}]}}}}"#,
        passes.join(",")
    );
    let meter = read(Wire::AnthropicMessages, &body);
    assert_eq!(meter.other_models().len(), 8);
    let total: u64 = meter
        .other_models()
        .iter()
        .map(|(_, usage)| usage.total())
        .sum();
    assert_eq!(total, 100);
}

#[test]
fn the_prompt_of_a_chat_is_split_and_never_below_zero() {
    let split = |prompt: u64, details: &str| {
        let body = format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":2,{details}}}}}"#
        );
        let usage = read(Wire::OpenaiChat, &body).usage();
        (usage.input, usage.cache_read, usage.cache_write)
    };
    let both = r#""prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}"#;
    assert_eq!(split(100, both), (Some(10), Some(60), Some(30)));
    assert_eq!(
        split(70, both),
        (Some(10), Some(60), Some(30)),
        "they name the same tokens"
    );
    assert_eq!(
        split(7, both),
        (Some(7), Some(60), Some(30)),
        "they are no part of it"
    );
    let twice = r#""cached_tokens":60,"prompt_tokens_details":{"cached_tokens":60}"#;
    assert_eq!(
        split(100, twice),
        (Some(40), Some(60), None),
        "one number under two names"
    );
    let second = r#""prompt_tokens_details":null,"prompt_cache_hit_tokens":9"#;
    assert_eq!(split(100, second), (Some(91), Some(9), None));
}

#[test]
fn reasoning_on_top_of_a_chat_output_shows_in_the_total() {
    let output = |quirks: Quirks, total: u64| {
        let body = format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":100,"completion_tokens":10,"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":5}}}}}}"#
        );
        let mut meter = Meter::new(Wire::OpenaiChat, None, quirks, 1);
        meter.read(body.as_bytes());
        (meter.usage().output, meter.usage().reasoning)
    };
    let none = Quirks::default();
    assert_eq!(output(none, 110), (Some(10), Some(5)));
    assert_eq!(output(none, 115), (Some(15), Some(5)));
    let vercel = quirks_at("ai-gateway.vercel.sh");
    assert_eq!(output(vercel, 110), (Some(15), Some(5)));
    let gemini = quirks_at("Generativelanguage.googleapis.com:443");
    assert_eq!(output(gemini, 140), (Some(40), Some(5)));
}

#[test]
fn an_embedding_states_a_prompt_and_no_output() {
    let body = r#"{"object":"list","data":[{"embedding":[0.1,-2e5]}],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let meter = read(Wire::OpenaiEmbeddings, body);
    assert_eq!(
        (meter.usage().input, meter.usage().output),
        (Some(8), Some(0))
    );
    assert!(meter.is_complete());
    let body = r#"{"data":[],"usage":{"total_tokens":8}}"#;
    assert_eq!(read(Wire::OpenaiChat, body).usage().input, Some(8));
}

#[test]
fn a_chat_of_several_choices_ends_with_the_last_of_them() {
    let finish = |index: u32| {
        data(&format!(
            r#"{{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#
        ))
    };
    let mut meter = Meter::new(Wire::OpenaiChat, None, Quirks::default(), 2);
    meter.read(finish(1).as_bytes());
    meter.read(finish(1).as_bytes());
    assert!(!meter.is_complete());
    meter.read(finish(0).as_bytes());
    assert!(meter.is_complete());
}

#[test]
fn a_chat_that_announced_its_usage_is_not_complete_without_it() {
    let events = short_stream(Wire::OpenaiChat);
    let mut meter = meter(Wire::OpenaiChat);
    meter.read(events[..4].concat().as_bytes());
    assert!(!meter.is_complete());
    meter.read(events[4].as_bytes());
    assert!(meter.is_complete());
}

#[test]
fn an_empty_finish_reason_ends_no_chat() {
    let body = data(r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#);
    assert!(!read(Wire::OpenaiChat, &body).is_complete());
}

#[test]
fn gemini_snapshots_replace_each_other_whole() {
    let chunk = |usage: &str, more: &str| data(&format!(r#"{{"usageMetadata":{usage}{more}}}"#));
    let first = chunk(
        r#"{"promptTokenCount":90,"candidatesTokenCount":30,"thoughtsTokenCount":80,"totalTokenCount":200}"#,
        "",
    );
    let last = chunk(
        r#"{"promptTokenCount":87,"thoughtsTokenCount":78,"toolUsePromptTokenCount":3,"totalTokenCount":168}"#,
        r#","candidates":[{"finishReason":1}]"#,
    );
    let meter = read(Wire::Gemini, &[first.clone(), last].concat());
    assert_eq!(
        (meter.usage().input, meter.usage().output),
        (Some(90), Some(78))
    );
    assert!(meter.is_complete());
    let empty = chunk(r#"{"trafficType":"ON_DEMAND"}"#, "");
    let meter = read(Wire::Gemini, &[first, empty].concat());
    assert_eq!(
        meter.usage().output,
        Some(110),
        "a snapshot without counts states nothing"
    );
}

#[test]
fn gemini_chunks_are_read_in_an_array_and_in_an_envelope() {
    let chunks = short_stream(Wire::Gemini);
    let chunks: Vec<&str> = chunks.iter().map(|chunk| chunk[6..].trim()).collect();
    let array = format!("[{}]", chunks.join("\n,\r\n"));
    assert_eq!(
        read(Wire::Gemini, &array).usage(),
        short_usage(Wire::Gemini)
    );
    let wrap = |chunk: &&str| data(&format!(r#"{{"response":{chunk},"traceId":"t"}}"#));
    let wrapped: String = chunks.iter().map(wrap).collect();
    assert_eq!(
        read(Wire::Gemini, &wrapped).usage(),
        short_usage(Wire::Gemini)
    );
}

#[test]
fn an_error_in_the_body_is_told_and_ends_no_answer_normally() {
    let errors = [
        (
            Wire::AnthropicMessages,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        ),
        (
            Wire::OpenaiChat,
            r#"{"error":{"message":"no"},"choices":[]}"#,
        ),
        (Wire::OpenaiResponses, r#"{"type":"error","message":"no"}"#),
        (
            Wire::OpenaiResponses,
            r#"{"type":"response.failed","response":{"status":"failed"}}"#,
        ),
        (Wire::Gemini, r#"{"error":{"code":429}}"#),
    ];
    for (wire, error) in errors {
        let mut body = short_stream(wire);
        body.pop();
        body.push(data(error));
        let meter = read(wire, &body.concat());
        assert!(meter.failed(), "{error}");
        assert!(!meter.is_complete(), "{error}");
    }
    let with_usage = r#"{"error":{"message":"no"},"usage":{"prompt_tokens":3}}"#;
    let meter = read(Wire::OpenaiChat, with_usage);
    assert!(meter.failed());
    assert_eq!(
        meter.usage().input,
        Some(3),
        "what was stated beside the error stands"
    );
}

#[test]
fn an_event_name_stands_in_for_a_kind_that_the_document_leaves_out() {
    let meter = read(
        Wire::AnthropicMessages,
        &event("error", r#"{"message":"no"}"#),
    );
    assert!(meter.failed());
    let meter = read(
        Wire::OpenaiResponses,
        &event(
            "response.completed",
            r#"{"response":{"usage":{"input_tokens":3}}}"#,
        ),
    );
    assert!(meter.is_complete());
}

#[test]
fn a_token_count_request_is_no_usage() {
    for wire in WIRES {
        for body in [r#"{"input_tokens":2095}"#, r#"{"totalTokens":2095}"#] {
            assert!(!read(wire, body).usage().is_stated(), "{wire:?} {body}");
        }
    }
}

#[test]
fn a_blocked_prompt_ends_the_stream_and_states_zero() {
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"trafficType":"ON_DEMAND"}}"#;
    let meter = read(Wire::Gemini, &data(blocked));
    assert!(meter.is_complete());
    assert_eq!(
        (meter.usage().input, meter.usage().output),
        (Some(0), Some(0))
    );
    let later = r#"{"usageMetadata":{"promptTokenCount":4}}"#;
    let meter = read(Wire::Gemini, &format!("{}{}", data(blocked), data(later)));
    assert!(meter.is_complete());
    assert_eq!(meter.usage().input, Some(4));
}

#[test]
fn a_stream_that_repeats_the_whole_message_in_every_chunk_flows_once() {
    let chunk = |delta: &str, whole: &str| {
        data(&format!(
            r#"{{"choices":[{{"delta":{{"content":"{delta}"}},"message":{{"content":"{whole}"}}}}]}}"#
        ))
    };
    let body = [chunk("one ", "one "), chunk("two", "one two")].concat();
    assert_eq!(read(Wire::OpenaiChat, &body).flowed_bytes().text, 7);
    let whole = r#"{"choices":[{"message":{"content":"one two"}}]}"#;
    assert_eq!(read(Wire::OpenaiChat, whole).flowed_bytes().text, 7);
}

#[test]
fn runs_of_reasoning_and_of_text_are_counted_apart_however_often_they_alternate() {
    let delta = |kind: &str| {
        event(
            kind,
            &format!(r#"{{"type":"{kind}","sequence_number":1,"item_id":"a","delta":"1234567"}}"#),
        )
    };
    let reasoning = delta("response.reasoning_text.delta").repeat(8);
    let text = delta("response.output_text.delta").repeat(9);
    let body = [reasoning, text].concat().repeat(5);
    let flowed = read(Wire::OpenaiResponses, &body).flowed_bytes();
    assert_eq!(
        flowed,
        Flowed {
            text: 7 * 9 * 5,
            reasoning: 7 * 8 * 5,
        }
    );
}

#[test]
fn an_empty_or_missing_name_hides_none_that_was_given() {
    let chunk = |names: &str| data(&format!(r#"{{"choices":[]{names}}}"#));
    let given = chunk(r#","id":"chatcmpl-1","model":"gpt-x""#);
    let body = [
        chunk(r#","id":"","model":"""#),
        given,
        chunk(r#","id":"","model":null"#),
    ];
    let meter = read(Wire::OpenaiChat, &body.concat());
    assert_eq!(
        (meter.response_id(), meter.model()),
        (Some("chatcmpl-1"), Some("gpt-x"))
    );
}

#[test]
fn a_response_may_end_with_done_and_its_state_tells_how() {
    for (status, is_complete, failed) in [
        (r#""completed""#, true, false),
        (r#""incomplete""#, true, false),
        (r#""failed""#, false, true),
        (r#""cancelled""#, false, false),
        ("null", true, false),
    ] {
        let done = format!(
            r#"{{"type":"response.done","response":{{"id":"r","status":{status},"usage":{{"input_tokens":7,"output_tokens":3}}}}}}"#
        );
        let mut meter = meter(Wire::OpenaiResponses);
        let step = meter.read(event("response.done", &done).as_bytes());
        assert!(step.hold_at.is_some(), "{status}");
        assert_eq!(meter.usage().output, Some(3), "{status}");
        assert_eq!(
            (meter.is_complete(), meter.failed()),
            (is_complete, failed),
            "{status}"
        );
    }
}

#[test]
fn responses_in_the_other_dialects_words_have_their_caches_too() {
    let body = r#"{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":4}}}"#;
    let usage = read(Wire::OpenaiResponses, body).usage();
    assert_eq!((usage.input, usage.cache_read), (Some(40), Some(60)));
    assert_eq!((usage.output, usage.reasoning), (Some(10), Some(4)));
}

#[test]
fn the_same_tokens_read_and_written_are_taken_from_the_input_once() {
    let details = r#""input_tokens_details":{"cached_tokens":2161,"cache_write_tokens":2161}"#;
    let body = format!(
        r#"{{"object":"response","status":"completed","usage":{{"input_tokens":2168,"output_tokens":1,{details}}}}}"#
    );
    let usage = read(Wire::OpenaiResponses, &body).usage();
    assert_eq!((usage.input, usage.cache_read), (Some(7), Some(2161)));
}
