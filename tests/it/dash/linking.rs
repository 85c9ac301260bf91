//! The controller is killed, and comes back.

use anyhow::{Context as _, Result};

use super::scene::Scene;
use super::terminal::USUAL;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_is_missed_and_followed_again_once_it_is_back() -> Result<()> {
    let mut scene = Scene::start().await?;
    let web = scene.register("web").await?;
    assert_eq!(scene.ask_the_model(&web).await?, 200);
    let mut terminal = scene.dashboard(USUAL).await?;
    terminal.wait_for_line(&["web", "100/1k", "launch"]).await?;
    scene.daemon.take().context("a controller")?.kill()?;

    terminal.wait_for("✗ no answer for").await?;
    let stale = terminal.wait_for("(no act is sent)").await?;
    assert!(stale.contains("all as of"), "{stale}");
    assert!(!stale.contains("● live"), "{stale}");
    assert!(stale.contains("100/1k"), "the last figures stay\n{stale}");

    scene.start_controller()?;
    terminal.wait_for("● live").await?;
    terminal.wait_for("controller restarted").await?;
    terminal.wait_for_line(&["web", "100/1k", "launch"]).await?;
    assert_eq!(scene.ask_the_model(&web).await?, 200);
    terminal.wait_for_line(&["web", "200/1k", "launch"]).await?;
    Ok(())
}
