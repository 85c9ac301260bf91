//! Messages about the controller itself.

use std::collections::BTreeMap;

use bb_proto::reply;
use bb_proto::reply::{
    EstimateErrors, Finding, Mistake, SettingsChecked, Severity, ShuttingDown, Spread,
};
use bb_proto::request::{
    Health, Hello, SettingsCheck, SettingsReload, SettingsShow, Shutdown, Snapshot,
};
use bb_proto::view::{self, BottleState, Head, Ledger, Totals};

use crate::method;
use crate::sample::{AT, bare_budget, bottle, bottle_name, budget, declared, key, later};

#[test]
fn who_is_there() {
    let whole = Hello {
        client: Some("bb-dash 0.1.0".to_owned()),
        protocol: Some(1),
    };
    let bare = Hello {
        client: None,
        protocol: None,
    };
    let answer = reply::Hello {
        protocol: 1,
        version: "0.1.0".to_owned(),
        pid: 4700,
        home: "/home/me/.bot-bottle".to_owned(),
        log: "/home/me/.bot-bottle/log/controller.log".to_owned(),
        egress: "127.0.0.1:7717".to_owned(),
        started_at: AT,
    };
    method([whole, bare], [answer.clone(), answer]);
}

#[test]
fn whether_it_works() {
    let whole = reply::Health {
        ok: false,
        ledger: Ledger::Failing {
            since: later(60_000),
        },
        findings: vec![
            Finding {
                severity: Severity::Error,
                text: "the ledger is closed: no call is admitted".to_owned(),
                hint: Some("make room on the disk of the home; it opens by itself".to_owned()),
            },
            Finding {
                severity: Severity::Ok,
                text: "budgets are in force".to_owned(),
                hint: None,
            },
        ],
        estimates: BTreeMap::from([(
            "claude".parse().expect("a provider"),
            EstimateErrors {
                calls: 64,
                input: Spread {
                    median_thousandths: 88,
                    p95_thousandths: 310,
                },
                output: Spread {
                    median_thousandths: 400,
                    p95_thousandths: 2_500,
                },
            },
        )]),
        hooks: Some(reply::Hooks {
            running: 1,
            succeeded: 12,
            failed: 2,
            dropped: 3,
            last_failure: Some(reply::HookFailure {
                at: later(30_000),
                text: "/home/me/bin/on-budget at exhausted: ended with exit status: 3".to_owned(),
            }),
        }),
    };
    let bare = reply::Health {
        ok: true,
        ledger: Ledger::Ok,
        findings: Vec::new(),
        estimates: BTreeMap::new(),
        hooks: None,
    };
    method([Health {}, Health {}], [whole, bare]);
}

#[test]
fn the_whole_state_and_what_changed() {
    let whole = Snapshot {
        since: Some(1_795_168_800_000_000),
        wait_ms: Some(10_000),
        part: Some(500),
    };
    let bare = Snapshot {
        since: None,
        wait_ms: None,
        part: None,
    };
    let head = Head {
        revision: 1_795_168_800_000_042,
        now: later(60_000),
        time_zone: "Europe/Berlin".to_owned(),
        started_at: AT,
        protocol: 1,
        version: "0.1.0".to_owned(),
        home: "/home/me/.bot-bottle".to_owned(),
        pid: 4700,
        egress: "127.0.0.1:7717".to_owned(),
        ledger: Ledger::Failing {
            since: later(59_000),
        },
        has_settings: true,
        totals: Totals {
            bottles: 2,
            by_state: BTreeMap::from([(BottleState::Running, 1), (BottleState::Cutoff, 1)]),
            in_flight: 3,
            waiting: 1,
            waiting_since: Some(later(70_000)),
            rate_per_minute: 61_000,
            orders_open: 1,
        },
        events: 42,
    };
    let everything = view::Snapshot {
        head: head.clone(),
        budgets: vec![budget(), bare_budget()],
        bottles: vec![bottle(), declared()],
        whole: true,
        budgets_gone: vec![key("bottle:old/claude/total")],
        bottles_gone: vec![bottle_name("old")],
        more: true,
        next: Some(500),
    };
    let nothing = view::Snapshot {
        head: Head {
            ledger: Ledger::Ok,
            has_settings: false,
            totals: Totals {
                bottles: 0,
                by_state: BTreeMap::new(),
                in_flight: 0,
                waiting: 0,
                waiting_since: None,
                rate_per_minute: 0,
                orders_open: 0,
            },
            events: 0,
            ..head
        },
        budgets: Vec::new(),
        bottles: Vec::new(),
        whole: false,
        budgets_gone: Vec::new(),
        bottles_gone: Vec::new(),
        more: false,
        next: None,
    };
    method([whole, bare], [everything, nothing]);
}

fn checked() -> [SettingsChecked; 2] {
    let path = "/home/me/.bot-bottle/settings.yml".to_owned();
    [
        SettingsChecked {
            path: path.clone(),
            applied: true,
            mistakes: vec![
                Mistake {
                    line: 4,
                    column: 3,
                    text: "unknown provider \"claud\"".to_owned(),
                    hint: Some("did you mean \"claude\"?".to_owned()),
                },
                Mistake {
                    line: 9,
                    column: 1,
                    text: "the key \"gate\" is written twice".to_owned(),
                    hint: None,
                },
            ],
            changes: vec!["host/claude/total: 5M → 6M".to_owned()],
        },
        SettingsChecked {
            path,
            applied: false,
            mistakes: Vec::new(),
            changes: Vec::new(),
        },
    ]
}

#[test]
fn settings() {
    let shown = reply::Settings {
        path: "/home/me/.bot-bottle/settings.yml".to_owned(),
        exists: true,
        loaded_at: AT,
        settings: serde_json::json!({"budget": {"claude": 5_000_000}}),
    };
    let none = reply::Settings {
        exists: false,
        settings: serde_json::json!({}),
        ..shown.clone()
    };
    method([SettingsShow {}, SettingsShow {}], [shown, none]);
    method([SettingsCheck {}, SettingsCheck {}], checked());
    let whole = SettingsReload {
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = SettingsReload {
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], checked());
}

#[test]
fn the_end() {
    let params = [Shutdown { dry_run: true }, Shutdown { dry_run: false }];
    let answers = [
        ShuttingDown {
            grace_ms: 10_000,
            in_flight: 3,
        },
        ShuttingDown {
            grace_ms: 0,
            in_flight: 0,
        },
    ];
    method(params, answers);
}
