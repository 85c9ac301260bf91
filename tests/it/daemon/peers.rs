//! Who may speak with the controller.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use tokio::process::Command;

use crate::home::{CONTROLLER, Place, is_root, skipped, to_the_end};
use crate::socket::raw::Raw;

/// Users that own nothing here.
const NOBODY: &str = "65534";
const OTHER: &str = "65533";

fn allow(path: &Path, mode: u32) -> Result<()> {
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(mode),
    )?)
}

/// Puts a program where every user may run it.
fn for_everybody(place: &Place, program: &str) -> Result<PathBuf> {
    allow(place.folder(), 0o755)?;
    let file = Path::new(program).file_name().expect("a program");
    let copy = place.folder().join(file);
    std::fs::copy(program, &copy)?;
    allow(&copy, 0o755)?;
    Ok(copy)
}

/// Runs a program as another user.
fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", user, "--regid", user, "--clear-groups", "--"])
        .arg(program);
    command
}

fn can_change_users() -> bool {
    let setpriv = std::process::Command::new("setpriv")
        .arg("--version")
        .output();
    if is_root() && setpriv.is_ok_and(|output| output.status.success()) {
        return true;
    }
    skipped("only root with setpriv can be another user");
    false
}

/// Asks for the controller's state as another user; returns the exit code and what was said.
async fn status_as(user: &str, ctl: &Path, place: &Place) -> Result<(Option<i32>, String)> {
    let mut command = as_user(user, ctl);
    command.arg("--home").arg(place.home.path()).arg("status");
    let output = to_the_end(&mut command).await?;
    Ok((output.status.code(), place.plain(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_kept_out_by_the_files_and_by_the_controller_itself() -> Result<()> {
    if !can_change_users() {
        return Ok(());
    }
    let place = Place::alone()?;
    let ctl = for_everybody(&place, env!("CARGO_BIN_EXE_it-ctl"))?;
    allow(place.home.path(), 0o755)?;
    let daemon = place.start()?;
    let (code, said) = status_as(NOBODY, &ctl, &place).await?;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("Permission denied"), "{said}");

    // Somebody opened the doors: the controller still knows its own.
    allow(&place.home.run_dir(), 0o755)?;
    allow(&place.home.socket(), 0o666)?;
    let (code, said) = status_as(NOBODY, &ctl, &place).await?;
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("the connection to the controller was lost"),
        "{said}"
    );
    let hello = Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(hello["pid"], daemon.pid());
    let log = std::fs::read_to_string(place.home.log())?;
    assert!(
        log.contains("a client of another user was turned away uid=Some(65534)"),
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_reaches_a_controller_of_their_own_and_root_reaches_it_too() -> Result<()> {
    if !can_change_users() {
        return Ok(());
    }
    let place = Place::alone()?;
    let ctl = for_everybody(&place, env!("CARGO_BIN_EXE_it-ctl"))?;
    let controller = for_everybody(&place, CONTROLLER)?;
    let owner: u32 = NOBODY.parse()?;
    for path in [place.home.path(), &place.home.settings()] {
        std::os::unix::fs::chown(path, Some(owner), Some(owner))?;
    }
    let start = place.folder().join("start");
    let script = format!(
        "#!/bin/sh\nexec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups -- '{}' \"$@\"\n",
        controller.display()
    );
    std::fs::write(&start, script)?;
    allow(&start, 0o755)?;
    let _daemon = bb_tests::harness::Daemon::start(&start, &place.home, &[])?;
    let (code, said) = status_as(NOBODY, &ctl, &place).await?;
    assert_eq!(code, Some(0), "{said}");
    Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;

    allow(place.home.path(), 0o755)?;
    allow(&place.home.run_dir(), 0o755)?;
    allow(&place.home.socket(), 0o666)?;
    let (code, said) = status_as(OTHER, &ctl, &place).await?;
    assert_eq!(code, Some(4), "{said}");
    Ok(())
}
