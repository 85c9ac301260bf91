//! The limits of the proxy as they are now.

use std::time::Duration;

/// The limits of the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest request body, in bytes.
    pub body_max: u64,
    /// How long reaching a provider may take.
    pub connect_timeout: Duration,
    /// How long a provider may take to begin its answer.
    pub response_timeout: Duration,
    /// How long a provider may be silent within an answer.
    pub idle_timeout: Duration,
    /// How long an answer is read on after its client went away.
    pub drain: Duration,
}
