//! What a build needs, and what is said where it is missing.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;

use super::user::{LIMIT, User, ended};

const NO_CARGO: &str =
    "cargo is missing: install Rust from https://rustup.rs, then open a new shell\n";
const NO_COMPILER: &str =
    "a C compiler is missing: install one, such as: apt-get install gcc libc6-dev\n";

/// Makes a program that does nothing.
fn program(path: &Path) -> Result<()> {
    std::fs::write(path, "#!/bin/sh\n")?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test]
async fn toolchain_says_in_one_line_what_to_install() -> Result<()> {
    let user = User::new()?;
    let programs = user.path("empty");
    for (path, said) in [("", NO_CARGO), (programs.to_str().unwrap(), NO_CARGO)] {
        let mut toolchain = user.script("toolchain", &[]);
        let missing = ended(toolchain.env("PATH", path), LIMIT).await?.with(1)?;
        assert_eq!(
            (missing.stdout.as_str(), missing.stderr.as_str()),
            ("", said)
        );
    }
    program(&programs.join("cargo"))?;
    let mut toolchain = user.script("toolchain", &[]);
    toolchain.env("PATH", &programs);
    let missing = ended(&mut toolchain, LIMIT).await?.with(1)?;
    assert_eq!(
        (missing.stdout.as_str(), missing.stderr.as_str()),
        ("", NO_COMPILER)
    );
    program(&programs.join("cc"))?;
    let complete = ended(&mut toolchain, LIMIT).await?.with(0)?;
    assert_eq!(complete.stdout + &complete.stderr, "");
    Ok(())
}

#[tokio::test]
async fn whatever_builds_says_first_what_is_missing_for_it() -> Result<()> {
    let user = User::new()?;
    let programs = user.path("empty");
    symlink("/usr/bin/dirname", programs.join("dirname"))?;
    for name in ["up", "demo", "test", "bench"] {
        let mut script = user.script(name, &[]);
        let missing = ended(script.env("PATH", &programs), LIMIT).await?.with(1)?;
        assert_eq!(
            (missing.stdout.as_str(), missing.stderr.as_str()),
            ("", NO_CARGO),
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_was_never_built_is_not_run() -> Result<()> {
    let user = User::new()?;
    let nowhere = user.path("empty/target");
    for (name, profile) in [("up", "release"), ("demo", "debug")] {
        let mut script = user.script(name, &["--no-build"]);
        script.env("CARGO_TARGET_DIR", &nowhere);
        let missing = ended(&mut script, LIMIT).await?.with(1)?;
        let folder = nowhere.join(profile).display().to_string();
        let said = format!("nothing is built in {folder}: leave out --no-build\n");
        assert_eq!((missing.stdout, missing.stderr), (String::new(), said));
    }
    let mut down = user.script("down", &[]);
    down.env("CARGO_TARGET_DIR", &nowhere);
    let said = ended(&mut down, LIMIT).await?.with(0)?.stdout;
    assert!(said.starts_with("bb-ctl is not built"), "{said}");
    Ok(())
}
