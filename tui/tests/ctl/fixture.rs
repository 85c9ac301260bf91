//! The state that the scripted controller shows: a few bottles under a few budgets.

use bb_proto::event::Event;
use bb_proto::reply::{BottleDetail, Budgets, ClientEnv, Registered};
use bb_proto::request::{
    AuditList, BottleRegister, BottleShow, BudgetList, Call, EventsWatch, Snapshot, UsageQuery,
};
use bb_proto::view::{self, Bottle, Budget};
use bb_proto::{error::ErrorCode, reply};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::controller::{Answer, answer, refusal};

pub(crate) const RUN: &str = "018f4b2e-6f00-7000-8000-000000000000";
pub(crate) const TOKEN: &str = "bb_0123456789abcdef";

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a value of the protocol")
}

/// An instant that is that many minutes and half a minute ago, so that a slow run says the same.
fn minutes_ago(minutes: u64) -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time");
    i64::try_from(now.as_millis()).expect("a time")
        - i64::try_from(minutes).expect("few") * 60_000
        - 30_000
}

fn merge(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn bottle(name: &str, more: Value) -> Bottle {
    let base = json!({
        "name": name, "run": RUN, "state": "running", "enforcement": "keyed", "in_flight": 0,
        "waiting": 0, "refusals": 0, "path": [], "binding": {}, "used_run": 0, "used_total": 0,
        "rate_per_minute": 0, "launched_at": minutes_ago(192),
    });
    typed(merge(base, more))
}

fn budget(key: &str, more: Value) -> Budget {
    let mut parts = key.splitn(3, '/');
    let mut part = || parts.next().expect("a key").to_owned();
    let base = json!({
        "id": key, "scope": part(), "provider": part(), "window": part(), "pending": 0,
        "cap": "hard", "gate": "estimate", "warn": [80], "rate_per_minute": 0,
    });
    typed(merge(base, more))
}

pub(crate) fn budgets() -> Vec<Budget> {
    vec![
        budget(
            "host/claude/total",
            json!({"limit": 5_000_000, "used": 3_410_000, "ceiling": true, "pending": 4_010,
                "rate_per_minute": 64_700, "left_ms": 1_620_000, "cache_read_percent": 63,
                "source": {"from": "settings", "line": 2}}),
        ),
        budget(
            "bottle:web/claude/total",
            json!({"limit": 1_000_000, "used": 610_000, "rate_per_minute": 31_200,
                "left_ms": 750_000, "source": {"from": "command", "uid": 1000},
                "hides": {"from": "settings", "line": 14}}),
        ),
        budget(
            "bottle:web/claude/run",
            json!({"limit": 800_000, "used": 1_000, "cap": "soft",
                "source": {"from": "settings", "line": 18}}),
        ),
        budget(
            &format!("launch:{RUN}/codex/run"),
            json!({"limit": 200_000, "used": 203_000, "bottle": "nightly",
                "exhausted_since": minutes_ago(5),
                "source": {"from": "launch", "bottle": "nightly"}}),
        ),
    ]
}

pub(crate) fn bottles() -> Vec<Bottle> {
    vec![
        bottle(
            "base",
            json!({"state": "declared", "run": null, "enforcement": "advisory"}),
        ),
        bottle(
            "web",
            json!({"agent": "implementer", "parents": ["base"], "in_flight": 4, "waiting": 2,
                "rate_per_minute": 31_200, "last_provider": "claude", "warned": true,
                "last_model": "claude-opus\u{1b}[31m", "used_run": 610_000, "used_total": 1_240_112,
                "command": ["claude", "-p", "fix the \u{202e}tests"],
                "path": [{"budget": "bottle:web/claude/total", "role": "binds"},
                    {"budget": "bottle:web/claude/run", "role": "soft"},
                    {"budget": "host/claude/total", "role": "ceiling"}],
                "binding": {"claude": "bottle:web/claude/total"},
                "binds_next": {"claude": "host/claude/total"},
                "process": {"pid": 4242, "start_ticks": 99}}),
        ),
        bottle(
            "nightly",
            json!({"state": "cutoff", "refusals": 41, "last_provider": "codex",
                "used_run": 203_000, "used_total": 203_000, "agent": "upgrader",
                "closed": [{"provider": "codex", "by": {"budget": format!("launch:{RUN}/codex/run")},
                    "since": minutes_ago(5)}],
                "path": [{"budget": format!("launch:{RUN}/codex/run"), "role": "binds"}],
                "binding": {"codex": format!("launch:{RUN}/codex/run")}}),
        ),
        bottle(
            "translate-日本語の長い名前のボトル",
            json!({"agent": "translator", "enforcement": "advisory", "used_total": 900}),
        ),
        bottle(
            "ci",
            json!({"state": "failed", "exit_code": 2, "ended_at": minutes_ago(60),
                "used_total": 4_010}),
        ),
    ]
}

fn head() -> view::Head {
    typed(json!({
        "revision": 7, "now": 1_795_194_783_000_i64, "time_zone": "Europe/Berlin",
        "started_at": 1_795_183_263_000_i64, "protocol": 1,
        "version": bb_proto::version::VERSION, "home": "/home/of/controller",
        "pid": std::process::id(), "egress": "127.0.0.1:7717", "ledger": {"state": "ok"},
        "has_settings": true, "events": 12,
        "totals": {"bottles": 4, "by_state": {"running": 2, "cutoff": 1, "failed": 1},
            "in_flight": 4, "waiting": 2, "rate_per_minute": 64_700, "orders_open": 1},
    }))
}

pub(crate) fn events() -> Vec<Event> {
    vec![
        typed(
            json!({"seq": 11, "at": 1_795_183_263_000_i64, "kind": "exhausted",
            "actor": "budget", "bottle": "nightly",
            "text": "host/codex/total is spent\u{1b}[2J"}),
        ),
        typed(
            json!({"seq": 12, "at": 1_795_183_299_000_i64, "kind": "cutoff",
            "actor": "operator", "bottle": "web", "text": "web was cut off: 3 streams ended",
            "uid": 1000, "why": "loops"}),
        ),
    ]
}

/// The answer to a registration.
pub(crate) fn registered(call: &BottleRegister) -> Registered {
    Registered {
        name: call.name.clone(),
        run: RUN.parse().expect("a run"),
        token: TOKEN.to_owned(),
        base_url: "http://127.0.0.1:7717".to_owned(),
        client: call.client.as_ref().map(|client| ClientEnv {
            client: client.clone(),
            env: [
                ("SAID_BASE_URL", "http://127.0.0.1:7717/said"),
                ("SAID_KEY", TOKEN),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            env_remove: vec!["OWN_KEY".to_owned()],
            args: Vec::new(),
        }),
        warnings: Vec::new(),
    }
}

fn usages(by: bb_proto::request::UsageBy) -> reply::Usages {
    let sum = json!({"calls": 34, "estimated": 1, "input": 61_200, "cache_read": 500_000,
        "cache_write": 9_000, "output": 40_100, "reasoning": 640, "charge": 610_300});
    let small = json!({"calls": 1, "estimated": 0, "input": 900, "cache_read": 0,
        "cache_write": 0, "output": 12, "reasoning": 0, "charge": 912});
    let rows = match by {
        bb_proto::request::UsageBy::Call => json!([{
            "bottle": "web", "provider": "claude", "model": "claude-opus-4-8", "sum": small,
            "call": {"id": RUN, "run": RUN, "wire": "anthropic_messages",
                "started_at": 1_795_183_263_000_i64, "ended_at": 1_795_183_284_400_i64,
                "usage": {"input": 900, "output": 12}, "estimated": true, "ending": "cut"},
        }]),
        _ => json!([
            {"bottle": "web", "provider": "claude", "sum": sum},
            {"bottle": "translate-日本語の長い名前のボトル", "provider": "gemini", "sum": small},
        ]),
    };
    let total = json!({"calls": 35, "estimated": 1, "input": 62_100, "cache_read": 500_000,
        "cache_write": 9_000, "output": 40_112, "reasoning": 640, "charge": 611_212});
    typed(json!({"rows": rows, "total": total}))
}

/// Answers what is only read.
pub(crate) fn read(call: &Call) -> Answer {
    match call {
        Call::Snapshot(asked) => answer::<Snapshot>(&snapshot(asked.part)),
        Call::BottleShow(asked) => match bottles().into_iter().find(|b| b.name == asked.name) {
            Some(bottle) => {
                let on_path = |budget: &Budget| bottle.path.iter().any(|p| p.budget == budget.id);
                answer::<BottleShow>(&BottleDetail {
                    revision: 7,
                    budgets: budgets().into_iter().filter(on_path).collect(),
                    bottle,
                    children: Vec::new(),
                })
            }
            None => refusal(
                ErrorCode::NotFound,
                &format!("there is no bottle {}", asked.name),
                "bb-ctl list shows them all",
            ),
        },
        Call::BudgetList(_) => answer::<BudgetList>(&Budgets {
            revision: 7,
            budgets: budgets(),
        }),
        Call::UsageQuery(asked) => answer::<UsageQuery>(&usages(asked.by)),
        Call::AuditList(_) => {
            let mut events = events();
            events.reverse();
            answer::<AuditList>(&reply::Events { events, more: true })
        }
        Call::EventsWatch(_) => answer::<EventsWatch>(&reply::Watching { after: 10 }),
        Call::Health(_) => answer::<bb_proto::request::Health>(&typed(json!({
            "ok": true, "ledger": {"state": "ok"}, "findings": [
                {"severity": "warning", "text": "claude has no credential",
                    "hint": "credential: env:ANTHROPIC_API_KEY"}],
        }))),
        Call::BottleRegister(call) => answer::<BottleRegister>(&registered(call)),
        other => panic!("nobody said what to answer to {}", other.name()),
    }
}

/// The state in two parts, as a long one comes.
fn snapshot(part: Option<u32>) -> view::Snapshot {
    let mut bottles = bottles();
    let rest = bottles.split_off(2);
    let (bottles, next) = match part {
        None => (bottles, Some(1)),
        Some(_) => (rest, None),
    };
    view::Snapshot {
        head: head(),
        budgets: if next.is_some() {
            budgets()
        } else {
            Vec::new()
        },
        bottles,
        whole: true,
        budgets_gone: Vec::new(),
        bottles_gone: Vec::new(),
        more: next.is_some(),
        next,
    }
}
