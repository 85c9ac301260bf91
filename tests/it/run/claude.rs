//! The real Claude Code in a terminal: it is as if nothing were between it and the keyboard.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bb_proto::request::{BottleCutoff, BottleRestore};
use bb_proto::view::BottleState;
use bb_tests::clients::Client;
use bb_tests::provider::{Provider, Script};
use rustix::process::{Pid, test_kill_process_group};

use super::host::{Host, wait_until};
use super::screen::{Screen, Size};
use crate::home::skipped;

pub(super) const TEXT: &str = "Hello from the provider, said in quite a few words.";
pub(super) const OTHER_TEXT: &str = "A second answer, which says something else.";
const SIZES: [Size; 2] = [Size(80, 24), Size(120, 40)];

/// Returns whether there is what these tests are about; says what there is not.
pub(super) fn can_be() -> bool {
    if let Err(missing) = Client::ClaudeCode.program() {
        skipped(&missing.reason());
        return false;
    }
    if !Screen::can_be() {
        skipped("there is no tmux to make a terminal with");
        return false;
    }
    true
}

/// Waits until Claude Code waits for a prompt in a window of so many columns.
pub(super) async fn wait_for_claude(screen: &Screen, Size(columns, _): Size) -> Result<()> {
    let rule = "─".repeat(columns.into());
    screen
        .wait_for("Claude Code's prompt", |shown| {
            let mut rules = shown.lines().filter(|line| line.starts_with('─'));
            shown.contains("? for shortcuts") && rules.any(|line| line == rule)
        })
        .await?;
    Ok(())
}

/// Waits until the bottle was charged what the provider counted, to the token.
///
/// In a terminal Claude Code makes calls besides, for titles and the like.
pub(super) async fn wait_until_metered(host: &Host) -> Result<()> {
    wait_until("ledger and provider agree", async || {
        let totals = host.provider.totals();
        let stated = totals.stated;
        let kinds = [
            stated.input,
            stated.cache_read,
            stated.cache_write,
            stated.output,
        ];
        let spent: u64 = kinds.into_iter().flatten().sum();
        let bottle = host.bottle("web").await?;
        ensure!(bottle.used_run.0 <= spent, "{bottle:?} {totals:?}");
        Ok(totals.open == 0 && totals.finished == totals.calls && bottle.used_run.0 == spent)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_printed_metered_and_the_shell_comes_back() -> Result<()> {
    if !can_be() {
        return Ok(());
    }
    for size in SIZES {
        let provider = Provider::start(Script::saying(TEXT)).await?;
        let host = Host::before(&provider)?;
        let screen = Screen::open(&host, size).await?;
        screen
            .line(r#"bb-ctl run --name web --budget 200k -- claude -p "say hi"; echo "code $?""#)?;
        screen
            .wait_for("the code", |shown| {
                shown.lines().any(|line| line == "code 0")
            })
            .await?;
        let shown = screen.wait_for_prompt().await?;
        ensure!(shown.contains("started bb-controller (pid "), "{shown}");
        ensure!(shown.lines().any(|line| line == TEXT), "{shown}");
        screen.expect_sane().await?;
        wait_until_metered(&host).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_prompt_keys_job_control_and_resizing_work() -> Result<()> {
    if !can_be() {
        return Ok(());
    }
    for (size, other) in [(SIZES[0], SIZES[1]), (SIZES[1], SIZES[0])] {
        let provider = Provider::start(Script::saying(TEXT)).await?;
        let host = Host::before(&provider)?;
        let _controller = host.controller()?;
        let screen = Screen::open(&host, size).await?;
        screen.line("bb-ctl run --name web --budget 200k -- claude")?;
        wait_for_claude(&screen, size).await?;
        screen.slow_line("say hi").await?;
        screen.wait_for_text(TEXT).await?;

        screen.resize(other)?;
        wait_for_claude(&screen, other).await?;

        screen.key("C-c")?;
        screen.wait_for_text("Press Ctrl-C again to exit").await?;
        wait_for_claude(&screen, other).await?;

        screen.key("C-z")?;
        screen
            .wait_for_text("Claude Code has been suspended")
            .await?;
        screen.wait_for_prompt().await?;
        let process = host.bottle("web").await?.process.context("no process")?;
        wait_until("it is stopped", async || Ok(state(process.pid)? == "T")).await?;
        ensure!(host.bottle("web").await?.state == BottleState::Running);
        screen.expect_sane().await?;
        screen.clear().await?;
        screen.line(r#"fg; echo "code $?""#)?;
        wait_for_claude(&screen, other).await?;

        provider.set_script(Script::saying(OTHER_TEXT));
        screen.slow_line("and once more").await?;
        screen.wait_for_text(OTHER_TEXT).await?;
        wait_until_metered(&host).await?;
        screen.slow_line("/exit").await?;
        screen
            .wait_for("the code", |shown| {
                shown.lines().any(|line| line == "code 0")
            })
            .await?;
        screen.wait_for_prompt().await?;
        screen.expect_sane().await?;
        wait_until_metered(&host).await?;
        let bottle = host.bottle("web").await?;
        ensure!(bottle.state == BottleState::Stopped && bottle.exit_code == Some(0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cutoff_is_shown_where_the_answer_stood_and_after_a_restore_it_goes_on() -> Result<()> {
    if !can_be() {
        return Ok(());
    }
    let provider = Provider::start(Script::saying(TEXT)).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let screen = Screen::open(&host, SIZES[0]).await?;
    provider.set_script(Script::slow(400, Duration::from_millis(50)));
    screen.line(r#"bb-ctl run --name web -- claude "say hi""#)?;
    screen
        .wait_for_text("I have read the file you named")
        .await?;
    let names = vec!["web".parse()?];
    let order = BottleCutoff {
        names: names.clone(),
        ..BottleCutoff::default()
    };
    host.call(order).await?;
    screen
        .wait_for_text("API Error: the operator has cut this bottle off")
        .await?;
    wait_for_claude(&screen, SIZES[0]).await?;
    let totals = provider.wait_for_totals(|totals| totals.open == 0).await?;
    ensure!(totals.aborted == totals.calls, "{totals:?}");

    screen.slow_line("go on").await?;
    screen
        .wait_for_text("API Error: 400 the operator has cut this bottle off")
        .await?;
    ensure!(provider.totals().calls == totals.calls);
    let order = BottleRestore {
        names,
        ..BottleRestore::default()
    };
    host.call(order).await?;
    provider.set_script(Script::saying(TEXT));
    screen.slow_line("now go on").await?;
    screen.wait_for_text(TEXT).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_all_of_its_group_and_the_terminal_is_as_before() -> Result<()> {
    if !can_be() {
        return Ok(());
    }
    let provider = Provider::start(Script::saying(TEXT)).await?;
    let host = Host::before(&provider)?;
    let _controller = host.controller()?;
    let screen = Screen::open(&host, SIZES[0]).await?;
    for suspended in [false, true] {
        // A process of the group that is not its leader.
        let claude = r#"--client claude -- sh -c "sleep 1000 & exec claude""#;
        screen.clear().await?;
        screen.line(&format!(
            r#"bb-ctl run --name web {claude}; echo "code $?""#
        ))?;
        wait_for_claude(&screen, SIZES[0]).await?;
        if suspended {
            // What it asked of the terminal as it started is answered by then.
            screen.slow_line("say hi").await?;
            screen.wait_for_text(TEXT).await?;
            wait_for_claude(&screen, SIZES[0]).await?;
            screen.key("C-z")?;
            screen.wait_for_prompt().await?;
        }
        let process = host.bottle("web").await?.process.context("no process")?;
        let output = host.run(&["stop", "web"]).await?;
        ensure!(output.status.success(), "{output:?}");
        if suspended {
            screen.clear().await?;
            screen.line(r#"fg; echo "code $?""#)?;
        }
        // Woken in the background it may stop again for the terminal: then it is killed.
        let codes: &[&str] = if suspended {
            &["code 143", "code 137"]
        } else {
            &["code 143"]
        };
        screen
            .wait_for("the code", |shown| {
                shown.lines().any(|line| codes.contains(&line))
            })
            .await?;
        screen.wait_for_prompt().await?;
        // Only now: bb-ctl, stopped with it, could not see its end before.
        let group = Pid::from_raw(i32::try_from(process.pid)?).context("no group")?;
        wait_until("its group is gone", async || {
            Ok(test_kill_process_group(group) == Err(rustix::io::Errno::SRCH))
        })
        .await?;
        screen.expect_sane().await?;
        ensure!(host.bottle("web").await?.state == BottleState::Stopped);
    }
    Ok(())
}

/// Returns the letter of a process's state.
fn state(pid: u32) -> Result<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let letter = fields.split_ascii_whitespace().next();
    Ok(letter.context("no state")?.to_owned())
}
