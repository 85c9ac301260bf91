//! What the scripts say where they are asked for what they do not know.

use anyhow::Result;

use super::user::User;

/// Each script and what it does not understand.
const MISUSES: [(&str, &[&str]); 9] = [
    ("up", &["--fast"]),
    ("up", &["--no-dash", "more"]),
    ("up", &["--home"]),
    ("down", &["--fast"]),
    ("down", &["--home"]),
    ("down", &["--home", "somewhere", "more"]),
    ("demo", &["--no-dash", "--fast"]),
    ("test", &["--fast"]),
    ("torture", &["--fast"]),
];

#[tokio::test]
async fn unknown_options_end_with_two_and_the_usage() -> Result<()> {
    let user = User::new()?;
    for (name, arguments) in MISUSES {
        let help = user.run(name, &["--help"]).await?.with(0)?;
        assert_eq!(help.stderr, "");
        let begins = format!("usage: scripts/{name} [");
        assert!(help.stdout.starts_with(&begins), "{help:?}");
        let misused = user.run(name, arguments).await?.with(2)?;
        assert_eq!(
            (misused.stdout, misused.stderr),
            (String::new(), help.stdout),
            "{name} {arguments:?}"
        );
    }
    assert!(user.controller().is_none(), "it did something");
    Ok(())
}
