//! What outlives a controller that was killed: bottles and their processes, orders, budgets,
//! numbers.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::home::Home;
use bb_tests::harness::WAIT_LIMIT;
use serde_json::{Value, json};

use crate::home::Place;
use crate::socket::processes::Group;
use crate::socket::raw::Raw;

async fn shown(home: &Home, name: &str) -> Result<Value> {
    let mut raw = Raw::connect(home).await?;
    Ok(raw.result("bottle.show", json!({"name": name})).await?["bottle"].clone())
}

/// Waits until a file is there.
async fn until_there(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < WAIT_LIMIT, "{}", path.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a bottle is there and in a state.
async fn until_state(home: &Home, name: &str, state: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        match shown(home, name).await {
            Ok(bottle) if bottle["state"] == state => return Ok(bottle),
            other => assert!(begun.elapsed() < WAIT_LIMIT, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_run_is_found_again_and_can_be_stopped() -> Result<()> {
    let place = Place::alone()?;
    let daemon = place.start()?;
    let begun = place.home.path().join("begun");
    let mut run = Command::new(env!("CARGO_BIN_EXE_it-ctl"))
        .arg("--home")
        .arg(place.home.path())
        .args([
            "run",
            "--name",
            "job",
            "--",
            "sh",
            "-c",
            "touch \"$0\"; sleep 1000; exit 3",
        ])
        .arg(&begun)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let before = until_state(&place.home, "job", "running").await?;
    // Only then has the one who runs it heard that it may.
    until_there(&begun).await;
    daemon.kill()?;
    let _daemon = place.start()?;
    let after = shown(&place.home, "job").await?;
    for field in ["run", "process", "state", "launched_at", "command"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let mut raw = Raw::connect(&place.home).await?;
    let stopped = raw.result("bottle.stop", json!({"names": ["job"]})).await?;
    assert_eq!(stopped["targets"][0]["observed"], "stopped");
    let status = run.wait()?;
    assert_eq!(status.code(), Some(143));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_meanwhile_has_ended_and_what_is_to_stop_is_stopped() -> Result<()> {
    let place = Place::alone()?;
    let daemon = place.start()?;
    let gone = Group::spawn("sleep 1000")?;
    let mut deaf = Group::spawn("trap '' TERM; sleep 1000; sleep 1000")?;
    let mut raw = Raw::connect(&place.home).await?;
    for (name, group) in [("gone", &gone), ("deaf", &deaf)] {
        let params = json!({"name": name, "process": group.process()?});
        raw.result("bottle.register", params).await?;
    }
    let order =
        json!({"jsonrpc": "2.0", "id": 1, "method": "bottle.stop", "params": {"names": ["deaf"]}});
    raw.send(format!("{order}\n")).await?;
    let begun = Instant::now();
    while shown(&place.home, "deaf").await?.get("wanted").is_none() {
        assert!(begun.elapsed() < WAIT_LIMIT);
    }
    daemon.kill()?;
    drop(gone);
    let _daemon = place.start()?;
    until_state(&place.home, "gone", "stopped").await?;
    let stopped = until_state(&place.home, "deaf", "stopped").await?;
    assert_eq!(stopped.get("wanted"), None);
    assert_eq!(deaf.signal()?, Some(9));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_budgets_and_tokens_stand_and_events_go_on_counting() -> Result<()> {
    let place = Place::with_settings("budget:\n  claude: 1000\negress:\n  listen: 127.0.0.1:0\n")?;
    let mut told = Vec::new();
    let mut env = Value::Null;
    for life in 0..4 {
        let daemon = place.start()?;
        let mut raw = Raw::connect(&place.home).await?;
        let mut watching = Raw::connect(&place.home).await?;
        let after = watching.result("events.watch", json!({})).await?["after"].clone();
        if life == 0 {
            raw.result("bottle.register", json!({"name": "web"}))
                .await?;
            raw.result("bottle.cutoff", json!({"names": ["web"], "why": "a test"}))
                .await?;
            let set = json!({"budget": "bottle:web/codex/total", "limit": 7, "cap": "soft"});
            raw.result("budget.set", set).await?;
            env = raw
                .result("bottle.env", json!({"name": "web", "client": "sdk"}))
                .await?;
        }
        let raise = json!({"budget": "host/claude/total", "by": 10, "why": format!("life {life}")});
        raw.result("budget.raise", raise).await?;
        // The last thing a watcher heard before the kill.
        let last = loop {
            let event = watching.json().await?["params"]["event"].clone();
            if event["kind"] == "budget_changed" && event["why"] == format!("life {life}") {
                break event["seq"].as_u64().context("a number")?;
            }
        };
        told.push((after.as_u64().context("a number")?, last));
        daemon.kill()?;
    }
    let _daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let web = shown(&place.home, "web").await?;
    assert_eq!(web["state"], "cutoff");
    assert_eq!(web["closed"][0]["by"], "operator");
    assert_eq!(web["closed"][0]["why"], "a test");
    let again = raw
        .result("bottle.env", json!({"name": "web", "client": "sdk"}))
        .await?;
    let token = |env: &Value| env["env"]["BB_TOKEN"].clone();
    assert_eq!(token(&again), token(&env));
    let budgets = raw.result("budget.list", json!({})).await?["budgets"].clone();
    let row = |id: &str| {
        let mut rows = budgets.as_array().into_iter().flatten();
        rows.find(|row| row["id"] == id)
            .cloned()
            .context("a budget")
    };
    assert_eq!(row("host/claude/total")?["limit"], 1_040);
    assert_eq!(
        row("host/claude/total")?["raises"].as_array().map(Vec::len),
        Some(4)
    );
    let soft = row("bottle:web/codex/total")?;
    assert_eq!((&soft["limit"], &soft["cap"]), (&json!(7), &json!("soft")));

    let events = raw.result("events.list", json!({"limit": 1000})).await?;
    let numbers: Vec<u64> = events["events"]
        .as_array()
        .context("events")?
        .iter()
        .rev()
        .filter_map(|event| event["seq"].as_u64())
        .collect();
    let whole: Vec<u64> = (1..=u64::try_from(numbers.len())?).collect();
    assert_eq!(numbers, whole);
    // What a watcher heard is kept, and a later life goes on behind it.
    assert!(
        told.is_sorted()
            && told
                .windows(2)
                .all(|lives| matches!(lives, [(_, heard), (after, _)] if after >= heard))
    );
    assert!(
        told.last()
            .is_some_and(|(_, heard)| numbers.contains(heard))
    );
    Ok(())
}
