//! Codex over its first choice, a WebSocket.

use std::time::Duration;

use anyhow::{Result, ensure};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::clients::Client;
use bb_tests::provider::{Ending as Ended, Kind, Script};

use super::scene::{Scene, each, expect_told};
use super::whole::{TEXT, expect_metered};

fn kinds(scene: &Scene) -> Vec<Kind> {
    let requests = scene.provider.requests();
    requests.iter().map(|call| call.request.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_is_metered_over_a_websocket_its_warm_up_too() -> Result<()> {
    each(&[Client::Codex], |client| async move {
        let scene = Scene::start_websockets(client, Script::saying(TEXT), None).await?;
        let run = scene.built_in_prompt().run().await?;
        ensure!(run.said().text.as_deref() == Some(TEXT), "{run:?}");
        let asked = kinds(&scene);
        ensure!(!asked.is_empty() && asked[0] == Kind::Upgrade, "{asked:?}");
        expect_metered(&scene, 2).await?;
        // What it offers stays with us: compressed messages could not be read.
        let upgrade = &scene.provider.requests()[0].request;
        ensure!(upgrade.header("sec-websocket-extensions").is_none());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_stops_at_a_spent_budget_over_a_websocket() -> Result<()> {
    each(&[Client::Codex], |client| async move {
        let scene = Scene::start_websockets(client, Script::saying(TEXT), Some(10)).await?;
        let run = scene.built_in_prompt().run().await?;
        ensure!(run.code() == 1 && !run.timed_out, "{run:?}");
        let error = run.said().error.unwrap_or_default();
        ensure!(error.contains(Reason::Budget.sentence()), "{run:?}");
        ensure!(scene.provider.totals().calls == 0, "{:?}", kinds(&scene));
        // Its warm-up, and its one attempt.
        ensure!(scene.shown().await?.refusals <= 2, "{run:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_stops_where_its_response_over_a_websocket_is_cut() -> Result<()> {
    each(&[Client::Codex], |client| async move {
        let scene =
            Scene::start_websockets(client, Script::slow(2_000, Duration::from_millis(20)), None)
                .await?;
        let running = scene.built_in_prompt().start()?;
        let flows = |calls: &[bb_tests::provider::Call]| {
            calls
                .last()
                .is_some_and(|call| calls.len() == 2 && call.answer.events > 8)
        };
        scene.provider.wait_for(flows).await?;
        scene.cut_off().await?;
        let cut_at = std::time::Instant::now();
        let run = running.finish().await?;
        expect_told(&run, cut_at, Reason::Operator.sentence())?;
        let over = |calls: &[bb_tests::provider::Call]| calls[1].answer.ending.is_some();
        let calls = scene.provider.wait_for(over).await?;
        ensure!(calls[1].answer.ending == Some(Ended::Aborted), "{calls:?}");
        let rows = scene.ledger().await?;
        let endings: Vec<Ending> = rows.iter().map(|row| row.ending).collect();
        ensure!(endings == [Ending::Complete, Ending::Cut], "{rows:?}");
        ensure!(scene.shown().await?.refusals == 0, "{run:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_goes_on_at_once_over_http_where_there_is_no_websocket() -> Result<()> {
    each(&[Client::Codex], |client| async move {
        let scene = Scene::start(client, Script::saying(TEXT), None).await?;
        let run = scene.built_in_prompt().run().await?;
        ensure!(run.said().text.as_deref() == Some(TEXT), "{run:?}");
        expect_metered(&scene, 1).await?;
        ensure!(
            kinds(&scene) == [Kind::Upgrade, Kind::Call],
            "{:?}",
            kinds(&scene)
        );
        Ok(())
    })
    .await
}
