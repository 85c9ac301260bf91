//! A home in a temporary folder, and programs that are run on it.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result};
use bb_proto::home::Home;
use bb_tests::harness::{Daemon, WAIT_LIMIT, settings};
use bb_tests::provider::Provider;
use tempfile::TempDir;
use tokio::process::Command;

/// The controller.
pub(crate) const CONTROLLER: &str = env!("CARGO_BIN_EXE_it-controller");

/// A home that goes away with the test.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) home: Home,
}

impl Place {
    /// Makes a home with these settings.
    pub(crate) fn with_settings(text: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = Home::new(folder.path().join("home"));
        std::fs::create_dir(home.path())?;
        std::fs::write(home.settings(), text)?;
        Ok(Self { folder, home })
    }

    /// Makes a home that limits nothing and reaches no provider.
    pub(crate) fn alone() -> Result<Self> {
        Self::with_settings("egress:\n  listen: 127.0.0.1:0\n")
    }

    /// Makes a home before a provider; `more` is added to the usual settings.
    pub(crate) fn before(provider: &Provider, more: &str) -> Result<Self> {
        let place = Self::alone()?;
        let text = settings(provider, place.folder.path(), more)?;
        std::fs::write(place.home.settings(), text)?;
        Ok(place)
    }

    /// Returns the folder that the home is in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a controller in a process of its own.
    pub(crate) fn start(&self) -> Result<Daemon> {
        self.start_with(&[])
    }

    /// Starts a controller with variables of its own.
    pub(crate) fn start_with(&self, env: &[(&str, &str)]) -> Result<Daemon> {
        Daemon::start(Path::new(CONTROLLER), &self.home, env)
    }

    /// Runs a controller that is expected to end by itself; returns its exit code and what it
    /// said.
    pub(crate) async fn fails_to_start(&self) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(CONTROLLER);
        command.arg("--home").arg(self.home.path());
        let output = to_the_end(&mut command).await?;
        Ok((output.status.code(), self.plain(&output.stderr)))
    }

    /// Returns what a program said, with the folder's name taken out.
    pub(crate) fn plain(&self, said: &[u8]) -> String {
        let said = String::from_utf8_lossy(said);
        said.replace(&self.folder.path().display().to_string(), "")
    }
}

/// Runs a program to its end, with a limit.
pub(crate) async fn to_the_end(command: &mut Command) -> Result<Output> {
    let running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let ended = tokio::time::timeout(WAIT_LIMIT, running.wait_with_output()).await;
    Ok(ended.with_context(|| format!("waiting for the end of {command:?}"))??)
}

/// Says why a test does not run here.
#[expect(
    clippy::print_stdout,
    reason = "what runs the tests counts these lines"
)]
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
