//! A host of its own: the programs under the names people know, a home, a person's home folder.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_proto::client::{Client, ClientError};
use bb_proto::home::Home;
use bb_proto::ids::BottleName;
use bb_proto::request::{BottleShow, Hello, Method};
use bb_proto::view;
use bb_tests::clients;
use bb_tests::harness::{Daemon, WAIT_LIMIT, call, settings};
use bb_tests::provider::Provider;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const CONTROLLER: &str = env!("CARGO_BIN_EXE_it-controller");
const CTL: &str = env!("CARGO_BIN_EXE_it-ctl");

/// A host; the controller that runs on it ends with it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) home: Home,
    pub(crate) provider: Provider,
    folder: PathBuf,
    _folder: TempDir,
    programs: TempDir,
}

impl Host {
    /// Makes a host with a provider behind it, on which no controller runs yet.
    pub(crate) fn before(provider: &Provider) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        // Claude Code knows a folder by what it really is.
        let folder = temporary.path().canonicalize()?;
        for name in ["work", "home", "bb"] {
            std::fs::create_dir(folder.join(name))?;
        }
        // Not a symbolic link, since it looks for the controller beside what it really is; not a
        // copy, which is busy as long as another thread's child has it open from the copying.
        let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        std::fs::hard_link(CTL, programs.path().join("bb-ctl")).context("linking bb-ctl")?;
        symlink(CONTROLLER, programs.path().join("bb-controller"))?;
        let home = Home::new(folder.join("bb"));
        std::fs::write(home.settings(), settings(provider, &folder, "")?)?;
        // Not the first start, and a folder that was said to be trusted.
        let trusted = json!({ "hasTrustDialogAccepted": true });
        let known = json!({
            "hasCompletedOnboarding": true,
            "theme": "dark",
            "projects": { folder.join("work").display().to_string(): trusted },
        });
        std::fs::write(folder.join("home/.claude.json"), known.to_string())?;
        Ok(Self {
            home,
            provider: provider.clone(),
            folder,
            _folder: temporary,
            programs,
        })
    }

    /// Starts the controller in a process of its own.
    pub(crate) fn controller(&self) -> Result<Daemon> {
        Daemon::start(Path::new(CONTROLLER), &self.home, &[])
    }

    /// Returns a path on this host.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the folder that commands are run in.
    pub(super) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Returns all the environment that a command has.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let show = |path: PathBuf| path.display().to_string();
        let mut path = show(self.programs.path().to_owned());
        for client in [clients::Client::ClaudeCode, clients::Client::Codex] {
            if let Some(folder) = client.program().ok().as_deref().and_then(Path::parent) {
                path.push(':');
                path.push_str(&folder.display().to_string());
            }
        }
        let inherited = std::env::var("PATH").unwrap_or_default();
        vec![
            ("PATH", format!("{path}:{inherited}")),
            ("HOME", show(self.path("home"))),
            ("TMPDIR", show(self.folder.clone())),
            ("BB_HOME", self.home.path().display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            // What a client wants from elsewhere it does not get.
            ("HTTPS_PROXY", "http://127.0.0.1:9".to_owned()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ]
    }

    /// Returns `bb-ctl` with these arguments, not started.
    pub(super) fn ctl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(self.programs.path().join("bb-ctl"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .env("TERM", "dumb")
            .current_dir(self.work())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs `bb-ctl` behind pipes.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Output> {
        self.run_with(arguments, b"").await
    }

    /// Runs `bb-ctl` behind pipes, with this as its standard input.
    pub(super) async fn run_with<A: AsRef<OsStr>>(
        &self,
        arguments: &[A],
        input: &[u8],
    ) -> Result<Output> {
        let mut child = self.ctl(arguments).stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input).await?;
        drop(stdin);
        let output = tokio::time::timeout(WAIT_LIMIT, child.wait_with_output());
        Ok(output.await.context("waiting for bb-ctl")??)
    }

    /// Calls a method of the controller.
    pub(crate) async fn call<M>(&self, params: M) -> Result<M::Reply, ClientError>
    where
        M: Method + Send + 'static,
        M::Reply: Send + 'static,
    {
        call(&self.home, params).await
    }

    /// Returns a bottle as clients of the socket see it.
    pub(crate) async fn bottle(&self, name: &str) -> Result<view::Bottle> {
        let name: BottleName = name.parse()?;
        Ok(self.call(BottleShow { name }).await?.bottle)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let connected = Client::connect(&self.home.socket()).ok();
        let hello = connected.and_then(|mut client| client.call(&Hello::default()).ok());
        let pid = hello.and_then(|hello| i32::try_from(hello.pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // One that has ended meanwhile is what is wanted.
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// Returns what a program printed.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a condition holds, with a limit.
pub(super) async fn wait_until(
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let waiting = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    let waited = tokio::time::timeout(WAIT_LIMIT, waiting).await;
    waited.with_context(|| format!("waiting until {what}"))?
}
