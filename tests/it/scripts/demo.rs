//! The demo as it is typed, where there is no terminal.

use std::time::Duration;

use anyhow::Result;

use super::user::{User, ended};

/// Its runaway takes some twenty seconds to spend its budget.
const LIMIT: Duration = Duration::from_secs(55);
const SENTENCE: &str = "this bottle has spent its token budget; ask the operator to raise it";

#[tokio::test]
async fn the_demo_cuts_its_runaway_off_and_leaves_nothing_behind() -> Result<()> {
    let user = User::new()?;
    let mut demo = user.script("demo", &["--no-build", "--no-dash"]);
    let played = ended(&mut demo, LIMIT).await?.with(0)?;
    assert_eq!(played.stderr, "");
    let said = &played.stdout;
    assert!(said.contains(SENTENCE), "{said}");
    let row = |words: &[&str]| {
        said.lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(row(&["nightly-deps", "cutoff(claude)", "/400k"]), "{said}");
    for bottle in ["web", "docs", "review-pr-42"] {
        assert!(row(&[bottle, "running"]), "{bottle}: {said}");
    }
    assert_eq!(user.processes()?, []);
    let files: Vec<_> = std::fs::read_dir(user.path("tmp"))?.collect();
    assert!(files.is_empty(), "{files:?}");
    // The user's own home was left alone.
    let own: Vec<_> = std::fs::read_dir(user.home.path())?.collect();
    assert_eq!(own.len(), 1, "{own:?}");
    Ok(())
}
