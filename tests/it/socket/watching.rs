//! Events as they happen.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::raw::Raw;
use super::system;

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| value.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_without_a_gap_from_the_number_that_was_said() -> Result<()> {
    let (system, mut other) = system().await?;
    other
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let mut watching = Raw::connect(system.home()).await?;
    let after = number(&watching.result("events.watch", json!({})).await?["after"])?;
    for round in 0..20 {
        let order = if round % 2 == 0 {
            "bottle.cutoff"
        } else {
            "bottle.restore"
        };
        let params = json!({"names": ["web"], "why": format!("round {round}")});
        other.result(order, params).await?;
    }
    let mut seen = Vec::new();
    for round in 0..20 {
        let told = watching.json().await?;
        assert_eq!(told["method"], "event");
        assert!(told.get("id").is_none(), "{told}");
        assert_eq!(told["params"]["lost"], 0);
        let event = &told["params"]["event"];
        assert_eq!(number(&event["seq"])?, after + 1 + round);
        assert_eq!(event["why"], format!("round {round}"));
        assert_eq!(event["actor"], "operator");
        assert_eq!(event["uid"], rustix::process::geteuid().as_raw());
        seen.push(event.clone());
    }
    // What was told is what is kept.
    let listed = other.result("events.list", json!({"limit": 20})).await?;
    seen.reverse();
    assert_eq!(listed["events"], Value::Array(seen));
    assert_eq!(listed["more"], true);
    // Requests on the same connection are answered all the same.
    let hello = watching.result("hello", json!({})).await?;
    assert_eq!(hello["protocol"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_slowly_is_told_how_many_were_left_out() -> Result<()> {
    const BOTTLES: u64 = 500;
    const ROUNDS: u64 = 16;
    let (system, mut other) = system().await?;
    let names: Vec<String> = (0..BOTTLES).map(|n| format!("b{n}")).collect();
    for name in &names {
        other
            .result("bottle.register", json!({"name": name}))
            .await?;
    }
    let mut watching = Raw::connect(system.home()).await?;
    let after = number(&watching.result("events.watch", json!({})).await?["after"])?;
    // Far more than the socket and the queue hold together, before the first is read.
    for round in 0..ROUNDS {
        let order = if round % 2 == 0 {
            "bottle.cutoff"
        } else {
            "bottle.restore"
        };
        other.result(order, json!({"names": names})).await?;
    }
    let (mut expected, mut lost_all) = (after + 1, 0);
    while expected <= after + BOTTLES * ROUNDS {
        let told = watching.json().await?["params"].clone();
        let lost = number(&told["lost"])?;
        assert_eq!(number(&told["event"]["seq"])?, expected + lost);
        expected += lost + 1;
        lost_all += lost;
    }
    assert!(lost_all > 0);
    assert_eq!(expected, after + BOTTLES * ROUNDS + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_back_page_by_page_and_searched() -> Result<()> {
    let (_system, mut raw) = system().await?;
    for name in ["web", "nightly"] {
        raw.result("bottle.register", json!({"name": name})).await?;
    }
    for _ in 0..3 {
        let both = json!({"names": ["web", "nightly"]});
        raw.result("bottle.cutoff", both.clone()).await?;
        raw.result("bottle.restore", both).await?;
    }
    let all = raw.result("events.list", json!({"limit": 1000})).await?;
    assert_eq!(all["more"], false);
    let all = all["events"].as_array().context("events")?.clone();
    let mut paged = Vec::new();
    let mut before = Value::Null;
    loop {
        let page = raw
            .result("events.list", json!({"limit": 4, "before": before}))
            .await?;
        let events = page["events"].as_array().context("events")?.clone();
        before = events.last().context("an event")?["seq"].clone();
        paged.extend(events);
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(paged, all);
    let only = |key: &'static str, word: &'static str| {
        all.iter()
            .filter(move |event| event[key] == word)
            .cloned()
            .collect::<Vec<_>>()
    };
    let of_web = raw.result("events.list", json!({"bottle": "web"})).await?;
    assert_eq!(of_web["events"], Value::Array(only("bottle", "web")));
    let matching = raw
        .result("audit.list", json!({"match": "NIGHTLY cut OFF"}))
        .await?;
    let matching = matching["events"].as_array().context("events")?;
    assert_eq!(matching.len(), 3);
    assert!(matching.iter().all(|event| event["kind"] == "cutoff"));
    let none = raw.result("events.list", json!({"match": "%"})).await?;
    assert_eq!(none["events"], json!([]));
    Ok(())
}
