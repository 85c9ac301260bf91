//! A text that is cut in its middle, by a budget or by the operator.

use std::time::Duration;

use anyhow::{Result, ensure};
use bb_tests::clients::{Client, Prompt};
use bb_tests::provider::{Call, Script};

use super::scene::{Scene, each, streaming};

const BY_BUDGET: &str = "this bottle has spent its token budget; ask the operator to raise it";
const BY_OPERATOR: &str = "the operator has cut this bottle off";

/// Returns an answer, and a budget that has room for the prompt and not for all of the answer.
fn too_long(client: Client) -> (Script, u64) {
    let words = "Let me say that again, since it is worth saying. ";
    let (bytes, events, delay_ms, budget) = match client {
        // Prompts of ten to twenty thousand tokens.
        Client::ClaudeCode | Client::Codex => (200_000, 400, 10, 40_000),
        // One of them asks for no more than 1,024.
        _ => (40_000, 200, 50, 600),
    };
    let script = Script {
        text: words.repeat(bytes / words.len()),
        ..Script::slow(events, Duration::from_millis(delay_ms))
    };
    (script, budget)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_ends_when_its_answer_crosses_the_budget() -> Result<()> {
    each(&Client::ALL, |client| async move {
        let (script, budget) = too_long(client);
        let scene = Scene::start(client, script, Some(budget)).await?;
        let running = scene.prompt()?.start()?;
        scene.expect_cut(running, BY_BUDGET).await?;
        let used = scene.shown().await?.used_run.0;
        ensure!(
            (budget..budget + budget / 2).contains(&used),
            "{used} of {budget}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_ends_when_the_operator_cuts_its_answer_off() -> Result<()> {
    each(&Client::ALL, |client| async move {
        let script = Script::slow(400, Duration::from_millis(50));
        let scene = Scene::start(client, script, None).await?;
        let running = scene.prompt()?.start()?;
        // Well behind the first event.
        let seen = |calls: &[Call]| calls.iter().any(|c| c.answer.events >= 15);
        scene.provider.wait_for(seen).await?;
        scene.cut_off().await?;
        scene.expect_cut(running, BY_OPERATOR).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_is_refused_whole_when_it_is_cut_off_before_its_answer_began() -> Result<()> {
    each(&Client::ALL, |client| async move {
        for &streamed in streaming(client) {
            let script = Script {
                first_byte_delay: Duration::from_hours(1),
                ..Script::default()
            };
            let scene = Scene::start(client, script, None).await?;
            let prompt = Prompt {
                streamed,
                ..scene.prompt()?
            };
            let running = prompt.start()?;
            scene.provider.wait_for(|calls| !calls.is_empty()).await?;
            scene.cut_off().await?;
            scene.expect_cut(running, BY_OPERATOR).await?;
        }
        Ok(())
    })
    .await
}
