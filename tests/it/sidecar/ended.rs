//! Answers that do not come to their end, and calls that the provider does not serve.

use std::time::Duration;

use anyhow::Result;
use bb_proto::reply::{CallRow, Ending};
use bb_proto::request::BottleCutoff;
use bb_tests::provider::{self, Fault, Script};

use super::{ASKED, ASKED_WHOLE, MESSAGES, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refuses_costs_nothing() -> Result<()> {
    let Some(scene) = Scene::set(Script::default()).await? else {
        return Ok(());
    };
    let refusals = [400, 401, 429, 500, 529];
    for status in refusals {
        scene.provider.enqueue(Script::refusing(status));
        let answer = scene.ask(MESSAGES, ASKED).await?;
        assert_eq!(answer.status, status, "passed on as it is");
    }
    // Nobody is there any more.
    scene.provider.stop().await;
    assert_eq!(scene.ask(MESSAGES, ASKED_WHOLE).await?.status, 502);
    let charged = scene.charged().await?;
    let is_void = |(row, charge): &(CallRow, u64)| (row.ending, *charge) == (Ending::Voided, 0);
    assert!(charged.iter().all(is_void), "{charged:?}");
    let statuses: Vec<_> = charged.iter().map(|(row, _)| row.status).collect();
    let refusals = refusals.map(Some).into_iter().chain([None]);
    assert_eq!(statuses, refusals.collect::<Vec<_>>());
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_charged_by_estimate() -> Result<()> {
    let Some(scene) = Scene::set(Script::default()).await? else {
        return Ok(());
    };
    let drop_after = |events| Fault::Drop { after: events };
    scene.provider.enqueue(Script::failing(drop_after(4)));
    let torn = scene.ask(MESSAGES, ASKED).await?;
    assert!(!torn.is_whole, "{}", torn.text());
    let slow = Script::slow(5_000, Duration::from_millis(10));
    scene.provider.enqueue(slow);
    let mut left = scene.open(ASKED).await?;
    left.read_until("content_block_delta").await?;
    drop(left);
    let aborted = |call: &provider::Call| call.answer.ending == Some(provider::Ending::Aborted);
    scene
        .provider
        .wait_for(|calls| calls.iter().any(aborted))
        .await?;
    let charged = scene.charged().await?;
    assert_eq!(charged.len(), 2, "{charged:?}");
    for ((row, charge), call) in charged.iter().zip(scene.provider.calls()) {
        assert!(row.estimated, "{row:?}");
        assert_eq!(row.ending, Ending::UpstreamGone);
        // Its input was stated, and something flowed.
        assert_eq!(row.usage.input, call.answer.stated.input, "{row:?}");
        assert!(*charge > row.usage.input.unwrap_or(0), "{row:?}");
    }
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_to_be_cut_is_ended_at_the_provider_too() -> Result<()> {
    let Some(scene) = Scene::set(Script::slow(50_000, Duration::from_millis(10))).await? else {
        return Ok(());
    };
    let mut answer = scene.open(ASKED).await?;
    answer.read_until("content_block_delta").await?;
    let cutoff = BottleCutoff {
        names: vec![scene.web.name.clone()],
        ..BottleCutoff::default()
    };
    let cut = scene.system.call(cutoff).await?;
    assert_eq!(cut.targets[0].streams_ended, 1);
    let (_, is_whole) = answer.rest().await;
    assert!(!is_whole);
    let ended = |call: &provider::Call| call.answer.ending == Some(provider::Ending::Aborted);
    scene
        .provider
        .wait_for(|calls| calls.iter().all(ended))
        .await?;
    let charged = scene.charged().await?;
    assert_eq!(charged.len(), 1);
    assert_eq!(
        (charged[0].0.ending, charged[0].0.estimated),
        (Ending::Cut, true)
    );
    scene.end().await
}
