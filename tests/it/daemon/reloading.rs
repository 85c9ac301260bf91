//! The settings, taken again while the controller runs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::Daemon;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::home::Place;
use crate::socket::raw::Raw;

fn settings(limit: &str) -> String {
    format!("budget:\n  claude: {limit}\negress:\n  listen: 127.0.0.1:0\n")
}

fn hang_up(daemon: &Daemon) -> Result<()> {
    let pid = Pid::from_raw(daemon.pid().cast_signed()).context("a pid")?;
    Ok(kill_process(pid, Signal::HUP)?)
}

async fn limits(raw: &mut Raw) -> Result<Vec<Value>> {
    let budgets = raw.result("budget.list", json!({})).await?;
    let rows = budgets["budgets"].as_array().context("budgets")?;
    Ok(rows.iter().map(|row| row["limit"].clone()).collect())
}

/// Waits for an event of the settings with this in its sentence.
async fn until_said(watching: &mut Raw, needle: &str) -> Result<String> {
    loop {
        let event = watching.json().await?["params"]["event"].clone();
        let text = event["text"].as_str().context("a sentence")?.to_owned();
        if event["kind"] == "settings" && text.contains(needle) {
            return Ok(text);
        }
    }
}

async fn watch(place: &Place) -> Result<Raw> {
    let mut watching = Raw::connect(&place.home).await?;
    watching.result("events.watch", json!({})).await?;
    Ok(watching)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_the_file_as_it_stands() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let daemon = place.start()?;
    // Right at the start: nobody is ended by it who does not listen yet.
    hang_up(&daemon)?;
    let mut watching = watch(&place).await?;
    let mut raw = Raw::connect(&place.home).await?;
    assert_eq!(limits(&mut raw).await?, [5_000_000]);
    std::fs::write(place.home.settings(), settings("6M"))?;
    hang_up(&daemon)?;
    let said = until_said(&mut watching, "6").await?;
    assert!(said.starts_with("the settings were taken: "), "{said}");
    assert_eq!(limits(&mut raw).await?, [6_000_000]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_by_itself() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let _daemon = place.start()?;
    let mut watching = watch(&place).await?;
    std::fs::write(place.home.settings(), settings("7M"))?;
    until_said(&mut watching, "7").await?;
    let mut raw = Raw::connect(&place.home).await?;
    assert_eq!(limits(&mut raw).await?, [7_000_000]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_still_written_is_not_taken_halfway() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let _daemon = place.start()?;
    let mut watching = watch(&place).await?;
    let begun = Instant::now();
    // Longer than it takes until the file is looked at.
    while begun.elapsed() < Duration::from_millis(2_500) {
        std::fs::write(place.home.settings(), "egress:\n  listen: 127.0.0.1:0\n")?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(place.home.settings(), settings("8M"))?;
    let said = until_said(&mut watching, "taken").await?;
    assert!(said.contains('8'), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_mistakes_keeps_what_was_before_and_says_so() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let daemon = place.start()?;
    let mut watching = watch(&place).await?;
    let mut raw = Raw::connect(&place.home).await?;
    std::fs::write(place.home.settings(), "budget:\n  claud: 5M\n  codex: 0\n")?;
    hang_up(&daemon)?;
    let said = until_said(&mut watching, "not taken").await?;
    assert_eq!(
        said,
        "the settings were not taken, those before stay: line 2: unknown provider \"claud\" (and 1 more)"
    );
    assert_eq!(limits(&mut raw).await?, [5_000_000]);
    let checked = raw.result("settings.check", json!({})).await?;
    assert_eq!(checked["applied"], false);
    let lines: Vec<&Value> = checked["mistakes"]
        .as_array()
        .context("mistakes")?
        .iter()
        .map(|mistake| &mistake["line"])
        .collect();
    assert_eq!(lines, [2, 3]);
    let reloaded = raw.result("settings.reload", json!({})).await?;
    assert_eq!(reloaded, checked);
    assert_eq!(limits(&mut raw).await?, [5_000_000]);
    let log = std::fs::read_to_string(place.home.log())?;
    assert!(
        log.contains("the settings were not taken line=2 column=3"),
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_keeps_what_was_before_and_an_empty_one_takes_it_back() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let daemon = place.start()?;
    let mut watching = watch(&place).await?;
    let mut raw = Raw::connect(&place.home).await?;
    std::fs::remove_file(place.home.settings())?;
    hang_up(&daemon)?;
    let said = until_said(&mut watching, "not taken").await?;
    assert!(said.ends_with("settings.yml is gone"), "{said}");
    assert_eq!(limits(&mut raw).await?, [5_000_000]);
    let (word, sentence) = raw.refused("settings.reload", json!({})).await?;
    assert_eq!(word, "settings");
    assert!(sentence.ends_with("settings.yml is gone"), "{sentence}");
    std::fs::write(place.home.settings(), "")?;
    let taken = raw.result("settings.reload", json!({})).await?;
    assert_eq!(taken["applied"], true);
    assert_eq!(limits(&mut raw).await?, [0; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_it_changes_and_a_rehearsal_changes_nothing() -> Result<()> {
    let place = Place::with_settings(&settings("5M"))?;
    let _daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    std::fs::write(
        place.home.settings(),
        settings("9M").replace("127.0.0.1:0", "127.0.0.1:1"),
    )?;
    let would = raw
        .result("settings.reload", json!({"dry_run": true}))
        .await?;
    assert_eq!(would["applied"], false);
    assert_eq!(limits(&mut raw).await?, [5_000_000]);
    let did = raw.result("settings.reload", json!({})).await?;
    assert_eq!(did["applied"], true);
    assert_eq!(did["changes"], would["changes"]);
    let changes = did["changes"].to_string();
    assert!(changes.contains('9'), "{changes}");
    assert!(
        changes.contains("egress.listen holds from the next start on"),
        "{changes}"
    );
    assert_eq!(limits(&mut raw).await?, [9_000_000]);
    let shown = raw.result("settings.show", json!({})).await?;
    assert_eq!(shown["exists"], true);
    assert_eq!(shown["path"], place.home.settings().display().to_string());
    Ok(())
}
