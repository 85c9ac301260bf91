//! The state: whole, in parts, and what changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::frame::LINE_BYTES_MAX;
use bb_tests::harness::{System, send};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::{Value, json};

use super::raw::Raw;
use super::{system, system_with};

/// What a display has, kept up to date as the protocol's page says.
#[derive(Default)]
struct Display {
    revision: Option<u64>,
    budgets: BTreeMap<String, Value>,
    bottles: BTreeMap<String, Value>,
    wholes: usize,
    deltas: usize,
}

impl Display {
    async fn poll(&mut self, raw: &mut Raw, wait_ms: u64) -> Result<()> {
        let mut params = json!({"since": self.revision, "wait_ms": wait_ms});
        let first = raw.result("snapshot", params.clone()).await?;
        let revision = first["head"]["revision"].as_u64().context("a revision")?;
        let mut parts = vec![first];
        while let Some(last) = parts.last().filter(|part| part["more"] == true) {
            params["part"] = last["next"].clone();
            params["wait_ms"] = Value::Null;
            parts.push(raw.result("snapshot", params.clone()).await?);
        }
        let whole = parts.iter().any(|part| part["whole"] == true);
        if whole {
            self.budgets.clear();
            self.bottles.clear();
        }
        *(if whole {
            &mut self.wholes
        } else {
            &mut self.deltas
        }) += 1;
        for part in parts {
            fold(&mut self.budgets, &part, "budgets", "id")?;
            fold(&mut self.bottles, &part, "bottles", "name")?;
        }
        self.revision = Some(revision);
        Ok(())
    }
}

fn fold(rows: &mut BTreeMap<String, Value>, part: &Value, list: &str, key: &str) -> Result<()> {
    for row in part[list].as_array().context("rows")? {
        let mut row = row.clone();
        // These change by themselves as time goes.
        for field in ["rate_per_minute", "recent", "left_ms", "spent_at"] {
            row.as_object_mut().context("a row")?.remove(field);
        }
        rows.insert(row[key].as_str().context("a key")?.to_owned(), row);
    }
    for gone in part[format!("{list}_gone")]
        .as_array()
        .into_iter()
        .flatten()
    {
        rows.remove(gone.as_str().context("a key")?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_answered_at_a_change_or_after_the_wait() -> Result<()> {
    let (system, mut raw) = system().await?;
    let mut other = Raw::connect(system.home()).await?;
    let whole = raw.result("snapshot", json!({})).await?;
    assert_eq!(whole["whole"], true);
    let since = whole["head"]["revision"].clone();

    let begun = Instant::now();
    let nothing = raw
        .result("snapshot", json!({"since": since, "wait_ms": 300}))
        .await?;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(nothing["whole"], false);
    assert_eq!(nothing["bottles"], json!([]));
    assert_eq!(nothing["head"]["revision"], since);
    let at_once = Instant::now();
    raw.result("snapshot", json!({"since": since})).await?;
    assert!(at_once.elapsed() < Duration::from_millis(250));

    let begun = Instant::now();
    let wait = json!({"since": since, "wait_ms": 20_000});
    let (answer, registered) = tokio::join!(raw.result("snapshot", wait), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other
            .result("bottle.register", json!({"name": "web"}))
            .await
    });
    registered?;
    let (answer, took) = (answer?, begun.elapsed());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(answer["bottles"][0]["name"], "web", "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_another_life_is_answered_with_everything() -> Result<()> {
    let (system, mut raw) = system().await?;
    raw.result("bottle.register", json!({"name": "web"}))
        .await?;
    let before = raw.result("snapshot", json!({})).await?["head"]["revision"].clone();
    drop(raw);
    let system = system.restart().await?;
    let mut raw = Raw::connect(system.home()).await?;
    for since in [before, json!(0), json!(u64::MAX)] {
        let begun = Instant::now();
        let answer = raw
            .result("snapshot", json!({"since": since, "wait_ms": 20_000}))
            .await?;
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(answer["whole"], true, "{since}");
        assert_eq!(answer["bottles"][0]["name"], "web");
    }
    Ok(())
}

/// Calls and orders of all kinds, one after the other.
async fn work(system: &System, raw: &mut Raw, round: usize) -> Result<()> {
    let name = format!("b{}", round % 7);
    let one = json!({"names": [name]});
    match round % 11 {
        0 | 1 => {
            let params = json!({"name": name, "parents": ["base"], "agent": "reviewer",
                "budgets": [{"provider": "claude", "limit": 3000}]});
            drop(raw.ask("bottle.register", params).await?);
            let again = json!({"name": name, "renew": true});
            let registered = raw.result("bottle.register", again).await?;
            let token = registered["token"].as_str().context("a token")?;
            let headers = [("x-api-key", token)];
            let body = json!({"model": "m", "max_tokens": 100,
                "messages": [{"role": "user", "content": "hi"}]});
            let path = "/claude/v1/messages";
            send(
                &system.egress,
                Method::POST,
                path,
                &headers,
                body.to_string(),
            )
            .await?;
        }
        2 => drop(raw.ask("bottle.cutoff", one).await?),
        3 => drop(raw.ask("bottle.restore", one).await?),
        4 => {
            let budget = format!("bottle:{name}/all/total");
            raw.result(
                "budget.set",
                json!({"budget": budget, "limit": 100 + round}),
            )
            .await?;
        }
        5 => {
            let budget = format!("bottle:b{}/all/total", (round + 6) % 7);
            drop(
                raw.ask("budget.raise", json!({"budget": budget, "by": 50}))
                    .await?,
            );
        }
        6 => drop(raw.ask("bottle.stop", one).await?),
        7 => drop(raw.ask("bottle.remove", one).await?),
        8 => drop(
            raw.ask(
                "budget.unset",
                json!({"budget": format!("bottle:{name}/all/total")}),
            )
            .await?,
        ),
        _ => {
            raw.result("bottle.register", json!({"name": name, "renew": true}))
                .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_folds_to_the_whole() -> Result<()> {
    let provider = Provider::start(Script::costing(40, 20)).await?;
    let more = "agents:\n  reviewer:\n    budget:\n      claude: 1000\n";
    let system = System::start(&provider, more).await?;
    let mut working = Raw::connect(system.home()).await?;
    let mut polling = Raw::connect(system.home()).await?;
    let mut display = Display::default();
    for round in 0..120 {
        work(&system, &mut working, round).await?;
        display.poll(&mut polling, 0).await?;
    }
    system.settled().await?;
    display.poll(&mut polling, 0).await?;
    let mut fresh = Display::default();
    fresh.poll(&mut polling, 0).await?;
    assert_eq!(display.bottles, fresh.bottles);
    assert_eq!(display.budgets, fresh.budgets);
    assert!(
        display.deltas > 5 && display.wholes > 1,
        "{}",
        display.deltas
    );
    assert!(!fresh.bottles.is_empty() && !fresh.budgets.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bottles_come_in_parts_that_fit_a_line() -> Result<()> {
    const BOTTLES: usize = 1_000;
    let (_system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    let prompt = "do this and that ".repeat(1_000);
    for number in 0..BOTTLES {
        let name = format!("{number:04}-{}", "n".repeat(59));
        // Some with a prompt as long as a book, so that rows differ in length.
        let words = if number % 4 > 0 {
            prompt.as_str()
        } else {
            "short"
        };
        let params = json!({"name": name, "agent": "reviewer", "parents": ["base"],
            "command": ["claude", "-p", words],
            "budgets": [{"provider": "claude", "limit": 1000}]});
        raw.result("bottle.register", params).await?;
    }
    let mut names = Vec::new();
    let mut budgets = 0;
    let mut part = Value::Null;
    let mut parts = 0;
    loop {
        let asked =
            json!({"jsonrpc": "2.0", "id": 1, "method": "snapshot", "params": {"part": part}});
        raw.send(format!("{asked}\n")).await?;
        let line = raw.line().await?.context("an answer")?;
        assert!(line.len() <= LINE_BYTES_MAX, "{}", line.len());
        let answer: Value = serde_json::from_str(&line)?;
        let snapshot = &answer["result"];
        assert_eq!(snapshot["whole"], true, "{}", answer["error"]);
        budgets += snapshot["budgets"].as_array().context("budgets")?.len();
        for row in snapshot["bottles"].as_array().context("bottles")? {
            names.push(row["name"].as_str().context("a name")?.to_owned());
            // A prompt as long as a book is shown by its beginning.
            let command = row["command"].to_string();
            assert!(command.len() < 4_200, "{}", command.len());
            assert_eq!(command.ends_with("…\"]"), command.len() > 100);
        }
        parts += 1;
        if snapshot["more"] == false {
            assert_eq!(snapshot.get("next"), None);
            break;
        }
        part = snapshot["next"].clone();
    }
    assert_eq!(budgets, BOTTLES + 1);
    let mut all: Vec<String> = names.clone();
    all.sort();
    all.dedup();
    assert_eq!((names.len(), all.len()), (BOTTLES + 1, BOTTLES + 1));
    assert!(parts > 3, "{parts}");

    // A list that does not fit a line says what to ask instead.
    let answer = raw.ask("bottle.list", json!({})).await?;
    assert_eq!(answer["error"]["data"]["code"], "line_too_long");
    let hint = answer["error"]["data"]["hint"].to_string();
    assert!(hint.contains("snapshot"), "{hint}");
    Ok(())
}
