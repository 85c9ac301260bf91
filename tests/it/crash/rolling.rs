//! Entries that are rolled up by a controller that is killed while it does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::WAIT_LIMIT;
use bb_tests::provider::{Provider, Script};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::load::{File, ask};
use crate::home::Place;
use crate::socket::raw::Raw;

const ENTRIES: i64 = 20_000;
const KILLS: u64 = 6;

/// Has one call made, and its entry a thousandfold, a hundred days ago.
async fn old(place: &Place) -> Result<()> {
    let daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let web = raw
        .result(
            "bottle.register",
            json!({"name": "web", "agent": "reviewer"}),
        )
        .await?;
    let token = web["token"].as_str().context("a token")?.to_owned();
    assert!(ask(&daemon.egress, &token, 0).await.saw_end);
    let (status, _) = tokio::task::spawn_blocking(move || daemon.terminate()).await??;
    assert!(status.success());
    let connection = Connection::open(place.home.database())?;
    connection.execute_batch(&format!(
        "CREATE TEMP TABLE one AS SELECT * FROM entries;
         UPDATE one SET at = at - 8640000000, started_at = started_at - 8640000000;
         UPDATE entries SET at = (SELECT at FROM one), started_at = (SELECT started_at FROM one);
         CREATE TEMP TABLE many AS
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {ENTRIES} - 1)
         SELECT i, one.* FROM n, one;
         UPDATE many SET seq = seq + i, call = unhex(printf('%032x', i)), at = at + i * 2000;
         ALTER TABLE many DROP COLUMN i;
         INSERT INTO entries SELECT * FROM many;
         UPDATE balances SET posted = posted * {ENTRIES}, cache_read = cache_read * {ENTRIES};"
    ))?;
    Ok(())
}

async fn sums(raw: &mut Raw) -> Result<Value> {
    let all = raw.result("usage.query", json!({})).await?;
    let total = &all["total"];
    let rows = &all["rows"];
    Ok(json!([total, rows]))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_entries_are_rolled_up_every_sum_stays_what_it_was() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let place = Place::before(&provider, "keep_calls: 36500d\n")?;
    old(&place).await?;
    let daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let before = sums(&mut raw).await?;
    assert_eq!(before[0]["calls"], ENTRIES);
    assert_eq!(
        File::open(&place)?.number("SELECT count(*) FROM rollups")?,
        0,
        "they are kept"
    );
    daemon.kill()?;
    let kept = std::fs::read_to_string(place.home.settings())?;
    std::fs::write(place.home.settings(), kept.replace("36500d", "90d"))?;
    let left = "SELECT count(*) FROM entries";
    let mut lives = 0;
    for kill in 0..KILLS {
        let daemon = place.start()?;
        let mut raw = Raw::connect(&place.home).await?;
        tokio::time::sleep(Duration::from_millis(20 + kill * 13)).await;
        assert_eq!(sums(&mut raw).await?, before, "while it rolls up");
        daemon.kill()?;
        let file = File::open(&place)?;
        lives += u64::from(file.number(left)? > 0);
        let calls = "SELECT (SELECT count(*) FROM entries) + (SELECT total(calls) FROM rollups)";
        assert_eq!(file.number(&calls.replace("total", "sum"))?, ENTRIES);
    }
    assert!(lives > 1, "it was killed in the midst of it {lives} times");
    let _daemon = place.start()?;
    let begun = Instant::now();
    while File::open(&place)?.number(left)? > 0 {
        assert!(begun.elapsed() < WAIT_LIMIT);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut raw = Raw::connect(&place.home).await?;
    assert_eq!(sums(&mut raw).await?, before);
    let verified = raw.result("ledger.verify", json!({})).await?;
    assert_eq!(
        (&verified["agrees"], &verified["rolled_up"]),
        (&json!(true), &json!(ENTRIES))
    );
    Ok(())
}
