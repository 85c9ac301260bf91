//! Killed at each step of a call: what is charged then, and how; and a start with much to charge.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::{Daemon, WAIT_LIMIT};
use bb_tests::provider::{Ending, Provider, Script};
use serde_json::json;
use tokio::task::JoinHandle;

use super::kills::{LONG_ENOUGH, START_LIMIT, compare};
use super::load::{Asked, Charged, File, NothingIsWritten, ask};
use super::traced::{SYNCS, Tracer};
use crate::home::Place;
use crate::socket::raw::Raw;

/// How long a system call is held at a step: longer than it takes to be killed there.
const HELD: &str = "20000000";

/// A controller with a bottle, killed while it has one call.
struct Scene {
    provider: Provider,
    place: Place,
    daemon: Daemon,
    token: String,
}

impl Scene {
    async fn set(script: Script) -> Result<Self> {
        let provider = Provider::start(script).await?;
        let place = Place::before(&provider, "budget:\n  all: 1G\n")?;
        let daemon = place.start()?;
        let mut raw = Raw::connect(&place.home).await?;
        let web = raw
            .result("bottle.register", json!({"name": "web"}))
            .await?;
        let token = web["token"].as_str().context("a token")?.to_owned();
        Ok(Self {
            provider,
            place,
            daemon,
            token,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "joined by who kills")]
    fn ask(&self) -> JoinHandle<Asked> {
        let (egress, token) = (self.daemon.egress.clone(), self.token.clone());
        tokio::spawn(async move { ask(&egress, &token, 0).await })
    }

    /// Waits until the file says so.
    async fn until(&self, sql: &str) -> Result<()> {
        let begun = Instant::now();
        while File::open(&self.place)?.number(sql)? == 0 {
            assert!(begun.elapsed() < WAIT_LIMIT, "{sql}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Kills it, starts it again, compares; returns what the client saw, and the charge.
    async fn killed(
        self,
        asked: JoinHandle<Asked>,
        tracer: Option<Tracer>,
    ) -> Result<(Asked, Option<Charged>)> {
        match tracer {
            Some(tracer) => tracer.kill(self.daemon)?,
            None => self.daemon.kill()?,
        }
        let asked = asked.await?;
        let _daemon = self.place.start()?;
        compare(&self.place, &self.provider, std::slice::from_ref(&asked))?;
        let mut charged = File::open(&self.place)?.charged()?;
        assert!(charged.len() <= 1, "{charged:?}");
        Ok((asked, charged.pop()))
    }
}

fn is_estimate(charged: Option<&Charged>) -> bool {
    charged.is_some_and(|it| it.ending == "crash" && it.estimated && it.charge > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_reserved_and_not_forwarded_is_charged_by_estimate() -> Result<()> {
    let scene = Scene::set(Script::default()).await?;
    let inject = format!("connect:delay_enter={HELD}");
    let Some(tracer) = Tracer::begin(&scene.daemon, &inject)? else {
        return Ok(());
    };
    let asked = scene.ask();
    scene.until("SELECT count(*) FROM open_calls").await?;
    assert!(scene.provider.calls().is_empty());
    let (asked, charged) = scene.killed(asked, Some(tracer)).await?;
    assert!(
        !asked.saw_end && is_estimate(charged.as_ref()),
        "{charged:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_forwarded_and_not_answered_is_charged_by_estimate() -> Result<()> {
    let scene = Scene::set(Script {
        first_byte_delay: WAIT_LIMIT,
        ..Script::default()
    })
    .await?;
    let asked = scene.ask();
    scene.provider.wait_for(|calls| !calls.is_empty()).await?;
    let (asked, charged) = scene.killed(asked, None).await?;
    assert!(
        !asked.saw_end && is_estimate(charged.as_ref()),
        "{charged:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_first_usage_is_marked_is_charged_no_less_than_that() -> Result<()> {
    let scene = Scene::set(Script::slow(2_000, Duration::from_millis(5))).await?;
    let asked = scene.ask();
    scene
        .until("SELECT coalesce(max(flowed), 0) FROM open_calls")
        .await?;
    let marked = File::open(&scene.place)?.number("SELECT max(flowed) FROM open_calls")?;
    let (asked, charged) = scene.killed(asked, None).await?;
    assert!(
        !asked.saw_end && is_estimate(charged.as_ref()),
        "{charged:?}"
    );
    assert!(charged.is_some_and(|it| it.charge >= marked), "{marked}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_charge_is_not_written_is_charged_by_estimate() -> Result<()> {
    let script = Script {
        first_byte_delay: Duration::from_millis(300),
        ..Script::default()
    };
    let scene = Scene::set(script).await?;
    let asked = scene.ask();
    scene.provider.wait_for(|calls| !calls.is_empty()).await?;
    let locked = NothingIsWritten::begin(&scene.place)?;
    let ended = |call: &bb_tests::provider::Call| call.answer.ending == Some(Ending::Finished);
    scene
        .provider
        .wait_for(|calls| calls.iter().any(ended))
        .await?;
    tokio::time::sleep(LONG_ENOUGH).await;
    assert!(!asked.is_finished(), "an end was shown that is not written");
    let Scene {
        daemon,
        place,
        provider,
        token,
    } = scene;
    daemon.kill()?;
    drop(locked);
    let daemon = place.start()?;
    let again = Scene {
        provider,
        place,
        daemon,
        token,
    };
    let (asked, charged) = again.killed(asked, None).await?;
    assert!(
        !asked.saw_end && is_estimate(charged.as_ref()),
        "{charged:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_settled_and_not_answered_is_charged_to_the_token() -> Result<()> {
    let scene = Scene::set(Script::default()).await?;
    let inject = format!("{SYNCS}:delay_exit={HELD}");
    let Some(tracer) = Tracer::begin(&scene.daemon, &inject)? else {
        return Ok(());
    };
    let log = scene.place.home.database().with_extension("db-wal");
    let before = std::fs::read(&log)?;
    let asked = scene.ask();
    let ended = |call: &bb_tests::provider::Call| call.answer.ending == Some(Ending::Finished);
    scene
        .provider
        .wait_for(|calls| calls.iter().any(ended))
        .await?;
    // The reservation is one growth of the log, the charge the next.
    let begun = Instant::now();
    let (mut grown, mut last) = (0, before);
    while grown < 2 && begun.elapsed() < Duration::from_secs(2) {
        let now = std::fs::read(&log)?;
        grown += u32::from(now != last);
        last = now;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(LONG_ENOUGH).await;
    assert!(
        !asked.is_finished(),
        "an end was shown before its sync returned"
    );
    let (asked, charged) = scene.killed(asked, Some(tracer)).await?;
    let charged = charged.context("a charge")?;
    assert!(!asked.saw_end && !charged.estimated, "{charged:?}");
    assert_eq!(charged.ending, "complete");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_answered_is_charged_to_the_token() -> Result<()> {
    let scene = Scene::set(Script::default()).await?;
    let asked = scene.ask().await?;
    assert!(asked.saw_end);
    scene.daemon.kill()?;
    let _daemon = scene.place.start()?;
    let (exact, crashed) = compare(&scene.place, &scene.provider, &[asked])?;
    assert_eq!((exact, crashed), (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_open_calls_are_charged_before_anything_listens() -> Result<()> {
    let scene = Scene::set(Script::slow(2_000, Duration::from_millis(5))).await?;
    let asked = scene.ask();
    scene.until("SELECT count(*) FROM open_calls").await?;
    let Scene { daemon, place, .. } = scene;
    daemon.kill()?;
    drop(asked.await?);
    let connection = rusqlite::Connection::open(place.home.database())?;
    connection.execute_batch(
        "CREATE TEMP TABLE one AS SELECT * FROM open_calls;
         INSERT INTO open_calls (call, started_at, bottle, run, agent, provider, wire, model,
             accounts, reserved, estimate_input, estimate_output, body_bytes, flowed)
         WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n LIMIT 999)
         SELECT unhex(printf('%032x', i)), started_at, bottle, run, agent, provider, wire, model,
             accounts, reserved, estimate_input, estimate_output, body_bytes, flowed
         FROM n, one;
         UPDATE open_calls SET flowed = 0;",
    )?;
    let reserved: i64 =
        connection.query_row("SELECT sum(reserved) FROM open_calls", [], |row| row.get(0))?;
    // Nothing can be charged yet, so nothing may listen.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let home = place.home.clone();
    let starting = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let daemon = place.start();
        (place, daemon, begun.elapsed())
    });
    tokio::time::sleep(LONG_ENOUGH).await;
    assert!(
        Raw::connect(&home).await.is_err(),
        "it listens before it has charged"
    );
    connection.execute_batch("COMMIT")?;
    let (place, daemon, _) = starting.await?;
    let file = File::open(&place)?;
    assert_eq!(file.number("SELECT count(*) FROM open_calls")?, 0);
    let crashed = "SELECT count(*) FROM entries WHERE ending = 'crash' AND estimated";
    assert_eq!(file.number(crashed)?, 1_000);
    let sum = "SELECT posted FROM balances WHERE account = 'host'";
    assert_eq!(file.number(sum)?, reserved);
    drop((file, connection));
    daemon?.kill()?;
    // The same without anybody in the way, for the time it takes.
    let connection = rusqlite::Connection::open(place.home.database())?;
    connection.execute_batch(
        "INSERT INTO open_calls (call, started_at, bottle, run, agent, provider, wire, model,
             accounts, reserved, estimate_input, estimate_output, body_bytes, flowed)
         SELECT unhex(printf('%032x', seq + 100000)), started_at, bottle, run,
             agent, provider, wire, model,
             (SELECT accounts FROM paths LIMIT 1), 100, 10, 10, 100, 0 FROM entries;",
    )?;
    drop(connection);
    let begun = Instant::now();
    let _daemon = place.start()?;
    let took = begun.elapsed();
    println!("a start with 1,000 open calls took {took:?}");
    assert!(took < START_LIMIT, "{took:?}");
    assert_eq!(File::open(&place)?.number(crashed)?, 2_000);
    Ok(())
}
