//! Owns how settings are shown: as one JSON value, with defaults filled in and no secret.

use std::time::Duration;

use bb_core::provider::{Scheme, Upstream};
use bb_proto::budget::{Cap, Gate, Policy, Unbounded};
use bb_proto::ids::{AgentName, BottleName, ProviderKey};
use serde_json::{Map, Value, json};

use super::{
    BottleSetting, BudgetSetting, Credential, EgressSetting, HookSetting, InFlight,
    ProviderSetting, Settings,
};

impl Settings {
    /// Returns everything that is in force: counts as integers, times in milliseconds, and of a
    /// key only where it is taken from.
    pub fn to_json(&self) -> Value {
        json!({
            "budgets": self.budgets.iter().map(budget).collect::<Vec<_>>(),
            "shutdown": policy_text(self.shutdown),
            "gate": gate_text(self.gate),
            "unbounded": unbounded_text(self.unbounded),
            "floor": self.floor,
            "wait_ms": millis(self.wait),
            "drain_ms": millis(self.drain),
            "keep_calls_ms": millis(self.keep_calls),
            "in_flight": in_flight_text(self.in_flight),
            "warn": self.warn,
            "timezone": self.time_zone,
            "on_event": self.on_event.as_ref().map(on_event),
            "bottles": map(self.bottles.iter().map(|(name, it)| (name.as_str(), bottle(it)))),
            "agents": map(
                self.agents.iter().map(|(name, it)| (name.as_str(), json!({"line": it.line}))),
            ),
            "providers": map(self.providers.iter().map(|(key, it)| (key.as_str(), provider(it)))),
            "egress": egress(&self.egress),
        })
    }
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(
        entries
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn budget(budget: &BudgetSetting) -> Value {
    json!({
        "budget": budget.key.to_string(),
        "limit": budget.limit.0,
        "per_call": budget.per_call.map(|tokens| tokens.0),
        "cap": cap_text(budget.cap),
        "ceiling": budget.ceiling,
        "warn": budget.warn,
        "shutdown": budget.policy.map(policy_text),
        "gate": budget.gate.map(gate_text),
        "unbounded": budget.unbounded.map(unbounded_text),
        "line": budget.line,
    })
}

fn bottle(bottle: &BottleSetting) -> Value {
    json!({
        "parents": bottle.parents.iter().map(BottleName::as_str).collect::<Vec<_>>(),
        "agent": bottle.agent.as_ref().map(AgentName::as_str),
        "provider": bottle.provider.as_ref().map(ProviderKey::as_str),
        "shutdown": bottle.shutdown.map(policy_text),
        "gate": bottle.gate.map(gate_text),
        "unbounded": bottle.unbounded.map(unbounded_text),
        "line": bottle.line,
    })
}

fn provider(provider: &ProviderSetting) -> Value {
    json!({
        "copies": provider.copies.as_ref().map(ProviderKey::as_str),
        "upstream": provider.upstream.as_ref().map(upstream_text),
        "credential": credential_text(provider.credential.as_ref()),
        "weights_thousandths": {
            "input": provider.weights.input.0,
            "cache_read": provider.weights.cache_read.0,
            "cache_write": provider.weights.cache_write.0,
            "output": provider.weights.output.0,
        },
        "include_usage": provider.include_usage,
        "websocket": provider.websocket.map(websocket_text),
        "count_tokens": provider.count_tokens,
        "line": provider.line,
    })
}

fn egress(egress: &EgressSetting) -> Value {
    json!({
        "listen": egress.listen.to_string(),
        "body_max_bytes": egress.body_max,
        "grace_ms": millis(egress.grace),
        "connect_timeout_ms": millis(egress.connect_timeout),
        "response_timeout_ms": millis(egress.response_timeout),
        "idle_timeout_ms": millis(egress.idle_timeout),
    })
}

fn on_event(hook: &HookSetting) -> Value {
    json!({
        "command": command(hook),
        "timeout_ms": millis(hook.timeout),
        "events": hook.events,
        "line": hook.line,
    })
}

/// Returns the words of a command.
pub(super) fn command(hook: &HookSetting) -> Vec<&str> {
    let arguments = hook.arguments.iter().map(String::as_str);
    std::iter::once(hook.program.as_str())
        .chain(arguments)
        .collect()
}

pub(super) fn policy_text(policy: Policy) -> &'static str {
    match policy {
        Policy::Cutoff => "cutoff",
    }
}

pub(super) fn gate_text(gate: Gate) -> &'static str {
    match gate {
        Gate::Off => "off",
        Gate::Estimate => "estimate",
        Gate::Exact => "exact",
    }
}

pub(super) fn unbounded_text(unbounded: Unbounded) -> &'static str {
    match unbounded {
        Unbounded::Refuse => "refuse",
        Unbounded::Estimate => "estimate",
    }
}

pub(super) fn cap_text(cap: Cap) -> &'static str {
    match cap {
        Cap::Hard => "hard",
        Cap::Soft => "soft",
    }
}

/// Returns the word for whether a WebSocket is proxied.
pub(super) fn websocket_text(is_proxied: bool) -> &'static str {
    if is_proxied { "proxy" } else { "refuse" }
}

pub(super) fn in_flight_text(in_flight: InFlight) -> &'static str {
    match in_flight {
        InFlight::Cut => "cut",
        InFlight::Finish => "finish",
    }
}

pub(super) fn credential_text(credential: Option<&Credential>) -> String {
    credential.map_or_else(|| "passthrough".to_owned(), ToString::to_string)
}

pub(super) fn upstream_text(upstream: &Upstream) -> String {
    let scheme = match upstream.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    let port = upstream
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{scheme}://{}{port}{}", upstream.host, upstream.prefix)
}
