//! Answers that come whole: the ledger has what the provider counted, to the token.

use anyhow::{Context as _, Result, ensure};
use bb_proto::reply::Ending;
use bb_tests::clients::{Client, Prompt};
use bb_tests::harness::REAL_KEY;
use bb_tests::provider::Script;
use serde_json::Value;

use super::scene::{Scene, each, streaming};

pub(super) const TEXT: &str = "Hello from the provider, said in quite a few words.";

/// Requires that the ledger has each call that the provider answered, with the provider's count.
pub(super) async fn expect_metered(scene: &Scene, calls: usize) -> Result<()> {
    let rows = scene.ledger().await?;
    let seen = scene.provider.calls();
    ensure!(seen.len() == calls, "{seen:?}");
    ensure!(rows.len() == calls, "{rows:?}");
    for (row, call) in rows.iter().zip(&seen) {
        ensure!(!row.estimated && row.ending == Ending::Complete, "{row:?}");
        ensure!(
            row.usage == call.answer.stated,
            "{row:?} of {:?}",
            call.answer
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_is_metered_to_the_token_streamed_or_not() -> Result<()> {
    each(&Client::ALL, |client| async move {
        let scene = Scene::start(client, Script::saying(TEXT), Some(200_000)).await?;
        for &streamed in streaming(client) {
            let prompt = Prompt {
                streamed,
                ..scene.prompt()?
            };
            let run = prompt.run().await?;
            ensure!(run.code() == 0, "{run:?}");
            ensure!(run.said().text.as_deref() == Some(TEXT), "{run:?}");
        }
        expect_metered(&scene, streaming(client).len()).await?;
        ensure!(scene.shown().await?.refusals == 0);
        for call in scene.provider.calls() {
            let headers = &call.request.headers;
            let says = |text: &str| {
                headers
                    .values()
                    .any(|value| value.to_str().is_ok_and(|value| value.contains(text)))
            };
            ensure!(says(REAL_KEY) && !says(&scene.bottle.token), "{headers:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_turn_of_an_agent_is_metered() -> Result<()> {
    const TURNS: usize = 4;
    let agents = [Client::ClaudeCode, Client::Codex, Client::AnthropicSdk];
    each(&agents, |client| async move {
        let scene = Scene::start(client, Script::saying(TEXT), Some(900_000)).await?;
        for _ in 1..TURNS {
            scene.provider.enqueue(Script::runaway());
        }
        let mut prompt = scene.prompt()?;
        if client == Client::AnthropicSdk {
            prompt.arguments.push("--agent".to_owned());
        }
        let run = prompt.run().await?;
        ensure!(run.code() == 0, "{run:?}");
        ensure!(run.said().text.as_deref() == Some(TEXT), "{run:?}");
        expect_metered(&scene, TURNS).await?;
        let totals = scene.provider.totals().stated;
        let used = scene.shown().await?.used_run.0;
        let kinds = [
            totals.input,
            totals.cache_read,
            totals.cache_write,
            totals.output,
        ];
        ensure!(
            used == kinds.into_iter().flatten().sum::<u64>(),
            "{totals:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_stream_shows_usage_only_to_a_client_that_asked_for_it() -> Result<()> {
    each(&[Client::OpenaiChatSdk], |client| async move {
        for asked in [false, true] {
            let scene = Scene::start(client, Script::saying(TEXT), None).await?;
            let mut prompt = scene.prompt()?;
            if asked {
                prompt.arguments.push("--include-usage".to_owned());
            }
            let run = prompt.run().await?;
            let said: Value = serde_json::from_str(run.stdout.trim()).context("its output")?;
            ensure!(said["text"] == TEXT, "{run:?}");
            ensure!(said["usage"].is_null() != asked, "{run:?}");
            expect_metered(&scene, 1).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_its_own_key_is_metered_by_the_token_in_its_path() -> Result<()> {
    const OWN_KEY: &str = "sk-the-users-own";
    each(&[Client::ClaudeCode, Client::Codex], |client| async move {
        let scene = Scene::start_passing(client, Script::saying(TEXT)).await?;
        let mut prompt = scene.prompt()?;
        let variable = match client {
            Client::Codex => "CODEX_API_KEY",
            _ => "ANTHROPIC_API_KEY",
        };
        prompt
            .environment
            .push((variable.to_owned(), OWN_KEY.to_owned()));
        let run = prompt.run().await?;
        ensure!(run.said().text.as_deref() == Some(TEXT), "{run:?}");
        expect_metered(&scene, 1).await?;
        let call = scene.only_call()?;
        let given = ["authorization", "x-api-key"];
        let mut given = given.iter().filter_map(|name| call.request.header(name));
        ensure!(
            given.any(|value| value.ends_with(OWN_KEY)),
            "{:?}",
            call.request.headers
        );
        ensure!(!call.request.path.contains(&scene.bottle.token));
        Ok(())
    })
    .await
}
