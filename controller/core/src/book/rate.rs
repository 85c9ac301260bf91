//! How fast tokens go: charges of the last minutes, by half minute.

use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;

/// Half minutes that a rate looks back on.
pub(super) const RECENT_BUCKETS: usize = 20;
/// The length of one of them.
const BUCKET_MS: i64 = 30_000;

/// How long an account counts as moving after its last charge: until no bucket has any of it, and
/// one more minute for clients to see that.
pub(super) const MOVES_MS: u64 = 11 * 60_000;

/// Charges of the last ten minutes, by half minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    buckets: [u64; RECENT_BUCKETS],
    newest: i64,
}

impl Recent {
    /// Returns a rate of nothing, of a clock that was set.
    pub(super) fn beginning(now: Timestamp) -> Self {
        Self {
            newest: now.0.div_euclid(BUCKET_MS),
            ..Self::default()
        }
    }

    /// Returns the charges by half minute up to now, oldest first.
    pub(super) fn by_half_minute(&self, now: Timestamp) -> [u64; RECENT_BUCKETS] {
        let mut turned = self.clone();
        turned.turn(now);
        turned.buckets
    }

    fn turn(&mut self, now: Timestamp) {
        let current = now.0.div_euclid(BUCKET_MS);
        if self.buckets.iter().all(|bucket| *bucket == 0) {
            self.newest = current;
            return;
        }
        let steps = current.saturating_sub(self.newest);
        if steps <= 0 {
            return;
        }
        let steps = usize::try_from(steps)
            .unwrap_or(RECENT_BUCKETS)
            .min(RECENT_BUCKETS);
        self.buckets.rotate_left(steps);
        let kept = RECENT_BUCKETS.saturating_sub(steps);
        for bucket in self.buckets.iter_mut().skip(kept) {
            *bucket = 0;
        }
        self.newest = current;
    }

    pub(super) fn add(&mut self, tokens: Tokens, now: Timestamp) {
        self.turn(now);
        if let Some(newest) = self.buckets.last_mut() {
            *newest = newest.saturating_add(tokens.0);
        }
    }
}

/// Returns the tokens of the last minute: the current half minute, the one before, and of the one
/// before that the share that is not yet a minute old.
pub(super) fn per_minute(recent: &[u64; RECENT_BUCKETS], now: Timestamp) -> u64 {
    let gone = u64::try_from(now.0.rem_euclid(BUCKET_MS)).unwrap_or(0);
    let bucket_ms = BUCKET_MS.unsigned_abs();
    let [.., oldest, before, current] = recent;
    let rest = u128::from(*oldest)
        .saturating_mul(u128::from(bucket_ms.saturating_sub(gone)))
        .checked_div(u128::from(bucket_ms))
        .unwrap_or(0);
    current
        .saturating_add(*before)
        .saturating_add(u64::try_from(rest).unwrap_or(u64::MAX))
}
