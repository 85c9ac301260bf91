//! The span of time over which a budget counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::KeyError;

/// Minutes of a day.
const DAY: u32 = 24 * 60;
/// The longest span that is counted, in minutes: what is kept apart by time goes back so far.
pub const SPAN_MAX: Minutes = Minutes(31 * DAY);
/// A day turns at a quarter of an hour: so fine is what is kept of days that are over.
const TURN_STEP: u16 = 15;

/// The span of time over which a budget counts.
///
/// Written as a kind and what differs from the usual: `total`, `run`, `hour`, `day`, `day 09:00`,
/// `week`, `week sun 09:00`, `month`, `rolling 5h`, `block 5h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Window {
    /// Never resets; belongs to the name and goes on at the next launch.
    Total,
    /// This run of a bottle; starts anew with each launch.
    Run,
    /// From each full hour.
    Hour,
    /// From this time of each day.
    Day(TimeOfDay),
    /// From this time of this day of each week.
    Week(Weekday, TimeOfDay),
    /// From this time of the first day of each month.
    Month(TimeOfDay),
    /// The time up to now, so long.
    Rolling(Minutes),
    /// From the first call on, so long; the next one begins with the first call after that.
    Block(Minutes),
}

/// A time of day at which a window turns, in minutes after midnight: a quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeOfDay(u16);

/// A span of time in whole minutes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minutes(u32);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Weekday {
    /// Monday, where nothing is said.
    #[default]
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl TimeOfDay {
    /// Midnight.
    pub const MIDNIGHT: Self = Self(0);

    /// Returns the minutes after midnight.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for TimeOfDay {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::TimeOfDay(text.to_owned());
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let two = |digits: &str| {
            let is_two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_two.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or_else(wrong)?;
        if hours > 23 || minutes > 59 || minutes % TURN_STEP != 0 {
            return Err(wrong());
        }
        Ok(Self(hours * 60 + minutes))
    }
}

impl Minutes {
    /// Makes a span of so many minutes, from one to [`SPAN_MAX`].
    pub fn new(minutes: u32) -> Option<Self> {
        (1..=SPAN_MAX.0).contains(&minutes).then_some(Self(minutes))
    }

    /// Returns how many.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            minutes if minutes.is_multiple_of(DAY) => write!(f, "{}d", minutes / DAY),
            minutes if minutes.is_multiple_of(60) => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

impl FromStr for Minutes {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Span(text.to_owned());
        let unit = text.chars().last().ok_or_else(wrong)?;
        let each = match unit {
            'm' => 1,
            'h' => 60,
            'd' => DAY,
            _ => return Err(wrong()),
        };
        let digits = &text[..text.len() - 1];
        let is_count = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: u32 = match is_count.then(|| digits.parse().ok()).flatten() {
            Some(count) => count,
            None => return Err(wrong()),
        };
        let minutes = count.checked_mul(each).and_then(Self::new);
        minutes.ok_or_else(wrong)
    }
}

impl Weekday {
    /// Every day, from Monday on.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// Returns its first three letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }
}

impl FromStr for Weekday {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let found = Self::ALL.into_iter().find(|day| day.as_str() == text);
        found.ok_or_else(|| KeyError::Weekday(text.to_owned()))
    }
}

impl Window {
    /// The first words of the windows that there are.
    pub const KINDS: [&str; 8] = [
        "total", "run", "hour", "day", "week", "month", "rolling", "block",
    ];

    /// Returns whether the window ends at a time that is known when it begins.
    pub fn turns(self) -> bool {
        matches!(
            self,
            Self::Hour | Self::Day(_) | Self::Week(..) | Self::Month(_) | Self::Block(_)
        )
    }

    /// Returns the same window turning at another time, where it turns at one of day.
    pub fn turning_at(self, at: TimeOfDay) -> Option<Self> {
        match self {
            Self::Day(_) => Some(Self::Day(at)),
            Self::Week(day, _) => Some(Self::Week(day, at)),
            Self::Month(_) => Some(Self::Month(at)),
            _ => None,
        }
    }

    /// Returns the same window beginning on another day, where it is a week.
    pub fn beginning_on(self, day: Weekday) -> Option<Self> {
        match self {
            Self::Week(_, at) => Some(Self::Week(day, at)),
            _ => None,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |kind: &str, at: TimeOfDay| match at {
            TimeOfDay::MIDNIGHT => kind.to_owned(),
            at => format!("{kind} {at}"),
        };
        f.pad(&match self {
            Self::Total => "total".to_owned(),
            Self::Run => "run".to_owned(),
            Self::Hour => "hour".to_owned(),
            Self::Day(turn) => at("day", *turn),
            Self::Week(Weekday::Mon, turn) => at("week", *turn),
            Self::Week(day, turn) => at(&format!("week {}", day.as_str()), *turn),
            Self::Month(turn) => at("month", *turn),
            Self::Rolling(span) => format!("rolling {span}"),
            Self::Block(span) => format!("block {span}"),
        })
    }
}

impl FromStr for Window {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Window(text.to_owned());
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let (first, second) = (words.next(), words.next());
        if words.next().is_some() {
            return Err(wrong());
        }
        match (kind, first, second) {
            ("total", None, None) => Ok(Self::Total),
            ("run", None, None) => Ok(Self::Run),
            ("hour", None, None) => Ok(Self::Hour),
            ("day", turn, None) => Ok(Self::Day(turn_of(turn)?)),
            ("month", turn, None) => Ok(Self::Month(turn_of(turn)?)),
            ("week", Some(day), turn) if !day.contains(':') => {
                Ok(Self::Week(day.parse()?, turn_of(turn)?))
            }
            ("week", turn, None) => Ok(Self::Week(Weekday::Mon, turn_of(turn)?)),
            ("rolling", Some(span), None) => Ok(Self::Rolling(span.parse()?)),
            ("block", Some(span), None) => Ok(Self::Block(span.parse()?)),
            ("rolling" | "block", None, None) => Err(KeyError::NoSpan(kind.to_owned())),
            _ => Err(wrong()),
        }
    }
}

fn turn_of(text: Option<&str>) -> Result<TimeOfDay, KeyError> {
    text.map_or(Ok(TimeOfDay::MIDNIGHT), str::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_back_as_it_was_written() {
        for text in [
            "total",
            "run",
            "hour",
            "day",
            "day 09:00",
            "day 23:45",
            "week",
            "week 06:30",
            "week sun",
            "week sat 18:15",
            "month",
            "month 09:00",
            "rolling 5h",
            "rolling 90m",
            "rolling 31d",
            "block 5h",
        ] {
            let window = text.parse::<Window>().map(|window| window.to_string());
            assert_eq!(window, Ok(text.to_owned()));
        }
        for (text, plain) in [
            ("day 00:00", "day"),
            ("week mon", "week"),
            ("week mon 00:00", "week"),
            ("rolling 24h", "rolling 1d"),
            ("rolling 300m", "rolling 5h"),
        ] {
            assert_eq!(text.parse::<Window>(), plain.parse::<Window>());
            assert_eq!(text.parse::<Window>().expect(text).to_string(), plain);
        }
    }

    #[test]
    fn a_window_that_cannot_be_is_refused_by_its_reason() {
        let error = |text: &str| text.parse::<Window>().expect_err(text);
        for text in [
            "",
            "fortnight",
            "total 5h",
            "day 09:00 mon",
            "hour 09:00",
            "week mon tue 1",
        ] {
            assert!(matches!(error(text), KeyError::Window(_)), "{text}");
        }
        for text in [
            "day 9:00",
            "day 24:00",
            "day 09:60",
            "day 09:07",
            "day noon",
            "month 1",
        ] {
            assert!(matches!(error(text), KeyError::TimeOfDay(_)), "{text}");
        }
        for text in ["week sunday", "week SUN", "week 1"] {
            assert!(matches!(error(text), KeyError::Weekday(_)), "{text}");
        }
        for text in [
            "rolling 0h",
            "rolling 32d",
            "rolling 5",
            "rolling -1h",
            "rolling +1h",
            "block 1y",
            "block 99999999999h",
            "rolling h",
        ] {
            assert!(matches!(error(text), KeyError::Span(_)), "{text}");
        }
        for text in ["rolling", "block"] {
            assert!(matches!(error(text), KeyError::NoSpan(_)), "{text}");
        }
    }

    #[test]
    fn only_windows_that_turn_at_a_time_of_day_can_turn_at_another() {
        let nine: TimeOfDay = "09:00".parse().expect("a time");
        let at = |text: &str| text.parse::<Window>().expect(text).turning_at(nine);
        assert_eq!(
            at("day").map(|it| it.to_string()),
            Some("day 09:00".to_owned())
        );
        assert_eq!(
            at("week sun").map(|it| it.to_string()),
            Some("week sun 09:00".to_owned())
        );
        assert_eq!(at("rolling 5h"), None);
        let on = |text: &str| {
            text.parse::<Window>()
                .expect(text)
                .beginning_on(Weekday::Sun)
        };
        assert_eq!(
            on("week 09:00").map(|it| it.to_string()),
            Some("week sun 09:00".to_owned())
        );
        assert_eq!(on("month"), None);
    }
}
