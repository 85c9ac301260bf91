//! How far estimates were from what providers then stated.

use std::collections::VecDeque;

use bb_proto::reply::Spread;

/// How many of the last errors of a model are kept.
pub const ERRORS_MAX: usize = 64;
/// The largest error that is told apart, in thousandths: a hundredfold.
const ERROR_MAX: u32 = 100_000;

/// The last relative errors of one kind of estimate, in thousandths of what was stated.
#[derive(Debug, Clone, Default)]
pub(super) struct Errors(VecDeque<u32>);

impl Errors {
    /// Notes how far an estimate was from what was stated, over or under.
    pub(super) fn note(&mut self, estimated: u64, stated: u64) {
        let error = estimated
            .abs_diff(stated)
            .saturating_mul(1_000)
            .checked_div(stated.max(1))
            .and_then(|error| u32::try_from(error).ok())
            .map_or(ERROR_MAX, |error| error.min(ERROR_MAX));
        if self.0.len() >= ERRORS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(error);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

/// Returns the median and the 95th percentile; zero of nothing.
pub(super) fn spread(mut errors: Vec<u32>) -> Spread {
    errors.sort_unstable();
    let at = |percent: usize| {
        let rank = errors.len().saturating_mul(percent).div_ceil(100);
        errors.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    };
    Spread {
        median_thousandths: at(50),
        p95_thousandths: at(95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_are_kept_over_and_under_alike() {
        let mut errors = Errors::default();
        for _ in 0..ERRORS_MAX {
            errors.note(300, 100);
        }
        assert_eq!(errors.iter().next(), Some(2_000));
        errors.note(90, 100);
        errors.note(110, 100);
        errors.note(1_000, 0);
        errors.note(u64::MAX, 1);
        let last: Vec<u32> = errors.iter().skip(ERRORS_MAX - 4).collect();
        assert_eq!(last, [100, 100, ERROR_MAX, ERROR_MAX]);
        assert_eq!(errors.iter().count(), ERRORS_MAX);
    }

    #[test]
    fn median_and_p95_are_errors_that_occurred() {
        let both = |errors: Vec<u32>| {
            let spread = spread(errors);
            (spread.median_thousandths, spread.p95_thousandths)
        };
        assert_eq!(both(vec![]), (0, 0));
        assert_eq!(both(vec![7]), (7, 7));
        assert_eq!(both(vec![9, 1]), (1, 9));
        assert_eq!(both((1..=100).rev().collect()), (50, 95));
    }
}
