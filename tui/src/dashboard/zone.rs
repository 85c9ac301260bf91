//! The controller's time zone: instants as its operator reads them.

use bb_proto::time::Timestamp;
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::clean::{Clean, clean};
use crate::format;

/// The time zone that windows turn in.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// Looks a zone up by its name; one that this host does not know is UTC, and is called so.
    pub(crate) fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    fn at(&self, instant: Timestamp) -> Option<Zoned> {
        let instant = jiff::Timestamp::from_millisecond(instant.0).ok()?;
        Some(instant.to_zoned(self.0.clone()))
    }

    fn written(&self, form: &str, instant: Timestamp) -> Clean {
        self.at(instant).map_or_else(
            || clean!("--:--:--"),
            |zoned| clean!("{}", zoned.strftime(form)),
        )
    }

    /// Writes the time of day: `14:02:11`.
    pub(crate) fn clock(&self, instant: Timestamp) -> Clean {
        self.written("%H:%M:%S", instant)
    }

    /// Writes the time of day with the zone: `14:02:11 CET`.
    pub(crate) fn clock_with_zone(&self, instant: Timestamp) -> Clean {
        self.written("%H:%M:%S %Z", instant)
    }

    /// Writes an instant as short as it is clear: `14:05` today, `Mon` within six days, `1 Dec`.
    pub(crate) fn short(&self, instant: Timestamp, now: Timestamp) -> Clean {
        let (Some(then), Some(today)) = (self.at(instant), self.at(now)) else {
            return clean!("?");
        };
        let hours_ahead = (instant.0 - now.0) / 3_600_000;
        let form = match hours_ahead {
            _ if then.date() == today.date() => "%H:%M",
            // Tomorrow's midnight is the end of today: the hour says more than the day.
            0..=23 => "%H:%M",
            24..=143 => "%a",
            _ => "%-d %b",
        };
        clean!("{}", then.strftime(form))
    }

    /// Writes when something is due and how long that is: `00:00, 9h58m`.
    pub(crate) fn due(&self, instant: Timestamp, now: Timestamp) -> Clean {
        let left = format::duration_ms(instant.since(now).0);
        clean!("{}, {left}", self.short(instant, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20 14:02:11 in Berlin.
    const NOW: Timestamp = Timestamp(1_795_179_731_000);

    #[test]
    fn the_clock_is_the_controllers() {
        let berlin = Zone::named("Europe/Berlin");
        assert_eq!(berlin.clock_with_zone(NOW).as_str(), "14:02:11 CET");
        assert_eq!(
            Zone::named("No/Where").clock_with_zone(NOW).as_str(),
            "13:02:11 UTC"
        );
    }

    #[test]
    fn an_instant_is_as_short_as_it_is_clear() {
        let berlin = Zone::named("Europe/Berlin");
        let after = |hours: i64| berlin.short(Timestamp(NOW.0 + hours * 3_600_000), NOW);
        assert_eq!(after(2).as_str(), "16:02");
        assert_eq!(after(10).as_str(), "00:02");
        assert_eq!(after(58).as_str(), "Mon");
        assert_eq!(after(250).as_str(), "1 Dec");
        assert_eq!(after(-48).as_str(), "18 Nov");
        assert_eq!(
            berlin.due(Timestamp(NOW.0 + 35_880_000), NOW).as_str(),
            "00:00, 9h58m"
        );
    }
}
