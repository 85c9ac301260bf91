//! The host's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bb_proto::time::Timestamp;

/// The wall clock jumped where it went further, or less far, than time passed, by so many
/// milliseconds.
const JUMP_MIN_MS: i64 = 2_000;

/// Returns the time now.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(millis(since.as_millis()))
}

fn millis(millis: u128) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// The wall clock, watched for jumps: somebody may set it, and it goes on while the host sleeps.
#[derive(Debug)]
pub(crate) struct Clock {
    /// What both clocks showed first; the wall's moves with its jumps.
    begun: (Instant, i64),
    latest: i64,
    jumped: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            begun: (Instant::now(), now().0),
            latest: 0,
            jumped: 0,
        }
    }
}

impl Clock {
    /// Returns the time now: never less than before, but where the clock jumped back.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.read(Instant::now(), now().0)
    }

    fn read(&mut self, instant: Instant, wall: i64) -> Timestamp {
        let (first, shown) = self.begun;
        let passed = millis(instant.saturating_duration_since(first).as_millis());
        let jump = wall - shown - passed;
        if jump.abs() >= JUMP_MIN_MS {
            self.begun.1 += jump;
            self.jumped += jump;
            self.latest = wall;
        }
        self.latest = self.latest.max(wall);
        Timestamp(self.latest)
    }

    /// Returns by how much the clock jumped since this was asked last.
    pub(crate) fn take_jump(&mut self) -> Option<i64> {
        let jumped = std::mem::take(&mut self.jumped);
        (jumped != 0).then_some(jumped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_drifts_never_goes_back_and_one_that_is_set_jumps_once() {
        let mut clock = Clock::default();
        let (first, shown) = clock.begun;
        let mut at = |ms: u64, wall: i64| {
            let read = clock.read(first + Duration::from_millis(ms), shown + wall);
            (read.0 - shown, clock.take_jump())
        };
        assert_eq!(at(10, 10), (10, None));
        assert_eq!(at(20, 8), (10, None));
        assert_eq!(at(30, 3_600_030), (3_600_030, Some(3_600_000)));
        assert_eq!(at(40, 3_600_040), (3_600_040, None));
        assert_eq!(at(50, -86_399_950), (-86_399_950, Some(-90_000_000)));
        assert_eq!(at(60, -86_399_940), (-86_399_940, None));
    }
}
