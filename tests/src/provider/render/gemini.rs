//! Gemini: chunks that each carry the usage so far, as SSE with CRLF or as one JSON array.

use bb_proto::usage::Usage;

use super::{Event, Events, Members, Part, Plan, Stop, lone, quoted, sealed};
use crate::provider::request::Form;

const CHUNK: &str = "{\"candidates\": [{\"content\": {\"parts\": [$parts],\"role\": \"model\"}$finish,\"index\": 0}]$usage,\"modelVersion\": $model,\"responseId\": \"$call\"}";
const ERROR: &str = "{\"error\": {\"code\": 503,\"message\": \"The model is overloaded. Please try again later.\",\"status\": \"UNAVAILABLE\"}}";

pub(super) fn events(plan: &Plan) -> Vec<Event> {
    if plan.form == Form::Json {
        whole(plan)
    } else {
        stream(plan)
    }
}

pub(super) fn error_event(form: Form, first: bool) -> Event {
    let frame = match (form, first) {
        (Form::JsonArray, true) => format!("[{ERROR}]"),
        (Form::JsonArray, false) => format!(",\r\n{ERROR}]"),
        (Form::Sse | Form::Json, _) => format!("data: {ERROR}\r\n\r\n"),
    };
    lone(&frame, &[])
}

pub(super) fn error_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

fn stream(plan: &Plan) -> Vec<Event> {
    let mut parts: Vec<String> = plan.thinking.iter().map(|piece| thought(piece)).collect();
    parts.extend(plan.text.iter().map(|piece| text(piece)));
    parts.extend(
        plan.tool
            .as_ref()
            .map(|call| function_call(&call.name, &call.input())),
    );
    let last = parts.len().saturating_sub(1);
    let mut events = Events::default();
    for (index, chunk) in parts.iter().enumerate() {
        let sent = if index == last {
            plan.deltas()
        } else {
            index + 1
        };
        let thinking = index < plan.thinking.len();
        let so_far = if index == last {
            plan.usage
        } else {
            snapshot(plan, sent, thinking)
        };
        let (before, after) = match plan.form {
            Form::JsonArray => (
                if index == 0 { "[" } else { ",\r\n" },
                if index == last { "]" } else { "" },
            ),
            Form::Sse | Form::Json => ("data: ", "\r\n\r\n"),
        };
        let finish = if index == last { finish(plan.stop) } else { "" };
        let part = if index == last {
            Part::Terminal
        } else {
            Part::Delta
        };
        events.generated = so_far.output.unwrap_or(0);
        let event = events.push(
            part,
            &format!("{before}{CHUNK}{after}"),
            &[
                ("parts", chunk),
                ("finish", &finish),
                ("usage", &usage_member(plan, &so_far)),
                ("model", &quoted(&plan.model)),
            ],
        );
        event.stated = plan.usage_stated.then_some(so_far);
    }
    events.events
}

fn whole(plan: &Plan) -> Vec<Event> {
    let mut parts = Vec::new();
    if !plan.thinking.is_empty() {
        parts.push(thought(&plan.thinking.concat()));
    }
    if !plan.text.is_empty() {
        parts.push(text(&plan.text.concat()));
    }
    parts.extend(
        plan.tool
            .as_ref()
            .map(|call| function_call(&call.name, &call.input())),
    );
    let mut events = Events {
        generated: plan.usage.output.unwrap_or(0),
        ..Events::default()
    };
    let event = events.push(
        Part::Terminal,
        CHUNK,
        &[
            ("parts", &parts.join(",")),
            ("finish", &finish(plan.stop)),
            ("usage", &usage_member(plan, &plan.usage)),
            ("model", &quoted(&plan.model)),
        ],
    );
    event.stated = plan.usage_stated.then_some(plan.usage);
    events.events
}

fn thought(piece: &str) -> String {
    format!(r#"{{"text": {},"thought": true}}"#, quoted(piece))
}

fn text(piece: &str) -> String {
    format!(r#"{{"text": {}}}"#, quoted(piece))
}

fn function_call(name: &str, input: &str) -> String {
    format!(
        r#"{{"functionCall": {{"name": {},"args": {}}}}}"#,
        quoted(name),
        sealed(input)
    )
}

/// While it thinks, the provider states only the prompt; thoughts are counted with the first text.
fn snapshot(plan: &Plan, sent: usize, thinking: bool) -> Usage {
    let reasoning = plan.usage.reasoning;
    if thinking {
        return Usage {
            output: Some(0),
            reasoning: None,
            ..plan.usage
        };
    }
    let output = plan.generated(sent).max(reasoning.unwrap_or(0));
    Usage {
        output: Some(output),
        ..plan.usage
    }
}

/// The prompt's count includes what was read from the cache; the candidates' excludes thoughts.
fn usage_member(plan: &Plan, usage: &Usage) -> String {
    if !plan.usage_stated {
        return String::new();
    }
    let prompt = [usage.input, usage.cache_read]
        .into_iter()
        .flatten()
        .sum::<u64>();
    let output = usage.output.unwrap_or(0);
    let candidates = output.saturating_sub(usage.reasoning.unwrap_or(0));
    let details = |tokens: u64| format!(r#"[{{"modality": "TEXT","tokenCount": {tokens}}}]"#);
    let members = Members::default()
        .with("promptTokenCount", prompt)
        .maybe(
            "candidatesTokenCount",
            (candidates > 0).then_some(candidates),
        )
        .with("totalTokenCount", prompt + output)
        .maybe("cachedContentTokenCount", usage.cache_read)
        .with("promptTokensDetails", details(prompt))
        .maybe("cacheTokensDetails", usage.cache_read.map(details))
        .maybe("thoughtsTokenCount", usage.reasoning)
        .with("serviceTier", r#""standard""#);
    format!(r#","usageMetadata": {}"#, members.object())
}

fn finish(stop: Stop) -> &'static str {
    match stop {
        Stop::EndOfTurn | Stop::ToolCall => r#","finishReason": "STOP""#,
        Stop::OutputLimit => r#","finishReason": "MAX_TOKENS""#,
    }
}
