//! Orders by keys: each asks first, and what was done is what the controller's socket says.

use anyhow::{Context as _, Result};
use bb_proto::event::EventKind;
use bb_proto::view::BottleState;

use super::scene::Scene;
use super::terminal::{Terminal, USUAL};
use crate::socket::processes::Group;

/// Presses a key that opens a question, and declines it.
async fn decline(terminal: &mut Terminal, key: &str, question: &str, no: &str) -> Result<()> {
    terminal.press(key)?;
    terminal.wait_for(question).await?;
    terminal.press(no)?;
    let is_closed = |shown: &str| !shown.contains(question);
    terminal.wait_until("no question", is_closed).await?;
    Ok(())
}

/// Presses a key that opens a question, confirms it, and waits for its outcome.
async fn confirm(terminal: &mut Terminal, key: &str, question: &str, outcome: &str) -> Result<()> {
    terminal.press(key)?;
    terminal.wait_for(question).await?;
    terminal.press("y")?;
    terminal.wait_for(outcome).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_is_cut_off_and_restored_once_the_question_is_answered_with_yes() -> Result<()> {
    let scene = Scene::start().await?;
    let web = scene.register("web").await?;
    let mut terminal = scene.dashboard(USUAL).await?;
    terminal.wait_for_line(&["web", "0/1k"]).await?;
    for no in ["n", "\u{1b}", "\r"] {
        decline(&mut terminal, "x", "Cut off web?", no).await?;
        assert_eq!(scene.state("web").await?, BottleState::Running);
    }
    assert_eq!(scene.ask_the_model(&web).await?, 200);

    let outcome = "cut off web: no stream was open";
    confirm(&mut terminal, "x", "Cut off web?", outcome).await?;
    assert_eq!(scene.state("web").await?, BottleState::Cutoff);
    assert_ne!(scene.ask_the_model(&web).await?, 200);
    terminal
        .wait_for_line(&["web", "100/1k", "cut off"])
        .await?;

    decline(&mut terminal, "X", "Restore web?", "n").await?;
    assert_eq!(scene.state("web").await?, BottleState::Cutoff);
    let outcome = "restore web: its calls go through";
    confirm(&mut terminal, "X", "Restore web?", outcome).await?;
    assert_eq!(scene.state("web").await?, BottleState::Running);
    assert_eq!(scene.ask_the_model(&web).await?, 200);
    // What was declined was not ordered later either.
    assert_eq!(
        scene.orders().await?,
        [EventKind::Cutoff, EventKind::Restored]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_raised_by_what_was_typed_once_that_is_confirmed() -> Result<()> {
    let scene = Scene::start().await?;
    scene.register("web").await?;
    let mut terminal = scene.dashboard(USUAL).await?;
    terminal.wait_for_line(&["web", "0/1k"]).await?;
    decline(&mut terminal, "+", "Raise launch:web", "\u{1b}").await?;
    assert_eq!(scene.limit().await?, 1_000);
    terminal.press("+")?;
    terminal.wait_for("from 1k to 2k, for good").await?;
    terminal.press("\u{7f}\u{7f}4k")?;
    terminal.wait_for("from 1k to 5k, for good").await?;
    assert_eq!(scene.limit().await?, 1_000);
    terminal.press("\r")?;
    terminal.wait_for("raised by 4k to 5k").await?;
    assert_eq!(scene.limit().await?, 5_000);
    terminal.wait_for_line(&["web", "0/5k"]).await?;
    assert_eq!(scene.orders().await?, [EventKind::BudgetChanged]);
    Ok(())
}

/// Whether the process has ended, and only waits to be asked how.
fn has_ended(group: &Group) -> Result<bool> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", group.pid()))?;
    let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
    Ok(fields.trim_start().starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_process_of_the_bottle_and_a_declined_one_does_not() -> Result<()> {
    let scene = Scene::start().await?;
    let mut group = Group::spawn("sleep 1000 & wait")?;
    let process = serde_json::from_value(group.process()?)?;
    scene.register_process("web", Some(process)).await?;
    let mut terminal = scene.dashboard(USUAL).await?;
    terminal.wait_for_line(&["web", "0/1k"]).await?;
    decline(&mut terminal, "s", "Stop web?", "n").await?;
    assert_eq!(scene.state("web").await?, BottleState::Running);
    assert!(!has_ended(&group)?);

    confirm(&mut terminal, "s", "Stop web?", "stop web: ended after").await?;
    assert_eq!(scene.state("web").await?, BottleState::Stopped);
    assert!(has_ended(&group)?);
    assert_eq!(group.signal()?, Some(15));
    terminal.wait_for_line(&["web", "stopped"]).await?;
    assert_eq!(scene.orders().await?, [EventKind::StopOrdered]);
    Ok(())
}
