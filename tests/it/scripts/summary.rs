//! How `scripts/test` sums up what its tests said, in a checkout in which only the tools of a
//! shell are there, and a cargo of ours.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;

use super::user::{Ended, LIMIT, User, ended, scripts};

/// No package manager is among them: nothing is installed.
const TOOLS: [&str; 12] = [
    "awk", "cat", "cut", "dirname", "grep", "id", "mkdir", "rm", "sort", "tail", "tee", "true",
];
/// Two tests passed, one of them with output of its own; one failed; one was skipped.
const REPORT: &str = r#"<testsuite name="it">
<testcase name="a"><system-out>running 1 test</system-out></testcase>
<testcase name="b"></testcase>
<testcase name="c"><failure message="it broke"/></testcase>
<testcase name="d"><system-out>
skipped: docker does not answer
</system-out></testcase>
</testsuite>
"#;

/// Runs `scripts/test` with a cargo that does this for `cargo nextest run`.
async fn test(user: &User, nextest_run: &str) -> Result<Ended> {
    let (checkout, programs) = (user.path("checkout"), user.path("programs"));
    std::fs::create_dir_all(checkout.join("scripts"))?;
    std::fs::create_dir_all(&programs)?;
    for name in ["test", "toolchain", "clients"] {
        std::fs::copy(scripts().join(name), checkout.join("scripts").join(name))?;
    }
    std::fs::write(checkout.join("report"), REPORT)?;
    for tool in TOOLS {
        let link = programs.join(tool);
        if !link.exists() {
            symlink(Path::new("/usr/bin").join(tool), link)?;
        }
    }
    let cargo = format!("#!/bin/sh\n[ \"$1 $2\" = 'nextest run' ] || exit 0\n{nextest_run}\n");
    for (name, text) in [("cargo", cargo.as_str()), ("cc", "#!/bin/sh\n")] {
        let path = programs.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    let mut command = user.script_at(&checkout.join("scripts/test"), &[]);
    ended(command.env("PATH", &programs), LIMIT).await
}

#[tokio::test]
async fn the_summary_counts_what_passed_failed_and_was_skipped() -> Result<()> {
    let user = User::new()?;
    // As nextest does: below the workspace, although CARGO_TARGET_DIR is elsewhere.
    let writes = "mkdir -p target/nextest/default\n\
                  cat report >target/nextest/default/junit.xml";
    let passed = test(&user, writes).await?.with(0)?;
    let summed_up = "skipped: docker does not answer (1)\n2 passed, 1 failed, 1 skipped\n";
    assert!(passed.stdout.ends_with(summed_up), "{passed:?}");

    let failed = test(&user, &format!("{writes}\nexit 100")).await?.with(1)?;
    let ends = format!("{summed_up}failed: tests\n");
    assert!(failed.stdout.ends_with(&ends), "{failed:?}");
    Ok(())
}

#[tokio::test]
async fn a_report_that_is_missing_is_no_silence() -> Result<()> {
    let user = User::new()?;
    let silent = test(&user, "exit 0").await?;
    let said = "there is no summary: nextest wrote no target/nextest/default/junit.xml\n";
    assert!(silent.stdout.contains(said), "{silent:?}");
    Ok(())
}
