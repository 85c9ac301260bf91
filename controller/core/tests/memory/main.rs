//! What a meter takes of memory, measured: its own size and all that it has of the heap at once.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "sums of small sizes, and a test says what it measured"
)]

use bb_core::meter::{Framing, Meter, Quirks};
use bb_proto::usage::{Usage, Wire};

mod counting;

use counting::Measure;

/// What one stream may take, in bytes.
const BYTES_MAX: usize = 8 << 10;
/// Bytes given at once: what a socket read gives.
const CHUNK_BYTES: usize = 16 << 10;
const MEGABYTE: usize = 1_000_000;

const WIRES: [Wire; 5] = [
    Wire::AnthropicMessages,
    Wire::OpenaiChat,
    Wire::OpenaiEmbeddings,
    Wire::OpenaiResponses,
    Wire::Gemini,
];

/// Meters a body and checks what that took; `pieces` are each given so many times in a row.
fn metered(what: &str, wire: Wire, framing: Framing, pieces: &[(&str, usize)]) -> Meter {
    let measure = Measure::begin();
    let mut meter = Meter::new(wire, Some(framing), Quirks::NONE, 1);
    for (piece, times) in pieces {
        for _ in 0..*times {
            for chunk in piece.as_bytes().chunks(CHUNK_BYTES) {
                meter.read(chunk);
            }
        }
    }
    meter.finish();
    let took = size_of::<Meter>() + measure.peak();
    println!("{took:>6} bytes: {wire:?} {framing:?}, {what}");
    assert!(
        took <= BYTES_MAX,
        "{wire:?} {framing:?}, {what}: {took} bytes"
    );
    meter
}

/// One document of each dialect that states 7 tokens of output and ends the answer, in two
/// halves: between them stands any other member.
fn halves(wire: Wire) -> [&'static str; 2] {
    match wire {
        Wire::AnthropicMessages => [
            r#"{"type":"message","#,
            r#","usage":{"input_tokens":5,"output_tokens":7}}"#,
        ],
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => [
            r#"{"choices":[{"index":0,"finish_reason":"stop"}],"#,
            r#","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#,
        ],
        Wire::OpenaiResponses => [
            r#"{"type":"response.completed","status":"completed","#,
            r#","usage":{"input_tokens":5,"output_tokens":7}}"#,
        ],
        Wire::Gemini => [
            r#"{"candidates":[{"index":0,"finishReason":"STOP"}],"#,
            r#","usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}"#,
        ],
    }
}

/// The framings of a dialect.
fn framings(wire: Wire) -> &'static [Framing] {
    match wire {
        Wire::Gemini => &[Framing::Sse, Framing::Json, Framing::JsonArray],
        Wire::OpenaiResponses => &[Framing::Sse, Framing::Json, Framing::JsonLines],
        _ => &[Framing::Sse, Framing::Json],
    }
}

/// What stands around a document.
fn around(framing: Framing) -> [&'static str; 2] {
    match framing {
        Framing::Sse => ["data: ", "\n\n"],
        Framing::JsonArray => ["[", "]"],
        Framing::JsonLines => ["", "\n"],
        Framing::Json => ["", ""],
    }
}

fn check_output(meter: &Meter) {
    let expected = (Some(5), Some(7));
    assert_eq!((meter.usage().input, meter.usage().output), expected);
    assert!(meter.is_complete());
}

/// Meters one document with a member in its middle, in every dialect and framing.
fn document(what: &str, member: &[(&str, usize)]) {
    for wire in WIRES {
        for &framing in framings(wire) {
            let [first, last] = halves(wire);
            let [before, behind] = around(framing);
            let mut pieces = vec![(before, 1), (first, 1)];
            // Bodies come longer than events.
            let most = if framing == Framing::Sse { 10 } else { 50 };
            pieces.extend(
                member
                    .iter()
                    .map(|(piece, times)| (*piece, *times.min(&most))),
            );
            pieces.extend([(last, 1), (behind, 1)]);
            check_output(&metered(what, wire, framing, &pieces));
        }
    }
}

#[test]
fn an_event_or_body_of_many_megabytes_takes_no_more_than_a_small_one() {
    let text = r#"words, \"usage\":{ and \u00e9 "#.repeat(MEGABYTE / 28);
    let numbers = "-0.01234567,".repeat(MEGABYTE / 12);
    document(
        "a string of many megabytes",
        &[(r#""x":""#, 1), (&text, 50), (r#"""#, 1)],
    );
    document(
        "an array of many megabytes",
        &[(r#""x":["#, 1), (&numbers, 50), ("0]", 1)],
    );
}

#[test]
fn generated_text_of_many_megabytes_takes_no_more_than_a_short_one() {
    let text = r"words, \u00e9 ".repeat(MEGABYTE / 14);
    for (wire, first) in [
        (Wire::AnthropicMessages, r#""content":[{"text":""#),
        (Wire::OpenaiChat, r#""choices":[{"message":{"content":""#),
        (Wire::OpenaiResponses, r#""output":[{"arguments":""#),
        (Wire::Gemini, r#""parts":[{"text":""#),
    ] {
        let [head, last] = halves(wire);
        let close = if wire == Wire::OpenaiChat {
            r#""}}]"#
        } else {
            r#""}]"#
        };
        let pieces = [(head, 1), (first, 1), (&text, 50), (close, 1), (last, 1)];
        check_output(&metered("50 MB of text", wire, Framing::Json, &pieces));
    }
}

#[test]
fn deep_nesting_takes_no_more_than_a_flat_document() {
    let opening = r#"[{"a":"#.repeat(10_000);
    let closing = "}]".repeat(10_000);
    let member = [(r#""x":"#, 1), (&opening, 10), ("1", 1), (&closing, 10)];
    document("100,000 containers in each other", &member);
    let delta = [
        (r#""delta":"#, 1),
        (&*opening, 10),
        ("1", 1),
        (&*closing, 10),
    ];
    document("100,000 containers that are counted", &delta);
}

#[test]
fn names_of_a_megabyte_take_no_more_than_their_bound() {
    for letter in ["n", "é", "€", "\u{1F600}", "\\u00e9", "\\ud83d"] {
        let long = letter.repeat(MEGABYTE / letter.len());
        for member in ["id", "model", "modelVersion", "responseId"] {
            let open = format!(r#""{member}":""#);
            document(
                &format!("{member} of 1 MB"),
                &[(&open, 1), (&long, 1), ("\"", 1)],
            );
        }
    }
}

/// An event of a stream in each dialect, of about so many bytes, with a number to tell it apart.
fn event(wire: Wire, number: usize, bytes: usize) -> String {
    let text = "w ".repeat(bytes / 2);
    let data = match wire {
        Wire::AnthropicMessages => format!(
            r#"{{"type":"content_block_delta","index":0,"key{number}":1,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
        ),
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => format!(
            r#"{{"id":"chatcmpl-1","model":"gpt-x","key{number}":1,"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}],"usage":null}}"#
        ),
        Wire::OpenaiResponses => format!(
            r#"{{"type":"response.output_text.delta","sequence_number":1,"key{number}":1,"item_id":"msg_1","delta":"{text}"}}"#
        ),
        Wire::Gemini => format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}},"index":0}}],"key{number}":1,"modelVersion":"gemini-x"}}"#
        ),
    };
    format!("data: {data}\n\n")
}

#[test]
fn a_stream_of_many_events_takes_no_more_than_a_short_one() {
    for wire in WIRES {
        let [first, last] = halves(wire);
        let end = format!("data: {first}\"x\":1{last}\n\n");
        // Such as repeat, and such as repeat for a while and never again, up to the longest of
        // which a shape is kept.
        for bytes in [4, 300, 700, 800] {
            let same = event(wire, 0, bytes);
            let pieces = [(&*same, 200_000), (&end, 1)];
            let what = format!("200,000 events with {bytes} bytes of text");
            let meter = metered(&what, wire, Framing::Sse, &pieces);
            check_output(&meter);
            assert!(meter.flowed_bytes().text >= 800_000);
        }
        for bytes in [4, 400, 780] {
            let kinds: Vec<String> = (0..200).map(|kind| event(wire, kind, bytes)).collect();
            let mut pieces: Vec<(&str, usize)> = kinds.iter().map(|kind| (&**kind, 40)).collect();
            pieces.push((&end, 1));
            let what = format!("200 kinds of events with {bytes} bytes of text");
            check_output(&metered(&what, wire, Framing::Sse, &pieces));
        }
    }
}

#[test]
fn events_of_nothing_but_members_take_no_more_than_others() {
    for wire in WIRES {
        let [first, last] = halves(wire);
        let end = format!("data: {first}\"x\":1{last}\n\n");
        for member in [
            r#""model":"m","#,
            r#""a":1,"#,
            r#""a":"","#,
            r#""error":null,"#,
        ] {
            let members = member.repeat(950 / member.len());
            let odd = format!("data: {{{members}\"z\":0}}\n\n");
            let what = format!("1,000 events of {member}");
            let pieces = [(&*odd, 1000), (&end, 1)];
            metered(&what, wire, Framing::Sse, &pieces);
        }
    }
}

/// An event of whose shape as much is kept as may be.
fn heavy(kind: usize) -> String {
    let heard = r#""id":"m","#.repeat(28);
    let passed = r#""x":0,"#.repeat(15);
    let rest = "k".repeat(150);
    format!("data: {{\"kind{kind}\":null,{heard}{passed}\"{rest}\":null}}\n\n")
}

#[test]
fn an_array_of_fifty_megabytes_takes_no_more_than_a_small_one() {
    let chunk = event(Wire::Gemini, 0, 400);
    let chunk = chunk.trim_start_matches("data: ").trim_end();
    let many = format!("{chunk},\r\n").repeat(100);
    let [first, last] = halves(Wire::Gemini);
    let end = format!("{first}\"x\":1{last}]");
    let times = 50 * MEGABYTE / many.len();
    let pieces = [("[", 1), (&*many, times), (&end, 1)];
    let meter = metered("50 MB", Wire::Gemini, Framing::JsonArray, &pieces);
    check_output(&meter);
}

#[test]
fn a_connection_of_many_messages_takes_no_more_than_one_of_few() {
    let message = event(Wire::OpenaiResponses, 0, 400);
    let message = message.trim_start_matches("data: ").trim_end();
    let message = format!("{message}\n");
    let [first, last] = halves(Wire::OpenaiResponses);
    let end = format!("{first}\"x\":1{last}\n");
    for framing in [Framing::JsonLines, Framing::Json] {
        let pieces = [(&*message, 200_000), (&*end, 1)];
        let meter = metered("200,000 messages", Wire::OpenaiResponses, framing, &pieces);
        check_output(&meter);
    }
}

#[test]
fn ten_thousand_other_models_are_bounded_and_lose_no_token() {
    let model = |number: usize| {
        let name = format!("{number:05}{}", "é".repeat(70));
        format!(
            r#"{{"type":"advisor_message","model":"{name}","input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3}},"#
        )
    };
    let many: String = (0..10_000).map(model).collect();
    let usage = format!(
        r#""usage":{{"input_tokens":5,"output_tokens":7,"iterations":[{many}{{"type":"message"}}]}}"#
    );
    let delta = format!("data: {{\"type\":\"message_delta\",{usage}}}\n\n");
    let heavy: Vec<String> = (0..6).map(heavy).collect();
    let mut pieces = Vec::new();
    // It is cumulative, and so may come again.
    for kinds in heavy.chunks(3) {
        pieces.extend(kinds.iter().map(|kind| (&**kind, 40)));
        pieces.push((&*delta, 3));
    }
    pieces.push(("data: {\"type\":\"message_stop\"}\n\n", 1));
    let what = "10,000 other models";
    let meter = metered(what, Wire::AnthropicMessages, Framing::Sse, &pieces);
    check_output(&meter);
    let others = meter.other_models();
    assert!(others.len() <= 8);
    let outputs = others
        .iter()
        .filter_map(|(_, usage): &(String, Usage)| usage.output);
    assert_eq!(outputs.sum::<u64>(), 20_000);
}
