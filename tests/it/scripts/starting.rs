//! `scripts/up` and `scripts/down`: what is started once, found again and ended.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use super::user::{LIMIT, User, ended, scripts};

/// Puts a program of ours where the controller was built.
fn replace_controller(user: &User, text: &str) -> Result<()> {
    let path = user.built().join("release/bb-controller");
    std::fs::remove_file(&path)?;
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test]
async fn a_second_up_finds_it_running_and_a_second_down_says_there_is_none() -> Result<()> {
    let user = User::new()?;
    let home = user.home.path().display().to_string();
    let first = user.up().await?.with(0)?;
    assert!(
        first.stdout.contains("egress http://127.0.0.1:"),
        "{first:?}"
    );
    assert_eq!(first.stderr, "");
    let pid = user.controller().context("no controller")?;

    let second = user.up().await?.with(0)?;
    let found = format!("a controller runs already on {home}:\n");
    assert!(second.stdout.starts_with(&found), "{second:?}");
    assert!(
        second
            .stdout
            .contains(&format!("pid {}", pid.as_raw_nonzero()))
    );
    assert!(!second.stdout.contains("older"), "{second:?}");
    assert_eq!((second.stderr.as_str(), user.controller()), ("", Some(pid)));

    let down = user.run("down", &[]).await?.with(0)?;
    let gone = format!("the controller (pid {}) has ended\n", pid.as_raw_nonzero());
    assert_eq!((down.stdout, down.stderr), (gone, String::new()));
    let again = user.run("down", &[]).await?.with(0)?;
    let none = format!("no controller runs on {home}\n");
    assert_eq!((again.stdout, again.stderr), (none, String::new()));
    user.left_alone().await
}

#[tokio::test]
async fn a_controller_older_than_what_is_built_is_told_with_what_renews_it() -> Result<()> {
    let user = User::new()?;
    user.up().await?.with(0)?;
    replace_controller(&user, "#!/bin/sh\n")?;
    let again = user.up().await?.with(0)?;
    let scripts = scripts().display().to_string();
    let line = format!("it is older than what is built: {scripts}/down, then {scripts}/up\n");
    assert!(again.stdout.contains(&line), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn what_up_links_and_names_is_right_from_anywhere() -> Result<()> {
    let user = User::new()?;
    let mut up = user.script("up", &["--no-build", "--no-dash", "--home", "../there"]);
    let parent = user.built().parent().context("no parent")?;
    let relative = user.built().strip_prefix(parent)?;
    // Another folder to work in, from which both are named.
    std::os::unix::fs::symlink(user.built(), user.path("empty").join(relative))?;
    up.env("CARGO_TARGET_DIR", relative);
    std::fs::create_dir(user.path("there"))?;
    std::fs::copy(user.home.settings(), user.path("there/settings.yml"))?;
    let started = ended(&mut up, LIMIT).await?.with(0)?;

    for program in ["bb-controller", "bb-ctl", "bb-dash"] {
        let link = std::fs::read_link(user.path("home/.local/bin").join(program))?;
        assert!(link.is_absolute() && link.exists(), "{}", link.display());
    }
    let named = started.stdout.lines().last().unwrap_or_default();
    let named = named
        .split_once("to stop it: ")
        .with_context(|| format!("{started:?}"))?
        .1;
    let words: Vec<&str> = named.split(' ').collect();
    let there = user.path("there").display().to_string();
    let program = scripts().join("down").display().to_string();
    assert_eq!(words, [program.as_str(), "--home", there.as_str()]);
    let mut down = user.script("down", &["--home", &there]);
    let down = ended(down.current_dir(Path::new("/")), LIMIT)
        .await?
        .with(0)?;
    assert!(down.stdout.contains("has ended"), "{down:?}");
    user.left_alone().await
}

#[tokio::test]
async fn a_controller_that_ends_at_its_start_is_told_with_why() -> Result<()> {
    let user = User::new()?;
    std::fs::write(user.home.settings(), "bottels: 1\n")?;
    let failed = user.up().await?.with(1)?;
    assert!(failed.stderr.contains("bottels"), "{failed:?}");
    let log = user.home.log().display().to_string();
    let last = format!("the controller did not start; to see its log: tail -n 50 {log}\n");
    assert!(failed.stderr.ends_with(&last), "{failed:?}");
    user.left_alone().await
}

#[tokio::test]
async fn a_controller_that_does_not_answer_is_waited_for_only_so_long() -> Result<()> {
    let user = User::new()?;
    replace_controller(
        &user,
        "#!/bin/sh\nfor line in 1 2 3 4 5 6; do echo \"line $line\"; done \
         >\"$BB_HOME/log/controller.log\"\nexec sleep 60\n",
    )?;
    let failed = user.up().await?.with(1)?;
    let (said, pid) = failed
        .stderr
        .trim_end()
        .split_once("it goes on; to end it: kill ")
        .with_context(|| format!("{failed:?}"))?;
    let pid = Pid::from_raw(pid.parse()?).context("no process")?;
    let goes_on = user.processes()?;
    assert!(goes_on.iter().any(|(id, _)| *id == pid), "{goes_on:?}");
    let log = user.home.log().display().to_string();
    let expected = format!(
        "line 2\nline 3\nline 4\nline 5\nline 6\n\
         the controller does not answer after 20 s; to see more: tail -n 50 {log}\n"
    );
    assert_eq!(said, expected);
    Ok(())
}
