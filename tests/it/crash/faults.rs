//! A disk that fails, and a file that is taken away: what was seen was charged, once.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::home::Home;
use bb_tests::harness::{Daemon, Streamed, WAIT_LIMIT, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::json;

use super::kills::compare;
use super::load::{Asked, SENTENCE, ask};
use super::number_of;
use super::traced::{SYNCS, Tracer};
use crate::home::{Place, skipped};
use crate::socket::raw::Raw;

/// How soon a ledger that cannot be written refuses; a second, and time for a busy machine.
const REFUSED_WITHIN: Duration = Duration::from_secs(2);

/// A controller, a bottle, and what was asked.
struct Scene {
    provider: Provider,
    place: Place,
    daemon: Daemon,
    token: String,
    asked: Vec<Asked>,
}

impl Scene {
    async fn set() -> Result<Self> {
        let provider = Provider::start(Script::default()).await?;
        let place = Place::before(&provider, "budget:\n  all: 1G\n")?;
        let daemon = place.start()?;
        let mut raw = Raw::connect(&place.home).await?;
        let web = raw
            .result("bottle.register", json!({"name": "web"}))
            .await?;
        let token = web["token"].as_str().context("a token")?.to_owned();
        let mut scene = Self {
            provider,
            place,
            daemon,
            token,
            asked: Vec::new(),
        };
        assert!(scene.ask().await.saw_end);
        Ok(scene)
    }

    async fn ask(&mut self) -> Asked {
        let asked = ask(&self.daemon.egress, &self.token, self.asked.len()).await;
        self.asked.push(asked.clone());
        asked
    }

    /// Opens a stream that flows on and on.
    async fn flowing(&self) -> Result<Streamed> {
        self.provider
            .enqueue(Script::slow(5_000, Duration::from_millis(10)));
        let body = json!({"model": "flowing", "max_tokens": 100, "stream": true,
            "messages": [{"role": "user", "content": "hi"}]});
        let headers = [("x-api-key", self.token.as_str())];
        let opened = stream(
            &self.daemon.egress,
            Method::POST,
            "/claude/v1/messages",
            &headers,
            body.to_string(),
        );
        let mut flowing = opened.await?;
        flowing.read_until("content_block_delta").await?;
        Ok(flowing)
    }

    /// Asks until a call is refused for the ledger.
    async fn until_refused(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let asked = self.ask().await;
            if asked.status == Some(400) && asked.text.contains(SENTENCE) {
                break;
            }
            assert!(begun.elapsed() < REFUSED_WITHIN, "{asked:?}");
        }
        Ok(())
    }

    /// Asks until a call passes.
    async fn until_passed(&mut self) {
        let begun = Instant::now();
        while !self.ask().await.saw_end {
            assert!(begun.elapsed() < WAIT_LIMIT, "it never opened again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the controller, and compares the books.
    async fn compare(self) -> Result<()> {
        let daemon = self.daemon;
        let (status, said) = tokio::task::spawn_blocking(move || daemon.terminate()).await??;
        assert!(status.success(), "{said}");
        compare(&self.place, &self.provider, &self.asked)?;
        // It can be opened, and agrees with itself.
        let _daemon = self.place.start()?;
        let mut raw = Raw::connect(&self.place.home).await?;
        let verified = raw.result("ledger.verify", json!({})).await?;
        assert_eq!(verified["agrees"], true, "{verified}");
        Ok(())
    }
}

/// Reads a stream to its end, which is in the dialect.
async fn cut(flowing: Streamed) -> Result<String> {
    let (rest, is_whole) = tokio::time::timeout(WAIT_LIMIT, flowing.rest()).await?;
    assert!(is_whole && rest.contains("event: error"), "{rest}");
    Ok(rest)
}

async fn state(home: &Home) -> Result<String> {
    let mut raw = Raw::connect(home).await?;
    let health = raw.result("health", json!({})).await?;
    Ok(health["ledger"]["state"]
        .as_str()
        .context("a state")?
        .to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_closes_the_ledger_and_nothing_is_lost_or_charged_twice() -> Result<()> {
    let mut scene = Scene::set().await?;
    let mut closed = 0;
    for round in 1..=number_of("BB_FAULTS", 8) {
        // The calls of each thread are counted by themselves.
        let nth = 1 + round % 5;
        let inject = format!("{SYNCS}:error=EIO:when={nth}");
        let Some(tracer) = Tracer::begin(&scene.daemon, &inject)? else {
            return Ok(());
        };
        let first = scene.asked.len();
        for _ in 0..8 {
            scene.ask().await;
        }
        drop(tracer);
        scene.until_passed().await;
        closed += usize::from(scene.asked.iter().skip(first).any(|asked| !asked.saw_end));
    }
    assert!(closed > 0, "no sync failed");
    scene.compare().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_every_sync_fails_no_call_passes_and_no_end_is_shown() -> Result<()> {
    let mut scene = Scene::set().await?;
    let flowing = scene.flowing().await?;
    let inject = format!("{SYNCS}:error=EIO");
    let Some(tracer) = Tracer::begin(&scene.daemon, &inject)? else {
        return Ok(());
    };
    scene.until_refused().await?;
    cut(flowing).await?;
    assert_eq!(state(&scene.place.home).await?, "failing");
    for _ in 0..12 {
        let asked = scene.ask().await;
        assert!(!asked.saw_end, "{asked:?}");
    }
    drop(tracer);
    scene.until_passed().await;
    assert_eq!(state(&scene.place.home).await?, "ok");
    scene.compare().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_answer_is_shown_after_the_sync_of_its_charge() -> Result<()> {
    const SLOW: Duration = Duration::from_millis(300);
    let mut scene = Scene::set().await?;
    let inject = format!("{SYNCS}:delay_enter={}", SLOW.as_micros());
    let Some(tracer) = Tracer::begin(&scene.daemon, &inject)? else {
        return Ok(());
    };
    for _ in 0..6 {
        let begun = Instant::now();
        let asked = scene.ask().await;
        assert!(asked.saw_end, "{asked:?}");
        assert!(begun.elapsed() >= SLOW, "{asked:?}: {:?}", begun.elapsed());
    }
    drop(tracer);
    scene.compare().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_deleted_is_written_anew_and_no_call_is_cut() -> Result<()> {
    let mut scene = Scene::set().await?;
    let flowing = scene.flowing().await?;
    for also in [&["", "-wal", "-shm"][..], &[""][..]] {
        for end in also {
            let file = format!("{}{end}", scene.place.home.database().display());
            std::fs::remove_file(file)?;
        }
        assert!(scene.ask().await.saw_end);
        assert!(scene.place.home.database().exists());
    }
    assert_eq!(state(&scene.place.home).await?, "ok");
    let mut raw = Raw::connect(&scene.place.home).await?;
    let told = raw
        .result("events.list", json!({"match": "taken away"}))
        .await?;
    assert_eq!(told["events"].as_array().map(Vec::len), Some(2), "{told}");
    drop(flowing);
    scene.compare().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_file_is_in_its_place_the_ledger_is_closed() -> Result<()> {
    let mut scene = Scene::set().await?;
    let flowing = scene.flowing().await?;
    let (file, aside) = (
        scene.place.home.database(),
        scene.place.folder().join("aside.db"),
    );
    std::fs::rename(&file, &aside)?;
    std::fs::write(&file, "something else")?;
    scene.until_refused().await?;
    cut(flowing).await?;
    assert_eq!(state(&scene.place.home).await?, "failing");
    assert_eq!(std::fs::read(&file)?, b"something else");
    std::fs::rename(&aside, &file)?;
    scene.until_passed().await;
    scene.compare().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_moved_away_closes_the_ledger_until_it_is_back() -> Result<()> {
    let mut scene = Scene::set().await?;
    let flowing = scene.flowing().await?;
    let home = scene.place.home.path().to_owned();
    let away = Home::new(scene.place.folder().join("away"));
    std::fs::rename(&home, away.path())?;
    scene.until_refused().await?;
    cut(flowing).await?;
    assert_eq!(state(&away).await?, "failing");
    std::fs::rename(away.path(), &home)?;
    scene.until_passed().await;
    scene.compare().await
}

/// Makes files read-only for everybody, those who have them open included.
fn immutable(files: &[&Path], how: &str) -> bool {
    let changed = Command::new("chattr").arg(how).args(files).output();
    changed.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_written_any_more_close_the_ledger_until_they_can() -> Result<()> {
    let mut scene = Scene::set().await?;
    let flowing = scene.flowing().await?;
    let file = scene.place.home.database();
    let log = file.with_extension("db-wal");
    let files = [file.as_path(), log.as_path()];
    if !immutable(&files, "+i") {
        skipped("no file can be made immutable here");
        return Ok(());
    }
    let refused = scene.until_refused().await;
    let ended = cut(flowing).await;
    let state = state(&scene.place.home).await;
    assert!(immutable(&files, "-i"));
    refused?;
    ended?;
    assert_eq!(state?, "failing");
    scene.until_passed().await;
    scene.compare().await
}
