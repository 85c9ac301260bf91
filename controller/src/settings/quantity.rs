//! Owns how quantities are written: tokens, times, sizes, factors.

use std::fmt::Write as _;
use std::time::Duration;

use bb_proto::units::{Thousandths, Tokens, TokensError};

use super::mistakes::quote;

/// The longest text that is tried as a number.
const NUMBER_BYTES_MAX: usize = 64;
/// The largest factor.
const FACTOR_MAX: u32 = 1000;

/// What is wrong with a quantity, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) text: String,
    pub(super) hint: String,
}

fn wrong<T>(text: String, hint: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        text,
        hint: hint.into(),
    })
}

/// Reads the limit of a budget: more than zero.
pub(super) fn limit(text: &str) -> Result<Tokens, Wrong> {
    let found = quote(text);
    if text.len() > NUMBER_BYTES_MAX {
        return wrong(format!("{found} is no number of tokens"), TOKENS_FORM);
    }
    match text.parse::<Tokens>() {
        Ok(Tokens::ZERO) => wrong(
            "a limit of 0 tokens would let nothing through".to_owned(),
            "write at least 1; to close a bottle, cut it off; for no limit, take the line away",
        ),
        Ok(tokens) => Ok(tokens),
        Err(TokensError::TooMany(_)) => wrong(
            format!("{found} is more than the 9007199254740992 (2^53) tokens a limit can be"),
            "write less; for no limit, take the line away",
        ),
        Err(TokensError::Fraction(_)) => wrong(
            format!("{found} is not a whole number of tokens"),
            TOKENS_FORM,
        ),
        Err(TokensError::Form(_)) if is_negative(text) => wrong(
            format!("{found} is less than nothing"),
            "a limit is at least 1 token",
        ),
        Err(TokensError::Form(_)) => wrong(
            format!("{found} is no number of tokens"),
            tokens_meant(text).map_or_else(
                || TOKENS_FORM.to_owned(),
                |meant| format!("did you mean {}?", tokens_text(meant)),
            ),
        ),
    }
}

const TOKENS_FORM: &str = "write a whole number or one with k, M or G: 200000, 200k, 1.5M";

fn is_negative(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns the number that is left without what people put into numbers and behind them.
fn tokens_meant(text: &str) -> Option<Tokens> {
    let bare: String = text
        .chars()
        .filter(|c| !matches!(c, ' ' | ',' | '\''))
        .collect();
    let bare = ["tokens", "token", "tok", "B", "b"]
        .iter()
        .find_map(|unit| bare.strip_suffix(unit))
        .unwrap_or(&bare);
    bare.parse().ok().filter(|tokens| *tokens > Tokens::ZERO)
}

/// Reads a time: whole numbers with their unit, such as `500ms`, `30s`, `1h30m`.
pub(super) fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, Wrong> {
    const FORM: &str = "write a number and its unit, ms, s, m, h or d: 500ms, 30s, 1h30m";
    if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < NUMBER_BYTES_MAX {
        return wrong(
            format!("{} is a number without a unit", quote(text)),
            format!("did you mean {text}s? Units are ms, s, m, h and d"),
        );
    }
    let Some(span) = sum_of_spans(text) else {
        return wrong(format!("{} is no time", quote(text)), FORM);
    };
    if span < least || span > most {
        return wrong(
            format!("{} is outside of what this can be", quote(text)),
            format!(
                "write a time from {} to {}",
                span_text(least),
                span_text(most)
            ),
        );
    }
    Ok(span)
}

fn sum_of_spans(text: &str) -> Option<Duration> {
    if text.is_empty() || text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        let millis = number.parse::<u64>().ok()?.checked_mul(unit)?;
        sum = sum.checked_add(Duration::from_millis(millis))?;
        rest = tail;
    }
    Some(sum)
}

/// Returns a time as it is written in settings.
pub(super) fn span_text(span: Duration) -> String {
    let millis = span.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut rest = millis;
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ];
    for (unit, name) in units {
        if rest >= unit {
            // Writing into a string cannot fail.
            write!(text, "{}{name}", rest / unit).ok();
            rest %= unit;
        }
    }
    text
}

/// Reads a size: bytes, or with `K`, `M`, `G` (also `KiB` …) powers of 1024.
pub(super) fn size(text: &str, least: u64, most: u64) -> Result<u64, Wrong> {
    const FORM: &str = "write bytes, or a whole number with K, M or G (powers of 1024): 32M";
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" => Some(1),
        "K" | "k" | "KiB" => Some(1 << 10),
        "M" | "m" | "MiB" => Some(1 << 20),
        "G" | "g" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let Some(unit) = unit.filter(|_| !number.is_empty() && text.len() <= NUMBER_BYTES_MAX) else {
        return wrong(format!("{} is no size", quote(text)), FORM);
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    match bytes.filter(|bytes| (least..=most).contains(bytes)) {
        Some(bytes) => Ok(bytes),
        None => wrong(
            format!("{} is outside of what this can be", quote(text)),
            format!(
                "write a size from {} to {}",
                size_text(least),
                size_text(most)
            ),
        ),
    }
}

/// Returns a size as it is written in settings.
pub(super) fn size_text(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Reads a factor from 0 to 1000 with at most three decimals, exactly.
pub(super) fn thousandths(text: &str) -> Result<Thousandths, Wrong> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if digits(decimals) => (whole, decimals),
        None => (text, ""),
        Some(_) => ("", ""),
    };
    if !digits(whole) || text.len() > NUMBER_BYTES_MAX {
        let form = "write a number such as 1, 0.1 or 1.25";
        return wrong(format!("{} is no weight", quote(text)), form);
    }
    if decimals.len() > 3 {
        return wrong(
            format!("{} has more than three decimals", quote(text)),
            "weights are kept in thousandths, exactly; write at most three decimals",
        );
    }
    let all = format!("{whole}{decimals:0<3}").parse::<u32>();
    match all {
        Ok(all) if all <= FACTOR_MAX * 1000 => Ok(Thousandths(all)),
        _ => wrong(
            format!("{} is more than a weight can be", quote(text)),
            format!("write a number from 0 to {FACTOR_MAX}"),
        ),
    }
}

/// Returns a factor as it is written in settings.
pub(super) fn factor_text(factor: Thousandths) -> String {
    let (whole, decimals) = (factor.0 / 1000, factor.0 % 1000);
    if decimals == 0 {
        return whole.to_string();
    }
    format!("{whole}.{decimals:03}")
        .trim_end_matches('0')
        .to_owned()
}

/// Returns a number of tokens as it is written in settings: short where that loses nothing.
pub(super) fn tokens_text(tokens: Tokens) -> String {
    for (unit, name) in [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")] {
        let hundredth = unit / 100;
        if tokens.0 >= unit && tokens.0.is_multiple_of(hundredth) {
            let (whole, decimals) = (tokens.0 / unit, tokens.0 % unit / hundredth);
            return match (decimals, decimals % 10) {
                (0, _) => format!("{whole}{name}"),
                (_, 0) => format!("{whole}.{}{name}", decimals / 10),
                _ => format!("{whole}.{decimals:02}{name}"),
            };
        }
    }
    tokens.0.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn limits_are_read_as_people_write_them() {
        let read = |text: &str| limit(text).map(|tokens| tokens.0);
        assert_eq!(read("5000000"), Ok(5_000_000));
        assert_eq!(read("1.5M"), Ok(1_500_000));
        assert_eq!(read("9007199254740992"), Ok(1 << 53));
        // A long text is no number, not even where a part of it is.
        let long = format!("1.{}M", "0".repeat(80));
        assert!(read(&long).is_err());
        let hint = |text: &str| limit(text).unwrap_err().hint;
        assert_eq!(hint("5,000,000"), "did you mean 5M?");
        assert_eq!(hint("1 234 567 tokens"), "did you mean 1234567?");
        assert_eq!(hint("0 tokens"), TOKENS_FORM);
    }

    #[test]
    fn times_are_whole_numbers_with_units_from_the_largest_down() {
        let read = |text: &str| duration(text, Duration::ZERO, HOUR).map(|span| span.as_millis());
        assert_eq!(read("0s"), Ok(0));
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("1m30s"), Ok(90_000));
        assert_eq!(read("1h"), Ok(3_600_000));
        for odd in [
            "",
            "s",
            "1",
            "1.5s",
            "30 s",
            "-1s",
            "1s1m",
            "1s1s",
            "1d",
            "61m",
            "1h1ms",
            "99999999999999999999s",
            "18446744073709551615h",
            "١s",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_powers_of_1024() {
        let read = |text: &str| size(text, 1024, 1 << 40);
        assert_eq!(read("1024"), Ok(1024));
        assert_eq!(read("32M"), Ok(32 << 20));
        assert_eq!(read("32MiB"), Ok(32 << 20));
        assert_eq!(read("2g"), Ok(2 << 30));
        for odd in [
            "",
            "M",
            "1023",
            "1.5M",
            "32MB",
            "32 M",
            "-1M",
            "99999999999999999999G",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn weights_are_exact_thousandths() {
        let read = |text: &str| thousandths(text).map(|factor| factor.0);
        assert_eq!(read("1"), Ok(1000));
        assert_eq!(read("0.1"), Ok(100));
        assert_eq!(read("1.25"), Ok(1250));
        assert_eq!(read("0.001"), Ok(1));
        assert_eq!(read("1000.000"), Ok(1_000_000));
        for odd in [
            "",
            ".5",
            "5.",
            "1e3",
            "0.0001",
            "1000.001",
            "-1",
            "+1",
            "1,5",
            "99999999999",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0s", "1ms", "1h1m1s1ms", "59m", "23h", "1d"] {
            let day = Duration::from_hours(24);
            assert_eq!(
                duration(text, Duration::ZERO, day).map(span_text),
                Ok(text.to_owned())
            );
        }
        for text in ["1", "0.1", "12.345", "0", "1000"] {
            assert_eq!(thousandths(text).map(factor_text), Ok(text.to_owned()));
        }
        for text in ["1", "1023", "1K", "33M", "1G"] {
            assert_eq!(size(text, 0, u64::MAX).map(size_text), Ok(text.to_owned()));
        }
        for text in [
            "1",
            "999",
            "1k",
            "1.5k",
            "1.05M",
            "6.25M",
            "1234567",
            "2G",
            "9007199254740992",
        ] {
            assert_eq!(limit(text).map(tokens_text), Ok(text.to_owned()));
        }
    }
}
