//! Reads streamed answers as strictly as a client could: what does not fit panics.

use bb_proto::usage::Wire;
use serde_json::Value;

use super::ways::{Form, Way};

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// As the provider ends it.
    Normally,
    /// With an error or a last word that carries this sentence.
    Saying(String),
    /// Not at all.
    Open,
}

/// A piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) is_closed: bool,
}

/// What a stream said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) blocks: Vec<Block>,
    pub(super) ended: Ended,
}

impl Spoken {
    /// Returns all text of all blocks.
    pub(super) fn text(&self) -> String {
        self.blocks
            .iter()
            .map(|block| block.text.as_str())
            .collect()
    }

    fn last(&mut self) -> &mut Block {
        self.blocks.last_mut().expect("a block is open")
    }

    fn push(&mut self, kind: &str) {
        self.blocks.push(Block {
            kind: kind.to_owned(),
            text: String::new(),
            is_closed: false,
        });
    }
}

/// Reads a whole streamed answer.
pub(super) fn read(way: &Way, body: &str) -> Spoken {
    let mut spoken = Spoken {
        blocks: Vec::new(),
        ended: Ended::Open,
    };
    let read: fn(&mut Spoken, Option<&str>, &Value, usize) = match way.wire {
        Wire::AnthropicMessages => messages,
        Wire::OpenaiResponses => responses,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => chat,
        Wire::Gemini => gemini,
    };
    let documents = match way.form {
        Form::Array => array(body),
        Form::Events | Form::Document => events(body),
    };
    for (at, (name, data)) in documents.iter().enumerate() {
        assert_eq!(spoken.ended, Ended::Open, "more after the end: {body}");
        if data == "[DONE]" {
            spoken.ended = Ended::Normally;
            continue;
        }
        let value = serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}"));
        read(&mut spoken, name.as_deref(), &value, at);
    }
    if let (Wire::Gemini, Some(reason)) = (way.wire, documents.last()) {
        let last: Value = serde_json::from_str(&reason.1).expect("read before");
        spoken.ended = ending_of_gemini(&spoken, &last);
    }
    spoken
}

/// Cuts a body into its events: the name and the data of each; nothing may be left over.
fn events(body: &str) -> Vec<(Option<String>, String)> {
    let body = body.replace("\r\n", "\n");
    let Some(body) = body.strip_suffix("\n\n") else {
        assert!(body.is_empty(), "it ends within an event: {body}");
        return Vec::new();
    };
    let event = |event: &str| {
        let (mut name, mut data) = (None, Vec::new());
        for line in event.split('\n') {
            if let Some(value) = line.strip_prefix("event: ") {
                name = Some(value.to_owned());
            } else if let Some(value) = line.strip_prefix("data: ") {
                data.push(value);
            } else {
                panic!("no line of an event: {line:?} in {event:?}");
            }
        }
        (name, data.concat())
    };
    body.split("\n\n").map(event).collect()
}

fn array(body: &str) -> Vec<(Option<String>, String)> {
    let whole: Vec<Value> = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
    whole.iter().map(|it| (None, it.to_string())).collect()
}

fn text_of<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text at {pointer}: {value}"))
}

fn messages(spoken: &mut Spoken, name: Option<&str>, event: &Value, at: usize) {
    let kind = text_of(event, "/type");
    assert_eq!(name, Some(kind), "{event}");
    assert_eq!(at == 0, kind == "message_start", "{event}");
    let index = event.get("index").and_then(Value::as_u64);
    let count = spoken.blocks.len() as u64;
    match kind {
        "content_block_start" => {
            assert_eq!(index, Some(count), "{event}");
            if let Some(before) = spoken.blocks.last() {
                assert!(before.is_closed || before.kind != "text", "{event}");
            }
            spoken.push(text_of(event, "/content_block/type"));
        }
        "content_block_delta" => {
            assert_eq!(index, Some(count - 1), "{event}");
            let (kind, field) = match text_of(event, "/delta/type") {
                "text_delta" => ("text", "/delta/text"),
                "thinking_delta" => ("thinking", "/delta/thinking"),
                "signature_delta" => ("thinking", "/delta/signature"),
                "input_json_delta" => ("tool_use", "/delta/partial_json"),
                other => panic!("{other}"),
            };
            let text = text_of(event, field).to_owned();
            let block = spoken.last();
            assert!(!block.is_closed && block.kind == kind, "{event}: {block:?}");
            block.text.push_str(&text);
        }
        "content_block_stop" => {
            assert_eq!(index, Some(count - 1), "{event}");
            let block = spoken.last();
            assert!(!block.is_closed, "{event}");
            block.is_closed = true;
        }
        "message_start" | "ping" | "message_delta" => {}
        "message_stop" => spoken.ended = Ended::Normally,
        "error" => {
            spoken.ended = Ended::Saying(text_of(event, "/error/message").to_owned());
            assert_eq!(text_of(event, "/error/type"), "billing_error");
        }
        other => panic!("{other} in {event}"),
    }
}

fn responses(spoken: &mut Spoken, name: Option<&str>, event: &Value, at: usize) {
    let kind = text_of(event, "/type");
    assert_eq!(name, Some(kind), "{event}");
    let number = event.get("sequence_number").and_then(Value::as_u64);
    assert_eq!(number, Some(at as u64), "{event}");
    match kind {
        "response.output_text.delta" | "response.function_call_arguments.delta" => {
            if spoken.blocks.is_empty() {
                spoken.push("text");
            }
            let text = text_of(event, "/delta").to_owned();
            spoken.last().text.push_str(&text);
        }
        "response.completed" => spoken.ended = Ended::Normally,
        "response.failed" => {
            assert_eq!(text_of(event, "/response/error/code"), "invalid_prompt");
            assert_eq!(text_of(event, "/response/status"), "failed");
            assert!(text_of(event, "/response/id").starts_with("resp_"));
            let sentence = text_of(event, "/response/error/message");
            spoken.ended = Ended::Saying(sentence.to_owned());
        }
        _ => assert!(kind.starts_with("response."), "{event}"),
    }
}

fn chat(spoken: &mut Spoken, name: Option<&str>, chunk: &Value, _at: usize) {
    assert_eq!(name, None, "{chunk}");
    if let Some(error) = chunk.get("error") {
        assert_eq!(text_of(error, "/code"), "invalid_prompt");
        spoken.ended = Ended::Saying(text_of(error, "/message").to_owned());
        return;
    }
    assert_eq!(text_of(chunk, "/object"), "chat.completion.chunk");
    if spoken.blocks.is_empty() {
        spoken.push("text");
    }
    let delta = chunk.pointer("/choices/0/delta/content");
    if let Some(text) = delta.and_then(Value::as_str) {
        spoken.last().text.push_str(text);
    }
}

fn gemini(spoken: &mut Spoken, name: Option<&str>, chunk: &Value, _at: usize) {
    assert_eq!(name, None, "{chunk}");
    let parts = chunk.pointer("/candidates/0/content/parts");
    for part in parts.and_then(Value::as_array).into_iter().flatten() {
        if let Some(text) = part.get("text").and_then(Value::as_str) {
            spoken.push("text");
            spoken.last().text.push_str(text);
        }
    }
}

/// An ending of ours is a last part of text with a finish reason, and no usage beside it.
fn ending_of_gemini(spoken: &Spoken, last: &Value) -> Ended {
    let reason = last.pointer("/candidates/0/finishReason");
    match (
        reason.and_then(Value::as_str),
        last.get("usageMetadata"),
        spoken.blocks.last(),
    ) {
        (None, _, _) => Ended::Open,
        (Some("MAX_TOKENS"), None, Some(block)) => Ended::Saying(block.text.clone()),
        (Some(_), _, _) => Ended::Normally,
    }
}
