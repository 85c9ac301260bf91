//! A host made by hand: the figures of the drawing, as far as this version's states go.

mod bottles;
mod budgets;
mod made;

use std::collections::BTreeMap;
use std::time::Duration;

use bb_proto::budget::{BudgetKey, Cap, Gate};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;
use bb_proto::view::{self, BottleState, Ledger, Source, Totals};

use super::clean::{Clean, clean};
use super::msg::{Answer, Happenings, Msg};
use super::rows::{Budget, Call, Delta, Greeting, Happening, Head};
use super::state::{Start, State};
use super::theme::{Depth, Look, Theme};
use super::update::update;
use super::zone::Zone;

pub(crate) use made::Made;

/// 2026-11-20 14:02:11 in Berlin.
pub(crate) const NOW: Timestamp = Timestamp(1_795_179_731_000);
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

pub(crate) fn start(width: u16, height: u16) -> Start {
    Start {
        look: Look {
            theme: Theme::Dark,
            depth: Depth::True,
            ascii: false,
        },
        read_only: false,
        mouse: true,
        socket: clean!("/home/ana/.bot-bottle/run/controller.sock"),
        session: "dash-1".to_owned(),
        width,
        height,
    }
}

pub(crate) fn name(text: &str) -> BottleName {
    BottleName::new(text).expect("a name")
}

pub(crate) fn run(n: u128) -> RunId {
    format!("018f4b2e-6f00-7000-8000-{n:012x}")
        .parse()
        .expect("a run")
}

pub(crate) fn greeting() -> Greeting {
    Greeting {
        protocol: bb_proto::version::PROTOCOL,
        version: clean!("0.1.0"),
        pid: 4120,
        home: clean!("/home/ana/.bot-bottle"),
        started_at: Timestamp(NOW.0 - 86_400_000),
    }
}

pub(crate) fn head(revision: u64) -> Head {
    Head {
        told: view::Head {
            revision,
            now: NOW,
            time_zone: "Europe/Berlin".to_owned(),
            started_at: Timestamp(NOW.0 - 86_400_000),
            protocol: bb_proto::version::PROTOCOL,
            version: "0.1.0".to_owned(),
            home: "/home/ana/.bot-bottle".to_owned(),
            pid: 4120,
            egress: "127.0.0.1:7717".to_owned(),
            ledger: Ledger::Ok,
            has_settings: true,
            totals: Totals {
                bottles: 11,
                by_state: BTreeMap::from([
                    (BottleState::Running, 8),
                    (BottleState::Cutoff, 2),
                    (BottleState::Failed, 1),
                ]),
                in_flight: 13,
                waiting: 0,
                waiting_since: None,
                rate_per_minute: 64_700,
                orders_open: 0,
            },
            events: 1_204,
        },
        zone: Zone::named("Europe/Berlin"),
    }
}

/// A budget by its key.
pub(crate) fn budget(key: &str, used: u64, limit: u64) -> Budget {
    let id: BudgetKey = key.parse().expect("a key");
    Budget::from(view::Budget {
        scope: id.scope.clone(),
        bottle: None,
        provider: id.provider.clone(),
        window: id.window,
        id,
        from: None,
        resets_at: None,
        limit: Tokens(limit),
        used: Tokens(used),
        pending: Tokens::ZERO,
        cache_read_percent: None,
        per_call: None,
        ceiling: false,
        cap: Cap::Hard,
        gate: Gate::Estimate,
        policy: None,
        warn: vec![50, 80, 95],
        warned: Vec::new(),
        exhausted_since: None,
        source: Source::Settings { line: 14 },
        hides: None,
        raises: Vec::new(),
        rate_per_minute: 0,
        left_ms: None,
        spent_at: None,
        resets_first: false,
        elapsed_thousandths: None,
        pace_thousandths: None,
    })
}

pub(crate) fn host_budget(used: u64, limit: u64) -> Budget {
    budget("host/claude/total", used, limit)
}

pub(crate) fn delta() -> Delta {
    Delta {
        head: head(1),
        bottles: bottles::bottles().into_iter().map(Made::bottle).collect(),
        budgets: budgets::budgets(),
        whole: true,
        bottles_gone: Vec::new(),
        budgets_gone: Vec::new(),
    }
}

fn at(clock_ms_ago: i64) -> Timestamp {
    Timestamp(NOW.0 - clock_ms_ago)
}

fn happening(seq: u64, ago_ms: i64, kind: EventKind, actor: Actor, text: &str) -> Happening {
    Happening {
        seq,
        at: at(ago_ms),
        kind,
        actor,
        bottle: Some((name("review-pr-4812"), clean!("review-pr-4812"))),
        text: Clean::new(text),
        why: None,
    }
}

pub(crate) fn happenings() -> Vec<Happening> {
    let mut restored = happening(
        1_203,
        1_254_000,
        EventKind::Restored,
        Actor::Operator,
        "restored by uid 1000; open again in 1 ms",
    );
    restored.why = Some(clean!("go on, raised"));
    vec![
        happening(
            1_204,
            68_000,
            EventKind::Warned,
            Actor::Budget,
            "agent:reviewer claude at 80% (pace 1.8), 2 bottles under it",
        ),
        restored,
        happening(
            1_202,
            1_269_000,
            EventKind::BudgetChanged,
            Actor::Operator,
            "agent:reviewer claude 200k -> 300k by uid 1000",
        ),
        happening(
            1_201,
            1_401_000,
            EventKind::Cutoff,
            Actor::Budget,
            "cut off by agent:reviewer claude: 2 streams ended in 3 ms; overrun 212",
        ),
        happening(
            1_200,
            8_283_000,
            EventKind::Launched,
            Actor::Operator,
            "launched by uid 1000: bb-ctl run -- claude",
        ),
    ]
}

pub(crate) fn calls() -> Vec<Call> {
    let call = |ago_ms: i64, took_ms: i64, model: &str, counts: [u64; 5], ending| {
        let [input, cache_read, cache_write, output, reasoning] = counts;
        Call {
            started_at: at(ago_ms),
            ended_at: at(ago_ms - took_ms),
            model: Clean::new(model),
            usage: Usage {
                input: Some(input),
                cache_read: Some(cache_read),
                cache_write: Some(cache_write),
                output: Some(output),
                reasoning: Some(reasoning),
            },
            charge: input + cache_read + cache_write + output,
            estimated: ending == Ending::ClientGone,
            ending,
            status: Some(200),
        }
    };
    let sonnet = "claude-sonnet-4-7";
    let haiku = "claude-haiku-4-5";
    let done = Ending::Complete;
    vec![
        call(
            27_000,
            21_400,
            sonnet,
            [1_400, 2_120, 610, 1_920, 640],
            done,
        ),
        call(51_000, 11_000, sonnet, [2_000, 2_150, 720, 880, 0], done),
        call(
            73_000,
            28_200,
            sonnet,
            [1_100, 2_000, 0, 2_410, 1_100],
            Ending::ClientGone,
        ),
        call(100_000, 1_800, haiku, [4_400, 0, 0, 120, 0], done),
        Call {
            usage: Usage::default(),
            charge: 0,
            status: Some(529),
            ..call(129_000, 400, sonnet, [0; 5], Ending::Voided)
        },
        call(
            151_000,
            17_700,
            sonnet,
            [1_900, 1_700, 640, 1_360, 300],
            done,
        ),
        call(
            179_000,
            31_500,
            "claude-opus-4-7",
            [2_200, 1_500, 1_100, 2_020, 1_400],
            done,
        ),
        call(202_000, 9_100, sonnet, [1_000, 1_300, 0, 640, 0], done),
    ]
}

/// The drawing's host at 80×24, with the details of the bottle under the cursor.
pub(crate) fn drawing() -> State {
    drawn(start(80, 24))
}

pub(crate) fn drawn(start: Start) -> State {
    let mut state = State::new(start);
    told(&mut state, Msg::Up(Box::new(greeting())));
    told(&mut state, Msg::Snapshot(Box::new(delta())));
    answer_details(&mut state);
    state
}

/// Answers what would be asked about the bottle under the cursor.
pub(crate) fn answer_details(state: &mut State) {
    let Some(bottle) = state.table.cursor().cloned() else {
        return;
    };
    let events = Answer::Events {
        before: None,
        matching: None,
        result: Ok(Happenings {
            rows: happenings(),
            more: true,
        }),
    };
    told(state, Msg::Answer(Box::new(events)));
    told(
        state,
        Msg::Answer(Box::new(Answer::Calls(bottle.clone(), Ok(calls())))),
    );
    told(
        state,
        Msg::Answer(Box::new(Answer::Audit(bottle, Ok(happenings())))),
    );
}

/// Takes a message and forgets what is wanted.
pub(crate) fn told(state: &mut State, msg: Msg) {
    drop(update(state, msg));
}

/// Lets time pass.
pub(crate) fn pass(state: &mut State, seconds: u64) -> Vec<super::msg::Effect> {
    let at = state.at + Duration::from_secs(seconds);
    update(state, Msg::At(at))
}
