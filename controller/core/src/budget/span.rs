//! When a window of the calendar began and when it ends.
//!
//! Days are those of a time zone, which comes in as a value. Where clocks are put forward and a
//! window would turn at a time that is left out, it turns as much later; where they are put back
//! and that time comes twice, it turns at the first. So none turns twice, and none is left out.

use bb_proto::budget::{TimeOfDay, Weekday, Window};
use bb_proto::time::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// From when until when a window lasts; its end is in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant of the next one.
    pub until: Timestamp,
}

const HOUR_MS: i64 = 3_600_000;

/// Returns the window of the calendar that an instant is in.
///
/// `None` for a window of another kind, and for instants further away than any clock will show.
pub fn calendar(window: Window, zone: &TimeZone, at: Timestamp) -> Option<Span> {
    let instant = jiff::Timestamp::from_millisecond(at.0).ok()?;
    let local = instant.to_zoned(zone.clone());
    let today = local.date();
    match window {
        Window::Hour => {
            let offset = i64::from(local.offset().seconds()).checked_mul(1_000)?;
            let into = at.0.checked_add(offset)?.rem_euclid(HOUR_MS);
            let from = at.0.checked_sub(into)?;
            Some(Span {
                from: Timestamp(from),
                until: Timestamp(from.checked_add(HOUR_MS)?),
            })
        }
        Window::Day(turn) => between(at, zone, turn, today, |day, forward| {
            day.checked_add(if forward { 1.day() } else { (-1).days() })
                .ok()
        }),
        Window::Week(first, turn) => {
            let since = local.weekday().since(weekday(first));
            let begin = today.checked_sub(i64::from(since).days()).ok()?;
            between(at, zone, turn, begin, |day, forward| {
                day.checked_add(if forward { 1.week() } else { (-1).weeks() })
                    .ok()
            })
        }
        Window::Month(turn) => between(at, zone, turn, today.first_of_month(), |day, forward| {
            day.checked_add(if forward { 1.month() } else { (-1).months() })
                .ok()
        }),
        Window::Total | Window::Run | Window::Rolling(_) | Window::Block(_) => None,
    }
}

/// Returns the window that begins on a day, or on the one before where that is still to come.
fn between(
    at: Timestamp,
    zone: &TimeZone,
    turn: TimeOfDay,
    day: Date,
    step: impl Fn(Date, bool) -> Option<Date>,
) -> Option<Span> {
    let begin = instant(zone, day, turn)?;
    if at >= begin {
        let until = instant(zone, step(day, true)?, turn)?;
        // Where a window turned early, the day's own may be over already.
        if at < until {
            return Some(Span { from: begin, until });
        }
        let after = instant(zone, step(step(day, true)?, true)?, turn)?;
        return Some(Span {
            from: until,
            until: after,
        });
    }
    Some(Span {
        from: instant(zone, step(day, false)?, turn)?,
        until: begin,
    })
}

fn instant(zone: &TimeZone, day: Date, turn: TimeOfDay) -> Option<Timestamp> {
    let minutes = i8::try_from(turn.minutes().checked_rem(60)?).ok()?;
    let hours = i8::try_from(turn.minutes().checked_div(60)?).ok()?;
    let local = day.at(hours, minutes, 0, 0);
    let instant = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(Timestamp(instant.as_millisecond()))
}

fn weekday(day: Weekday) -> jiff::civil::Weekday {
    match day {
        Weekday::Mon => jiff::civil::Weekday::Monday,
        Weekday::Tue => jiff::civil::Weekday::Tuesday,
        Weekday::Wed => jiff::civil::Weekday::Wednesday,
        Weekday::Thu => jiff::civil::Weekday::Thursday,
        Weekday::Fri => jiff::civil::Weekday::Friday,
        Weekday::Sat => jiff::civil::Weekday::Saturday,
        Weekday::Sun => jiff::civil::Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use bb_proto::time::Millis;
    use proptest::prelude::*;

    use super::*;

    /// A zone with summer time as central Europe has it, without a database.
    fn europe() -> TimeZone {
        zone("CET-1CEST,M3.5.0,M10.5.0/3")
    }

    fn zone(rule: &str) -> TimeZone {
        TimeZone::posix(rule).expect(rule)
    }

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().expect(text);
        Timestamp(instant.as_millisecond())
    }

    fn check(window: &str, zone: &TimeZone, lines: &[(&str, &str, &str)]) {
        let window: Window = window.parse().expect(window);
        for (instant, from, until) in lines {
            let expected = Span {
                from: at(from),
                until: at(until),
            };
            let found = calendar(window, zone, at(instant));
            assert_eq!(found, Some(expected), "{window} at {instant}");
        }
    }

    #[test]
    fn a_day_turns_at_midnight_or_when_it_is_told() {
        check(
            "day",
            &europe(),
            &[
                (
                    "2026-11-20T15:16:53Z",
                    "2026-11-19T23:00:00Z",
                    "2026-11-20T23:00:00Z",
                ),
                (
                    "2026-11-20T23:00:00Z",
                    "2026-11-20T23:00:00Z",
                    "2026-11-21T23:00:00Z",
                ),
                (
                    "2026-11-20T22:59:59.999Z",
                    "2026-11-19T23:00:00Z",
                    "2026-11-20T23:00:00Z",
                ),
            ],
        );
        check(
            "day 09:00",
            &europe(),
            &[
                (
                    "2026-11-20T07:59:59Z",
                    "2026-11-19T08:00:00Z",
                    "2026-11-20T08:00:00Z",
                ),
                (
                    "2026-11-20T08:00:00Z",
                    "2026-11-20T08:00:00Z",
                    "2026-11-21T08:00:00Z",
                ),
            ],
        );
    }

    #[test]
    fn a_day_of_23_or_25_hours_is_one_window() {
        check(
            "day",
            &europe(),
            &[
                (
                    "2026-03-29T12:00:00Z",
                    "2026-03-28T23:00:00Z",
                    "2026-03-29T22:00:00Z",
                ),
                (
                    "2026-10-25T12:00:00Z",
                    "2026-10-24T22:00:00Z",
                    "2026-10-25T23:00:00Z",
                ),
            ],
        );
        // Half past two is left out, and an hour later is taken for it.
        check(
            "day 02:30",
            &europe(),
            &[
                (
                    "2026-03-29T01:29:00Z",
                    "2026-03-28T01:30:00Z",
                    "2026-03-29T01:30:00Z",
                ),
                (
                    "2026-03-29T01:30:00Z",
                    "2026-03-29T01:30:00Z",
                    "2026-03-30T00:30:00Z",
                ),
                // It comes twice; the first turns.
                (
                    "2026-10-25T00:30:00Z",
                    "2026-10-25T00:30:00Z",
                    "2026-10-26T01:30:00Z",
                ),
                (
                    "2026-10-25T01:30:00Z",
                    "2026-10-25T00:30:00Z",
                    "2026-10-26T01:30:00Z",
                ),
            ],
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_windows() {
        check(
            "hour",
            &europe(),
            &[
                (
                    "2026-10-25T00:59:59Z",
                    "2026-10-25T00:00:00Z",
                    "2026-10-25T01:00:00Z",
                ),
                (
                    "2026-10-25T01:00:00Z",
                    "2026-10-25T01:00:00Z",
                    "2026-10-25T02:00:00Z",
                ),
            ],
        );
        // Where clocks are half an hour off, an hour turns at the half.
        check(
            "hour",
            &zone("<+0530>-5:30"),
            &[(
                "2026-11-20T15:16:00Z",
                "2026-11-20T14:30:00Z",
                "2026-11-20T15:30:00Z",
            )],
        );
    }

    #[test]
    fn weeks_and_months_turn_on_their_first_day() {
        check(
            "week",
            &europe(),
            &[(
                "2026-11-20T12:00:00Z",
                "2026-11-15T23:00:00Z",
                "2026-11-22T23:00:00Z",
            )],
        );
        check(
            "week sun 09:00",
            &europe(),
            &[
                (
                    "2026-11-22T07:00:00Z",
                    "2026-11-15T08:00:00Z",
                    "2026-11-22T08:00:00Z",
                ),
                (
                    "2026-11-22T08:00:00Z",
                    "2026-11-22T08:00:00Z",
                    "2026-11-29T08:00:00Z",
                ),
            ],
        );
        check(
            "month",
            &europe(),
            &[
                (
                    "2028-02-29T12:00:00Z",
                    "2028-01-31T23:00:00Z",
                    "2028-02-29T23:00:00Z",
                ),
                (
                    "2026-12-31T23:30:00Z",
                    "2026-12-31T23:00:00Z",
                    "2027-01-31T23:00:00Z",
                ),
            ],
        );
        check(
            "month 09:00",
            &europe(),
            &[(
                "2026-12-01T07:59:00Z",
                "2026-11-01T08:00:00Z",
                "2026-12-01T08:00:00Z",
            )],
        );
    }

    #[test]
    fn what_is_no_window_of_the_calendar_has_no_span() {
        for window in ["total", "run", "rolling 5h", "block 5h"] {
            let window: Window = window.parse().expect(window);
            assert_eq!(calendar(window, &TimeZone::UTC, Timestamp(0)), None);
        }
        let day = Window::Day(TimeOfDay::MIDNIGHT);
        assert_eq!(calendar(day, &TimeZone::UTC, Timestamp(i64::MAX)), None);
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_a_gap_and_none_is_in_two(
            window in prop::sample::select(vec![
                "hour", "day", "day 02:30", "day 23:45", "week", "week sun 02:00", "month",
                "month 02:15",
            ]),
            rule in prop::sample::select(vec![
                "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0",
                "<+0545>-5:45", "<-03>3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
            ]),
            minutes in 0_u64..60 * 24 * 366 * 8,
        ) {
            let zone = zone(rule);
            let window: Window = window.parse().expect("a window");
            let now = Timestamp(1_767_225_600_000).plus(Millis(minutes.saturating_mul(60_000)));
            let span = calendar(window, &zone, now).expect("a span");
            prop_assert!(span.from <= now && now < span.until, "{span:?} at {now:?}");
            let last = Timestamp(span.until.0.saturating_sub(1));
            prop_assert_eq!(calendar(window, &zone, span.from), Some(span));
            prop_assert_eq!(calendar(window, &zone, last), Some(span));
            let next = calendar(window, &zone, span.until).expect("a span");
            prop_assert_eq!(next.from, span.until);
        }
    }
}
