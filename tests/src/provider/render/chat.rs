//! OpenAI Chat Completions: unnamed chunks, usage on one last chunk if the request wants it.

use super::{Event, Events, Members, Part, Plan, Stop, lone, quoted};
use crate::provider::request::Form;

const CHUNK: &str = "data: {\"id\":\"chatcmpl-$call\",\"object\":\"chat.completion.chunk\",\"created\":$created,\"model\":$model,\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[$choice]$usage,\"obfuscation\":\"Br0zG82D\"}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ERROR: &str = "data: {\"error\":{\"message\":\"The server had an error while processing your request. Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
const WHOLE: &str = "{\"id\":\"chatcmpl-$call\",\"object\":\"chat.completion\",\"created\":$created,\"model\":$model,\"choices\":[$choices]$usage,\"service_tier\":\"default\",\"system_fingerprint\":null}";

pub(super) fn events(plan: &Plan) -> Vec<Event> {
    if plan.form == Form::Json {
        whole(plan)
    } else {
        stream(plan)
    }
}

pub(super) fn error_event() -> Event {
    lone(ERROR, &[])
}

fn stream(plan: &Plan) -> Vec<Event> {
    let mut chunks = Chunks {
        plan,
        events: Events::default(),
        model: quoted(&plan.model),
    };
    let choices = 0..plan.choices;
    for index in choices.clone() {
        let opening = r#"{"role":"assistant","content":"","refusal":null}"#;
        chunks.push(Part::Frame, &choice(index, opening, "null"));
    }
    let mut sent = plan.thinking.len();
    for piece in &plan.text {
        sent += 1;
        chunks.events.generated = plan.generated(sent);
        for index in choices.clone() {
            let delta = format!(r#"{{"content":{}}}"#, quoted(piece));
            chunks.push(Part::Delta, &choice(index, &delta, "null"));
        }
    }
    if let Some(call) = &plan.tool {
        let name = quoted(&call.name);
        let head = format!(
            r#"{{"tool_calls":[{{"index":0,"id":"call_$call","type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
        );
        chunks.push(Part::Frame, &choice(0, &head, "null"));
        for piece in &call.pieces {
            sent += 1;
            chunks.events.generated = plan.generated(sent);
            let piece = quoted(piece);
            let delta =
                format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{piece}}}}}]}}"#);
            chunks.push(Part::Delta, &choice(0, &delta, "null"));
        }
    }
    chunks.events.generated = plan.usage.output.unwrap_or(0);
    let finish = format!(r#""{}""#, finish_reason(plan.stop));
    for index in choices {
        chunks.push(Part::Frame, &choice(index, "{}", &finish));
    }
    let mut events = chunks.events;
    if plan.include_usage && plan.usage_stated {
        let usage = format!(r#","usage":{}"#, usage_object(plan));
        let chunk = events.push(
            Part::Frame,
            CHUNK,
            &[
                ("created", &plan.created),
                ("model", &quoted(&plan.model)),
                ("choice", &""),
                ("usage", &usage),
            ],
        );
        chunk.stated = Some(plan.usage);
    }
    events.push(Part::Terminal, DONE, &[]);
    events.events
}

/// The chunks that carry a choice: all of them say `"usage":null` where usage was asked for.
#[derive(Debug)]
struct Chunks<'a> {
    plan: &'a Plan,
    events: Events,
    model: String,
}

impl Chunks<'_> {
    fn push(&mut self, part: Part, choice: &str) {
        let usage = if self.plan.include_usage {
            r#","usage":null"#
        } else {
            ""
        };
        self.events.push(
            part,
            CHUNK,
            &[
                ("created", &self.plan.created),
                ("model", &self.model),
                ("choice", &choice),
                ("usage", &usage),
            ],
        );
    }
}

fn choice(index: u64, delta: &str, finish: &str) -> String {
    format!(r#"{{"index":{index},"delta":{delta},"finish_reason":{finish}}}"#)
}

fn whole(plan: &Plan) -> Vec<Event> {
    let content = if plan.text.is_empty() {
        "null".to_owned()
    } else {
        quoted(&plan.text.concat())
    };
    let calls = plan.tool.as_ref().map(|call| {
        let (name, input) = (quoted(&call.name), quoted(&call.input()));
        format!(
            r#"[{{"id":"call_$call","type":"function","function":{{"name":{name},"arguments":{input}}}}}]"#
        )
    });
    let message = Members::default()
        .with("role", r#""assistant""#)
        .with("content", content)
        .maybe("tool_calls", calls)
        .with("refusal", "null")
        .with("annotations", "[]")
        .object();
    let finish = finish_reason(plan.stop);
    let choices: Vec<String> = (0..plan.choices)
        .map(|index| {
            format!(
                r#"{{"index":{index},"message":{message},"logprobs":null,"finish_reason":"{finish}"}}"#
            )
        })
        .collect();
    let usage = if plan.usage_stated {
        format!(r#","usage":{}"#, usage_object(plan))
    } else {
        String::new()
    };
    let mut events = Events {
        generated: plan.usage.output.unwrap_or(0),
        ..Events::default()
    };
    let event = events.push(
        Part::Terminal,
        WHOLE,
        &[
            ("created", &plan.created),
            ("model", &quoted(&plan.model)),
            ("choices", &choices.join(",")),
            ("usage", &usage),
        ],
    );
    event.stated = plan.usage_stated.then_some(plan.usage);
    events.events
}

/// The prompt's count includes what was read from and written to the cache.
fn usage_object(plan: &Plan) -> String {
    let usage = &plan.usage;
    let prompt = [usage.input, usage.cache_read, usage.cache_write]
        .into_iter()
        .flatten()
        .sum::<u64>();
    let output = usage.output.unwrap_or(0);
    let cached = Members::default()
        .maybe("cached_tokens", usage.cache_read)
        .maybe("cache_write_tokens", usage.cache_write)
        .with("audio_tokens", 0)
        .object();
    let reasoning = Members::default()
        .maybe("reasoning_tokens", usage.reasoning)
        .with("audio_tokens", 0)
        .with("accepted_prediction_tokens", 0)
        .with("rejected_prediction_tokens", 0)
        .object();
    Members::default()
        .with("prompt_tokens", prompt)
        .with("completion_tokens", output)
        .with("total_tokens", prompt + output)
        .with("prompt_tokens_details", cached)
        .with("completion_tokens_details", reasoning)
        .object()
}

fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndOfTurn => "stop",
        Stop::ToolCall => "tool_calls",
        Stop::OutputLimit => "length",
    }
}
