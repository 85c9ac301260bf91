//! The ledger's entries over the socket: followed, exported, checked, copied.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_controller::store::reader::Reader;
use bb_tests::harness::{Bottle, System, send};
use http::Method;
use serde_json::{Value, json};

use super::raw::Raw;
use super::{system, system_with};

const ASK: &str =
    r#"{"model":"claude-opus-4-8","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

async fn message(egress: &str, bottle: &Bottle) -> Result<()> {
    let headers = [("x-api-key", bottle.token.as_str())];
    let path = "/claude/v1/messages";
    let answer = send(egress, Method::POST, path, &headers, ASK.to_owned()).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.status);
    Ok(())
}

fn rows(page: &Value) -> Result<&Vec<Value>> {
    page["entries"].as_array().context("entries")
}

fn number(value: &Value) -> Result<i64> {
    value.as_i64().with_context(|| value.to_string())
}

/// Sums the charges of all entries, by bottle.
async fn exported(raw: &mut Raw, limit: u32) -> Result<(Vec<Value>, BTreeMap<String, i64>)> {
    let (mut all, mut sums) = (Vec::new(), BTreeMap::new());
    let mut after = json!(0);
    loop {
        let page = json!({"after": after, "limit": limit});
        let page = raw.result("ledger.export", page).await?;
        for entry in rows(&page)? {
            let bottle = entry["bottle"].as_str().context("a bottle")?.to_owned();
            *sums.entry(bottle).or_default() += number(&entry["charge"])?;
            all.push(entry.clone());
        }
        after = page["last"].clone();
        if page["more"] == false {
            return Ok((all, sums));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_the_ledger_is_told_every_entry_once_and_in_order() -> Result<()> {
    const CALLS: usize = 60;
    let (system, mut raw) = system().await?;
    let bottles = [system.bottle("web").await?, system.bottle("api").await?];
    message(&system.egress, &bottles[0]).await?;
    let newest = raw.result("ledger.tail", json!({"limit": 10})).await?;
    assert_eq!((rows(&newest)?.len(), &newest["more"]), (1, &json!(false)));
    let calling = async {
        let calls = (0..CALLS).map(|call| {
            let (egress, bottle) = (system.egress.clone(), &bottles[call % 2]);
            async move { message(&egress, bottle).await }
        });
        futures_util::future::try_join_all(calls).await
    };
    let following = async {
        let mut told: Vec<Value> = Vec::new();
        let mut after = newest["last"].clone();
        while told.len() < CALLS {
            // A page may be full, and what is waited for may come in ones and twos.
            let params = json!({"after": after, "limit": 7, "wait_ms": 20_000});
            let page = raw.result("ledger.tail", params).await?;
            anyhow::ensure!(!rows(&page)?.is_empty(), "after {after}: {page}");
            told.extend(rows(&page)?.iter().cloned());
            after = page["last"].clone();
        }
        anyhow::Ok(told)
    };
    let (called, told) = tokio::join!(calling, following);
    called?;
    let told = told?;
    let numbers: Vec<i64> = told
        .iter()
        .map(|entry| number(&entry["seq"]))
        .collect::<Result<_>>()?;
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let (all, _) = exported(&mut raw, 1_000).await?;
    assert_eq!(all.len(), CALLS + 1);
    assert_eq!(all.get(1..), Some(told.as_slice()));
    let of_web = json!({"bottle": "web", "after": 0, "limit": 1_000});
    let of_web = raw.result("ledger.tail", of_web).await?;
    assert_eq!(rows(&of_web)?.len(), CALLS / 2 + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_at_the_next_entry_and_else_after_the_wait() -> Result<()> {
    let (system, mut raw) = system().await?;
    let web = system.bottle("web").await?;
    let begun = Instant::now();
    let none = json!({"after": 0, "wait_ms": 300});
    let none = raw.result("ledger.tail", none).await?;
    assert_eq!((rows(&none)?.len(), &none["last"]), (0, &json!(0)));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let begun = Instant::now();
    let waiting = raw.result("ledger.tail", json!({"after": 0, "wait_ms": 25_000}));
    let (page, called) = tokio::join!(waiting, message(&system.egress, &web));
    called?;
    let page = page?;
    assert_eq!(rows(&page)?.len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let entry = &rows(&page)?[0];
    assert_eq!(
        (&entry["kind"], &entry["ending"]),
        (&json!("settle"), &json!("complete"))
    );
    assert_eq!(
        entry["usage"]["reasoning"],
        Value::Null,
        "it was not stated"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_in_small_pages_is_the_whole_ledger_and_sums_to_its_balances() -> Result<()> {
    let (system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    for name in ["web", "api", "web"] {
        let renewed = system.bottle_with(name, &[], |params| params.renew = true);
        message(&system.egress, &renewed.await?).await?;
    }
    system.settled().await?;
    let (whole, sums) = exported(&mut raw, 1_000).await?;
    let (paged, _) = exported(&mut raw, 1).await?;
    assert_eq!((whole.len(), &whole), (3, &paged));
    let budgets = raw.result("budget.list", json!({})).await?;
    let used = number(&budgets["budgets"][0]["used"])?;
    assert_eq!(sums.values().sum::<i64>(), used);
    assert!(used > 0);
    let verified = raw.result("ledger.verify", json!({})).await?;
    assert_eq!(verified["agrees"], true, "{verified}");
    assert_eq!(verified["entries"], 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_copies_while_calls_go_on_are_each_the_ledger_of_an_instant() -> Result<()> {
    const CALLS: usize = 80;
    let (system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    let web = system.bottle("web").await?;
    let calling = async {
        for _ in 0..CALLS / 8 {
            let calls = (0..8).map(|_| message(&system.egress, &web));
            futures_util::future::try_join_all(calls).await?;
        }
        anyhow::Ok(())
    };
    let reading = async {
        let (mut exports, mut copies): (Vec<Vec<Value>>, _) = (Vec::new(), Vec::new());
        while exports.last().is_none_or(|last| last.len() < CALLS) {
            exports.push(exported(&mut raw, 5).await?.0);
            let copy = system.folder().join(format!("{}.db", copies.len()));
            let made = json!({"path": copy.display().to_string()});
            let made = raw.result("ledger.backup", made).await?;
            copies.push((copy, number(&made["entries"])?));
        }
        anyhow::Ok((exports, copies))
    };
    let (called, read) = tokio::join!(calling, reading);
    called?;
    let (exports, copies) = read?;
    let whole = exports.last().context("an export")?;
    // Each is what the last one begins with: nothing is left out, told twice, or told otherwise.
    for export in &exports {
        assert_eq!(Some(export.as_slice()), whole.get(..export.len()));
    }
    assert!(exports.len() > 1, "one export outlasted all calls");
    for (copy, entries) in copies {
        let verified = Reader::new(&copy).verify(|| false)?.context("an answer")?;
        assert!(verified.agrees, "{verified:?}");
        assert_eq!(i64::try_from(verified.entries)?, entries);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_the_controllers_back_is_found() -> Result<()> {
    let (system, mut raw) = system().await?;
    let web = system.bottle("web").await?;
    message(&system.egress, &web).await?;
    system.settled().await?;
    let connection = rusqlite::Connection::open(system.home().database())?;
    connection.execute_batch("UPDATE balances SET posted = posted + 5 WHERE account = 'host'")?;
    drop(connection);
    let verified = raw.result("ledger.verify", json!({})).await?;
    assert_eq!(verified["agrees"], false, "{verified}");
    let differs = &verified["differences"][0];
    assert_eq!(differs["account"], "host");
    assert_eq!(number(&differs["kept"])?, number(&differs["computed"])? + 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_on_a_copy_knows_what_the_first_one_knew() -> Result<()> {
    let (system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    let web = system
        .bottle_with("web", &[("claude", 100_000)], |_| {})
        .await?;
    for _ in 0..3 {
        message(&system.egress, &web).await?;
    }
    system.settled().await?;
    let copy = system.folder().join("copy.db");
    let made = json!({"path": copy.display().to_string()});
    let made = raw.result("ledger.backup", made).await?;
    assert_eq!(made["entries"], 3);
    // What comes after is not in it.
    message(&system.egress, &web).await?;
    let before = exported(&mut raw, 100).await?.0;

    let mut other = System::start(&system.provider, "budget:\n  claude: 5M\n").await?;
    other.stop().await?;
    for more in ["db-wal", "db-shm"] {
        // They are gone where the controller ended in order.
        std::fs::remove_file(other.home().database().with_extension(more)).ok();
    }
    std::fs::copy(&copy, other.home().database())?;
    let other = other.restart().await?;
    let mut on_copy = Raw::connect(other.home()).await?;
    let after = exported(&mut on_copy, 100).await?.0;
    assert_eq!(Some(after.as_slice()), before.get(..3));
    let verified = on_copy.result("ledger.verify", json!({})).await?;
    assert_eq!(verified["agrees"], true, "{verified}");
    // The bottle's token is good there too.
    message(&other.egress, &web).await?;
    let budgets = on_copy.result("budget.list", json!({})).await?;
    let limits = budgets["budgets"].as_array().context("budgets")?;
    assert_eq!(limits.len(), 2, "{budgets}");
    Ok(())
}
