//! Random commands, in the words of scenarios.

use proptest::prelude::*;
use proptest::sample::select;

/// What every case begins with.
pub(super) const BEGINNING: [&str; 5] = [
    "settings host/claude 200 warn=50,80; bottle:base/claude 150; bottle b parents=base",
    "launch a agent=dev",
    "launch b",
    "launch base",
    "launch c",
];
const SETTINGS: [&str; 9] = [
    "settings",
    "settings host/claude 200 warn=50,80",
    "settings host/all 300 ceiling; bottle:base/claude 150; agent:dev/claude 60; bottle a parents=base",
    "settings bottle:a/claude 80; bottle:b/all 90; bottle:base/claude/run 70 warn=50
        ; bottle a parents=base; bottle b parents=base,root; bottle base parents=root",
    "settings host/claude 100; host/codex 50 soft; finish; wait 5",
    "settings host/claude 120 gate=off; bottle:a/claude 40; bottle:root/all 200 ceiling
        ; bottle a parents=root agent=dev; bottle b parents=base; bottle base parents=root",
    "settings gate off; host/all 150; bottle:a/codex 30 gate=estimate",
    "settings host/claude/hour 90 warn=50; host/all/rolling_10m 60 ceiling; bottle a parents=base",
    "settings host/claude/block_20m 70; host/claude 300; bottle:a/all/hour 40 ceiling; bottle a agent=dev",
];
const KEYS: [&str; 13] = [
    "host/claude",
    "host/all",
    "agent:dev/claude",
    "bottle:a/claude",
    "bottle:a/claude/run",
    "bottle:b/codex",
    "bottle:base/all",
    "bottle:base/claude/run",
    "bottle:root/claude",
    "host/claude/hour",
    "bottle:a/all/rolling_10m",
    "agent:dev/claude/block_20m",
    "bottle:base/claude/rolling_2d",
];

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

/// Returns a command; `#N` is a call that is picked when it runs, `crash` and `idle` are several.
pub(super) fn command() -> impl Strategy<Value = String> {
    let bottle = || word(&["a", "a", "b", "base", "c"]);
    let provider = || word(&["claude", "claude", "codex"]);
    let used = || (0_u64..15, 0_u64..30).prop_map(|(input, output)| format!("{input}+{output}"));
    let pick = || any::<u8>();
    let plain = word(&["", "", "", "", "", "", "", "background"]);
    prop_oneof![
        40 => (bottle(), provider(), 1_u64..30, 0_u64..60, plain)
            .prop_map(|(b, p, i, o, flag)| format!("reserve # {b} {p} {i}+{o} {flag}")),
        10 => (pick(), used()).prop_map(|(n, used)| format!("flow #{n} {used}")),
        18 => (pick(), used(), word(&["", "", "cut"]))
            .prop_map(|(n, used, how)| format!("settle #{n} {used} {how}")),
        5 => pick().prop_map(|n| format!("void #{n}")),
        4 => (pick(), used()).prop_map(|(n, used)| format!("amend #{n} {used}")),
        5 => pick().prop_map(|n| format!("withdraw #{n}")),
        4 => (0_u64..20).prop_map(|s| format!("wait {s}")),
        3 => select(&[61_u64, 310, 900, 1_300, 3_700][..]).prop_map(|s| format!("wait {s}")),
        1 => select(&[-4_000_i64, -60, 4_000][..]).prop_map(|s| format!("clock {s}")),
        10 => (
            bottle(),
            word(&["", "", "", "parents=base", "parents=base,root", "parents=root,base"]),
            word(&["", "agent=dev"]),
            word(&["", "", "budget=claude:60", "budget=all:90", "budget=codex:30,claude:200"]),
            word(&["", "", "process", "renew"]),
        )
            .prop_map(|(b, parents, agent, budget, flag)| {
                format!("launch {b} {parents} {agent} {budget} {flag}")
            }),
        2 => bottle().prop_map(|b| format!("end {b}")),
        4 => (word(&["cutoff", "restore", "restore", "restore", "stop", "remove"]), bottle())
            .prop_map(|(order, b)| format!("{order} {b}")),
        4 => (select(&KEYS[..]), 20_u64..200, word(&["", "", "", "ceiling", "soft"]))
            .prop_map(|(key, limit, flag)| format!("set {key} {limit} {flag}")),
        3 => select(&KEYS[..]).prop_map(|key| format!("unset {key}")),
        6 => (select(&KEYS[..]), 1_u64..60).prop_map(|(key, by)| format!("raise {key} {by}")),
        2 => (select(&KEYS[..]), 1_u64..60, word(&["once", "for=30", "for=1000"]))
            .prop_map(|(key, by, lasts)| format!("raise {key} {by} {lasts}")),
        2 => select(&KEYS[..]).prop_map(|key| format!("reset {key}")),
        2 => (pick(), used()).prop_map(|(n, used)| format!("correct #{n} {used}")),
        2 => (bottle(), 1_u64..60).prop_map(|(b, by)| format!("raise launch:{b}/claude {by}")),
        3 => select(&SETTINGS[..]).prop_map(str::to_owned),
        1 => word(&["crash", "crash", "crash", "crash", "idle"]).prop_map(str::to_owned),
    ]
}
