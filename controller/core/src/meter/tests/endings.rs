//! The bytes that end a stream, by where it stands.

use bb_proto::usage::Wire;
use serde_json::{Value, json};

use super::*;

const SENTENCE: &str = "this bottle has spent its \"token\" budget\nask";

/// The events of an ending: name and document.
fn events(ending: &[u8]) -> Vec<(String, Value)> {
    let text = String::from_utf8(ending.to_vec()).unwrap();
    let parse = |event: &str| {
        let mut lines = event.lines().rev();
        let data = lines.next().unwrap().strip_prefix("data: ").unwrap();
        let name = lines
            .next()
            .map_or("", |line| line.strip_prefix("event: ").unwrap());
        assert_eq!(lines.next(), None);
        (name.to_owned(), serde_json::from_str(data).unwrap())
    };
    text.split_terminator("\n\n").map(parse).collect()
}

/// What an Anthropic ending does, in a word an event.
fn anthropic(stream: &[&str]) -> Vec<String> {
    let mut meter = stream_meter(Wire::AnthropicMessages);
    meter.read(
        stream
            .iter()
            .map(|event| data(event))
            .collect::<String>()
            .as_bytes(),
    );
    let ending = meter.ending(SENTENCE).unwrap();
    let word = |(name, data): (String, Value)| {
        assert_eq!(data["type"], name.as_str());
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(data["content_block"]["type"], "text");
                format!("start {}", data["index"])
            }
            "content_block_delta" => {
                assert_eq!(data["delta"]["text"], SENTENCE);
                format!("say {}", data["index"])
            }
            "content_block_stop" => format!("stop {}", data["index"]),
            "error" => {
                assert_eq!(data["error"]["type"], "billing_error");
                assert_eq!(data["error"]["message"], SENTENCE);
                name
            }
            _ => name,
        }
    };
    events(&ending).into_iter().map(word).collect()
}

const START: &str = r#"{"type":"message_start","message":{"model":"claude-x"}}"#;
const TEXT: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const TEXT_STOP: &str = r#"{"type":"content_block_stop","index":0}"#;
const TOOL: &str =
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","input":{}}}"#;
const FIRST_TOOL: &str =
    r#"{"content_block":{"type":"tool_use","input":{}},"index":0,"type":"content_block_start"}"#;
const THINKING: &str =
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking"}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;
const ERROR: &str = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;

#[test]
fn an_anthropic_message_that_has_not_begun_begins_and_says_the_sentence_before_the_error() {
    assert_eq!(
        anthropic(&[]),
        ["message_start", "start 0", "say 0", "stop 0", "error"]
    );
    assert_eq!(anthropic(&[START]), ["start 0", "say 0", "stop 0", "error"]);
}

#[test]
fn an_open_text_block_is_closed_before_the_error() {
    assert_eq!(anthropic(&[START, TEXT]), ["stop 0", "error"]);
}

#[test]
fn an_open_tool_call_or_thought_stays_open_and_the_sentence_follows_at_the_next_index() {
    assert_eq!(
        anthropic(&[START, FIRST_TOOL]),
        ["start 1", "say 1", "stop 1", "error"]
    );
    assert_eq!(
        anthropic(&[START, THINKING]),
        ["start 1", "say 1", "stop 1", "error"]
    );
    assert_eq!(
        anthropic(&[START, TEXT, TEXT_STOP, TOOL]),
        ["start 2", "say 2", "stop 2", "error"]
    );
}

#[test]
fn behind_finished_blocks_the_error_is_enough() {
    assert_eq!(anthropic(&[START, TEXT, TEXT_STOP]), ["error"]);
}

#[test]
fn what_the_provider_ended_is_not_ended_again() {
    assert_eq!(anthropic(&[START, TEXT, TEXT_STOP, STOP]), [""; 0]);
    assert_eq!(anthropic(&[START, TEXT, ERROR]), [""; 0]);
    for wire in WIRES {
        let mut meter = meter(wire);
        meter.read(short_stream(wire).concat().as_bytes());
        assert_eq!(meter.ending(SENTENCE), Some(Vec::new()), "{wire:?}");
    }
}

#[test]
fn a_response_fails_with_the_next_number_and_its_own_id() {
    let ending = |stream: &str| {
        let mut meter = stream_meter(Wire::OpenaiResponses);
        meter.read(stream.as_bytes());
        let [(name, data)] = events(&meter.ending(SENTENCE).unwrap()).try_into().unwrap();
        assert_eq!(
            (name.as_str(), &data["type"]),
            ("response.failed", &"response.failed".into())
        );
        assert_eq!(data["response"]["status"], "failed");
        assert_eq!(data["response"]["error"]["code"], "invalid_prompt");
        assert_eq!(data["response"]["error"]["message"], SENTENCE);
        (
            data["sequence_number"].clone(),
            data["response"]["id"].clone(),
        )
    };
    let stream = short_stream(Wire::OpenaiResponses);
    assert_eq!(ending(""), (0.into(), "resp_ended".into()));
    assert_eq!(ending(&stream[..2].concat()), (2.into(), "resp_1".into()));
}

#[test]
fn a_chat_ends_with_an_error_object() {
    let mut meter = stream_meter(Wire::OpenaiChat);
    for event in &short_stream(Wire::OpenaiChat)[..4] {
        let [(name, data)] = events(&meter.ending(SENTENCE).unwrap()).try_into().unwrap();
        assert_eq!(name, "");
        let error = serde_json::json!({"error": {"message": SENTENCE,
            "type": "invalid_request_error", "param": null, "code": "invalid_prompt"}});
        assert_eq!(data, error);
        meter.read(event.as_bytes());
    }
}

#[test]
fn gemini_ends_with_a_last_part_of_text_in_the_lines_of_the_stream() {
    let check = |chunk: &Value| {
        let candidate = &chunk["candidates"][0];
        assert_eq!(candidate["content"]["parts"][0]["text"], SENTENCE);
        assert_eq!(candidate["finishReason"], "MAX_TOKENS");
    };
    let first = &short_stream(Wire::Gemini)[0];
    let mut meter = stream_meter(Wire::Gemini);
    meter.read(first.replace('\n', "\r\n").as_bytes());
    let ending = String::from_utf8(meter.ending(SENTENCE).unwrap()).unwrap();
    let line = ending
        .strip_prefix("data: ")
        .unwrap()
        .strip_suffix("\r\n\r\n")
        .unwrap();
    check(&serde_json::from_str(line).unwrap());

    let wrapped = format!("data: {{\"response\":{}}}\n\n", first[6..].trim());
    let mut meter = stream_meter(Wire::Gemini);
    meter.read(wrapped.as_bytes());
    check(&events(&meter.ending(SENTENCE).unwrap())[0].1["response"]);
}

#[test]
fn an_array_of_chunks_is_closed_wherever_it_stands() {
    let chunk = r#"{"usageMetadata":{"promptTokenCount":1}}"#;
    let starts = [
        "",
        "[",
        "[\n",
        &format!("[{chunk}"),
        &format!("[{chunk}\n,\r\n"),
    ];
    for start in starts {
        let mut meter = Meter::new(Wire::Gemini, Some(Framing::JsonArray), Quirks::default(), 1);
        meter.read(start.as_bytes());
        assert!(meter.at_boundary(), "{start}");
        let ending = String::from_utf8(meter.ending(SENTENCE).unwrap()).unwrap();
        let whole: Value = serde_json::from_str(&format!("{start}{ending}")).unwrap();
        let last = whole.as_array().unwrap().last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "MAX_TOKENS");
    }
    let mut meter = meter(Wire::Gemini);
    meter.read(format!("[{chunk}]").as_bytes());
    assert_eq!(meter.ending(SENTENCE), Some(Vec::new()));
}

#[test]
fn an_ending_makes_a_whole_stream_of_what_stands_before_it() {
    for wire in WIRES {
        let all = short_stream(wire);
        for count in 0..all.len() {
            let mut cut = stream_meter(wire);
            let before = all[..count].concat();
            cut.read(before.as_bytes());
            let ending = cut.ending(SENTENCE).unwrap();
            let mut again = stream_meter(wire);
            again.read(before.as_bytes());
            again.read(&ending);
            assert!(again.at_boundary());
            assert!(
                again.failed() || again.is_complete(),
                "{wire:?} after {count} events"
            );
            assert_eq!(again.ending(SENTENCE), Some(Vec::new()));
        }
    }
}

#[test]
fn inside_an_event_the_ending_is_that_of_the_last_boundary() {
    for wire in WIRES {
        let all = short_stream(wire);
        for count in 0..all.len() {
            let mut whole = stream_meter(wire);
            whole.read(all[..count].concat().as_bytes());
            let torn = all[count].trim_end();
            for len in 0..=torn.len() {
                let mut meter = stream_meter(wire);
                meter.read(all[..count].concat().as_bytes());
                meter.read(&torn.as_bytes()[..len]);
                let words = |meter: &Meter| {
                    let ending = meter.ending(SENTENCE).unwrap();
                    let names = events(&ending).into_iter().map(|(name, data)| {
                        (name, data["index"].clone(), data["sequence_number"].clone())
                    });
                    names.collect::<Vec<_>>()
                };
                assert_eq!(words(&meter), words(&whole), "{wire:?} {count} {len}");
            }
        }
    }
}

#[test]
fn a_stream_whose_end_is_held_back_can_be_ended_as_if_it_had_not_come() {
    for wire in WIRES {
        let body = short_stream(wire).concat();
        let mut meter = stream_meter(wire);
        let at = meter.read(body.as_bytes()).hold_at.unwrap();
        let ending = meter.ending_before_held(SENTENCE).unwrap();
        let mut again = stream_meter(wire);
        again.read(&body.as_bytes()[..at]);
        assert_eq!(ending, again.ending(SENTENCE).unwrap(), "{wire:?}");
        assert!(!ending.is_empty());

        let mut meter = stream_meter(wire);
        meter.read(&body.as_bytes()[..at + 3]);
        meter.read(&body.as_bytes()[at + 3..]);
        assert_eq!(
            meter.ending_before_held(SENTENCE),
            None,
            "its first bytes have passed"
        );
    }
}

#[test]
fn a_single_document_has_no_ending_but_its_own() {
    let body = r#"{"type":"message","usage":{"output_tokens":7}}"#;
    let mut meter = Meter::new(
        Wire::AnthropicMessages,
        Some(Framing::Json),
        Quirks::default(),
        1,
    );
    for byte in body.as_bytes() {
        assert_eq!(meter.ending(SENTENCE), None);
        meter.read(&[*byte]);
    }
    assert_eq!(meter.ending(SENTENCE), Some(Vec::new()));
    assert_eq!(meter.ending_before_held(SENTENCE), None);
}

#[test]
fn an_array_whose_end_is_held_back_is_closed_behind_the_chunks_before_it() {
    let first = r#"{"usageMetadata":{"promptTokenCount":1}}"#;
    let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}"#;
    let body = format!("[{first},{last}]");
    let mut meter = meter(Wire::Gemini);
    let at = meter.read(body.as_bytes()).hold_at.unwrap();
    let ending = String::from_utf8(meter.ending_before_held(SENTENCE).unwrap()).unwrap();
    let whole: Value = serde_json::from_str(&format!("{}{ending}", &body[..at])).unwrap();
    assert_eq!(whole[1]["candidates"][0]["finishReason"], "MAX_TOKENS");
}

#[test]
fn an_array_that_the_provider_ended_is_closed_behind_a_comma_too() {
    let last = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}"#;
    for start in [
        format!("[{last}"),
        format!("[{last},"),
        format!("[{last},\r\n{{\"a"),
    ] {
        let mut meter = meter(Wire::Gemini);
        let at = meter.read(start.as_bytes()).boundary.unwrap();
        let ending = String::from_utf8(meter.ending(SENTENCE).unwrap()).unwrap();
        let whole: Value = serde_json::from_str(&format!("{}{ending}", &start[..at])).unwrap();
        let said = whole.as_array().unwrap();
        assert!(
            said.iter().skip(1).all(|chunk| chunk == &json!({})),
            "{whole}"
        );
    }
}

#[test]
fn a_chat_that_has_said_all_but_done_is_not_turned_into_an_error() {
    let events = short_stream(Wire::OpenaiChat);
    let mut meter = meter(Wire::OpenaiChat);
    meter.read(events[..5].concat().as_bytes());
    assert_eq!(meter.ending(SENTENCE), Some(Vec::new()));
}
