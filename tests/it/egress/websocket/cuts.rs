//! Responses that are cut: ended by one message, settled, and left by the proxy upstream.

use std::time::Duration;

use anyhow::{Result, ensure};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::harness::{Bottle, System};
use bb_tests::provider::{Ending as Ended, Script};
use serde_json::Value;

use super::super::budgets::SPENT;
use super::super::charges::{File, charges, only_charge};
use super::super::cuts::{OPERATOR, cut_off, restore};
use super::super::faults::assert_estimated;
use super::client::{Socket, Spoken, create, system};

fn assert_failed(message: &Value, sentence: &str) {
    assert_eq!(message["type"], "response.failed", "{message}");
    let error = &message["response"]["error"];
    assert_eq!(error["code"], "invalid_prompt", "{message}");
    assert_eq!(error["message"], sentence, "{message}");
}

fn assert_refused(message: &Value, sentence: &str) {
    assert_eq!(message["type"], "error", "{message}");
    assert_eq!(message["status"], 400, "{message}");
    assert_eq!(message["error"]["code"], "invalid_prompt", "{message}");
    assert_eq!(message["error"]["message"], sentence, "{message}");
}

/// Requires that the one call was ended by us, and the provider left.
async fn assert_cut(system: &System, bottle: &Bottle, response: &Spoken) -> Result<()> {
    let charge = only_charge(system, bottle).await?;
    assert_estimated(&charge, Ending::Cut, "cut");
    let over = |calls: &[bb_tests::provider::Call]| calls[0].answer.ending.is_some();
    let calls = system.provider.wait_for(over).await?;
    ensure!(calls[0].answer.ending == Some(Ended::Aborted), "{calls:?}");
    let created = &response.0[0];
    ensure!(response.last()?["response"]["id"] == created["response"]["id"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_crosses_its_budget_is_ended_in_its_dialect() -> Result<()> {
    let (system, _) = system("").await?;
    let web = system
        .bottle_with("spender", &[("codex", 400)], |_| {})
        .await?;
    system.provider.enqueue(Script {
        text: "word ".repeat(2_000),
        ..Script::slow(2_000, Duration::from_millis(2))
    });
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    let response = socket.response().await?;
    assert_failed(response.last()?, SPENT);
    ensure!(socket.left().await?);
    assert_cut(&system, &web, &response).await?;
    // The next one is refused in words, and goes nowhere.
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    assert_refused(&socket.next().await?, SPENT);
    ensure!(system.provider.totals().calls == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_a_response_and_what_was_refused_goes_once_it_is_restored() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::slow(1_000, Duration::from_millis(10)));
    let mut socket = Socket::open(&system, &web).await?;
    // Open all the time, and asks only later.
    let mut quiet = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    cut_off(&system, &web).await?;
    let response = socket.response().await?;
    assert_failed(response.last()?, OPERATOR);
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::Cut, "cut");
    quiet.say(&create("again")).await?;
    assert_refused(&quiet.next().await?, OPERATOR);
    ensure!(system.provider.totals().calls == 1);
    restore(&system, &web).await?;
    quiet.say(&create("again")).await?;
    ensure!(quiet.response().await?.last()?["type"] == "response.completed");
    ensure!(charges(&system, &web).await?.len() == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_does_not_hold_up_its_cut() -> Result<()> {
    let (system, web) = system("").await?;
    system.provider.enqueue(Script {
        text: "many words ".repeat(40_000),
        events: 40_000,
        ..Script::default()
    });
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    // It flows until nothing more fits between the two.
    let full = async || {
        let before = system.provider.totals().bytes;
        tokio::time::sleep(super::super::raw::NOTHING).await;
        Ok(before > 100_000 && system.provider.totals().bytes == before)
    };
    system.wait_until("nothing flows", full).await?;
    cut_off(&system, &web).await?;
    system.settled().await?;
    let charge = only_charge(&system, &web).await?;
    assert_estimated(&charge, Ending::Cut, "cut");
    drop(socket);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_response_waits_until_its_charge_is_on_disk() -> Result<()> {
    let (system, web) = system("").await?;
    let file = File::open(&system)?;
    system
        .provider
        .enqueue(Script::slow(8, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.until("response.output_text.delta").await?;
    let (charged, lock) = (file.charged()?, file.lock()?);
    let done = |calls: &[bb_tests::provider::Call]| calls[0].answer.ending.is_some();
    system.provider.wait_for(done).await?;
    socket.until("response.output_item.done").await?;
    ensure!(socket.is_silent().await, "its end was shown");
    ensure!(file.charged()? == charged);
    drop(lock);
    let response = socket.response().await?;
    ensure!(response.0.len() == 1, "{response:?}");
    ensure!(response.last()?["type"] == "response.completed");
    ensure!(file.charged()? == charged + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_response_is_refused_under_a_budget() -> Result<()> {
    let (system, _) = system("").await?;
    let web = system
        .bottle_with("hard", &[("codex", 100_000)], |_| {})
        .await?;
    let mut socket = Socket::open(&system, &web).await?;
    let mut ask = create("say hi");
    ask["background"] = true.into();
    socket.say(&ask).await?;
    assert_refused(&socket.next().await?, Reason::Background.sentence());
    ensure!(system.provider.totals().calls == 0);
    Ok(())
}
