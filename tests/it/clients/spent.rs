//! A spent budget: one model request, answered by us, and the client ends and shows why.

use std::time::Instant;

use anyhow::{Result, ensure};
use bb_proto::request::BudgetSet;
use bb_tests::clients::{Client, Prompt};
use bb_tests::harness::send;
use bb_tests::provider::Script;
use http::Method;

use super::scene::{Scene, each, expect_told, streaming};

const SENTENCE: &str = "this bottle has spent its token budget; ask the operator to raise it";
const CALL: &str = r#"{"model":"claude-opus-4-8","max_tokens":1000,"messages":[{"role":"user","content":"say hi"}]}"#;

/// Makes a call as the bottle, and a budget that this call has spent.
async fn spend(scene: &Scene) -> Result<()> {
    let headers = [("x-api-key", scene.bottle.token.as_str())];
    let path = "/claude/v1/messages";
    let answer = send(&scene.system.egress, Method::POST, path, &headers, CALL).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let limit = scene.shown().await?.used_total;
    let order = BudgetSet {
        per_call: None,
        expect: None,
        budget: "bottle:web/all/total".parse()?,
        limit,
        cap: bb_proto::budget::Cap::Hard,
        ceiling: false,
        why: None,
        request_id: None,
        dry_run: false,
    };
    scene.system.call(order).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_asks_once_of_a_spent_budget_and_ends_with_the_sentence() -> Result<()> {
    each(&Client::ALL, |client| async move {
        let scene = Scene::start(client, Script::default(), None).await?;
        spend(&scene).await?;
        for (asked, &streamed) in (0..).zip(streaming(client)) {
            let prompt = Prompt {
                streamed,
                ..scene.prompt()?
            };
            let running = prompt.start()?;
            scene
                .system
                .wait_until("it is refused", async || {
                    Ok(scene.shown().await?.refusals > asked)
                })
                .await?;
            let refused_at = Instant::now();
            let run = running.finish().await?;
            expect_told(&run, refused_at, SENTENCE)?;
            let refusals = scene.shown().await?.refusals;
            ensure!(refusals == asked + 1, "it asked {refusals} times: {run:?}");
        }
        // Only the call that spent the budget was the provider's.
        scene.only_call()?;
        Ok(())
    })
    .await
}
