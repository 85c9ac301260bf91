//! Waiting for a condition of another process, with a limit.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until the condition holds; returns whether it did within the limit.
pub(super) fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begun.elapsed() >= limit {
            return false;
        }
        std::thread::park_timeout(PAUSE);
    }
}
