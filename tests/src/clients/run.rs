//! A client's process group, from its start to the end of all that is in it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::Client;

/// A client that runs; dropping it ends its process group.
#[derive(Debug)]
pub struct Running {
    client: Client,
    child: Child,
    group: Pid,
    stdout: File,
    stderr: File,
    started: Instant,
    limit: Duration,
    /// Removed with the rest.
    _home: TempDir,
}

/// What became of a client.
#[derive(Debug)]
pub struct Run {
    pub client: Client,
    pub status: ExitStatus,
    /// Whether it was ended because its time was up.
    pub timed_out: bool,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Running {
    pub(super) fn spawn(
        mut command: Command,
        client: Client,
        home: TempDir,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        // Files, since a pipe stays open as long as any grandchild does.
        let stdout = tempfile::tempfile().context("making a file for standard output")?;
        let stderr = tempfile::tempfile().context("making a file for standard error")?;
        let handle = |file: &File| file.try_clone().map(Stdio::from);
        command
            .stdin(Stdio::null())
            .stdout(handle(&stdout).context("handing over standard output")?)
            .stderr(handle(&stderr).context("handing over standard error")?)
            .process_group(0)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("starting {client}"))?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .with_context(|| format!("{client} ended before it had a process id"))?;
        let started = Instant::now();
        Ok(Self {
            client,
            child,
            group,
            stdout,
            stderr,
            started,
            limit,
            _home: home,
        })
    }

    /// Returns the process id, which is also the process group's.
    pub fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Sends a signal to the whole process group.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process_group(self.group, signal)
            .with_context(|| format!("signalling {} ({})", self.client, self.pid()))
    }

    /// Waits for its end, and makes one when its time is up.
    pub async fn finish(mut self) -> anyhow::Result<Run> {
        let left = self.limit.saturating_sub(self.started.elapsed());
        let ended = tokio::time::timeout(left, self.child.wait()).await;
        let timed_out = ended.is_err();
        let status = if let Ok(status) = ended {
            status
        } else {
            self.end_group();
            self.child.wait().await
        };
        let status = status.with_context(|| format!("waiting for {}", self.client))?;
        let took = self.started.elapsed();
        self.end_group();
        Ok(Run {
            client: self.client,
            status,
            timed_out,
            stdout: whole(&mut self.stdout).context("reading its standard output")?,
            stderr: whole(&mut self.stderr).context("reading its standard error")?,
            took,
        })
    }

    fn end_group(&self) {
        // It may be empty already, which is what is wanted.
        let _empty = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_group();
    }
}

impl Run {
    /// Returns the exit code, or 128 and the signal as a shell would.
    pub fn code(&self) -> i32 {
        let signal = self.status.signal().unwrap_or(0);
        self.status.code().unwrap_or(128 + signal)
    }
}

fn whole(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
