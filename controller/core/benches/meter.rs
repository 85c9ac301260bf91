//! How fast answers are metered, beside a search for line ends and a full parse of the same, and
//! what the meter takes of memory.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a bench measures time, prints, and may fail"
)]

use std::hint::black_box;
use std::time::Instant;

use bb_core::meter::{Meter, Quirks};
use bb_proto::usage::Wire;

#[path = "../tests/memory/counting.rs"]
mod counting;

use counting::Measure;

/// Bytes of each stream.
const STREAM_BYTES: usize = 16 << 20;
/// Bytes given at once: what a socket read gives.
const CHUNK_BYTES: usize = 16 << 10;
/// The best of so many rounds counts.
const ROUNDS: usize = 5;

fn main() {
    println!(
        "{:<36} {:>10} {:>10} {:>10} {:>14}",
        "MB/s", "meter", "memchr", "serde_json", "meter's bytes"
    );
    for (name, wire, stream) in streams() {
        let measure = Measure::begin();
        run(wire, &stream);
        let bytes = measure.peak().saturating_add(size_of::<Meter>());
        let meter = best(&stream, |stream| run(wire, stream));
        let memchr = best(&stream, |stream| {
            black_box(memchr::memchr_iter(b'\n', black_box(stream)).count());
        });
        let serde = best(&stream, |stream| {
            for line in black_box(stream).split(|byte| *byte == b'\n') {
                let data = line.strip_prefix(b"data: ").unwrap_or(line);
                black_box(serde_json::from_slice::<serde_json::Value>(data).ok());
            }
        });
        println!("{name:<36} {meter:>10.0} {memchr:>10.0} {serde:>10.0} {bytes:>14}");
    }
}

/// Meters a whole answer.
fn run(wire: Wire, stream: &[u8]) {
    let mut meter = Meter::new(wire, None, Quirks::default(), 1);
    for chunk in stream.chunks(CHUNK_BYTES) {
        black_box(meter.read(black_box(chunk)));
    }
    meter.finish();
    black_box(meter.usage());
}

fn best(stream: &[u8], run: impl Fn(&[u8])) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        run(stream);
        stream.len() as f64 / 1e6 / start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(rate).fold(0.0, f64::max)
}

fn streams() -> Vec<(&'static str, Wire, Vec<u8>)> {
    let small = [
        "The",
        " quick",
        " brown",
        " fox\\n",
        " jumps",
        " over \\\"it\\\"",
        " and",
        " on",
    ];
    let long = "words of a sentence that goes on for a while, ".repeat(8);
    let long = [long.as_str()];
    vec![
        (
            "anthropic, a word an event",
            Wire::AnthropicMessages,
            anthropic(&small),
        ),
        (
            "anthropic, 370 bytes an event",
            Wire::AnthropicMessages,
            anthropic(&long),
        ),
        ("chat, a word an event", Wire::OpenaiChat, chat(&small)),
        (
            "responses, a word an event",
            Wire::OpenaiResponses,
            responses(&small),
        ),
        ("gemini, 370 bytes an event", Wire::Gemini, gemini(&long)),
        (
            "chat, one document of text",
            Wire::OpenaiChat,
            document("\"A line of it.\\n\","),
        ),
        (
            "chat, one document of numbers",
            Wire::OpenaiChat,
            document("-0.01234567,"),
        ),
        (
            "responses, a document of 50 MB",
            Wire::OpenaiResponses,
            whole_response(50),
        ),
        (
            "responses, repeating 5 MB at its end",
            Wire::OpenaiResponses,
            repeating(5),
        ),
    ]
}

/// One response with so many megabytes of text before its usage.
fn whole_response(megabytes: usize) -> Vec<u8> {
    let line = r#"words of a sentence, \n and a \"quoted\" word; "#;
    let lines = 1_000_000_usize.checked_div(line.len()).unwrap();
    let text = line.repeat(lines.checked_mul(megabytes).unwrap());
    let document = format!(
        r#"{{"id":"resp_1","object":"response","status":"completed","output":[{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}],"usage":{{"input_tokens":12,"output_tokens":34}}}}"#
    );
    document.into_bytes()
}

/// A stream whose last event repeats so many megabytes of text.
fn repeating(megabytes: usize) -> Vec<u8> {
    let response = String::from_utf8(whole_response(megabytes)).unwrap();
    let event = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\
         \"sequence_number\":9,\"response\":{response}}}\n\n"
    );
    event.into_bytes()
}

fn document(item: &str) -> Vec<u8> {
    let tail = "0]}],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}";
    stream("{\"data\":[{\"embedding\":[", tail, |_| item.to_owned())
}

fn stream(head: &str, tail: &str, event: impl Fn(usize) -> String) -> Vec<u8> {
    let mut out = head.as_bytes().to_vec();
    let mut at = 0;
    while out.len() < STREAM_BYTES {
        out.extend_from_slice(event(at).as_bytes());
        at = at.checked_add(1).unwrap();
    }
    out.extend_from_slice(tail.as_bytes());
    out
}

fn word<'a>(words: &[&'a str], at: usize) -> &'a str {
    words
        .iter()
        .cycle()
        .nth(at.checked_rem(words.len()).unwrap())
        .unwrap()
}

fn anthropic(words: &[&str]) -> Vec<u8> {
    let head = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"model":"claude-sonnet-4-6","id":"msg_01","#,
        r#""type":"message","role":"assistant","content":[],"usage":{"input_tokens":1051,"#,
        r#""cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":35}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"#,
        r#""content_block":{"type":"text","text":""}}"#,
        "\n\n",
    );
    let tail = concat!(
        "event: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"#,
        r#""usage":{"output_tokens":3391}}"#,
        "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    stream(head, tail, |at| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
            word(words, at)
        )
    })
}

fn chat(words: &[&str]) -> Vec<u8> {
    let chunk = |delta: &str, finish: &str, more: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-DIgT8uutnE74Hkbz58UQlsTBXbznJ\",\
             \"object\":\"chat.completion.chunk\",\"created\":1773345526,\
             \"model\":\"gpt-5-2025-08-07\",\"service_tier\":\"default\",\
             \"system_fingerprint\":null,\"choices\":[{{\"index\":0,\"delta\":{delta},\
             \"finish_reason\":{finish}}}],{more}}}\n\n"
        )
    };
    let tail = chunk(
        "{}",
        "\"stop\"",
        "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":7}",
    );
    stream("", &format!("{tail}data: [DONE]\n\n"), |at| {
        let pad = "rgqfF81tArLindDOg";
        let pad = &pad.get(..at.checked_rem(9).unwrap()).unwrap();
        let more = format!("\"usage\":null,\"obfuscation\":\"{pad}\"");
        chunk(
            &format!("{{\"content\":\"{}\"}}", word(words, at)),
            "null",
            &more,
        )
    })
}

fn responses(words: &[&str]) -> Vec<u8> {
    let tail = concat!(
        "event: response.completed\n",
        r#"data: {"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","#,
        r#""status":"completed","usage":{"input_tokens":12,"output_tokens":34}}}"#,
        "\n\n",
    );
    stream("", tail, |at| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\
             \"sequence_number\":{at},\"item_id\":\"msg_078b21da0e109d4800699cc4c6b1ac81\",\
             \"output_index\":0,\"content_index\":0,\"delta\":\"{}\",\"logprobs\":[]}}\n\n",
            word(words, at)
        )
    })
}

fn gemini(words: &[&str]) -> Vec<u8> {
    stream("", "", |at| {
        format!(
            "data: {{\"candidates\": [{{\"content\": {{\"parts\": [{{\"text\": \"{}\"}}],\
             \"role\": \"model\"}},\"index\": 0}}],\"usageMetadata\": {{\"promptTokenCount\": 32,\
             \"candidatesTokenCount\": {at},\"totalTokenCount\": 294,\"promptTokensDetails\": \
             [{{\"modality\": \"TEXT\",\"tokenCount\": 32}}],\"thoughtsTokenCount\": 240}},\
             \"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"mSEXaseKG\"}}\r\n\r\n",
            word(words, at)
        )
    })
}
