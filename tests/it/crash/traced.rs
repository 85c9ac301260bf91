//! A system call of a running controller that fails or takes long, by tracing it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use bb_tests::harness::Daemon;

use crate::home::skipped;

/// The calls by which a file is brought to the disk.
pub(super) const SYNCS: &str = "fsync,fdatasync";

/// What traces a controller; it lets go of it when this is dropped.
pub(super) struct Tracer(Child);

impl Tracer {
    /// Begins, with what is done to which calls, such as `fsync:error=EIO:when=3`; says where that
    /// cannot be done here.
    pub(super) fn begin(daemon: &Daemon, inject: &str) -> Result<Option<Self>> {
        let (calls, _) = inject.split_once(':').context("calls and what is done")?;
        let pid = daemon.pid().to_string();
        let started = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-p", &pid])
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={inject}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            skipped("strace is missing");
            return Ok(None);
        };
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().context("what it says")?);
        stderr.read_line(&mut said)?;
        if said.contains("attached") {
            return Ok(Some(Self(child)));
        }
        child.wait()?;
        skipped("no process can be traced here");
        Ok(None)
    }

    /// Kills the controller where it stands; what it does to be let go is not done any more.
    pub(super) fn kill(mut self, daemon: Daemon) -> Result<()> {
        let pid = rustix::process::Pid::from_raw(i32::try_from(daemon.pid())?);
        rustix::process::kill_process(pid.context("a process")?, rustix::process::Signal::KILL)?;
        // A thread that is held dies when nobody holds it.
        self.0.kill()?;
        self.0.wait()?;
        daemon.kill()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It lets go of what it traces where it is told to end.
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        drop(self.0.wait());
    }
}
