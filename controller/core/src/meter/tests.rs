use bb_proto::usage::{Usage, Wire};

use super::{Framing, Meter, Quirks, Step};

mod bodies;
mod endings;
mod holds;
mod laws;
mod rules;

const WIRES: [Wire; 4] = [
    Wire::AnthropicMessages,
    Wire::OpenaiChat,
    Wire::OpenaiResponses,
    Wire::Gemini,
];

fn meter(wire: Wire) -> Meter {
    Meter::new(wire, None, Quirks::default(), 1)
}

fn stream_meter(wire: Wire) -> Meter {
    Meter::new(wire, Some(Framing::Sse), Quirks::default(), 1)
}

/// Meters a whole body.
fn read(wire: Wire, body: &str) -> Meter {
    let mut meter = meter(wire);
    meter.read(body.as_bytes());
    meter.finish();
    meter
}

fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Usage {
    Usage {
        input: Some(input),
        cache_read: Some(cache_read),
        cache_write: Some(cache_write),
        output: Some(output),
        reasoning: None,
    }
}

/// One event of a stream with a name.
fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// One event of a stream without a name.
fn data(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A whole short stream of each dialect, its events apart.
fn short_stream(wire: Wire) -> Vec<String> {
    match wire {
        Wire::AnthropicMessages => vec![
            event(
                "message_start",
                r#"{"type":"message_start","message":{"id":"msg_1","model":"claude-x","content":[],"usage":{"input_tokens":11,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
            ),
            event(
                "content_block_start",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ),
            event("ping", r#"{"type": "ping"}"#),
            event(
                "content_block_delta",
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hé\n\u00e9 \"usage\":{"}}"#,
            ),
            event(
                "content_block_stop",
                r#"{"type":"content_block_stop","index":0}"#,
            ),
            event(
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}}"#,
            ),
            event("message_stop", r#"{"type":"message_stop"}"#),
        ],
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => vec![
            ": hello\n\n".to_owned(),
            data(
                r#"{"id":"chatcmpl-1","model":"gpt-x","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            ),
            data(
                r#"{"id":"chatcmpl-1","model":"gpt-x","choices":[{"index":0,"delta":{"content":"Hé\n \"usage\":{"},"finish_reason":null}],"usage":null}"#,
            ),
            data(
                r#"{"id":"chatcmpl-1","model":"gpt-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            ),
            data(
                r#"{"id":"chatcmpl-1","model":"gpt-x","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":42,"total_tokens":61,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
            ),
            data("[DONE]"),
        ],
        Wire::OpenaiResponses => vec![
            event(
                "response.created",
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"gpt-x","status":"in_progress","usage":null}}"#,
            ),
            event(
                "response.output_text.delta",
                r#"{"type":"response.output_text.delta","sequence_number":1,"delta":"Hé\n \"usage\":{"}"#,
            ),
            event(
                "response.completed",
                r#"{"type":"response.completed","sequence_number":2,"response":{"id":"resp_1","model":"gpt-x","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hé\n \"usage\":{"}]}],"usage":{"input_tokens":19,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":3},"output_tokens":42}}}"#,
            ),
        ],
        Wire::Gemini => vec![
            data(
                r#"{"candidates":[{"content":{"parts":[{"text":"Hé"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":16,"cachedContentTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":20},"modelVersion":"gemini-x","responseId":"r1"}"#,
            ),
            data(
                r#"{"candidates":[{"content":{"parts":[{"text":"\n \"usage\":{"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":16,"cachedContentTokenCount":5,"candidatesTokenCount":40,"thoughtsTokenCount":2,"totalTokenCount":58},"modelVersion":"gemini-x","responseId":"r1"}"#,
            ),
        ],
    }
}

/// What the short stream states.
fn short_usage(wire: Wire) -> Usage {
    let usage = usage(11, 5, 3, 42);
    match wire {
        Wire::AnthropicMessages | Wire::OpenaiResponses => usage,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => Usage {
            reasoning: Some(0),
            ..usage
        },
        Wire::Gemini => Usage {
            cache_write: None,
            reasoning: Some(2),
            ..usage
        },
    }
}

/// Reads pieces one after another; returns the steps.
fn read_pieces<'a>(meter: &mut Meter, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Step> {
    pieces.into_iter().map(|piece| meter.read(piece)).collect()
}
