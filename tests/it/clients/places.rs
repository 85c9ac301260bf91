//! The places of an answer at which a coding agent is cut off: what is open there decides what an
//! ending has to say so that the agent does not ask for the same again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bb_tests::clients::Client;
use bb_tests::provider::{Call, Fault, Script, Tool};

use super::scene::{Scene, each};

const SENTENCE: &str = "the operator has cut this bottle off";

/// A place, an answer that stops there, and after how many events.
struct Place {
    name: &'static str,
    script: Script,
    after: u64,
}

/// The delay holds each place apart from the first event, which comes with the headers.
fn place(name: &'static str, after: u64, change: impl FnOnce(&mut Script)) -> Result<Place> {
    let mut script = Script::slow(40, Duration::from_millis(200));
    change(&mut script);
    let stop = usize::try_from(after)?;
    script.fault = Some(Fault::Stall { after: stop });
    Ok(Place {
        name,
        script,
        after,
    })
}

fn thinking(script: &mut Script) {
    script.thinking = Some("Let me think about that for quite a while. ".repeat(50));
}

fn tool(script: &mut Script) {
    let input = r#"{"command":"true","description":"Do nothing at all"}"#;
    script.tool = Some(Tool::Named {
        name: "Bash".to_owned(),
        input: input.to_owned(),
    });
}

fn tool_first(script: &mut Script) {
    tool(script);
    script.events = 0;
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_shows_the_sentence_and_asks_no_more_wherever_it_is_cut() -> Result<()> {
    each(&[Client::ClaudeCode], |client| async move {
        // An answer is message_start, content_block_start, ping, deltas, content_block_stop, ….
        cut_at(client, place("thinking open", 5, thinking)?).await?;
        cut_at(client, place("thinking just closed", 9, thinking)?).await?;
        cut_at(client, place("text open behind thinking", 11, thinking)?).await?;
        cut_at(
            client,
            place("tool open, nothing before it", 5, tool_first)?,
        )
        .await?;
        let behind_text = |script: &mut Script| {
            tool(script);
            script.events = 2;
        };
        cut_at(client, place("tool open behind text", 8, behind_text)?).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_shows_the_sentence_and_asks_no_more_wherever_it_is_cut() -> Result<()> {
    each(&[Client::Codex], |client| async move {
        cut_at(client, place("reasoning open", 6, thinking)?).await?;
        cut_at(
            client,
            place("tool open, nothing before it", 5, tool_first)?,
        )
        .await?;
        Ok(())
    })
    .await
}

async fn cut_at(client: Client, place: Place) -> Result<()> {
    let told = async {
        let scene = Scene::start(client, place.script, None).await?;
        let running = scene.prompt()?.start()?;
        let here = |calls: &[Call]| calls.iter().any(|call| call.answer.events >= place.after);
        scene.provider.wait_for(here).await?;
        scene.cut_off().await?;
        let run = scene.expect_cut(running, SENTENCE).await?;
        let error = run.said().error.unwrap_or_default();
        // With a status it would be a refusal of a whole request.
        let whole = match client {
            Client::ClaudeCode => format!("API Error: {SENTENCE}"),
            _ => SENTENCE.to_owned(),
        };
        ensure!(error == whole, "{run:?}");
        anyhow::Ok(())
    };
    told.await.context(place.name)
}
