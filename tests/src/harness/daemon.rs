//! A controller in a process of its own: for what a process is needed, such as killing it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::Context as _;
use bb_proto::home::Home;

/// A running `bb-controller`; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    /// Where calls go: `127.0.0.1:PORT`.
    pub egress: String,
    /// Its home.
    pub home: Home,
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Daemon {
    /// Starts `program` on a home and waits until it serves.
    ///
    /// Fails with what it said where it ends instead.
    pub fn start(program: &Path, home: &Home, env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg("--home")
            .arg(home.path())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut stderr = BufReader::new(child.stderr.take().context("no standard error")?);
        let mut line = String::new();
        stderr.read_line(&mut line)?;
        let Some(egress) = line
            .split("egress http://")
            .nth(1)
            .and_then(|s| s.split(',').next())
        else {
            stderr.read_to_string(&mut line)?;
            let status = child.wait()?;
            anyhow::bail!("it ended with {status}: {line}");
        };
        Ok(Self {
            egress: egress.to_owned(),
            home: home.clone(),
            child,
            stderr,
        })
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself, and returns how.
    pub fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Kills it without a warning.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits; returns how it ended and what it said since its start.
    pub fn terminate(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        let mut said = String::new();
        self.stderr.read_to_string(&mut said)?;
        Ok((status, said))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
