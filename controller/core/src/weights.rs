//! What a token of each kind costs a budget.

use bb_proto::units::{Thousandths, Tokens};
use bb_proto::usage::Usage;

/// A provider's weights: what one token of each kind costs, in thousandths of a token.
///
/// They change what budgets count, never what the ledger keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weights {
    /// Of a prompt token neither read from nor written to a cache.
    pub input: Thousandths,
    /// Of a prompt token read from a cache.
    pub cache_read: Thousandths,
    /// Of a prompt token written to a cache.
    pub cache_write: Thousandths,
    /// Of a generated token.
    pub output: Thousandths,
}

impl Weights {
    /// Returns what `usage` costs, rounded up to a whole token; what is not stated costs nothing.
    pub fn charge(&self, usage: &Usage) -> Tokens {
        let thousandths = [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
        ]
        .into_iter()
        .map(|(count, weight)| u128::from(count.unwrap_or(0)).saturating_mul(u128::from(weight.0)))
        .fold(0_u128, u128::saturating_add);
        Tokens(u64::try_from(thousandths.div_ceil(1000)).unwrap_or(u64::MAX))
    }

    /// Returns the cost of `count` tokens of input at the dearest rate an input can have.
    pub fn charge_input(&self, count: u64) -> Tokens {
        let dearest = self.input.max(self.cache_read).max(self.cache_write);
        Self {
            input: dearest,
            ..*self
        }
        .charge(&Usage {
            input: Some(count),
            ..Usage::default()
        })
    }

    /// Returns the cost of `count` tokens of output.
    pub fn charge_output(&self, count: u64) -> Tokens {
        self.charge(&Usage {
            output: Some(count),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_the_weighted_sum_rounded_up() {
        let usage = Usage {
            input: Some(10),
            cache_read: Some(1_001),
            cache_write: None,
            output: Some(5),
            reasoning: Some(4),
        };
        assert_eq!(Weights::default().charge(&usage), Tokens(1_016));
        let tenth = Weights {
            cache_read: Thousandths(100),
            ..Weights::default()
        };
        assert_eq!(tenth.charge(&usage), Tokens(116));
    }

    #[test]
    fn absurd_counts_saturate() {
        let usage = Usage {
            input: Some(u64::MAX),
            output: Some(u64::MAX),
            ..Usage::default()
        };
        assert_eq!(Weights::default().charge(&usage), Tokens(u64::MAX));
    }
}
