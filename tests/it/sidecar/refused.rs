//! Calls that may not pass: refused in words, before the provider sees them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_proto::request::{BottleCutoff, BudgetRaise};
use bb_proto::units::Tokens;
use bb_tests::harness::{Answer, System};
use bb_tests::provider::{Provider, Script};
use serde_json::Value;

use super::mitmproxy::Mitmproxy;
use super::{ASKED, ASKED_WHOLE, MESSAGES, Scene};

/// Requires a refusal that clients take for final; returns its sentence.
fn sentence(answer: &Answer) -> Result<String> {
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
    let body: Value = serde_json::from_slice(&answer.body)?;
    let message = body["error"]["message"].as_str();
    Ok(message.context("a sentence")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_refuses_before_the_provider_sees_anything() -> Result<()> {
    let Some(scene) = Scene::set(Script::costing(60, 40)).await? else {
        return Ok(());
    };
    scene.limit(100).await?;
    assert_eq!(scene.ask(MESSAGES, ASKED_WHOLE).await?.status, 200);
    for body in [ASKED, ASKED_WHOLE] {
        let refused = sentence(&scene.ask(MESSAGES, body).await?)?;
        assert_eq!(
            refused,
            "this bottle has spent its token budget; ask the operator to raise it"
        );
    }
    assert_eq!(scene.provider.calls().len(), 1);
    let raise = BudgetRaise {
        for_ms: None,
        once: false,
        budget: "bottle:web/claude/total".parse()?,
        by: Tokens(10_000),
        why: None,
        expect: None,
        request_id: None,
        dry_run: false,
    };
    scene.system.call(raise).await?;
    assert_eq!(scene.ask(MESSAGES, ASKED).await?.status, 200);
    let names = vec![scene.web.name.clone()];
    let cutoff = BottleCutoff {
        names,
        ..BottleCutoff::default()
    };
    scene.system.call(cutoff).await?;
    let refused = sentence(&scene.ask(MESSAGES, ASKED).await?)?;
    assert_eq!(refused, "the operator has cut this bottle off");
    assert_eq!(scene.provider.calls().len(), 2);
    assert_eq!(scene.charged().await?.len(), 2);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_nothing_passes() -> Result<()> {
    let Some(mut scene) = Scene::set(Script::costing(60, 40)).await? else {
        return Ok(());
    };
    assert_eq!(scene.ask(MESSAGES, ASKED).await?.status, 200);
    scene.system.stop().await?;
    for body in [ASKED, ASKED_WHOLE] {
        let refused = sentence(&scene.ask(MESSAGES, body).await?)?;
        assert!(
            refused.starts_with("the controller does not answer"),
            "{refused}"
        );
    }
    assert_eq!(scene.provider.calls().len(), 1);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_metered_does_not_pass() -> Result<()> {
    let Some(scene) = Scene::set(Script::default()).await? else {
        return Ok(());
    };
    for (path, body) in [
        ("/v1/embeddings", r#"{"model":"m","input":"hi"}"#),
        ("/v1/messages/batches", r#"{"requests":[]}"#),
        (
            "/v1/responses",
            r#"{"model":"m","input":"hi","background":true}"#,
        ),
        (MESSAGES, "no JSON"),
        (MESSAGES, "[]"),
        (MESSAGES, r#"{"model":7,"max_tokens":"many"}"#),
    ] {
        sentence(&scene.ask(path, body).await?)?;
    }
    assert_eq!(scene.provider.calls().len(), 0);
    assert_eq!(scene.charged().await?.len(), 0);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_room_and_one_whose_client_leaves_meanwhile_is_never_asked() -> Result<()>
{
    let Some(scene) = Scene::set(Script::slow(5_000, Duration::from_millis(20))).await? else {
        return Ok(());
    };
    scene.limit(1_500).await?;
    let mut first = scene.open(ASKED).await?;
    first.read_until("content_block_delta").await?;
    let waiting = async |count: u64| {
        let waits = async || {
            let snapshot = scene
                .system
                .call(bb_proto::request::Snapshot::default())
                .await?;
            Ok(snapshot.head.totals.waiting == count)
        };
        scene.system.wait_until("calls wait", waits).await
    };
    let leaving = tokio::time::timeout(Duration::from_millis(700), scene.open(ASKED)).await;
    assert!(leaving.is_err(), "it did not wait");
    waiting(0).await?;
    assert_eq!(scene.provider.calls().len(), 1);
    drop(first);
    scene.system.settled().await?;
    assert_eq!(scene.charged().await?.len(), 1);
    assert_eq!(scene.provider.calls().len(), 1);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_lets_requests_pass_unasked_is_refused_at_the_start() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let more = ["--set", "stream_large_bodies=1"];
    match Mitmproxy::start(system.home(), &provider, "claude", &more).await {
        Ok(None) => {}
        // It may listen for a moment.
        Ok(Some(proxy)) => drop(proxy.finish().await?),
        Err(error) => assert!(format!("{error:#}").contains("mitmdump ended"), "{error:#}"),
    }
    Ok(())
}
