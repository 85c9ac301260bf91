//! Values that more than one message carries.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, Cap, Gate, Policy, ProviderSelector, Scope, Window};
use bb_proto::event::{Actor, Event, EventKind};
use bb_proto::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use bb_proto::process::Process;
use bb_proto::request::Expect;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::{
    Bottle, BottleState, Budget, Closed, ClosedBy, Enforcement, PathBudget, PathRole, Raise,
    Source, Wanted,
};

pub(crate) const AT: Timestamp = Timestamp(1_795_168_800_000);
pub(crate) const UID: u32 = 1000;
pub(crate) const RUN: &str = "019aa0b2-6f00-7000-8000-0000000000a1";

pub(crate) fn run() -> RunId {
    RUN.parse().expect("a run")
}

pub(crate) fn call_id(end: &str) -> CallId {
    let text = format!("019aa0b2-6f00-7000-8000-0000000000{end}");
    text.parse().expect("a call")
}

pub(crate) fn bottle_name(name: &str) -> BottleName {
    name.parse().expect("a bottle's name")
}

pub(crate) fn agent_name(name: &str) -> AgentName {
    name.parse().expect("an agent's name")
}

pub(crate) fn claude() -> ProviderKey {
    "claude".parse().expect("a provider")
}

pub(crate) fn key(text: &str) -> BudgetKey {
    text.parse().expect("a budget")
}

pub(crate) fn later(ms: i64) -> Timestamp {
    Timestamp(AT.0 + ms)
}

pub(crate) fn process() -> Process {
    Process {
        pid: 4711,
        start_ticks: 1_234_567,
    }
}

pub(crate) fn expect() -> Expect {
    Expect {
        run: Some(run()),
        revision: Some(1_795_168_800_000_042),
    }
}

/// A bottle of which everything is known.
pub(crate) fn bottle() -> Bottle {
    Bottle {
        name: bottle_name("translate-日本語"),
        run: Some(run()),
        parents: vec![bottle_name("base")],
        agent: Some(agent_name("reviewer")),
        provider: Some(claude()),
        state: BottleState::Cutoff,
        warned: true,
        wanted: Some(Wanted {
            state: BottleState::Stopped,
            since: later(50_000),
            tries: 2,
            why_not: Some("its process is not gone".to_owned()),
        }),
        enforcement: Enforcement::Keyed,
        in_flight: 3,
        waiting: 1,
        waiting_since: Some(later(70_000)),
        waits_until: Some(later(100_000)),
        closed: vec![
            Closed {
                provider: ProviderSelector::All,
                by: ClosedBy::Operator,
                since: later(40_000),
                why: Some("runs away".to_owned()),
            },
            Closed {
                provider: ProviderSelector::One(claude()),
                by: ClosedBy::Budget(key("bottle:translate-日本語/claude/run")),
                since: later(30_000),
                why: None,
            },
        ],
        refusals: 7,
        path: vec![
            PathBudget {
                budget: key("bottle:translate-日本語/claude/run"),
                role: PathRole::Binds,
            },
            PathBudget {
                budget: key("host/all/total"),
                role: PathRole::Ceiling,
            },
        ],
        binding: BTreeMap::from([(claude(), key("bottle:translate-日本語/claude/run"))]),
        binds_next: BTreeMap::from([(claude(), key("host/all/total"))]),
        used_run: Tokens(200_100),
        used_total: Tokens(1_200_300),
        last_provider: Some(claude()),
        last_model: Some("claude-opus-4-8".to_owned()),
        rate_per_minute: 61_000,
        recent: vec![0, 30_500, 30_500],
        launched_at: Some(AT),
        ended_at: Some(later(60_000)),
        exit_code: Some(143),
        command: vec!["claude".to_owned(), "-p".to_owned(), "fix it".to_owned()],
        process: Some(process()),
    }
}

/// A bottle that is only named as a parent.
pub(crate) fn declared() -> Bottle {
    Bottle {
        name: bottle_name("base"),
        run: None,
        parents: Vec::new(),
        agent: None,
        provider: None,
        state: BottleState::Declared,
        warned: false,
        wanted: None,
        enforcement: Enforcement::Advisory,
        in_flight: 0,
        waiting: 0,
        waiting_since: None,
        waits_until: None,
        closed: Vec::new(),
        refusals: 0,
        path: Vec::new(),
        binding: BTreeMap::new(),
        binds_next: BTreeMap::new(),
        used_run: Tokens::ZERO,
        used_total: Tokens::ZERO,
        last_provider: None,
        last_model: None,
        rate_per_minute: 0,
        recent: Vec::new(),
        launched_at: None,
        ended_at: None,
        exit_code: None,
        command: Vec::new(),
        process: None,
    }
}

/// A budget of which everything is known.
pub(crate) fn budget() -> Budget {
    Budget {
        id: key(&format!("launch:{RUN}/claude/run")),
        scope: Scope::Launch(run()),
        bottle: Some(bottle_name("web")),
        provider: ProviderSelector::One(claude()),
        window: Window::Run,
        from: Some(AT),
        resets_at: Some(later(86_400_000)),
        limit: Tokens(300_000),
        used: Tokens(200_100),
        pending: Tokens(9_000),
        cache_read_percent: Some(83),
        per_call: Some(Tokens(60_000)),
        ceiling: true,
        cap: Cap::Hard,
        gate: Gate::Estimate,
        policy: Some(Policy::Cutoff),
        warn: vec![50, 80, 95],
        warned: vec![50],
        exhausted_since: Some(later(30_000)),
        source: Source::Launch {
            bottle: bottle_name("web"),
        },
        hides: Some(Source::Settings { line: 12 }),
        raises: vec![
            Raise {
                by: Tokens(50_000),
                at: later(10_000),
                uid: UID,
                why: Some("one more day".to_owned()),
                until: Some(later(7_210_000)),
            },
            Raise {
                by: Tokens(50_000),
                at: later(20_000),
                uid: UID,
                why: None,
                until: None,
            },
        ],
        rate_per_minute: 61_000,
        left_ms: Some(98_000),
        spent_at: Some(later(128_000)),
        resets_first: true,
        elapsed_thousandths: Some(250),
        pace_thousandths: Some(2_668),
    }
}

/// A budget with nothing but what every budget has.
pub(crate) fn bare_budget() -> Budget {
    Budget {
        id: key("host/all/total"),
        scope: Scope::Host,
        bottle: None,
        provider: ProviderSelector::All,
        window: Window::Total,
        from: None,
        resets_at: None,
        limit: Tokens(5_000_000),
        used: Tokens::ZERO,
        pending: Tokens::ZERO,
        cache_read_percent: None,
        per_call: None,
        ceiling: false,
        cap: Cap::Soft,
        gate: Gate::Off,
        policy: None,
        warn: Vec::new(),
        warned: Vec::new(),
        exhausted_since: None,
        source: Source::Command { uid: UID },
        hides: None,
        raises: Vec::new(),
        rate_per_minute: 0,
        left_ms: None,
        spent_at: None,
        resets_first: false,
        elapsed_thousandths: None,
        pace_thousandths: None,
    }
}

/// An event about everything that an event can be about.
pub(crate) fn event() -> Event {
    Event {
        explained: None,
        seq: 42,
        at: later(40_000),
        kind: EventKind::Cutoff,
        actor: Actor::Operator,
        bottle: Some(bottle_name("web")),
        run: Some(run()),
        budget: Some(key("bottle:web/claude/run")),
        provider: Some(claude()),
        text: "web cut off; 3 streams ended".to_owned(),
        uid: Some(UID),
        why: Some("runs away".to_owned()),
    }
}

/// An event about the controller itself.
pub(crate) fn bare_event() -> Event {
    Event {
        explained: None,
        seq: 1,
        at: AT,
        kind: EventKind::Started,
        actor: Actor::System,
        bottle: None,
        run: None,
        budget: None,
        provider: None,
        text: "the controller started, version 0.1.0".to_owned(),
        uid: None,
        why: None,
    }
}
