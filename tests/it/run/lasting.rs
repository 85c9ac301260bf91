//! A bottle outlives the controller: one that is started again finds it.

use anyhow::{Context as _, Result, ensure};
use bb_proto::view::BottleState;
use bb_tests::provider::{Provider, Script};
use rustix::process::{Pid, test_kill_process_group};

use super::claude::{OTHER_TEXT, TEXT, can_be, wait_for_claude, wait_until_metered};
use super::host::{Host, text, wait_until};
use super::screen::{Screen, Size};

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_is_found_again_after_the_controller_was_killed_and_goes_on_and_is_stopped()
-> Result<()> {
    const SIZE: Size = Size(80, 24);
    if !can_be() {
        return Ok(());
    }
    let provider = Provider::start(Script::saying(TEXT)).await?;
    let host = Host::before(&provider)?;
    let controller = host.controller()?;
    // Its port is the one that the bottle was told.
    let settings = std::fs::read_to_string(host.home.settings())?;
    let settings = settings.replace("127.0.0.1:0", &controller.egress);
    std::fs::write(host.home.settings(), settings)?;

    let screen = Screen::open(&host, SIZE).await?;
    screen.line(r#"bb-ctl run --name web --budget 200k -- claude; echo "code $?""#)?;
    wait_for_claude(&screen, SIZE).await?;
    screen.slow_line("say hi").await?;
    screen.wait_for_text(TEXT).await?;
    wait_until_metered(&host).await?;
    let before = host.bottle("web").await?;
    controller.kill()?;

    let _controller = host.controller()?;
    let after = host.bottle("web").await?;
    ensure!(after.state == BottleState::Running, "{after:?}");
    ensure!(
        after.process == before.process && after.run == before.run,
        "{after:?}"
    );
    ensure!(after.used_run == before.used_run, "{after:?}");
    provider.set_script(Script::saying(OTHER_TEXT));
    screen.slow_line("and once more").await?;
    screen.wait_for_text(OTHER_TEXT).await?;
    wait_until_metered(&host).await?;

    let output = host.run(&["stop", "web"]).await?;
    ensure!(
        text(&output.stdout).starts_with("stopped web"),
        "{output:?}"
    );
    let pid = before.process.context("no process")?.pid;
    let group = Pid::from_raw(i32::try_from(pid)?).context("no group")?;
    wait_until("its group is gone", async || {
        Ok(test_kill_process_group(group) == Err(rustix::io::Errno::SRCH))
    })
    .await?;
    screen.wait_for_text("code 143").await?;
    screen.wait_for_prompt().await?;
    screen.expect_sane().await?;
    ensure!(host.bottle("web").await?.state == BottleState::Stopped);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_that_ended_while_no_controller_ran_is_ended_for_the_next_one() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let host = Host::before(&provider)?;
    let controller = host.controller()?;
    let command = "touch running; cat";
    let mut bottle = host.ctl(&["run", "--name", "web", "--", "sh", "-c", command]);
    let mut bottle = bottle.stdin(std::process::Stdio::piped()).spawn()?;
    let running = host.work().join("running");
    wait_until("it runs", async || Ok(running.exists())).await?;
    controller.kill()?;
    drop(bottle.stdin.take());
    ensure!(bottle.wait().await?.success());
    let _controller = host.controller()?;
    wait_until("it is ended", async || {
        Ok(host.bottle("web").await?.state == BottleState::Stopped)
    })
    .await?;
    let output = host.run(&["run", "--name", "web", "--", "true"]).await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}
