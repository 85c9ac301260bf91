//! A disk that is full: nothing passes that could not be charged, and nothing is lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::{WAIT_LIMIT, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::{Value, json};

use super::load::{File, ask};
use crate::home::{Place, is_root, skipped};
use crate::socket::raw::Raw;

const SENTENCE: &str =
    "the controller cannot write its ledger and admits no calls until it can; tell the operator";

/// A small disk at a folder, unmounted with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one, or says why not.
    fn mount(at: &Path) -> Option<Self> {
        if !is_root() {
            skipped("only root can mount a small disk");
            return None;
        }
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m,mode=0700", "none"])
            .arg(at)
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        skipped("no file system can be mounted here");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves no room for one more page.
    fn fill(&self) -> Result<()> {
        let mut ballast = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.ballast())?;
        for size in [65_536, 4_096] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process of the test may still have it open.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

async fn health(place: &Place) -> Result<Value> {
    Raw::connect(&place.home)
        .await?
        .result("health", json!({}))
        .await
}

async fn until_open(place: &Place, open: bool) -> Result<Duration> {
    let begun = Instant::now();
    while health(place).await?["ok"] != open {
        assert!(begun.elapsed() < WAIT_LIMIT);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_calls_cuts_streams_and_opens_by_itself_with_nothing_lost() -> Result<()>
{
    let provider = Provider::start(Script::default()).await?;
    let place = Place::before(&provider, "")?;
    let settings = std::fs::read(place.home.settings())?;
    let Some(disk) = SmallDisk::mount(place.home.path()) else {
        return Ok(());
    };
    std::fs::write(place.home.settings(), settings)?;
    let daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let web = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let token = web["token"].as_str().context("a token")?.to_owned();
    let good = ask(&daemon.egress, &token, 0).await;
    assert!(good.saw_end, "{good:?}");

    // One stream flows, then the disk is full.
    provider.enqueue(Script::slow(5_000, Duration::from_millis(10)));
    let body = r#"{"model":"flowing","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let headers = [("x-api-key", token.as_str())];
    let mut flowing = stream(
        &daemon.egress,
        Method::POST,
        "/claude/v1/messages",
        &headers,
        body,
    )
    .await?;
    flowing.read_until("content_block_delta").await?;
    disk.fill()?;

    // What is left of a page may take some; then all are refused, in each dialect.
    let mut number = 1;
    let mut passed = Vec::new();
    loop {
        let asked = ask(&daemon.egress, &token, number).await;
        number += 1;
        match asked.status {
            Some(200) if asked.saw_end => passed.push(asked.model),
            _ => break,
        }
        assert!(number < 2_000, "the disk never was full");
    }
    let closed_after = until_open(&place, false).await?;
    assert!(closed_after < Duration::from_secs(2), "{closed_after:?}");
    for number in 10_000..10_006 {
        let begun = Instant::now();
        let asked = ask(&daemon.egress, &token, number).await;
        assert_eq!(asked.status, Some(400), "{asked:?}");
        assert!(asked.text.contains(SENTENCE), "{asked:?}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    // The stream was ended in its dialect.
    let (rest, is_whole) = tokio::time::timeout(WAIT_LIMIT, flowing.rest()).await?;
    assert!(
        is_whole && rest.contains("event: error") && rest.contains(SENTENCE),
        "{rest}"
    );

    // Whoever asks is told; looking goes on, and an order holds in memory.
    let health_now = health(&place).await?;
    assert_eq!(health_now["ledger"]["state"], "failing");
    let findings = health_now["findings"].to_string();
    assert!(findings.contains("the ledger is closed"), "{findings}");
    let snapshot = raw.result("snapshot", json!({})).await?;
    assert_eq!(snapshot["head"]["ledger"]["state"], "failing");
    assert_eq!(snapshot["head"]["totals"]["in_flight"], 0);
    let set = json!({"budget": "bottle:web/claude/total", "limit": 1_000_000});
    let (word, sentence) = raw.refused("budget.set", set).await?;
    assert_eq!(word, "ledger_closed");
    assert!(sentence.contains("kept in memory"), "{sentence}");
    raw.result("usage.query", json!({})).await?;
    raw.result("events.list", json!({})).await?;

    disk.make_room()?;
    let opened_after = until_open(&place, true).await?;
    assert!(opened_after < Duration::from_secs(5), "{opened_after:?}");
    let again = ask(&daemon.egress, &token, 20_000).await;
    assert!(again.saw_end, "{again:?}");
    let budgets = raw.result("budget.list", json!({})).await?;
    assert_eq!(budgets["budgets"][0]["limit"], 1_000_000);
    let told = raw
        .result("events.list", json!({"match": "ledger is"}))
        .await?;
    let told: Vec<&str> = told["events"]
        .as_array()
        .context("events")?
        .iter()
        .filter_map(|event| event["text"].as_str())
        .collect();
    let [opened, closed] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(opened.starts_with("the ledger is open again"), "{told:?}");
    assert!(
        closed.starts_with("the ledger is closed: the disk is full"),
        "{told:?}"
    );

    // The three books agree, over another life too.
    let (status, _) = tokio::task::spawn_blocking(move || daemon.terminate()).await??;
    assert!(status.success());
    let file = File::open(&place)?;
    let charged = file.charged()?;
    for call in provider.calls() {
        let rows: Vec<_> = charged
            .iter()
            .filter(|row| row.model == call.request.model)
            .collect();
        let [row] = rows.as_slice() else {
            panic!("{}: {rows:?}", call.request.model)
        };
        assert!(row.kind == "settle" && row.charge > 0, "{row:?}");
        if row.estimated {
            continue;
        }
        assert_eq!(row.usage, call.answer.stated, "{row:?}");
    }
    for model in ["m-0".to_owned(), "m-20000".to_owned()]
        .iter()
        .chain(&passed)
    {
        let row = charged
            .iter()
            .find(|row| row.model == *model)
            .context("a charge")?;
        assert!(!row.estimated, "{row:?}");
    }
    let cut = charged
        .iter()
        .find(|row| row.model == "flowing")
        .context("the stream")?;
    assert_eq!((cut.ending.as_str(), cut.estimated), ("cut", true));
    let charges = file.number("SELECT sum(charge) FROM entries")?;
    assert_eq!(
        file.number("SELECT sum(posted) FROM balances WHERE account = 'host'")?,
        charges
    );
    assert_eq!(file.number("SELECT count(*) FROM open_calls")?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_or_killed_with_a_full_disk_it_loses_no_call_either() -> Result<()> {
    for killed in [false, true] {
        let provider = Provider::start(Script::default()).await?;
        let place = Place::before(&provider, "")?;
        let settings = std::fs::read(place.home.settings())?;
        let Some(disk) = SmallDisk::mount(place.home.path()) else {
            return Ok(());
        };
        std::fs::write(place.home.settings(), settings)?;
        let daemon = place.start()?;
        let mut raw = Raw::connect(&place.home).await?;
        let web = raw
            .result("bottle.register", json!({"name": "web"}))
            .await?;
        let token = web["token"].as_str().context("a token")?.to_owned();
        provider.enqueue(Script::slow(5_000, Duration::from_millis(10)));
        let body = r#"{"model":"flowing","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
        let headers = [("x-api-key", token.as_str())];
        let path = "/claude/v1/messages";
        let mut flowing = stream(&daemon.egress, Method::POST, path, &headers, body).await?;
        flowing.read_until("content_block_delta").await?;
        disk.fill()?;
        for number in 1..2_000 {
            if ask(&daemon.egress, &token, number).await.status != Some(200) {
                break;
            }
        }
        until_open(&place, false).await?;
        drop(raw);
        if killed {
            daemon.kill()?;
        } else {
            tokio::task::spawn_blocking(move || daemon.terminate()).await??;
        }
        let (code, said) = place.fails_to_start().await?;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("disk is full") || said.contains("No space left"),
            "{said}"
        );
        disk.make_room()?;
        let _daemon = place.start()?;
        let file = File::open(&place)?;
        let charged = file.charged()?;
        for call in provider.calls() {
            let rows: Vec<_> = charged
                .iter()
                .filter(|row| row.model == call.request.model)
                .collect();
            let [row] = rows.as_slice() else {
                panic!("{}: {rows:?}", call.request.model)
            };
            assert!(
                row.charge > 0 && (row.estimated || row.usage == call.answer.stated),
                "{row:?}"
            );
        }
        drop(file);
    }
    Ok(())
}
