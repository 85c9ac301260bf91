//! What is on the screen: the next command, what was spent, and each thing in its place.

use anyhow::Result;

use super::scene::Scene;
use super::terminal::{Size, Terminal, USUAL};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_screen_names_the_next_command() -> Result<()> {
    let mut scene = Scene::before_the_controller().await?;
    let mut terminal = Terminal::start(&scene.place.home, USUAL)?;
    let shown = terminal.wait_for("No controller answers.").await?;
    let command = format!("bb-controller --home {}", scene.place.home.path().display());
    let is_command = |line: &str| line.trim() == command;
    assert!(shown.lines().any(is_command), "{shown}");
    scene.start_controller()?;
    let shown = terminal.wait_for("No bottles yet.").await?;
    for command in ["  bb-ctl run -- claude ", "  bb-ctl register NAME "] {
        assert!(shown.contains(command), "{shown}");
    }
    scene.register("web").await?;
    terminal.wait_for_line(&["web", "0/1k"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_shows_what_was_spent_of_what_may_be() -> Result<()> {
    let scene = Scene::start().await?;
    let (web, _docs) = (scene.register("web").await?, scene.register("docs").await?);
    let mut terminal = scene.dashboard(USUAL).await?;
    terminal.wait_for_line(&["web", "claude", "0/1k"]).await?;
    for spent in ["100/1k", "200/1k"] {
        assert_eq!(scene.ask_the_model(&web).await?, 200);
        let row = ["web", "claude", spent, "launch"];
        terminal.wait_for_line(&row).await?;
    }
    terminal.wait_for_line(&["docs", "claude", "0/1k"]).await?;
    Ok(())
}

/// Asserts that the rows fill the room between header and details, and the footer is below.
fn assert_in_place(shown: &str) {
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let place = |words: &str| lines.iter().position(|line| line.contains(words));
    let is_row = |line: &&&str| line.contains(" bottle-") && line.contains(" idle ");
    let (header, details) = (place("USED/LIMIT"), place("[1 budgets]"));
    let (header, details) = header.zip(details).expect(shown);
    let [_, .., event, keys] = lines[details..] else {
        panic!("no footer\n{shown}");
    };
    assert!(details > header + 8, "{shown}");
    assert!(
        lines[header + 1..details].iter().all(|line| is_row(&line)),
        "{shown}"
    );
    assert_eq!(
        lines.iter().filter(is_row).count(),
        details - header - 1,
        "{shown}"
    );
    assert!(
        event.starts_with("› ") && event.ends_with("  e history"),
        "{shown}"
    );
    assert!(keys.starts_with("x cut off  X restore  s stop"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_ends_above_the_details_and_the_footer_at_both_sizes() -> Result<()> {
    let scene = Scene::start().await?;
    for number in 10..60 {
        scene.register(&format!("bottle-{number}")).await?;
    }
    for size in [Size(80, 24), Size(120, 40)] {
        let mut terminal = scene.dashboard(size).await?;
        for (key, row) in [("", "bottle-10"), ("G", "bottle-59"), ("g", "bottle-10")] {
            terminal.press(key)?;
            let shown = terminal.wait_for_line(&["▌○", row, "0/1k", "idle"]).await?;
            assert_in_place(&shown);
        }
    }
    Ok(())
}
