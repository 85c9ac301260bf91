//! Answers of each dialect: documents from templates, in events, in an array, or alone.

use bb_core::meter::Framing;
use bb_proto::usage::Wire;

use crate::damage::damage;
use crate::random::Random;
use crate::usage::{self, escaped};
use crate::{Input, WIRES};

/// An event: its name and its document, in which `#` is a number, `@` a text, `%` a usage object.
type Template = (&'static str, &'static str);

const ANTHROPIC: &[Template] = &[
    (
        "message_start",
        r#"{"type":"message_start","message":{"id":"@","model":"@","content":[],"usage":%}}"#,
    ),
    (
        "content_block_start",
        r#"{"type":"content_block_start","index":#,"content_block":{"type":"text","text":""}}"#,
    ),
    (
        "content_block_delta",
        r#"{"type":"content_block_delta","index":#,"delta":{"type":"text_delta","text":"@"}}"#,
    ),
    (
        "content_block_delta",
        r#"{"type":"content_block_delta","index":#,"delta":{"type":"thinking_delta","thinking":"@"}}"#,
    ),
    (
        "content_block_stop",
        r#"{"type":"content_block_stop","index":#}"#,
    ),
    ("ping", r#"{"type": "ping"}"#),
    (
        "content_block_start",
        r#"{"type":"content_block_start","index":#,"content_block":{"type":"tool_use","id":"@","input":{}}}"#,
    ),
    (
        "content_block_delta",
        r#"{"type":"content_block_delta","index":#,"delta":{"type":"input_json_delta","partial_json":"@"}}"#,
    ),
    (
        "content_block_stop",
        r#"{"type":"content_block_stop","index":#}"#,
    ),
    (
        "message_delta",
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":%}"#,
    ),
    ("message_stop", r#"{"type":"message_stop"}"#),
    (
        "error",
        r#"{"type":"error","error":{"type":"overloaded_error","message":"@"}}"#,
    ),
    (
        "",
        r#"{"type":"message","id":"@","model":"@","content":[{"type":"text","text":"@"}],"usage":%}"#,
    ),
];
const CHAT: &[Template] = &[
    (
        "",
        r#"{"id":"@","model":"@","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
    ),
    (
        "",
        r#"{"id":"@","model":"@","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"usage":null}"#,
    ),
    (
        "",
        r#"{"id":"c","choices":[{"index":#,"delta":{"reasoning":"@","reasoning_content":"@"}}]}"#,
    ),
    (
        "",
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"@"}}]}}],"usage":%}"#,
    ),
    (
        "",
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    ),
    (
        "",
        r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":%}}"#,
    ),
    ("", r#"{"id":"c","model":"@","choices":[],"usage":%}"#),
    ("", "[DONE]"),
    ("", r#"{"error":{"message":"@"}}"#),
    (
        "",
        r#"{"id":"@","model":"@","choices":[{"index":0,"message":{"content":"@"},"finish_reason":"stop"}],"usage":%}"#,
    ),
];
const RESPONSES: &[Template] = &[
    (
        "response.created",
        r#"{"type":"response.created","sequence_number":#,"response":{"id":"@","model":"@","status":"in_progress","usage":null}}"#,
    ),
    (
        "response.output_text.delta",
        r#"{"type":"response.output_text.delta","sequence_number":#,"item_id":"@","delta":"@"}"#,
    ),
    (
        "response.reasoning_summary_text.delta",
        r#"{"type":"response.reasoning_summary_text.delta","sequence_number":#,"delta":"@"}"#,
    ),
    (
        "response.in_progress",
        r#"{"type":"response.in_progress","sequence_number":#,"response":{"id":"@","usage":%}}"#,
    ),
    (
        "response.completed",
        r#"{"type":"response.completed","sequence_number":#,"response":{"id":"@","model":"@","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"@"}]}],"usage":%}}"#,
    ),
    (
        "response.failed",
        r#"{"type":"response.failed","sequence_number":#,"response":{"id":"@","status":"failed","error":{"code":"x"},"usage":%}}"#,
    ),
    (
        "error",
        r#"{"type":"error","sequence_number":#,"message":"@"}"#,
    ),
    (
        "",
        r#"{"id":"@","object":"response","model":"@","status":"completed","output":[{"content":[{"text":"@"}]}],"usage":%}"#,
    ),
];
const GEMINI: &[Template] = &[
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":"@"}],"role":"model"},"index":0}],"usageMetadata":%,"modelVersion":"@","responseId":"@"}"#,
    ),
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"text":"@","thought":true},{"text":"@"}]}}],"usageMetadata":%}"#,
    ),
    (
        "",
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":"@","b":[#]}}}]},"index":#}]}"#,
    ),
    (
        "",
        r#"{"candidates":[{"finishReason":"STOP","index":0}],"usageMetadata":%,"modelVersion":"@"}"#,
    ),
    (
        "",
        r#"{"response":{"candidates":[{"content":{"parts":[{"text":"@"}]},"finishReason":"STOP"}],"usageMetadata":%}}"#,
    ),
    (
        "",
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":%}"#,
    ),
    ("", r#"{"error":{"code":503,"message":"@"}}"#),
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "The",
    " quick",
    "é",
    "\u{1F600}",
    r"\n",
    r#"\""#,
    r"\\",
    r"\u00e9",
    r"\ud83d\ude00",
    r#"\"usage\":{\"input_tokens\":9}"#,
    "{",
    "}],",
    "data: [DONE]",
    "words of a sentence, ",
    "日本語のテキスト",
];
/// Documents that no dialect has.
const STRANGE: &[&str] = &["null", "7", "[]", "\"x\"", "{}", "[[{}]]"];
const LINE_ENDS: &[&str] = &["\n", "\n", "\r\n", "\r"];

fn templates(wire: Wire) -> &'static [Template] {
    match wire {
        Wire::AnthropicMessages => ANTHROPIC,
        Wire::OpenaiResponses => RESPONSES,
        Wire::Gemini => GEMINI,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => CHAT,
    }
}

fn text(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(4) {
        text.push_str(random.pick(TEXTS));
    }
    if random.one_in(40) {
        text = text.repeat(1 + random.below(60));
    }
    text
}

/// Fills a template in.
fn filled(random: &mut Random, wire: Wire, template: &str) -> String {
    let mut document = String::with_capacity(template.len());
    for part in template.chars() {
        match part {
            '#' => document.push_str(&random.below(12).to_string()),
            '@' => document.push_str(&text(random)),
            '%' => {
                let oddness = random.pick(&[0, 6]);
                document.push_str(&usage::object(random, wire, oddness).odd);
            }
            part => document.push(part),
        }
    }
    document
}

/// Makes events in the order in which they come, some left out, doubled, strange or many times.
fn events(random: &mut Random, wire: Wire) -> Vec<(&'static str, String)> {
    let mut events = Vec::new();
    let keep = 1 + random.below(3);
    for (name, template) in templates(wire) {
        if random.one_in(1 + keep) {
            continue;
        }
        let times = if random.one_in(12) {
            3 + random.below(8)
        } else {
            1
        };
        for _ in 0..times {
            events.push((*name, filled(random, wire, template)));
        }
    }
    if random.one_in(6) {
        let other = random.pick(&WIRES);
        let (name, template) = random.pick(templates(other));
        let at = random.below(events.len() + 1);
        events.insert(at, (name, filled(random, other, template)));
    }
    if random.one_in(6) && events.len() > 1 {
        let (a, b) = (random.below(events.len()), random.below(events.len()));
        events.swap(a, b);
    }
    events
}

/// Appends one event, in one of the ways to write it.
fn push_event(random: &mut Random, out: &mut String, end: &str, name: &str, document: &str) {
    if random.one_in(10) {
        let odd = random.pick(&[
            ": hello",
            "id: 7",
            "retry: 10",
            "data",
            "unknown: x",
            "datas: {",
        ]);
        out.push_str(&format!("{odd}{end}"));
    }
    if !name.is_empty() && !random.one_in(8) {
        out.push_str(&format!("event: {name}{end}"));
    }
    let space = if random.one_in(8) { "" } else { " " };
    let document = if random.one_in(20) {
        document.replace(",\"", &format!(",{end}data:{space}\""))
    } else {
        document.to_owned()
    };
    out.push_str(&format!("data:{space}{document}{end}{end}"));
}

fn finished(random: &mut Random, wire: Wire, framing: Option<Framing>, body: String) -> Input {
    let mut body = body.into_bytes();
    let is_well_formed = random.one_in(2);
    if !is_well_formed {
        damage(random, &mut body);
    } else if random.one_in(2) {
        body.truncate(random.below(body.len() + 1));
    }
    Input {
        wire,
        framing,
        body,
        is_well_formed,
        same: None,
    }
}

/// A stream of server-sent events.
pub(crate) fn stream(random: &mut Random) -> Input {
    let wire = random.pick(&WIRES);
    let end = random.pick(LINE_ENDS);
    let mut body = String::new();
    if random.one_in(10) {
        body.push_str(random.pick(&["\u{feff}", "\n", "\r\n\r\n", "\u{feff}\r\n", "  \n"]));
    }
    for (name, document) in events(random, wire) {
        let end = if random.one_in(60) {
            random.pick(LINE_ENDS)
        } else {
            end
        };
        push_event(random, &mut body, end, name, &document);
    }
    if random.one_in(8) {
        let end = body.trim_end().len();
        body.truncate(end);
    }
    let framing = random.pick(&[None, Some(Framing::Sse)]);
    finished(random, wire, framing, body)
}

/// An array of chunks, which Gemini writes; the other dialects read it too.
pub(crate) fn array(random: &mut Random) -> Input {
    let wire = if random.one_in(4) {
        random.pick(&WIRES)
    } else {
        Wire::Gemini
    };
    let comma = random.pick(&[",", ",\r\n", "\n,\n", " , "]);
    let chunks = documents(random, wire);
    let open = random.pick(&["[", "[\n", " [ ", "\u{feff}["]);
    let body = format!("{open}{}]", chunks.join(comma));
    let framing = random.pick(&[None, Some(Framing::JsonArray), Some(Framing::Json)]);
    finished(random, wire, framing, body)
}

/// Documents one after another: lines, or the messages of a WebSocket, which Responses have.
pub(crate) fn lines(random: &mut Random) -> Input {
    let wire = if random.one_in(4) {
        random.pick(&WIRES)
    } else {
        Wire::OpenaiResponses
    };
    let between = random.pick(&["\n", "\n", "\r\n", "", " \n\n"]);
    let open = random.pick(&["", "", "\n", " ", "\u{feff}"]);
    let body = format!("{open}{}{between}", documents(random, wire).join(between));
    let framing = random.pick(&[None, Some(Framing::JsonLines), Some(Framing::Json)]);
    finished(random, wire, framing, body)
}

fn documents(random: &mut Random, wire: Wire) -> Vec<String> {
    let mut documents: Vec<String> = events(random, wire)
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document != "[DONE]")
        .collect();
    if random.one_in(12) {
        let odd = random.pick(STRANGE);
        let at = random.below(documents.len() + 1);
        documents.insert(at, odd.to_owned());
    }
    documents
}

/// One document whose usage object is odd, and beside it one that states the same plainly.
pub(crate) fn odd_usage(random: &mut Random) -> Input {
    let wire = random.pick(&WIRES);
    let oddness = 2 + random.below(8);
    let usage = usage::object(random, wire, oddness);
    let with_usage = |template: &&Template| template.1.contains('%');
    let choices: Vec<&Template> = templates(wire).iter().filter(with_usage).collect();
    let (name, template) = *random.pick(&choices);
    let template = template.replace(['@', '#'], "0");
    let plain = template.replace('%', &usage.plain);
    let mut odd = template.clone();
    let key = if wire == Wire::Gemini {
        "usageMetadata"
    } else {
        "usage"
    };
    let member = format!("\"{key}\":%");
    let odd_key = escaped(random, key, 2);
    let mut members = String::new();
    if random.one_in(3) {
        // The last of two usage objects counts, whole.
        let before = usage::object(random, wire, 0).odd;
        let before = random.pick(&[before.as_str(), "null", "7", "[]", "{}"]);
        members.push_str(&format!("{odd_key}:{before},"));
    }
    if random.one_in(3) {
        let inner = format!(
            "\"usage\":{0},\"usageMetadata\":{0}",
            usage::object(random, wire, 0).odd
        );
        members.push_str(&format!("\"metadata\":{{{inner}}},"));
    }
    members.push_str(&format!("{odd_key}:{}", usage.odd));
    odd = odd.replace(&member, &members);
    let framing = match wire {
        Wire::Gemini => random.pick(&[Framing::Sse, Framing::Json, Framing::JsonArray]),
        Wire::OpenaiResponses => random.pick(&[Framing::Sse, Framing::Json, Framing::JsonLines]),
        _ => random.pick(&[Framing::Sse, Framing::Json]),
    };
    let around = |document: &str| match framing {
        Framing::Json => document.to_owned(),
        Framing::JsonArray => format!("[{document}]"),
        Framing::JsonLines => format!("{document}\n"),
        Framing::Sse => format!("event: {name}\ndata: {document}\n\n"),
    };
    Input {
        wire,
        framing: Some(framing),
        body: around(&odd).into_bytes(),
        is_well_formed: true,
        same: Some(around(&plain).into_bytes()),
    }
}
