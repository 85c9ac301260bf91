//! From where bytes are held back, and where an ending may stand.

use bb_proto::usage::Wire;

use super::*;

/// Which event of the short stream ends the message.
fn ending_event(wire: Wire) -> usize {
    match wire {
        Wire::AnthropicMessages => 6,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => 4,
        Wire::OpenaiResponses => 2,
        Wire::Gemini => 1,
    }
}

#[test]
fn the_event_that_ends_the_message_is_held_from_its_start() {
    for wire in WIRES {
        let events = short_stream(wire);
        let body = events.concat();
        let at = events[..ending_event(wire)].concat().len();
        let step = meter(wire).read(body.as_bytes());
        assert_eq!(step.hold_at, Some(at), "{wire:?}");
        assert_eq!(step.boundary, Some(body.len()), "{wire:?}");
    }
}

#[test]
fn nothing_of_the_end_passes_before_the_hold_at_any_cut() {
    for wire in WIRES {
        let events = short_stream(wire);
        let body = events.concat();
        let begin = events[..ending_event(wire)].concat().len();
        let close = begin + events[ending_event(wire)].trim_end().len();
        for cut in 1..body.len() {
            let (first, second) = body.as_bytes().split_at(cut);
            let steps = read_pieces(&mut meter(wire), [first, second]);
            let expected = if cut >= close {
                [Some(begin), None]
            } else {
                [None, Some(begin.saturating_sub(cut))]
            };
            assert_eq!(
                [steps[0].hold_at, steps[1].hold_at],
                expected,
                "{wire:?} at {cut}"
            );
        }
    }
}

#[test]
fn only_the_first_end_is_held_and_later_usage_still_counts() {
    let body = short_stream(Wire::OpenaiChat).concat();
    let mut meter = meter(Wire::OpenaiChat);
    assert!(meter.read(body.as_bytes()).hold_at.is_some());
    let late = data(r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#);
    assert_eq!(meter.read(late.as_bytes()).hold_at, None);
    assert_eq!(meter.usage().output, Some(6));
}

#[test]
fn a_chat_is_held_at_the_finish_that_carries_its_usage_or_else_where_it_is_done() {
    let text = data(r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#);
    let finish = data(r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#);
    let bare = data(r#"{"choices":[{"finish_reason":"stop"}]}"#);
    let hold = |body: String| meter(Wire::OpenaiChat).read(body.as_bytes()).hold_at;
    assert_eq!(hold(format!("{text}{finish}")), Some(text.len()));
    assert_eq!(hold(format!("{text}{bare}")), None);
    let done = format!("{text}{bare}data: [DONE]\n\n");
    assert_eq!(hold(done), Some(text.len() + bare.len()));
}

#[test]
fn an_error_of_the_provider_is_an_end_that_is_held() {
    for (wire, error) in [
        (Wire::AnthropicMessages, r#"{"type":"error","error":{}}"#),
        (Wire::OpenaiChat, r#"{"error":{}}"#),
        (Wire::OpenaiResponses, r#"{"type":"error"}"#),
        (Wire::Gemini, r#"{"error":{}}"#),
    ] {
        let first = short_stream(wire)[0].clone();
        let step = meter(wire).read(format!("{first}{}", data(error)).as_bytes());
        assert_eq!(step.hold_at, Some(first.len()), "{wire:?}");
    }
}

#[test]
fn a_whole_document_is_held_from_its_start() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
    let (first, second) = body.as_bytes().split_at(20);
    let steps = read_pieces(&mut meter(Wire::OpenaiChat), [first, second]);
    assert_eq!([steps[0].hold_at, steps[1].hold_at], [None, Some(0)]);
    let step = meter(Wire::OpenaiChat).read(format!("\n\n {body}\n").as_bytes());
    assert_eq!(step.hold_at, Some(0), "blanks before it are a part of it");
}

#[test]
fn boundaries_are_between_events_only() {
    for wire in WIRES {
        for line_end in ["\n", "\r\n"] {
            let events: Vec<String> = short_stream(wire)
                .iter()
                .map(|event| event.replace('\n', line_end))
                .collect();
            let body = events.concat();
            let mut between = vec![0];
            for event in &events {
                between.push(between.last().unwrap() + event.len());
            }
            let mut meter = stream_meter(wire);
            for at in 0..body.len() {
                assert_eq!(
                    meter.at_boundary(),
                    between.contains(&at),
                    "{wire:?} at {at}"
                );
                let step = meter.read(&body.as_bytes()[at..=at]);
                assert_eq!(
                    step.boundary == Some(1),
                    meter.at_boundary(),
                    "{wire:?} at {at}"
                );
            }
        }
    }
}

#[test]
fn a_layout_that_is_not_known_has_no_boundary() {
    assert!(!meter(Wire::OpenaiChat).at_boundary());
    let mut html = meter(Wire::OpenaiChat);
    html.read(b"<html>\n\n");
    assert!(!html.at_boundary());
    assert_eq!(html.ending("over"), None);
}
