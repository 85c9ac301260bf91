//! The end: ordered by a signal or over the socket, calls in flight within the grace period.

use std::time::{Duration, Instant};

use anyhow::Result;
use bb_proto::reply::Ending;
use bb_proto::request::{UsageBy, UsageQuery};
use bb_tests::harness::{Daemon, call, send, stream};
use bb_tests::provider::{Ending as Seen, Provider, Script};
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::home::Place;
use crate::socket::raw::Raw;

/// A request for a stream.
const ASKED: &str = r#"{"model":"claude-opus-4-8","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"say hi"}]}"#;

/// Asks a controller to end, while the test goes on.
fn ending(daemon: Daemon) -> tokio::task::JoinHandle<Result<(Option<i32>, String, Duration)>> {
    tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        let (status, said) = daemon.terminate()?;
        Ok((status.code(), said, begun.elapsed()))
    })
}

async fn token(place: &Place) -> Result<String> {
    let mut raw = Raw::connect(&place.home).await?;
    let registered = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    Ok(registered["token"].as_str().expect("a token").to_owned())
}

/// Waits until a port is bound no more.
async fn until_closed(address: &str) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn calls() -> UsageQuery {
    UsageQuery {
        by: UsageBy::Call,
        ..UsageQuery::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_flight_ends_well_and_no_new_call_is_taken() -> Result<()> {
    let provider = Provider::start(Script::slow(20, Duration::from_millis(40))).await?;
    let place = Place::before(&provider, "")?;
    let daemon = place.start()?;
    let egress = daemon.egress.clone();
    let token = token(&place).await?;
    let headers = [("x-api-key", token.as_str())];
    let path = "/claude/v1/messages";
    let mut streamed = stream(&egress, Method::POST, path, &headers, ASKED).await?;
    streamed.read_until("content_block_delta").await?;
    let ending = ending(daemon);
    until_closed(&egress).await;
    let late = send(&egress, Method::POST, path, &headers, ASKED).await;
    assert!(late.is_err(), "{late:?}");
    let (rest, is_whole) = streamed.rest().await;
    assert!(is_whole && rest.contains("message_stop"), "{rest}");
    let (code, said, took) = ending.await??;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(!place.home.socket().exists());

    let _again = place.start()?;
    let ledger = call(&place.home, calls()).await?;
    let [row] = ledger.rows.as_slice() else {
        panic!("{ledger:?}")
    };
    let row = row.call.as_ref().expect("a call");
    assert_eq!(row.ending, Ending::Complete);
    assert!(!row.estimated);
    assert_eq!(row.usage, provider.calls()[0].answer.stated);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_longer_than_the_grace_period_is_ended_in_its_dialect_and_charged() -> Result<()> {
    let provider = Provider::start(Script::slow(2_000, Duration::from_millis(40))).await?;
    let place = Place::before(&provider, "")?;
    let text = std::fs::read_to_string(place.home.settings())?;
    let text = text.replace("egress:\n", "egress:\n  grace: 200ms\n");
    std::fs::write(place.home.settings(), text)?;
    let daemon = place.start()?;
    let token = token(&place).await?;
    let headers = [("x-api-key", token.as_str())];
    let path = "/claude/v1/messages";
    let mut streamed = stream(&daemon.egress, Method::POST, path, &headers, ASKED).await?;
    streamed.read_until("content_block_delta").await?;
    let ending = ending(daemon);
    let (rest, is_whole) = streamed.rest().await;
    assert!(is_whole, "{rest}");
    let last = rest.trim_end().rsplit("\n\n").next().unwrap_or_default();
    assert!(last.starts_with("event: error\n"), "{last}");
    let (code, _, took) = ending.await??;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let seen = provider
        .wait_for(|calls| calls.iter().all(|call| call.answer.ending.is_some()))
        .await?;
    assert_eq!(seen[0].answer.ending, Some(Seen::Aborted));

    let _again = place.start()?;
    let ledger = call(&place.home, calls()).await?;
    let [row] = ledger.rows.as_slice() else {
        panic!("{ledger:?}")
    };
    let cut = row.call.as_ref().expect("a call");
    assert_eq!(cut.ending, Ending::Cut);
    assert!(cut.estimated && row.sum.charge.0 > 0, "{row:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_only_wait_do_not_hold_up_the_end() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let place = Place::before(&provider, "")?;
    let daemon = place.start()?;
    let mut polling = Raw::connect(&place.home).await?;
    let whole = polling.result("snapshot", json!({})).await?;
    let poll = json!({"jsonrpc": "2.0", "id": "poll", "method": "snapshot",
        "params": {"since": whole["head"]["revision"], "wait_ms": 30_000}});
    let mut watching = Raw::connect(&place.home).await?;
    watching.result("events.watch", json!({})).await?;
    let mut idle = Raw::connect(&place.home).await?;
    idle.result("hello", json!({})).await?;
    let mut keeping = TcpStream::connect(&daemon.egress).await?;
    polling.send(format!("{poll}\n")).await?;
    assert!(polling.is_silent(Duration::from_millis(50)).await);

    let (code, _, took) = ending(daemon).await??;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    let answer = polling.json().await?;
    assert_eq!(answer["id"], "poll");
    assert_eq!(answer["result"]["bottles"], json!([]));
    for mut client in [polling, watching, idle] {
        assert_eq!(client.line().await?, None);
    }
    assert_eq!(keeping.read(&mut [0; 1]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_by_the_socket_and_by_the_keyboard_alike() -> Result<()> {
    let place = Place::alone()?;
    let mut daemon = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let would = raw.result("shutdown", json!({"dry_run": true})).await?;
    assert_eq!(would, json!({"grace_ms": 10_000, "in_flight": 0}));
    raw.result("hello", json!({})).await?;
    let will = raw.result("shutdown", json!({})).await?;
    assert_eq!(will, would);
    assert_eq!(raw.line().await?, None);
    assert_eq!(daemon.ended()?.code(), Some(0));

    let mut daemon = place.start()?;
    let pid = Pid::from_raw(daemon.pid().cast_signed()).expect("a pid");
    kill_process(pid, Signal::INT)?;
    assert_eq!(daemon.ended()?.code(), Some(0));
    let mut after = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let events = raw.result("events.list", json!({})).await?;
    let kinds: Vec<&str> = events["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["started", "stopped", "started", "stopped", "started"]
    );
    raw.result("shutdown", json!({})).await?;
    after.ended()?;
    Ok(())
}
