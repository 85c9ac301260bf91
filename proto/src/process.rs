//! A process of this host, as both sides name it.

use serde::{Deserialize, Serialize};

/// The process a bottle runs as, on this host. It stands in a request and in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id, which is also its group's.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}
