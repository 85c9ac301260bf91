//! One process of this host, held by a descriptor that no other process can take over.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;

use bb_proto::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pid: Pid,
    /// Readable once the process has ended.
    descriptor: AsyncFd<OwnedFd>,
}

impl Running {
    /// Finds a process, if it still is the one meant.
    pub(crate) fn find(process: Process) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Read after the descriptor is open: from here on the id cannot be another's.
        let stat = Stat::read(process.pid)?;
        if stat.has_ended() || stat.start_ticks != process.start_ticks {
            return None;
        }
        Self::with(pid, descriptor).ok()
    }

    /// Watches a child of ours that was not waited for yet: its id cannot be another's.
    pub(crate) fn child(child: &Child) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        Self::with(pid, pidfd_open(pid, PidfdFlags::NONBLOCK)?)
    }

    fn with(pid: Pid, descriptor: OwnedFd) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "sound here: an owned descriptor lives as long as its watch"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(Self { pid, descriptor })
    }

    /// Returns once the process has ended.
    pub(crate) async fn ended(&self) {
        if let Err(error) = self.descriptor.readable().await {
            tracing::warn!(%error, "a process cannot be watched");
            std::future::pending::<()>().await;
        }
    }

    /// Wakes the group that the process leads, if the process is stopped and so cannot act on a
    /// signal. One that runs is left alone: on being woken, programs draw their screen anew.
    pub(crate) fn wake_group(&self) {
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        if Stat::read(pid).is_some_and(|stat| stat.is_stopped()) {
            self.signal_group(Signal::CONT);
        }
    }

    /// Sends a signal to the whole group that the process leads.
    pub(crate) fn signal_group(&self, signal: Signal) {
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(%error, pid = ?self.pid, "a group cannot be signalled"),
        }
    }
}

/// What the system says of a process that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    state: String,
    /// In clock ticks since boot.
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is in brackets and may hold anything, brackets too.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?.to_owned();
        // Fields 3 and 22.
        let start_ticks = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start_ticks })
    }

    /// Returns whether it has ended and only waits to be noticed.
    fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "Z" | "X")
    }

    fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "T" | "t")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

    use super::*;

    #[test]
    fn our_own_process_runs_and_has_a_start_time_and_a_gone_one_is_not_there() {
        let ours = Stat::read(std::process::id()).expect("ourselves");
        assert!(ours.start_ticks > 0 && !ours.has_ended() && !ours.is_stopped());
        assert_eq!(Stat::read(u32::MAX), None);
    }

    #[tokio::test]
    async fn a_stopped_group_is_woken_and_then_ends_when_it_is_told_to() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .expect("a child");
        let pid = child.id();
        let is_stopped = || Stat::read(pid).is_some_and(|stat| stat.is_stopped());
        let start_ticks = Stat::read(pid).expect("the child").start_ticks;
        let running = Running::find(Process { pid, start_ticks }).expect("the child");
        running.signal_group(Signal::STOP);
        while !is_stopped() {
            tokio::task::yield_now().await;
        }
        running.signal_group(Signal::TERM);
        assert!(is_stopped());
        running.wake_group();
        running.ended().await;
        let ended = child.wait().expect("its end");
        assert_eq!(ended.signal(), Some(15));
        assert_eq!(
            Running::find(Process { pid, start_ticks }).map(|_| ()),
            None
        );
    }
}
