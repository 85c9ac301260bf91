//! Quantities as people read them: tokens, durations, ages, percents, bars.
//!
//! Everything is rounded down, so that nothing looks spent before it is, and nothing looks larger
//! than it was counted. Programs get the numbers themselves, never these texts.

pub mod text;

use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Powers of a thousand above one, largest first.
const UNITS: [(u64, char); 6] = [
    (1_000_000_000_000_000_000, 'E'),
    (1_000_000_000_000_000, 'P'),
    (1_000_000_000_000, 'T'),
    (1_000_000_000, 'G'),
    (1_000_000, 'M'),
    (1_000, 'k'),
];

/// Writes a number of tokens with three significant digits: `999`, `4.01k`, `388k`, `1.2M`.
pub fn tokens(count: u64) -> String {
    let Some((unit, letter)) = UNITS.into_iter().find(|(unit, _)| count >= *unit) else {
        return count.to_string();
    };
    let whole = count / unit;
    let places = match whole {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let scale = 10_u64.pow(places);
    let fraction = (count % unit) / (unit / scale);
    if fraction == 0 {
        return format!("{whole}{letter}");
    }
    let digits = format!("{fraction:0width$}", width = places as usize);
    format!("{whole}.{}{letter}", digits.trim_end_matches('0'))
}

/// Writes a whole number with its thousands apart: `1,240,112`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a duration with two units at most: `45s`, `3m27s`, `19m`, `4h05m`, `1d2h`, `>99d`.
///
/// Seconds are left out from ten minutes on.
pub fn duration_ms(ms: u64) -> String {
    let (days, hours, minutes, seconds) = (
        ms / DAY_MS,
        ms % DAY_MS / HOUR_MS,
        ms % HOUR_MS / MINUTE_MS,
        ms % MINUTE_MS / SECOND_MS,
    );
    if days > 99 {
        ">99d".to_owned()
    } else if days > 0 {
        two_units(days, 'd', hours, 'h', 0)
    } else if hours > 0 {
        two_units(hours, 'h', minutes, 'm', 2)
    } else if minutes >= 10 {
        format!("{minutes}m")
    } else if minutes > 0 {
        two_units(minutes, 'm', seconds, 's', 2)
    } else {
        format!("{seconds}s")
    }
}

fn two_units(large: u64, large_unit: char, small: u64, small_unit: char, digits: usize) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small:0digits$}{small_unit}")
    }
}

/// Writes how long an act took: `<0.1 ms`, `0.4 ms`, `2 ms`, `1.2 s`.
pub fn took_us(us: u64) -> String {
    match us {
        0..100 => "<0.1 ms".to_owned(),
        100..1_000 => format!("0.{} ms", us / 100),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// Writes how long ago an instant was: `now` below a second, else like `42s ago`.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    match now.since(then).0 {
        0..SECOND_MS => "now".to_owned(),
        ms => format!("{} ago", duration_ms(ms)),
    }
}

/// Writes a share in whole percent, rounded down: `99%` is not spent, `100%` is.
pub fn percent(used: Tokens, limit: Tokens) -> String {
    format!("{}%", used.percent_of(limit))
}

/// Writes what is used of a limit: `1.24M/2M`.
pub fn used_of(used: Tokens, limit: Tokens) -> String {
    format!("{}/{}", tokens(used.0), tokens(limit.0))
}

/// Returns how many eighths of a cell `part` fills in a bar of `cells`, rounded down, and never
/// more than the bar has: a full bar is a spent budget.
pub fn eighths(part: Tokens, limit: Tokens, cells: usize) -> usize {
    let all = cells.saturating_mul(8);
    if part >= limit {
        return all;
    }
    let filled = u128::from(part.0) * (all as u128) / u128::from(limit.0);
    usize::try_from(filled).unwrap_or(all)
}

/// How a bar is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Eighth blocks.
    Blocks,
    /// Letters that every terminal has.
    Ascii,
}

/// Draws a bar of `cells`: what is used, then what is left; the last cell says that it is over.
pub fn bar(used: Tokens, limit: Tokens, cells: usize, glyphs: Glyphs) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let (full, empty, over) = match glyphs {
        Glyphs::Blocks => ('█', '·', '▶'),
        Glyphs::Ascii => ('#', '.', '>'),
    };
    let filled = eighths(used, limit, cells);
    let mut bar: Vec<char> = std::iter::repeat_n(full, filled / 8).collect();
    if let Some(part) = (filled % 8).checked_sub(1) {
        bar.push(match glyphs {
            Glyphs::Blocks => PARTS.get(part).copied().unwrap_or(full),
            Glyphs::Ascii if part >= 3 && bar.len() + 1 < cells => full,
            Glyphs::Ascii => empty,
        });
    }
    bar.resize(cells, empty);
    if used > limit
        && let Some(last) = bar.last_mut()
    {
        *last = over;
    }
    bar.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_three_significant_digits_and_are_rounded_down() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1k"),
            (1_009, "1k"),
            (1_050, "1.05k"),
            (4_019, "4.01k"),
            (12_499, "12.4k"),
            (388_999, "388k"),
            (999_999, "999k"),
            (1_200_000, "1.2M"),
            (3_410_000, "3.41M"),
            (98_000_000, "98M"),
            (2_000_000_000, "2G"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(tokens(count), text);
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_240_112), "1,240,112");
        assert_eq!(grouped(100_000), "100,000");
    }

    #[test]
    fn durations_have_two_units_at_most_and_seconds_only_under_ten_minutes() {
        for (ms, text) in [
            (0, "0s"),
            (999, "0s"),
            (45_000, "45s"),
            (60_000, "1m"),
            (207_000, "3m27s"),
            (545_000, "9m05s"),
            (600_000, "10m"),
            (659_000, "10m"),
            (3_600_000, "1h"),
            (14_700_000, "4h05m"),
            (86_400_000, "1d"),
            (93_600_000, "1d2h"),
            (100 * DAY_MS, ">99d"),
            (u64::MAX, ">99d"),
        ] {
            assert_eq!(duration_ms(ms), text, "{ms} ms");
        }
    }

    #[test]
    fn an_act_is_timed_in_the_unit_that_fits() {
        assert_eq!(took_us(0), "<0.1 ms");
        assert_eq!(took_us(100), "0.1 ms");
        assert_eq!(took_us(431), "0.4 ms");
        assert_eq!(took_us(2_900), "2 ms");
        assert_eq!(took_us(1_270_000), "1.2 s");
    }

    #[test]
    fn an_instant_that_is_ahead_of_the_clock_is_now() {
        assert_eq!(age(Timestamp(10_000), Timestamp(9_500)), "now");
        assert_eq!(age(Timestamp(10_000), Timestamp(99_000)), "now");
        assert_eq!(age(Timestamp(52_000), Timestamp(10_000)), "42s ago");
    }

    #[test]
    fn only_a_spent_budget_reads_a_hundred_percent() {
        assert_eq!(percent(Tokens(99_999), Tokens(100_000)), "99%");
        assert_eq!(percent(Tokens(100_000), Tokens(100_000)), "100%");
        assert_eq!(percent(Tokens(203_000), Tokens(200_000)), "101%");
    }

    #[test]
    fn a_bar_is_full_only_when_the_budget_is_spent() {
        let blocks = |used, limit| bar(Tokens(used), Tokens(limit), 8, Glyphs::Blocks);
        assert_eq!(blocks(0, 1_000), "········");
        assert_eq!(blocks(500, 1_000), "████····");
        assert_eq!(blocks(999, 1_000), "███████▉");
        assert_eq!(blocks(1_000, 1_000), "████████");
        assert_eq!(blocks(1_001, 1_000), "███████▶");
        assert_eq!(blocks(1, u64::MAX), "········");
        assert_eq!(blocks(u64::MAX, u64::MAX), "████████");
        let ascii = |used| bar(Tokens(used), Tokens(1_000), 8, Glyphs::Ascii);
        assert_eq!(ascii(500), "####....");
        assert_eq!(ascii(570), "#####...");
        assert_eq!(ascii(999), "#######.");
        assert_eq!(ascii(2_000), "#######>");
        assert_eq!(bar(Tokens(1), Tokens(0), 0, Glyphs::Blocks), "");
    }
}
