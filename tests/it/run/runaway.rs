//! The whole of it in one scene: an agent that would go on for ever is metered, warned about, cut
//! off, opened by a raise, and goes on.

use anyhow::{Result, ensure};
use bb_proto::event::EventKind;
use bb_proto::request::EventsList;
use bb_proto::view::BottleState;
use bb_tests::provider::{Provider, Script};
use serde_json::{Value, json};

use super::claude::{TEXT, can_be, wait_for_claude};
use super::host::{Host, text, wait_until};
use super::screen::{Screen, Size};

const SIZE: Size = Size(120, 40);
const SENTENCE: &str = "this bottle has spent its token budget; ask the operator to raise it";
async fn events(host: &Host) -> Result<Vec<EventKind>> {
    let listed = host.call(EventsList::default()).await?;
    Ok(listed.events.iter().map(|event| event.kind).collect())
}

/// Waits until `bb-ctl usage` says of the bottle what the provider counted, kind by kind.
async fn wait_until_usage_agrees(host: &Host) -> Result<()> {
    wait_until("the provider is left alone", async || {
        let (totals, bottle) = (host.provider.totals(), host.bottle("web").await?);
        Ok(totals.open == 0 && bottle.in_flight == 0)
    })
    .await?;
    let output = host.run(&["--json", "usage", "--bottle", "web"]).await?;
    let usage: Value = serde_json::from_slice(&output.stdout)?;
    let totals = host.provider.totals();
    let stated = totals.stated;
    let kinds = [
        ("calls", Some(totals.finished)),
        ("estimated", Some(0)),
        ("input", stated.input),
        ("cache_read", stated.cache_read),
        ("cache_write", stated.cache_write),
        ("output", stated.output),
    ];
    for (kind, count) in kinds {
        ensure!(
            usage["total"][kind] == json!(count),
            "{kind}: {usage} of {totals:?}"
        );
    }
    ensure!(totals.finished == totals.calls, "{totals:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_agent_is_metered_warned_cut_off_opened_by_a_raise_and_goes_on() -> Result<()> {
    if !can_be() {
        return Ok(());
    }
    // Each answer asks for the next call; a prompt of Claude Code is some twenty thousand tokens.
    let provider = Provider::start(Script::runaway()).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let screen = Screen::open(&host, SIZE).await?;
    screen.line(r#"bb-ctl run --name web --budget 200k -- claude "fix the tests""#)?;
    screen
        .wait_for_text(&format!("API Error: 400 {SENTENCE}"))
        .await?;
    wait_for_claude(&screen, SIZE).await?;

    let web = host.bottle("web").await?;
    ensure!(
        web.state == BottleState::Cutoff && web.refusals >= 1,
        "{web:?}"
    );
    ensure!(web.used_run.0 <= 200_000 && web.warned, "{web:?}");
    let seen = events(&host).await?;
    for kind in [EventKind::Warned, EventKind::Exhausted, EventKind::Cutoff] {
        ensure!(seen.contains(&kind), "{kind:?} is not among {seen:?}");
    }
    wait_until_usage_agrees(&host).await?;
    let calls = provider.totals().calls;
    ensure!(calls >= 5, "{calls} calls");

    provider.set_script(Script::saying(TEXT));
    let output = host.run(&["budget", "raise", "web", "+200k"]).await?;
    ensure!(text(&output.stdout).contains("opened: web"), "{output:?}");
    ensure!(host.bottle("web").await?.state == BottleState::Running);
    screen.slow_line("go on").await?;
    screen.wait_for_text(TEXT).await?;
    wait_until_usage_agrees(&host).await?;
    ensure!(provider.totals().calls > calls);
    screen.slow_line("/exit").await?;
    screen.wait_for_prompt().await?;
    screen.expect_sane().await
}
