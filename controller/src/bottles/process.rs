//! One process of this host, held by a descriptor that no other process can take over.

use std::os::fd::OwnedFd;

use bb_proto::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process that runs.
#[derive(Debug)]
pub(super) struct Running {
    pid: Pid,
    /// Readable once the process has ended.
    descriptor: AsyncFd<OwnedFd>,
}

impl Running {
    /// Finds a process, if it still is the one meant.
    pub(super) fn find(process: Process) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // Read after the descriptor is open: from here on the id cannot be another's.
        if start_ticks(process.pid)? != process.start_ticks {
            return None;
        }
        #[expect(
            deprecated,
            reason = "sound here: an owned descriptor lives as long as its watch"
        )]
        let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE).ok()?;
        Some(Self { pid, descriptor })
    }

    /// Returns once the process has ended.
    pub(super) async fn ended(&self) {
        if let Err(error) = self.descriptor.readable().await {
            tracing::warn!(%error, "a process cannot be watched");
            std::future::pending::<()>().await;
        }
    }

    /// Sends a signal to the whole group that the process leads.
    pub(super) fn signal_group(&self, signal: Signal) {
        match kill_process_group(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(%error, pid = ?self.pid, "a group cannot be signalled"),
        }
    }
}

/// Returns when a process started, in clock ticks since boot: field 22 of its `stat`; nothing
/// where it is gone, or has ended and only waits to be noticed.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is in brackets and may hold anything, brackets too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_a_start_time_and_a_gone_one_has_none() {
        assert!(start_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_ticks(u32::MAX), None);
    }
}
