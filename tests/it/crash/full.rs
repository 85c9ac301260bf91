//! A disk that is full: nothing passes that could not be charged, and nothing is lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::{Daemon, Streamed, WAIT_LIMIT, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::{Value, json};

use super::load::{Asked, Charged, File, SENTENCE, ask};
use crate::home::{Place, is_root, skipped};
use crate::socket::raw::Raw;

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

/// A controller on a small disk, a bottle, and one of its streams that flows on and on.
struct Scene {
    provider: Provider,
    place: Place,
    disk: SmallDisk,
    daemon: Daemon,
    token: String,
    flowing: Streamed,
}

impl Scene {
    /// Sets it up, where a disk can be mounted.
    async fn set() -> Result<Option<Self>> {
        Self::set_with("").await
    }

    /// The same; `more` is added to the settings.
    async fn set_with(more: &str) -> Result<Option<Self>> {
        let provider = Provider::start(Script::default()).await?;
        let place = Place::before(&provider, more)?;
        let settings = std::fs::read(place.home.settings())?;
        let Some(disk) = SmallDisk::mount(place.home.path()) else {
            return Ok(None);
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
        provider.enqueue(Script::slow(5_000, Duration::from_millis(10)));
        let body = json!({"model": "flowing", "max_tokens": 100, "stream": true,
            "messages": [{"role": "user", "content": "hi"}]});
        let headers = [("x-api-key", token.as_str())];
        let path = "/claude/v1/messages";
        let opened = stream(
            &daemon.egress,
            Method::POST,
            path,
            &headers,
            body.to_string(),
        );
        let mut flowing = opened.await?;
        flowing.read_until("content_block_delta").await?;
        Ok(Some(Self {
            provider,
            place,
            disk,
            daemon,
            token,
            flowing,
        }))
    }

    async fn ask(&self, number: usize) -> Asked {
        ask(&self.daemon.egress, &self.token, number).await
    }

    /// Fills the disk, and asks until nothing passes any more; what is left of a page may take
    /// some. Returns how many passed.
    async fn until_refused(&self) -> Result<usize> {
        self.disk.fill()?;
        let mut number = 1;
        while self.ask(number).await.saw_end {
            number += 1;
            assert!(number < 2_000, "the disk never was full");
        }
        until_open(&self.place, false).await?;
        Ok(number - 1)
    }
}

async fn health(place: &Place) -> Result<Value> {
    let mut raw = Raw::connect(&place.home).await?;
    raw.result("health", json!({})).await
}

/// Waits until the ledger takes charges, or takes none; returns how long that took.
async fn until_open(place: &Place, open: bool) -> Result<Duration> {
    let begun = Instant::now();
    while health(place).await?["ok"] != open {
        assert!(begun.elapsed() < WAIT_LIMIT);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(begun.elapsed())
}

/// Whoever asks is told that the ledger is closed; looking goes on, an order holds in memory.
async fn check_what_is_said(raw: &mut Raw, place: &Place) -> Result<()> {
    let health = health(place).await?;
    assert_eq!(health["ledger"]["state"], "failing");
    let findings = health["findings"].to_string();
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
    Ok(())
}

/// Every call that reached the provider stands in the ledger once, exactly or by an estimate.
fn check_books(file: &File, provider: &Provider) -> Result<Vec<Charged>> {
    let ledger = file.charged()?;
    for call in provider.calls() {
        let model = &call.request.model;
        let rows: Vec<_> = ledger.iter().filter(|row| row.model == *model).collect();
        let [row] = rows.as_slice() else {
            panic!("{model}: {rows:?}")
        };
        assert!(row.kind == "settle" && row.charge > 0, "{row:?}");
        assert!(row.estimated || row.usage == call.answer.stated, "{row:?}");
    }
    let sum = file.number("SELECT sum(charge) FROM entries")?;
    let posted = file.number("SELECT sum(posted) FROM balances WHERE account = 'host'")?;
    assert_eq!(posted, sum);
    assert_eq!(file.number("SELECT count(*) FROM open_calls")?, 0);
    Ok(ledger)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_cuts_and_opens_by_itself_with_nothing_lost() -> Result<()> {
    let Some(mut scene) = Scene::set().await? else {
        return Ok(());
    };
    let mut raw = Raw::connect(&scene.place.home).await?;
    let passed = scene.until_refused().await?;
    for number in 10_000..10_006 {
        // In each dialect, and at once.
        let begun = Instant::now();
        let asked = scene.ask(number).await;
        assert_eq!(asked.status, Some(400), "{asked:?}");
        assert!(asked.text.contains(SENTENCE), "{asked:?}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    let flowed = async {
        let mut text = String::new();
        while let Some(bytes) = scene.flowing.next().await? {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        anyhow::Ok(text)
    };
    // The stream was ended in its dialect, and well.
    let rest = tokio::time::timeout(WAIT_LIMIT, flowed).await??;
    assert!(
        rest.contains("event: error") && rest.contains(SENTENCE),
        "{rest}"
    );
    check_what_is_said(&mut raw, &scene.place).await?;

    scene.disk.make_room()?;
    let opened_after = until_open(&scene.place, true).await?;
    assert!(opened_after < Duration::from_secs(5), "{opened_after:?}");
    let again = scene.ask(20_000).await;
    assert!(again.saw_end, "{again:?}");
    let budgets = raw.result("budget.list", json!({})).await?;
    assert_eq!(budgets["budgets"][0]["limit"], 1_000_000);
    let told = raw
        .result("events.list", json!({"match": "ledger is"}))
        .await?;
    let text = |at: usize| told["events"][at]["text"].as_str().unwrap_or_default();
    assert!(text(0).starts_with("the ledger is open again"), "{told}");
    assert!(
        text(1).starts_with("the ledger is closed: the disk is full"),
        "{told}"
    );
    assert_eq!(told["events"].as_array().map(Vec::len), Some(2));

    let Scene { daemon, place, .. } = scene;
    let (status, _) = tokio::task::spawn_blocking(move || daemon.terminate()).await??;
    assert!(status.success());
    let ledger = check_books(&File::open(&place)?, &scene.provider)?;
    let row = |model: &str| {
        ledger
            .iter()
            .find(|row| row.model == model)
            .context("a charge")
    };
    for number in (0..=passed).chain([20_000]) {
        assert!(!row(&format!("m-{number}"))?.estimated);
    }
    let cut = row("flowing")?;
    assert_eq!((cut.ending.as_str(), cut.estimated), ("cut", true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_or_killed_with_a_full_disk_it_loses_no_call_either() -> Result<()> {
    for killed in [false, true] {
        let Some(scene) = Scene::set().await? else {
            return Ok(());
        };
        scene.until_refused().await?;
        let Scene {
            daemon,
            place,
            disk,
            provider,
            ..
        } = scene;
        if killed {
            daemon.kill()?;
        } else {
            tokio::task::spawn_blocking(move || daemon.terminate()).await??;
        }
        let (code, said) = place.fails_to_start().await?;
        assert_eq!(code, Some(1), "{said}");
        let is_named = said.contains("disk is full") || said.contains("No space left");
        assert!(is_named, "{said}");
        disk.make_room()?;
        let _daemon = place.start()?;
        check_books(&File::open(&place)?, &provider)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_at_events_runs_while_the_ledger_is_closed_and_once_more_when_it_opens()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let (hook, told) = (folder.path().join("hook"), folder.path().join("told"));
    let body = format!("#!/bin/sh\ncat >> '{}'\n", told.display());
    std::fs::write(&hook, body)?;
    let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&hook, may_run)?;
    let more = format!(
        "on_event:\n  command: {}\n  events: [ledger]\n",
        hook.display()
    );
    let Some(scene) = Scene::set_with(&more).await? else {
        return Ok(());
    };
    let texts = || -> Result<Vec<String>> {
        let told = std::fs::read_to_string(&told).unwrap_or_default();
        let whole = told.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        let text = |line: &str| -> Result<String> {
            let event: Value = serde_json::from_str(line)?;
            Ok(event["text"].as_str().context("a sentence")?.to_owned())
        };
        whole.map(text).collect()
    };
    let until_told = async |wanted: &str| -> Result<()> {
        let begun = Instant::now();
        while !texts()?.iter().any(|text| text.starts_with(wanted)) {
            assert!(begun.elapsed() < WAIT_LIMIT, "{:?}", texts());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    scene.until_refused().await?;
    until_told("the ledger is closed: ").await?;
    assert_eq!(health(&scene.place).await?["ledger"]["state"], "failing");
    scene.disk.make_room()?;
    until_open(&scene.place, true).await?;
    until_told("the ledger is open again").await?;
    assert_eq!(texts()?.len(), 2, "{:?}", texts());
    drop(scene.daemon);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_is_refused_and_told_to_end_while_nothing_can_be_charged() -> Result<()> {
    let Some(scene) = Scene::set().await? else {
        return Ok(());
    };
    let id = |number: u32| format!("019aa0b2-6f00-7000-8000-00000000000{number}");
    let reserve = |number: u32| json!({"call": id(number), "bottle": "web", "provider": "claude", "input_tokens": 40});
    let settle = json!({"call": id(1), "usage": {"input": 40, "output": 2}});
    let charge = json!({"id": id(9), "bottle": "web", "provider": "claude", "tokens": 7});
    let mut raw = Raw::connect(&scene.place.home).await?;
    raw.result("call.reserve", reserve(1)).await?;
    scene.until_refused().await?;
    let refused = raw.result("call.reserve", reserve(2)).await?["refused"].clone();
    assert_eq!(
        refused,
        json!({"reason": "ledger_closed", "sentence": SENTENCE})
    );
    let cut = raw.result("call.flowed", json!({"call": id(1)})).await?["cut"].clone();
    assert_eq!(cut["reason"], "ledger_closed");
    for (method, params) in [("call.settle", &settle), ("budget.charge", &charge)] {
        // Twice: it is not charged twice for that.
        for _ in 0..2 {
            let (word, _) = raw.refused(method, params.clone()).await?;
            assert_eq!(word, "ledger_closed", "{method}");
        }
    }
    scene.disk.make_room()?;
    until_open(&scene.place, true).await?;
    let settled = raw.result("call.settle", settle).await?;
    assert_eq!(
        (&settled["charge"], &settled["already"]),
        (&json!(42), &json!(true))
    );
    let charged = raw.result("budget.charge", charge).await?;
    assert_eq!(
        (&charged["charge"], &charged["already"]),
        (&json!(7), &json!(true))
    );
    let file = File::open(&scene.place)?;
    for (ending, charge) in [("complete' AND charge = '42", 42), ("outside", 7)] {
        let sum = format!("SELECT sum(charge) FROM entries WHERE ending = '{ending}'");
        assert_eq!(file.number(&sum)?, charge, "{ending}");
    }
    Ok(())
}
