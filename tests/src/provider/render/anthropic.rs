//! Anthropic Messages: named events, cumulative usage at the start and in the last delta.

use bb_proto::usage::Usage;

use super::{Event, Events, Members, Part, Plan, Stop, lone, quoted, sealed};
use crate::provider::request::Form;

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":$model,\"id\":\"msg_$call\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null$usage}}\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const BLOCK: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":$index,\"content_block\":$block}\n\n";
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":$index,\"delta\":$delta}\n\n";
const BLOCK_END: &str =
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":$index}\n\n";
const END: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"$stop\",\"stop_sequence\":null,\"stop_details\":null}$usage}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
const WHOLE: &str = "{\"model\":$model,\"id\":\"msg_$call\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[$content],\"stop_reason\":\"$stop\",\"stop_sequence\":null,\"stop_details\":null$usage}";

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

pub(super) fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn stream(plan: &Plan) -> Vec<Event> {
    let mut events = Events::default();
    // The provider begins with a placeholder of a token or two.
    let placeholder = Usage {
        output: plan.usage.output.map(|output| output.min(1)),
        reasoning: None,
        ..plan.usage
    };
    let start = events.push(
        Part::Frame,
        START,
        &[
            ("model", &quoted(&plan.model)),
            ("usage", &usage_member(plan, &placeholder, true)),
        ],
    );
    start.stated = plan.usage_stated.then_some(placeholder);
    let mut sent = 0;
    let mut index = 0;
    if !plan.thinking.is_empty() {
        let block = r#"{"type":"thinking","thinking":"","signature":""}"#;
        let deltas = plan.thinking.iter().map(|piece| {
            format!(
                r#"{{"type":"thinking_delta","thinking":{}}}"#,
                quoted(piece)
            )
        });
        let signature = r#"{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}"#;
        open(&mut events, index, block);
        push_deltas(&mut events, plan, &mut sent, index, deltas);
        events.push(
            Part::Frame,
            DELTA,
            &[("index", &index), ("delta", &signature)],
        );
        events.push(Part::Frame, BLOCK_END, &[("index", &index)]);
        index += 1;
    }
    if !plan.text.is_empty() {
        let deltas = plan
            .text
            .iter()
            .map(|piece| format!(r#"{{"type":"text_delta","text":{}}}"#, quoted(piece)));
        open(&mut events, index, r#"{"type":"text","text":""}"#);
        push_deltas(&mut events, plan, &mut sent, index, deltas);
        events.push(Part::Frame, BLOCK_END, &[("index", &index)]);
        index += 1;
    }
    if let Some(call) = &plan.tool {
        let name = quoted(&call.name);
        let block =
            format!(r#"{{"type":"tool_use","id":"toolu_$call","name":{name},"input":{{}}}}"#);
        let deltas = call.pieces.iter().map(|piece| {
            format!(
                r#"{{"type":"input_json_delta","partial_json":{}}}"#,
                quoted(piece)
            )
        });
        open(&mut events, index, &block);
        push_deltas(&mut events, plan, &mut sent, index, deltas);
        events.push(Part::Frame, BLOCK_END, &[("index", &index)]);
    }
    events.generated = plan.usage.output.unwrap_or(0);
    let end = events.push(
        Part::Frame,
        END,
        &[
            ("stop", &stop_reason(plan.stop)),
            ("usage", &usage_member(plan, &plan.usage, false)),
        ],
    );
    end.stated = plan.usage_stated.then_some(plan.usage);
    events.push(Part::Terminal, STOP, &[]);
    events.events
}

fn open(events: &mut Events, index: usize, block: &str) {
    events.push(Part::Frame, BLOCK, &[("index", &index), ("block", &block)]);
    if index == 0 {
        events.push(Part::Frame, PING, &[]);
    }
}

fn push_deltas(
    events: &mut Events,
    plan: &Plan,
    sent: &mut usize,
    index: usize,
    deltas: impl Iterator<Item = String>,
) {
    for delta in deltas {
        *sent += 1;
        events.delta(
            plan.generated(*sent),
            DELTA,
            &[("index", &index), ("delta", &delta)],
        );
    }
}

fn whole(plan: &Plan) -> Vec<Event> {
    let mut content = Vec::new();
    if !plan.thinking.is_empty() {
        let thinking = quoted(&plan.thinking.concat());
        content.push(format!(
            r#"{{"type":"thinking","thinking":{thinking},"signature":"EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}}"#
        ));
    }
    if !plan.text.is_empty() {
        content.push(format!(
            r#"{{"type":"text","text":{}}}"#,
            quoted(&plan.text.concat())
        ));
    }
    if let Some(call) = &plan.tool {
        let (name, input) = (quoted(&call.name), sealed(&call.input()));
        content.push(format!(
            r#"{{"type":"tool_use","id":"toolu_$call","name":{name},"input":{input}}}"#
        ));
    }
    let mut events = Events {
        generated: plan.usage.output.unwrap_or(0),
        ..Events::default()
    };
    let event = events.push(
        Part::Terminal,
        WHOLE,
        &[
            ("model", &quoted(&plan.model)),
            ("content", &content.join(",")),
            ("stop", &stop_reason(plan.stop)),
            ("usage", &usage_member(plan, &plan.usage, true)),
        ],
    );
    event.stated = plan.usage_stated.then_some(plan.usage);
    events.events
}

/// `,"usage":{…}`, or nothing; the split of the written cache is said at the start only.
fn usage_member(plan: &Plan, usage: &Usage, first: bool) -> String {
    if !plan.usage_stated {
        return String::new();
    }
    let thinking = usage
        .reasoning
        .map(|tokens| format!(r#"{{"thinking_tokens":{tokens}}}"#));
    let split = usage.cache_write.filter(|_| first).map(|tokens| {
        format!(r#"{{"ephemeral_5m_input_tokens":{tokens},"ephemeral_1h_input_tokens":0}}"#)
    });
    let members = Members::default()
        .with("input_tokens", usage.input.unwrap_or(0))
        .maybe("cache_creation_input_tokens", usage.cache_write)
        .maybe("cache_read_input_tokens", usage.cache_read)
        .maybe("cache_creation", split)
        .with("output_tokens", usage.output.unwrap_or(0))
        .maybe("output_tokens_details", thinking);
    let members = if first {
        members.with("service_tier", r#""standard""#)
    } else {
        members
    };
    format!(r#","usage":{}"#, members.object())
}

fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndOfTurn => "end_turn",
        Stop::ToolCall => "tool_use",
        Stop::OutputLimit => "max_tokens",
    }
}
