//! Responses that wait: for their admission, and for the one before them.

use std::time::Duration;

use anyhow::{Result, ensure};
use bb_proto::request::BudgetList;
use bb_tests::provider::Script;
use serde_json::json;

use super::super::charges::{assert_exact, shown};
use super::client::{Socket, create, system};

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_asked_for_only_once_it_is_admitted() -> Result<()> {
    let (system, _) = system("").await?;
    // Room for one call of about a thousand tokens, and not for two.
    let web = system
        .bottle_with("tight", &[("codex", 1_500)], |_| {})
        .await?;
    system.provider.enqueue(Script {
        delay: Duration::from_millis(20),
        ..Script::costing(200, 100)
    });
    system.provider.enqueue(Script::costing(300, 50));
    let mut first = Socket::open(&system, &web).await?;
    let mut second = Socket::open(&system, &web).await?;
    first.say(&create("say hi")).await?;
    first.until("response.output_text.delta").await?;
    let mut other = create("say hi");
    other["model"] = "another".into();
    second.say(&other).await?;
    let waits = async || Ok(shown(&system, &web).await?.waiting == 1);
    system.wait_until("one waits", waits).await?;
    ensure!(system.provider.totals().calls == 1);
    ensure!(second.is_silent().await);
    first.response().await?;
    ensure!(second.response().await?.last()?["type"] == "response.completed");
    assert_exact(&system, &web, "both").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_has_not_asked() -> Result<()> {
    let (system, _) = system("").await?;
    let web = system
        .bottle_with("tight", &[("codex", 1_500)], |_| {})
        .await?;
    system
        .provider
        .enqueue(Script::slow(100_000, Duration::from_millis(20)));
    let mut first = Socket::open(&system, &web).await?;
    first.say(&create("say hi")).await?;
    first.until("response.output_text.delta").await?;
    let mut second = Socket::open(&system, &web).await?;
    second.say(&create("say hi")).await?;
    let waits = async || Ok(shown(&system, &web).await?.waiting == 1);
    system.wait_until("one waits", waits).await?;
    drop(second);
    let none = async || Ok(shown(&system, &web).await?.waiting == 0);
    system.wait_until("none waits", none).await?;
    ensure!(system.provider.totals().calls == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_off_while_it_waits_is_broken_off_once_it_is_asked_for() -> Result<()> {
    let (system, _) = system("").await?;
    let web = system
        .bottle_with("tight", &[("codex", 1_500)], |_| {})
        .await?;
    system.provider.enqueue(Script {
        delay: Duration::from_millis(20),
        ..Script::costing(200, 100)
    });
    system.provider.enqueue(Script::costing(300, 50));
    let mut first = Socket::open(&system, &web).await?;
    let mut second = Socket::open(&system, &web).await?;
    first.say(&create("say hi")).await?;
    first.until("response.output_text.delta").await?;
    let mut other = create("say hi");
    other["model"] = "another".into();
    second.say(&other).await?;
    let waits = async || Ok(shown(&system, &web).await?.waiting == 1);
    system.wait_until("one waits", waits).await?;
    second.say(&json!({"type": "response.cancel"})).await?;
    ensure!(second.is_silent().await);
    first.response().await?;
    // This provider does not know the word, and says so of it: it came there, behind its response.
    ensure!(second.response().await?.last()?["type"] == "response.completed");
    let error = second.next().await?;
    ensure!(error["error"]["message"] == "unknown message", "{error}");
    assert_exact(&system, &web, "both").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_from_an_answer_is_reserved_with_it_even_after_a_refusal() -> Result<()> {
    let (system, _) = system("").await?;
    let web = system
        .bottle_with("roomy", &[("codex", 100_000)], |_| {})
        .await?;
    system.provider.enqueue(Script::costing(20_000, 10));
    system.provider.enqueue(Script::refusing(400));
    system
        .provider
        .enqueue(Script::slow(1_000, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    socket.say(&create("say hi")).await?;
    socket.response().await?;
    socket.say(&create("say hi")).await?;
    ensure!(socket.next().await?["type"] == "error");
    let mut going_on = create("and then?");
    going_on["previous_response_id"] = "resp_before".into();
    socket.say(&going_on).await?;
    socket.until("response.output_text.delta").await?;
    let of_web = BudgetList {
        bottle: Some(web.name.clone()),
    };
    let budgets = system.call(of_web).await?.budgets;
    let pending: Vec<u64> = budgets.iter().map(|budget| budget.pending.0).collect();
    ensure!(pending.iter().any(|it| *it > 20_000), "{pending:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_asked_for_at_once_come_one_after_another() -> Result<()> {
    let (system, web) = system("").await?;
    system
        .provider
        .enqueue(Script::slow(6, Duration::from_millis(20)));
    let mut socket = Socket::open(&system, &web).await?;
    for text in ["one", "two", "three"] {
        socket.say(&create(text)).await?;
    }
    for _ in 0..3 {
        let response = socket.response().await?;
        ensure!(response.0[0]["type"] == "response.created");
        ensure!(response.last()?["type"] == "response.completed");
    }
    let calls = system.provider.calls();
    for pair in calls.windows(2) {
        ensure!(
            Some(pair[1].request.at) >= pair[0].answer.ended_at,
            "{pair:?}"
        );
    }
    ensure!(calls.len() == 3);
    assert_exact(&system, &web, "all three").await
}
