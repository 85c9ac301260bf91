//! Quantities with their unit in the type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest number of tokens a limit may be: 2^53, which every JSON reader keeps exactly.
pub const TOKENS_MAX: u64 = 1 << 53;

/// A number of tokens.
///
/// Sums saturate: a count that would pass the end of `u64` stays there and is never small again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);

    /// Returns the sum, at most `u64::MAX`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, zero where `other` is larger.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns this count as whole percent of `limit`, rounded down; 100 where the limit is zero.
    ///
    /// 100 or more means spent: rounding never shows what is left as nothing.
    pub fn percent_of(self, limit: Self) -> u64 {
        if limit.0 == 0 {
            return 100;
        }
        u64::try_from(u128::from(self.0) * 100 / u128::from(limit.0)).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Why a text is no number of tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// The text is not of the form.
    #[error("{0:?} is no number of tokens; write a whole number or one like 200k, 1.5M, 2G")]
    Form(String),
    /// The number is above [`TOKENS_MAX`].
    #[error("{0} is more tokens than a budget can hold (2^53)")]
    TooMany(String),
    /// The number has a fraction of a token.
    #[error("{0} is not a whole number of tokens")]
    Fraction(String),
}

impl FromStr for Tokens {
    type Err = TokensError;

    /// Parses `5000000`, `5_000_000`, `200k`, `1.5M` or `2G` (powers of a thousand).
    fn from_str(text: &str) -> Result<Self, TokensError> {
        let form = || TokensError::Form(text.to_owned());
        let trimmed = text.trim();
        let (number, unit) = match trimmed.char_indices().last() {
            Some((at, 'k' | 'K')) => (&trimmed[..at], 1_000),
            Some((at, 'm' | 'M')) => (&trimmed[..at], 1_000_000),
            Some((at, 'g' | 'G')) => (&trimmed[..at], 1_000_000_000),
            _ => (trimmed, 1_u128),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: String = whole.chars().filter(|c| *c != '_').collect();
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(&whole) || !digits(fraction) || number.ends_with('.') {
            return Err(form());
        }
        let scale = 10_u128.pow(u32::try_from(fraction.len().min(30)).unwrap_or(30));
        let all: u128 = format!("{whole}{}", &fraction[..fraction.len().min(30)])
            .parse()
            .map_err(|_| TokensError::TooMany(text.to_owned()))?;
        let scaled = all
            .checked_mul(unit)
            .ok_or_else(|| TokensError::TooMany(text.to_owned()))?;
        if scaled % scale != 0 {
            return Err(TokensError::Fraction(text.to_owned()));
        }
        match u64::try_from(scaled / scale) {
            Ok(n) if n <= TOKENS_MAX => Ok(Self(n)),
            _ => Err(TokensError::TooMany(text.to_owned())),
        }
    }
}

/// A factor in thousandths: 1000 is one, 100 is a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Thousandths(pub u32);

impl Thousandths {
    /// The factor one.
    pub const ONE: Self = Self(1000);
}

impl Default for Thousandths {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_people_write_them() {
        let read = |s: &str| s.parse::<Tokens>().map(|t| t.0);
        assert_eq!(read("5000000"), Ok(5_000_000));
        assert_eq!(read("5_000_000"), Ok(5_000_000));
        assert_eq!(read("200k"), Ok(200_000));
        assert_eq!(read("1.5M"), Ok(1_500_000));
        assert_eq!(read("2G"), Ok(2_000_000_000));
        assert_eq!(read("0"), Ok(0));
        for odd in [
            "", "k", "-1", "1.k", ".5M", "1e6", "five", "1 000", "1.5.2k",
        ] {
            assert!(matches!(read(odd), Err(TokensError::Form(_))), "{odd:?}");
        }
        assert!(matches!(read("1.5"), Err(TokensError::Fraction(_))));
        assert!(matches!(
            read("9007199254740993"),
            Err(TokensError::TooMany(_))
        ));
        assert!(matches!(
            read("99999999999999999999999999999999999999999"),
            Err(TokensError::TooMany(_))
        ));
    }

    #[test]
    fn a_percentage_is_rounded_down() {
        assert_eq!(Tokens(99_999).percent_of(Tokens(100_000)), 99);
        assert_eq!(Tokens(100_000).percent_of(Tokens(100_000)), 100);
        assert_eq!(Tokens(5).percent_of(Tokens(0)), 100);
        assert_eq!(Tokens(u64::MAX).percent_of(Tokens(1)), u64::MAX);
    }
}
