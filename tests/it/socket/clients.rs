//! Many clients, and such as do not read.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::raw::{Raw, said};
use super::system;

#[tokio::test(flavor = "multi_thread")]
async fn the_sixty_fifth_client_is_told_why_and_comes_in_when_another_leaves() -> Result<()> {
    let (system, first) = system().await?;
    let mut clients = vec![first];
    for _ in 1..64 {
        clients.push(Raw::connect(system.home()).await?);
    }
    for client in &mut clients {
        client.result("hello", json!({})).await?;
    }
    let mut late = Raw::connect(system.home()).await?;
    let answer = late.json().await?;
    assert_eq!(said(&answer).expect("a refusal").0, "busy");
    assert!(answer["id"].is_null());
    assert_eq!(late.line().await?, None);
    // The library says the same.
    let refused = system.call(bb_proto::request::Health {}).await;
    let refused = refused.expect_err("one too many").to_string();
    assert_eq!(refused, "64 clients are connected, which is the most");

    drop(clients.pop());
    system
        .wait_until("there is room again", async || {
            Ok(system.call(bb_proto::request::Health {}).await.is_ok())
        })
        .await?;
    for client in &mut clients {
        client.result("hello", json!({})).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_dropped_and_nobody_waits_for_it() -> Result<()> {
    let (system, mut other) = system().await?;
    for number in 0..100 {
        let name = format!("a-name-that-fills-lines-{number}");
        other
            .result("bottle.register", json!({"name": name}))
            .await?;
    }
    let mut deaf = Raw::connect(system.home()).await?;
    deaf.result("events.watch", json!({})).await?;
    let asked = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bottle.list\"}\n".repeat(500);
    deaf.send(asked).await?;

    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    // It is dropped after ten seconds; until then and beyond, nobody notices.
    while begun.elapsed() < Duration::from_secs(11) {
        let asked = Instant::now();
        let order = if begun.elapsed().as_millis().is_multiple_of(2) {
            "bottle.cutoff"
        } else {
            "bottle.restore"
        };
        let names = json!({"names": ["a-name-that-fills-lines-1"]});
        other.result(order, names).await?;
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let mut answers = 0;
    // What it was sent before may still be read, up to where a line broke off.
    while let Ok(Some(_)) = deaf.line().await {
        answers += 1;
    }
    assert!(answers < 400, "{answers} answers");
    other.result("hello", json!({})).await?;
    Ok(())
}
