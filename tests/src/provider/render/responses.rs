//! OpenAI Responses: named, numbered events; usage only in the terminal one.

use std::fmt::Display;

use super::{Event, Events, Members, Part, Plan, Stop, lone, quoted};
use crate::provider::request::Form;

const RESPONSE: &str = r#"{"id":"resp_$call","object":"response","created_at":$created,"status":"$status","background":false,"error":$error,"incomplete_details":$incomplete,"instructions":null,"max_output_tokens":null,"max_tool_calls":null,"model":$model,"output":[$output],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":"medium","summary":null},"service_tier":"$tier","store":false,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":1.0,"truncation":"disabled","usage":$usage,"user":null,"metadata":{}}"#;
const OF_RESPONSE: &str = "event: $type\ndata: {\"type\":\"$type\",\"sequence_number\":$number,\"response\":$response}\n\n";
const OF_ITEM: &str = "event: $type\ndata: {\"type\":\"$type\",\"sequence_number\":$number,\"output_index\":$index,\"item\":$item}\n\n";
const OF_PART: &str = "event: $type\ndata: {\"type\":\"$type\",\"sequence_number\":$number,\"item_id\":\"$id\",\"output_index\":$index,$members}\n\n";

pub(super) fn events(plan: &Plan) -> Vec<Event> {
    if plan.form == Form::Json {
        whole(plan)
    } else {
        Stream::new(plan).events()
    }
}

/// The provider's own failure, with the number that is next.
pub(super) fn error_event(plan: &Plan, number: usize) -> Event {
    let error = r#"{"code":"server_error","message":"The server had an error while processing your request."}"#;
    let response = response(plan, "failed", error, "", "null");
    lone(
        OF_RESPONSE,
        &[
            ("type", &"response.failed"),
            ("number", &number),
            ("response", &response),
        ],
    )
}

pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 => "invalid_api_key",
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn whole(plan: &Plan) -> Vec<Event> {
    let output = Items::of(plan).done.join(",");
    let mut events = Events {
        generated: plan.usage.output.unwrap_or(0),
        ..Events::default()
    };
    let event = events.push(
        Part::Terminal,
        "$response",
        &[(
            "response",
            &response(
                plan,
                status(plan.stop),
                "null",
                &output,
                &usage_object(plan),
            ),
        )],
    );
    event.stated = plan.usage_stated.then_some(plan.usage);
    events.events
}

/// The stream in the making: each event has the next number.
#[derive(Debug)]
struct Stream<'a> {
    plan: &'a Plan,
    events: Events,
    number: usize,
    index: usize,
    sent: usize,
}

impl<'a> Stream<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            events: Events::default(),
            number: 0,
            index: 0,
            sent: 0,
        }
    }

    fn events(mut self) -> Vec<Event> {
        let plan = self.plan;
        let items = Items::of(plan);
        let begun = response(plan, "in_progress", "null", "", "null");
        self.push(
            Part::Frame,
            "response.created",
            OF_RESPONSE,
            &[("response", &begun)],
        );
        self.push(
            Part::Frame,
            "response.in_progress",
            OF_RESPONSE,
            &[("response", &begun)],
        );
        let mut done = items.done.iter();
        if !plan.thinking.is_empty()
            && let Some(item) = done.next()
        {
            self.reasoning(item);
        }
        if !plan.text.is_empty()
            && let Some(item) = done.next()
        {
            self.message(item);
        }
        if let (Some(call), Some(item)) = (&plan.tool, done.next()) {
            self.call(&call.name, &call.pieces, item);
        }
        let status = status(plan.stop);
        let ended = response(
            plan,
            status,
            "null",
            &items.done.join(","),
            &usage_object(plan),
        );
        self.events.generated = plan.usage.output.unwrap_or(0);
        let kind = format!("response.{status}");
        let event = self.push(Part::Terminal, &kind, OF_RESPONSE, &[("response", &ended)]);
        event.stated = plan.usage_stated.then_some(plan.usage);
        self.events.events
    }

    fn reasoning(&mut self, done: &str) {
        let added = r#"{"id":"rs_$call","type":"reasoning","summary":[]}"#;
        self.item("response.output_item.added", added);
        let part = r#""summary_index":0,"part":{"type":"summary_text","text":""}"#;
        self.part("response.reasoning_summary_part.added", "rs", part);
        for piece in &self.plan.thinking {
            let delta = format!(r#""summary_index":0,"delta":{}"#, quoted(piece));
            self.delta("response.reasoning_summary_text.delta", "rs", &delta);
        }
        let text = quoted(&self.plan.thinking.concat());
        let said = format!(r#""summary_index":0,"text":{text}"#);
        self.part("response.reasoning_summary_text.done", "rs", &said);
        let part = format!(r#""summary_index":0,"part":{{"type":"summary_text","text":{text}}}"#);
        self.part("response.reasoning_summary_part.done", "rs", &part);
        self.item("response.output_item.done", done);
        self.index += 1;
    }

    fn message(&mut self, done: &str) {
        let added = r#"{"id":"msg_$call","type":"message","status":"in_progress","content":[],"role":"assistant"}"#;
        self.item("response.output_item.added", added);
        let part = r#""content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#;
        self.part("response.content_part.added", "msg", part);
        for piece in &self.plan.text {
            let delta = format!(
                r#""content_index":0,"delta":{},"logprobs":[],"obfuscation":"kx8Zt""#,
                quoted(piece)
            );
            self.delta("response.output_text.delta", "msg", &delta);
        }
        let text = quoted(&self.plan.text.concat());
        let said = format!(r#""content_index":0,"text":{text},"logprobs":[]"#);
        self.part("response.output_text.done", "msg", &said);
        let part = format!(
            r#""content_index":0,"part":{{"type":"output_text","annotations":[],"logprobs":[],"text":{text}}}"#
        );
        self.part("response.content_part.done", "msg", &part);
        self.item("response.output_item.done", done);
        self.index += 1;
    }

    fn call(&mut self, name: &str, pieces: &[String], done: &str) {
        self.item(
            "response.output_item.added",
            &call_item("in_progress", name, ""),
        );
        for piece in pieces {
            let delta = format!(r#""delta":{}"#, quoted(piece));
            self.delta("response.function_call_arguments.delta", "fc", &delta);
        }
        let said = format!(r#""arguments":{}"#, quoted(&pieces.concat()));
        self.part("response.function_call_arguments.done", "fc", &said);
        self.item("response.output_item.done", done);
        self.index += 1;
    }

    fn item(&mut self, kind: &str, item: &str) {
        let index = self.index;
        self.push(
            Part::Frame,
            kind,
            OF_ITEM,
            &[("index", &index), ("item", &item)],
        );
    }

    fn part(&mut self, kind: &str, prefix: &str, members: &str) {
        self.push_part(Part::Frame, kind, prefix, members);
    }

    fn delta(&mut self, kind: &str, prefix: &str, members: &str) {
        self.sent += 1;
        self.events.generated = self.plan.generated(self.sent);
        self.push_part(Part::Delta, kind, prefix, members);
    }

    fn push_part(&mut self, part: Part, kind: &str, prefix: &str, members: &str) {
        let index = self.index;
        let id = format!("{prefix}_$call");
        let values: [(&str, &dyn Display); 3] =
            [("id", &id), ("index", &index), ("members", &members)];
        self.push(part, kind, OF_PART, &values);
    }

    fn push(
        &mut self,
        part: Part,
        kind: &str,
        template: &str,
        values: &[(&str, &dyn Display)],
    ) -> &mut Event {
        let number = self.number;
        self.number += 1;
        let mut all: Vec<(&str, &dyn Display)> = vec![("type", &kind), ("number", &number)];
        all.extend_from_slice(values);
        self.events.push(part, template, &all)
    }
}

/// The finished output items, in their order.
#[derive(Debug)]
struct Items {
    done: Vec<String>,
}

impl Items {
    fn of(plan: &Plan) -> Self {
        let mut done = Vec::new();
        if !plan.thinking.is_empty() {
            let text = quoted(&plan.thinking.concat());
            done.push(format!(
                r#"{{"id":"rs_$call","type":"reasoning","summary":[{{"type":"summary_text","text":{text}}}]}}"#
            ));
        }
        if !plan.text.is_empty() {
            let text = quoted(&plan.text.concat());
            let status = status(plan.stop);
            done.push(format!(
                r#"{{"id":"msg_$call","type":"message","status":"{status}","content":[{{"type":"output_text","annotations":[],"logprobs":[],"text":{text}}}],"role":"assistant"}}"#
            ));
        }
        if let Some(call) = &plan.tool {
            done.push(call_item("completed", &call.name, &call.input()));
        }
        Self { done }
    }
}

fn call_item(status: &str, name: &str, arguments: &str) -> String {
    let (name, arguments) = (quoted(name), quoted(arguments));
    format!(
        r#"{{"id":"fc_$call","type":"function_call","status":"{status}","arguments":{arguments},"call_id":"call_$call","name":{name}}}"#
    )
}

fn response(plan: &Plan, status: &str, error: &str, output: &str, usage: &str) -> String {
    let incomplete = if status == "incomplete" {
        r#"{"reason":"max_output_tokens"}"#
    } else {
        "null"
    };
    let tier = if status == "in_progress" {
        "auto"
    } else {
        "default"
    };
    RESPONSE
        .replace("$created", &plan.created.to_string())
        .replace("$status", status)
        .replace("$error", error)
        .replace("$incomplete", incomplete)
        .replace("$tier", tier)
        .replace("$usage", usage)
        .replace("$model", &quoted(&plan.model))
        .replace("$output", output)
}

/// The input's count includes what was read from and written to the cache.
fn usage_object(plan: &Plan) -> String {
    if !plan.usage_stated {
        return "null".to_owned();
    }
    let usage = &plan.usage;
    let input = [usage.input, usage.cache_read, usage.cache_write]
        .into_iter()
        .flatten()
        .sum::<u64>();
    let output = usage.output.unwrap_or(0);
    let cached = Members::default()
        .maybe("cache_write_tokens", usage.cache_write)
        .maybe("cached_tokens", usage.cache_read)
        .object();
    let reasoning = Members::default()
        .maybe("reasoning_tokens", usage.reasoning)
        .object();
    Members::default()
        .with("input_tokens", input)
        .with("input_tokens_details", cached)
        .with("output_tokens", output)
        .with("output_tokens_details", reasoning)
        .with("total_tokens", input + output)
        .object()
}

fn status(stop: Stop) -> &'static str {
    match stop {
        Stop::EndOfTurn | Stop::ToolCall => "completed",
        Stop::OutputLimit => "incomplete",
    }
}
