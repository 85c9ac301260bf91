//! What changes something: acts on bottles, budgets, registration, shutdown.

use bb_proto::error::ErrorCode;
use bb_proto::ids::BottleName;
use bb_proto::reply::{Acted, BudgetChanged, ShuttingDown, Target};
use bb_proto::request::{
    BottleCutoff, BottleRemove, BottleRestore, BottleStop, BudgetRaise, BudgetSet, BudgetUnset,
    Call,
};
use bb_proto::units::Tokens;
use bb_proto::view::BottleState;
use insta::assert_snapshot;
use serde_json::Value;

use crate::controller::{Answer, Controller, answer, refusal};
use crate::fixture;
use crate::session::Session;

fn target(name: &BottleName, observed: BottleState) -> Target {
    Target {
        name: name.clone(),
        run: None,
        changed: name.as_str() != "docs",
        streams_ended: 3,
        took_us: 2_345,
        observed,
        note: None,
    }
}

fn acted(names: &[BottleName], dry_run: bool, observed: BottleState) -> Acted {
    Acted {
        dry_run,
        targets: names.iter().map(|name| target(name, observed)).collect(),
    }
}

fn act(call: &Call) -> Answer {
    match call {
        Call::BottleCutoff(call) => {
            let observed = BottleState::Cutoff;
            answer::<BottleCutoff>(&acted(&call.names, call.dry_run, observed))
        }
        Call::BottleRestore(call) if call.names.iter().any(|name| name.as_str() == "spent") => {
            refusal(
                ErrorCode::OverBudget,
                "spent has used 203k of its 200k tokens",
                "bb-ctl budget raise spent +1M",
            )
        }
        Call::BottleRestore(call) => {
            let observed = BottleState::Running;
            answer::<BottleRestore>(&acted(&call.names, call.dry_run, observed))
        }
        Call::BottleStop(call) => {
            let observed = BottleState::Stopped;
            answer::<BottleStop>(&acted(&call.names, call.dry_run, observed))
        }
        Call::BottleRemove(call) => {
            let observed = BottleState::Stopped;
            answer::<BottleRemove>(&acted(&call.names, call.dry_run, observed))
        }
        Call::BudgetSet(call) => {
            let mut budget = fixture::budgets().remove(1);
            budget.limit = call.limit;
            answer::<BudgetSet>(&BudgetChanged {
                dry_run: call.dry_run,
                budget: Some(budget),
                limit_before: Some(Tokens(1_000_000)),
                opened: Vec::new(),
                cut_off: vec![BottleName::new("web").expect("a name")],
            })
        }
        Call::BudgetRaise(call) => {
            let mut budget = fixture::budgets().remove(3);
            let before = budget.limit;
            budget.limit = before.plus(call.by);
            answer::<BudgetRaise>(&BudgetChanged {
                dry_run: call.dry_run,
                budget: Some(budget),
                limit_before: Some(before),
                opened: vec![BottleName::new("nightly").expect("a name")],
                cut_off: Vec::new(),
            })
        }
        Call::BudgetUnset(call) => answer::<BudgetUnset>(&BudgetChanged {
            dry_run: call.dry_run,
            budget: fixture::budgets().into_iter().next(),
            limit_before: Some(Tokens(1_000_000)),
            opened: Vec::new(),
            cut_off: Vec::new(),
        }),
        other => fixture::read(other),
    }
}

fn session() -> (Session, Controller) {
    let session = Session::new();
    let controller = Controller::start(&session.home(), act);
    (session, controller)
}

#[test]
fn an_act_says_what_it_did_to_each_bottle_and_is_done_where_it_was_so() {
    let (session, controller) = session();
    assert_snapshot!(session.run(&["cutoff", "web", "docs", "--why", "loops"]), @r"
    cut off web: 3 streams ended in 2 ms, new calls refused
    docs is cut off already
    exit: 0
    ");
    assert_snapshot!(session.run(&["cutoff", "web", "--dry-run"]), @r"
    would cut off web: 3 streams would end, new calls would be refused
    exit: 0
    ");
    assert_snapshot!(session.run(&["restore", "web", "docs"]), @r"
    restored web: new calls admitted
    docs is not cut off
    exit: 0
    ");
    assert_snapshot!(session.run(&["stop", "web", "docs"]), @r"
    stopped web: 3 streams ended in 2 ms
    docs has ended already
    exit: 0
    ");
    assert_snapshot!(session.run(&["remove", "web", "--yes"]), @r"
    removed web; the ledger keeps its calls
    exit: 0
    ");
    let calls = controller.calls();
    let Some(Call::BottleCutoff(cutoff)) = calls.first() else {
        panic!("{calls:?}");
    };
    assert_eq!(cutoff.why.as_deref(), Some("loops"));
    assert!(!cutoff.dry_run);
}

#[test]
fn an_act_is_one_object_for_programs() {
    let (session, _controller) = session();
    let output = session.output(&["--json", "cutoff", "web"]);
    let acted: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(acted["targets"][0]["streams_ended"], 3);
    assert_eq!(acted["targets"][0]["observed"], "cutoff");
}

#[test]
fn what_is_spent_is_not_restored_and_the_exit_code_says_why() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["restore", "spent"]), @r"
    stderr: error: spent has used 203k of its 200k tokens
    stderr: hint: bb-ctl budget raise spent +1M
    exit: 3
    ");
    assert_snapshot!(session.run(&["restore", "spent", "--json"]), @r#"
    stderr: {"error":{"code":"over_budget","hint":"bb-ctl budget raise spent +1M","message":"spent has used 203k of its 200k tokens"}}
    exit: 3
    "#);
}

#[test]
fn a_budget_is_set_by_its_parts_or_by_its_key() {
    let (session, controller) = session();
    assert_snapshot!(session.run(&["budget", "set", "web", "claude", "200k"]), @r"
    set bottle:web/claude/total to 200k: 610k/200k used, 305% (the limit was 1M)
    cut off: web
    exit: 0
    ");
    session.output(&["budget", "set", "host/all", "5M", "--soft", "--dry-run"]);
    session.output(&[
        "budget",
        "set",
        "web",
        "all",
        "1",
        "--window",
        "run",
        "--ceiling",
    ]);
    let set: Vec<String> = controller
        .calls()
        .iter()
        .map(|call| match call {
            Call::BudgetSet(set) => format!(
                "{} {} {:?} ceiling={} dry={}",
                set.budget, set.limit, set.cap, set.ceiling, set.dry_run
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        set,
        [
            "bottle:web/claude/total 200000 Hard ceiling=false dry=false",
            "host/all/total 5000000 Soft ceiling=false dry=true",
            "bottle:web/all/run 1 Hard ceiling=true dry=false",
        ]
    );
}

#[test]
fn an_abbreviated_budget_is_found_or_the_candidates_are_listed() {
    let (session, _controller) = session();
    assert_snapshot!(session.run(&["budget", "raise", "nightly", "+1M", "--why", "night"]), @r"
    raised launch:018f4b2e-6f00-7000-8000-000000000000/codex/run by 1M: 203k/1.2M used, 16% (the limit was 200k)
    opened: nightly
    exit: 0
    ");
    assert_snapshot!(session.run(&["budget", "raise", "web/claude", "+1M"]), @r"
    stderr: error: web/claude could be any of 2 budgets
    stderr: hint: say which: bottle:web/claude/total, bottle:web/claude/run
    exit: 1
    ");
    assert_snapshot!(session.run(&["budget", "raise", "nobody", "+1M"]), @r"
    stderr: error: nobody is no budget
    stderr: hint: bb-ctl budget list shows them all; bb-ctl budget set makes one
    exit: 1
    ");
    assert_snapshot!(session.run(&["budget", "unset", "web/claude/total"]), @r"
    unset bottle:web/claude/total, that of settings line 2 holds again, 5M: 3.41M/5M used, 68% (the limit was 1M)
    exit: 0
    ");
}

#[test]
fn a_registration_prints_what_the_bottle_needs() {
    let (session, controller) = session();
    let arguments = [
        "register",
        "web",
        "--agent",
        "a",
        "--parent",
        "base",
        "--budget",
        "claude=7k",
    ];
    assert_snapshot!(session.run(&arguments), @r"
    registered web, run 018f4b2e-6f00-7000-8000-000000000000
    token     bb_0123456789abcdef
    base url  http://127.0.0.1:7717
    exit: 0
    ");
    assert_snapshot!(session.run(&["register", "web", "--client", "said", "--renew"]), @r"
    # registered web, run 018f4b2e-6f00-7000-8000-000000000000
    unset OWN_KEY
    export SAID_BASE_URL='http://127.0.0.1:7717/said'
    export SAID_KEY='bb_0123456789abcdef'
    exit: 0
    ");
    let calls = controller.calls();
    let [Call::BottleRegister(first), Call::BottleRegister(second)] = calls.as_slice() else {
        panic!("{calls:?}");
    };
    assert_eq!(first.budgets.len(), 1);
    assert_eq!(first.parents.as_deref().map(<[_]>::len), Some(1));
    assert!(second.parents.is_none() && second.renew && second.process.is_none());
}

#[test]
fn a_shutdown_waits_until_nobody_answers() {
    use bb_proto::home::Home;
    let session = Session::new();
    let socket = Home::new(session.home()).socket();
    let controller = Controller::start(&session.home(), move |call| match call {
        Call::Shutdown(shutdown) => {
            if !shutdown.dry_run {
                std::fs::remove_file(&socket).expect("the socket");
            }
            answer::<bb_proto::request::Shutdown>(&ShuttingDown {
                grace_ms: 10_000,
                in_flight: 3,
            })
        }
        other => fixture::read(other),
    });
    assert_snapshot!(session.run(&["shutdown", "--dry-run"]), @r"
    would end the controller (pid $PID): 3 calls in flight
    exit: 0
    ");
    assert_snapshot!(session.run(&["shutdown"]), @r"
    the controller (pid $PID) has ended
    exit: 0
    ");
    assert_eq!(controller.calls().len(), 2);
}
