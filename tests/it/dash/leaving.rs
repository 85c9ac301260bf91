//! Both ways out give the terminal back as it was: by the key, and by a panic.

use anyhow::{Context as _, Result};
use bb_proto::request::Health;
use bb_tests::harness::call;
use tokio::net::UnixStream;
use tokio::process::Command;

use super::scene::Scene;
use super::terminal::{Terminal, USUAL};

/// The dashboard with a thread in it that panics when it is asked to.
const PANICS: &str = env!("CARGO_BIN_EXE_it-dash-panics");

/// What is asked of the terminal, and what takes it back: screen, cursor, mouse, paste.
const UNDONE: [(&str, &str); 4] = [
    ("\u{1b}[?1049h", "\u{1b}[?1049l"),
    ("\u{1b}[?25l", "\u{1b}[?25h"),
    ("\u{1b}[?1000h", "\u{1b}[?1000l"),
    ("\u{1b}[?2004h", "\u{1b}[?2004l"),
];

/// Asserts that all that was asked of the terminal was taken back before these words.
fn assert_undone_before(words: &str, written: &str) {
    let said = written.rfind(words).expect("the words");
    for (asked, undone) in UNDONE {
        let asked = written.rfind(asked).expect("it was asked for");
        let undone = written.rfind(undone).unwrap_or(usize::MAX);
        assert!(asked < undone && undone < said, "{written:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn q_leaves_with_code_zero_the_terminal_as_it_was_and_the_controller_at_work() -> Result<()> {
    let scene = Scene::start().await?;
    scene.register("web").await?;
    let mut terminal = scene.dashboard(USUAL).await?;
    assert!(!terminal.is_cooked()?);
    terminal.press("q")?;
    assert_eq!(terminal.ended().await?.code(), Some(0));
    assert!(terminal.is_cooked()?);
    let pid = scene.daemon.as_ref().context("a controller")?.pid();
    let farewell = format!("bb-controller keeps running (pid {pid}).");
    let written = terminal.wait_for_written(&farewell).await?;
    assert_undone_before(&farewell, &written);
    call(&scene.place.home, Health {}).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_on_the_terminal_as_it_was() -> Result<()> {
    let scene = Scene::start().await?;
    let panics_at = scene.place.folder().join("panics");
    let mut command = Command::new(PANICS);
    command.arg("--home").arg(scene.place.home.path());
    command.env("IT_PANICS_AT", &panics_at);
    let mut terminal = Terminal::run(&mut command, USUAL)?;
    terminal.wait_for("● live").await?;
    assert!(!terminal.is_cooked()?);
    UnixStream::connect(&panics_at).await?;
    assert_eq!(terminal.ended().await?.code(), Some(101));
    assert!(terminal.is_cooked()?);
    let told = "panicked as asked";
    let written = terminal.wait_for_written(told).await?;
    assert_undone_before(told, &written);
    Ok(())
}
