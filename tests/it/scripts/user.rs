//! A user who types the scripts' names: a home folder, and the programs as a build leaves them.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bb_proto::client::Client;
use bb_proto::home::Home;
use bb_proto::request::Hello;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::Command;

use crate::home::CONTROLLER;

/// How long a script may take.
pub(super) const LIMIT: Duration = Duration::from_secs(35);
/// How long what was told to end may take.
const ENDING_LIMIT: Duration = Duration::from_secs(5);

/// A user; what was started for it ends with it.
#[derive(Debug)]
pub(super) struct User {
    /// What the user's `.bot-bottle` is.
    pub(super) home: Home,
    folder: TempDir,
    built: TempDir,
}

/// What a script printed and how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl User {
    /// Makes a user with settings that need no port of their own.
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["home/.bot-bottle", "home/.local/bin", "tmp", "empty"] {
            std::fs::create_dir_all(folder.path().join(name))?;
        }
        let home = Home::new(folder.path().join("home/.bot-bottle"));
        std::fs::write(home.settings(), "egress:\n  listen: 127.0.0.1:0\n")?;
        // Links that are no symbolic ones: a program looks for the others beside what it really is.
        let built = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        for profile in ["debug", "release"] {
            let bin = built.path().join(profile);
            std::fs::create_dir(&bin)?;
            for (name, program) in [
                ("bb-controller", CONTROLLER),
                ("bb-ctl", env!("CARGO_BIN_EXE_it-ctl")),
                ("bb-dash", env!("CARGO_BIN_EXE_it-dash")),
                ("demo", env!("CARGO_BIN_EXE_demo")),
            ] {
                std::fs::hard_link(program, bin.join(name)).context("linking a program")?;
            }
        }
        Ok(Self {
            home,
            folder,
            built,
        })
    }

    /// Returns a path in the folder that has all that is the user's.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the target directory.
    pub(super) fn built(&self) -> &Path {
        self.built.path()
    }

    /// Returns a script with these arguments, not started.
    pub(super) fn script(&self, name: &str, arguments: &[&str]) -> Command {
        self.script_at(&scripts().join(name), arguments)
    }

    /// Returns a script that is elsewhere, not started.
    pub(super) fn script_at(&self, path: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(path);
        command
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("home/.local/bin").display()),
            )
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("CARGO_TARGET_DIR", self.built())
            .current_dir(self.path("empty"));
        command
    }

    /// Runs a script to its end.
    pub(super) async fn run(&self, name: &str, arguments: &[&str]) -> Result<Ended> {
        ended(&mut self.script(name, arguments), LIMIT).await
    }

    /// Runs `scripts/up` with what is built, without the dashboard.
    pub(super) async fn up(&self) -> Result<Ended> {
        self.run("up", &["--no-build", "--no-dash"]).await
    }

    /// Returns the id of the controller's process, where one answers.
    pub(super) fn controller(&self) -> Option<Pid> {
        let mut client = Client::connect(&self.home.socket()).ok()?;
        let hello = client.call(&Hello::default()).ok()?;
        Pid::from_raw(i32::try_from(hello.pid).ok()?)
    }

    /// Returns the processes that were started for the user, and their command lines.
    pub(super) fn processes(&self) -> Result<Vec<(Pid, String)>> {
        // All of them have the user's folder in their environment, and no other process has.
        let folder = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for process in std::fs::read_dir("/proc")? {
            let process = process?;
            let id = process.file_name().to_str().and_then(|id| id.parse().ok());
            let Some(pid) = id.and_then(Pid::from_raw) else {
                continue;
            };
            // One that ended meanwhile, or is another user's, is none of ours.
            let Ok(environment) = std::fs::read(process.path().join("environ")) else {
                continue;
            };
            if String::from_utf8_lossy(&environment).contains(&folder) {
                let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                found.push((pid, String::from_utf8_lossy(&line).replace('\0', " ")));
            }
        }
        Ok(found)
    }

    /// Waits until none of them is left: a controller closes its socket before it ends.
    pub(super) async fn left_alone(&self) -> Result<()> {
        let waiting = async {
            while !self.processes()?.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        let waited = tokio::time::timeout(ENDING_LIMIT, waiting).await;
        waited.with_context(|| format!("still there: {:?}", self.processes()))?
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A test that failed halfway leaves some.
        for (pid, _) in self.processes().unwrap_or_default() {
            // One that has ended meanwhile is what is wanted.
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

impl Ended {
    /// Returns what was printed where the script ended with this code.
    pub(super) fn with(self, code: i32) -> Result<Self> {
        if self.code != code {
            bail!("not {code}: {self:?}");
        }
        Ok(self)
    }
}

/// Returns the folder of the scripts.
pub(super) fn scripts() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).join("scripts")
}

/// Runs a command to its end.
pub(super) async fn ended(command: &mut Command, limit: Duration) -> Result<Ended> {
    let running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let output = tokio::time::timeout(limit, running.wait_with_output()).await;
    let output = output.with_context(|| format!("waiting for the end of {command:?}"))??;
    let text = |said: &[u8]| String::from_utf8_lossy(said).into_owned();
    let status = output.status;
    Ok(Ended {
        code: status
            .code()
            .or(status.signal().map(|signal| -signal))
            .context("neither a code nor a signal")?,
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}
