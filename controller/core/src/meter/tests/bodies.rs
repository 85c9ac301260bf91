//! Odd documents and odd layouts.

use bb_proto::usage::Wire;

use super::*;

/// A usage object of the dialect with one number in it, in a whole body.
fn body_with(wire: Wire, number: &str) -> String {
    match wire {
        Wire::AnthropicMessages => {
            format!(r#"{{"type":"message","usage":{{"output_tokens":{number}}}}}"#)
        }
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => {
            format!(r#"{{"choices":[],"usage":{{"completion_tokens":{number}}}}}"#)
        }
        Wire::OpenaiResponses => {
            format!(r#"{{"status":"completed","usage":{{"output_tokens":{number}}}}}"#)
        }
        Wire::Gemini => format!(r#"{{"usageMetadata":{{"candidatesTokenCount":{number}}}}}"#),
    }
}

#[test]
fn only_whole_numbers_that_can_be_counts_are_counts() {
    let counts = [("0", 0), ("7", 7), ("9007199254740992", 1 << 53)];
    let odd = [
        "-1",
        "-0",
        "1.0",
        "1e3",
        "007",
        "\"12\"",
        "9007199254740993",
        "99999999999999999999999999",
        "null",
        "true",
        "[1]",
        "{\"a\":1}",
    ];
    for wire in WIRES {
        for (text, count) in counts {
            let found = read(wire, &body_with(wire, text)).usage().output;
            assert_eq!(found, Some(count), "{wire:?} {text}");
        }
        for text in odd {
            let found = read(wire, &body_with(wire, text)).usage().output;
            assert_eq!(found, None, "{wire:?} {text}");
        }
    }
}

#[test]
fn sums_of_large_counts_do_not_overflow() {
    let most = 1_u64 << 53;
    let pass = format!(r#"{{"type":"compaction","input_tokens":{most},"output_tokens":{most}}}"#);
    let passes = vec![pass; 3000].join(",");
    let body = format!(r#"{{"type":"message","usage":{{"iterations":[{passes}]}}}}"#);
    assert_eq!(
        read(Wire::AnthropicMessages, &body).usage().input,
        Some(u64::MAX)
    );
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    let twice = [
        r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":2},"usage":{"output_tokens":3}}"#,
        r#"{"type":"message","usage":{"output_tokens":2,"output_tokens":3}}"#,
        r#"{"type":"error","type":"message","usage":{"output_tokens":null,"output_tokens":3}}"#,
    ];
    for body in twice {
        let meter = read(Wire::AnthropicMessages, body);
        assert_eq!(
            (meter.usage().input, meter.usage().output),
            (None, Some(3)),
            "{body}"
        );
    }
    let body = r#"{"choices":[],"usage":{"prompt_tokens":1},"usage":null}"#;
    assert!(!read(Wire::OpenaiChat, body).usage().is_stated());
}

#[test]
fn keys_and_names_may_be_written_with_escapes() {
    let body =
        r#"{"\u0074ype":"mess\u0061ge","us\u0061ge":{"output_tokens":3},"model":"a\/b\u00e9"}"#;
    let meter = read(Wire::AnthropicMessages, body);
    assert_eq!(meter.usage().output, Some(3));
    assert!(meter.is_complete());
    assert_eq!(meter.model(), Some("a/bé"));
}

#[test]
fn usage_in_a_string_or_out_of_its_place_is_none() {
    let inner = r#"\"usage\":{\"input_tokens\":5,\"output_tokens\":5,\"prompt_tokens\":5}"#;
    let bodies = [
        format!(r#"{{"content":[{{"text":"{inner}"}}],"x":"\\\",{inner}"}}"#),
        r#"{"x":{"usage":{"input_tokens":5,"prompt_tokens":5}},"y":[{"usage":{"output_tokens":5}}]}"#
            .to_owned(),
        r#"{"metadata":{"usageMetadata":{"promptTokenCount":5}},"input_tokens":5}"#.to_owned(),
    ];
    for wire in WIRES {
        for body in &bodies {
            assert!(!read(wire, body).usage().is_stated(), "{wire:?} {body}");
            assert!(
                !read(wire, &data(body)).usage().is_stated(),
                "{wire:?} {body}"
            );
        }
    }
}

#[test]
fn names_are_kept_up_to_a_bound_and_end_with_a_whole_character() {
    for letter in ["é", "€", "\u{1F600}"] {
        for before in ["", "a", "ab", "abc"] {
            let long = format!("{before}{}", letter.repeat(5000));
            let body = format!(r#"{{"type":"message","model":"{long}","id":"{long}"}}"#);
            let meter = read(Wire::AnthropicMessages, &body);
            for name in [meter.model(), meter.response_id()] {
                let name = name.unwrap();
                assert!(long.starts_with(name), "{name}");
                assert!((125..=128).contains(&name.len()), "{name}");
            }
        }
    }
}

#[test]
fn names_that_are_no_text_take_no_more_than_the_bound() {
    let mut body = br#"{"type":"message","model":""#.to_vec();
    body.extend([0xFF; 200]);
    body.extend(br#""}"#);
    let mut meter = meter(Wire::AnthropicMessages);
    meter.read(&body);
    assert!(meter.model().is_some_and(|name| name.len() <= 128));
}

#[test]
fn what_is_no_json_states_nothing() {
    let broken = [
        r#"{"type":"message","usage":{"output_tokens":3}]}"#,
        r#"{"type":"message" "usage":{"output_tokens":3}}"#,
        r#"{"type":"message","usage":{"output_tokens":3,}}"#,
        r#"{"type":"message","usage":{"output_tokens" 3}}"#,
        r#"{"type":"message","x":tru,"usage":{"output_tokens":3}}"#,
        r#"{"type":"message","x":"\u00g0","usage":{"output_tokens":3}}"#,
        r#"{,"usage":{"output_tokens":3}}"#,
    ];
    for body in broken {
        let meter = read(Wire::AnthropicMessages, &data(body));
        assert!(!meter.usage().is_stated(), "{body}");
        assert!(!meter.is_complete(), "{body}");
    }
}

#[test]
fn deep_documents_are_passed_over() {
    let deep = format!("{}1{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
    let body = format!(r#"{{"type":"message","x":{deep},"usage":{{"output_tokens":3}}}}"#);
    assert_eq!(read(Wire::AnthropicMessages, &body).usage().output, Some(3));
    let unclosed = "[".repeat(1_000_000);
    assert!(!read(Wire::Gemini, &unclosed).usage().is_stated());
}

#[test]
fn a_body_of_fifty_megabytes_is_metered_in_the_memory_of_a_small_one() {
    assert!(size_of::<Meter>() <= 4096, "{} bytes", size_of::<Meter>());
    let mut meter = meter(Wire::OpenaiResponses);
    meter.read(br#"{"status":"completed","output":[{"content":[{"text":""#);
    let text = "a\\\"usage\\\":{".repeat(5000);
    for _ in 0..1000 {
        meter.read(text.as_bytes());
    }
    meter.read(br#""}]}],"usage":{"input_tokens":19,"output_tokens":42}}"#);
    assert_eq!(meter.usage().output, Some(42));
    assert_eq!(meter.flowed_bytes().text, 50_000_000);
}

#[test]
fn lines_may_end_in_three_ways_and_data_may_stand_without_a_space() {
    for wire in WIRES {
        let plain = short_stream(wire).concat();
        for line_end in ["\n", "\r\n", "\r"] {
            let body = plain.replace('\n', line_end).replace("data: ", "data:");
            let body = format!("\u{feff}{line_end}{line_end}{body}");
            let meter = read(wire, &body);
            assert_eq!(meter.usage(), short_usage(wire), "{wire:?} {line_end:?}");
            assert!(meter.is_complete());
        }
    }
}

#[test]
fn a_document_may_be_spread_over_several_data_lines() {
    let spread = "id: 7\ndata: {\"type\":\ndata:\ndata: \"message_delta\",\nretry: 10\n: x\n\
                  data:\"usage\":{\"output_tokens\":1\ndata: }}\n\n";
    assert_eq!(
        read(Wire::AnthropicMessages, spread).usage().output,
        Some(1)
    );
    let torn = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":1\ndata: 2}}\n\n";
    assert_eq!(
        read(Wire::AnthropicMessages, torn).usage().output,
        None,
        "no number spans lines"
    );
}

#[test]
fn the_last_event_counts_without_its_blank_line_and_a_torn_one_makes_the_answer_incomplete() {
    for wire in WIRES {
        let body = short_stream(wire).concat();
        let meter = read(wire, body.trim_end());
        assert_eq!(meter.usage(), short_usage(wire), "{wire:?}");
        assert!(meter.is_complete());
        let torn = format!(
            "{}data: {{\"choices\":[],\"usa",
            short_stream(wire)[..1].concat()
        );
        assert!(!read(wire, &torn).is_complete());
    }
}

#[test]
fn a_body_that_is_torn_keeps_a_usage_object_that_was_whole() {
    for wire in WIRES {
        let body = body_with(wire, "7");
        let torn = body.trim_end_matches('}');
        assert!(
            !read(wire, torn).usage().is_stated(),
            "{wire:?}: the number may go on"
        );
        let meter = read(wire, &format!("{torn}}},\"x\":[1"));
        assert_eq!(meter.usage().output, Some(7), "{wire:?}");
        assert!(!meter.is_complete(), "{wire:?}");
    }
}

#[test]
fn the_body_decides_the_layout_against_its_header() {
    for wire in WIRES {
        let stream = short_stream(wire).concat();
        for framing in [Framing::Json, Framing::JsonArray, Framing::Sse] {
            let mut meter = Meter::new(wire, Some(framing), Quirks::default(), 1);
            meter.read(stream.as_bytes());
            assert_eq!(meter.usage(), short_usage(wire));
            let mut meter = Meter::new(wire, Some(framing), Quirks::default(), 1);
            meter.read(body_with(wire, "7").as_bytes());
            assert_eq!(meter.usage().output, Some(7));
        }
    }
}

#[test]
fn content_types_are_read_with_their_parameters() {
    let framing = |text| Framing::from_content_type(Some(text));
    assert_eq!(framing("text/event-stream"), Some(Framing::Sse));
    assert_eq!(
        framing("Text/Event-Stream;charset=UTF-8"),
        Some(Framing::Sse)
    );
    assert_eq!(
        framing("application/json; charset=utf-8"),
        Some(Framing::Json)
    );
    assert_eq!(framing("application/octet-stream"), None);
    assert_eq!(Framing::from_content_type(None), None);
}

#[test]
fn done_is_seen_however_often_and_oddly_it_is_said() {
    let done = "event: a-long-name-for-a-short-event-indeed\ndata: [DONE]\n\n";
    let long = data(&format!("[DONE]{}", " ".repeat(60)));
    for done in [done.to_owned(), long, "data:[DONE]\n\n".to_owned()] {
        for count in 1..8 {
            let before = data(r#"{"choices":[]}"#);
            let body = format!("{before}{}{}", done.repeat(count), before);
            let mut meter = meter(Wire::OpenaiChat);
            meter.read(body.as_bytes());
            meter.read(done.as_bytes());
            assert!(meter.is_complete(), "{done:?}");
        }
    }
    let spread = "data: [DO\ndata: NE]\n\n";
    assert!(!read(Wire::OpenaiChat, spread).is_complete());
}

/// The documents of a short stream of Responses, a line each.
fn lines() -> String {
    let events = short_stream(Wire::OpenaiResponses);
    let documents = events.iter().filter_map(|event| {
        let (_, data) = event.split_once("data: ")?;
        Some(format!("{}\n", data.trim()))
    });
    documents.collect()
}

#[test]
fn documents_one_after_another_are_a_stream_whether_said_before_or_not() {
    for framing in [Some(Framing::JsonLines), Some(Framing::Json), None] {
        for step in [1, 7, 1_000_000] {
            let mut meter = Meter::new(Wire::OpenaiResponses, framing, Quirks::NONE, 1);
            let mut hold_at = None;
            for (at, piece) in lines().as_bytes().chunks(step).enumerate() {
                let read = meter.read(piece);
                hold_at = hold_at.or(read.hold_at.map(|within| at * step + within));
            }
            meter.finish();
            assert_eq!(
                meter.usage(),
                short_usage(Wire::OpenaiResponses),
                "{framing:?}"
            );
            assert!(meter.is_complete(), "{framing:?} {step}");
            assert!(hold_at.is_some(), "{framing:?} {step}");
        }
    }
}

#[test]
fn messages_are_ended_by_one_message() {
    let mut meter = Meter::new(
        Wire::OpenaiResponses,
        Some(Framing::JsonLines),
        Quirks::NONE,
        1,
    );
    let lines = lines();
    let (first, rest) = lines.split_once('\n').expect("more than a line");
    meter.read(first.as_bytes());
    assert!(meter.at_boundary());
    let ending: serde_json::Value =
        serde_json::from_slice(&meter.ending("over").expect("an ending")).expect("a document");
    assert_eq!(ending["type"], "response.failed");
    assert_eq!(ending["sequence_number"], 1);
    assert_eq!(ending["response"]["id"], "resp_1");
    assert_eq!(ending["response"]["error"]["message"], "over");
    meter.read(b"\n");
    meter.read(rest.as_bytes());
    assert_eq!(meter.ending("over").expect("an ending"), b"");
    let held = meter.ending_before_held("over").expect("an ending");
    assert!(String::from_utf8_lossy(&held).contains("response.failed"));
}

#[test]
fn a_message_that_is_no_document_hides_none_behind_it() {
    for odd in [
        "ping",
        "{\"type\":\"resp",
        "{\"a\":[1,",
        "}",
        "\"text\"",
        "[]",
    ] {
        let mut meter = Meter::new(
            Wire::OpenaiResponses,
            Some(Framing::JsonLines),
            Quirks::NONE,
            1,
        );
        for (at, line) in lines().lines().enumerate() {
            meter.read(line.as_bytes());
            meter.end_message();
            if at == 0 {
                meter.read(odd.as_bytes());
                meter.end_message();
            }
        }
        assert_eq!(meter.usage(), short_usage(Wire::OpenaiResponses), "{odd}");
        assert!(meter.is_complete(), "{odd}");
    }
}
