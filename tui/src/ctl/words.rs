//! The words that several commands say alike: states, sources, counts, times, quoting.

use std::time::{Duration, SystemTime};

use bb_proto::budget::{BudgetKey, Cap, ProviderSelector, Scope};
use bb_proto::ids::BottleName;
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::view::{
    Bottle, BottleState, Budget, Closed, ClosedBy, Enforcement, PathRole, Source,
};

use crate::format::{self, text};

/// Returns `1 stream`, `3 streams`.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Returns `1 entry`, `3 entries`.
pub(super) fn entries(number: u64) -> String {
    if number == 1 {
        "1 entry".to_owned()
    } else {
        format!("{number} entries")
    }
}

/// Returns how a call ended.
pub(super) fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::ProviderError => "provider error",
        Ending::Refused => "refused",
        Ending::ClientGone => "client gone",
        Ending::UpstreamGone => "upstream gone",
        Ending::Cut => "cut",
        Ending::Background => "in the background",
        Ending::Crash => "crash",
        Ending::Outside => "outside the proxy",
        Ending::Voided => "voided",
        _ => "unknown",
    }
}

/// Returns a state as a word.
pub(super) fn state(state: BottleState) -> &'static str {
    match state {
        BottleState::Declared => "declared",
        BottleState::Running => "running",
        BottleState::Cutoff => "cutoff",
        BottleState::Stopped => "stopped",
        BottleState::Failed => "failed",
        _ => "unknown",
    }
}

/// Returns what a bottle is doing: `running`, `cutoff(claude)`, `failed(2)`, `running>stopped`.
pub(super) fn state_of(bottle: &Bottle) -> String {
    let mut word = match bottle.state {
        BottleState::Cutoff => {
            let closed: Vec<String> = bottle
                .closed
                .iter()
                .map(|closed| closed.provider.to_string())
                .collect();
            let all = bottle
                .closed
                .iter()
                .any(|closed| closed.provider == ProviderSelector::All);
            if all || closed.is_empty() {
                "cutoff".to_owned()
            } else {
                format!("cutoff({})", closed.join(","))
            }
        }
        BottleState::Failed => match bottle.exit_code {
            Some(code) => format!("failed({code})"),
            None => "failed".to_owned(),
        },
        other => state(other).to_owned(),
    };
    if let Some(wanted) = &bottle.wanted {
        word.push('>');
        word.push_str(state(wanted.state));
    }
    word
}

/// Returns how far a bottle can be stopped.
pub(super) fn enforcement(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Sealed => "sealed",
        Enforcement::Keyed => "keyed",
        Enforcement::Advisory => "advisory",
        _ => "unknown",
    }
}

/// Returns what a budget is to a bottle.
pub(super) fn role(role: PathRole) -> &'static str {
    match role {
        PathRole::Binds => "binds",
        PathRole::Ceiling => "ceiling",
        PathRole::Soft => "warns",
        PathRole::Counted => "counted",
    }
}

/// Returns whether a budget blocks, and from where.
pub(super) fn cap(budget: &Budget) -> &'static str {
    match (budget.cap, budget.ceiling) {
        (Cap::Hard, false) => "hard",
        (Cap::Hard, true) => "ceiling",
        (Cap::Soft, _) => "soft",
    }
}

/// Returns where a budget comes from.
/// Returns in how long a budget's window turns; nothing where it never does.
pub(super) fn resets(budget: &Budget, now: Timestamp) -> String {
    let Some(at) = budget.resets_at else {
        return String::new();
    };
    format!("in {}", format::duration_ms(at.since(now).0))
}

pub(super) fn source(source: &Source) -> String {
    match source {
        Source::Settings { line } => format!("settings line {line}"),
        Source::Launch { bottle } => format!("launch of {bottle}"),
        Source::Command { uid } => format!("command, uid {uid}"),
    }
}

/// Returns who closed a way.
pub(super) fn closed_by(closed: &Closed) -> String {
    match &closed.by {
        ClosedBy::Operator => "the operator".to_owned(),
        ClosedBy::Budget(key) => format!("the budget {key}"),
    }
}

/// Returns a scope in one word, as a bottle's row has room for.
pub(super) fn scope(key: &BudgetKey, bottle: &Bottle) -> &'static str {
    match &key.scope {
        Scope::Launch(_) => "launch",
        Scope::Agent(_) => "agent",
        Scope::Bottle(name) if *name == bottle.name => "bottle",
        Scope::Bottle(_) => "parent",
        Scope::Host => "host",
    }
}

/// Returns names in one line.
pub(super) fn names(names: &[BottleName]) -> String {
    let names: Vec<&str> = names.iter().map(BottleName::as_str).collect();
    names.join(", ")
}

/// Returns an instant as `2026-11-20T14:01:03Z`.
pub(super) fn instant(at: Timestamp) -> String {
    match time(at) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => format!("{} ms", at.0),
    }
}

/// Returns an instant that a calendar of four digits a year has.
fn time(at: Timestamp) -> Option<SystemTime> {
    u64::try_from(at.0)
        .ok()
        .and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)))
        .filter(|_| at.0 < 253_402_300_800_000)
}

/// Returns an instant to the millisecond, as RFC 3339 has it, in UTC.
pub(super) fn exact_instant(at: Timestamp) -> String {
    match time(at) {
        Some(time) => humantime::format_rfc3339_millis(time).to_string(),
        None => format!("{} ms", at.0),
    }
}

/// Reads a time as RFC 3339 has it, or a day, which begins at midnight in UTC.
pub(super) fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let at = match text.parse::<jiff::civil::Date>() {
        Ok(day) if !text.contains([':', 'T', 't', ' ']) => day
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|midnight| midnight.timestamp()),
        _ => text.parse::<jiff::Timestamp>(),
    };
    at.map(|at| Timestamp(at.as_millisecond()))
        .map_err(|_| "write 2026-11-20 or 2026-11-20T14:00:00Z".to_owned())
}

/// Returns this host's time.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns a word as a POSIX shell reads it back: plain where it can be, else in single quotes.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        quote_always(word)
    }
}

/// Returns a word in single quotes, whatever is in it.
pub(super) fn quote_always(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Returns a command as a person would type it, safe to show.
pub(super) fn command(words: &[String]) -> String {
    words
        .iter()
        .map(|word| quote(&text::clean(word)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_zone_and_a_day_begins_at_midnight_in_utc() {
        for (text, ms) in [
            ("1970-01-02", 86_400_000),
            ("1970-01-02T00:00:00Z", 86_400_000),
            ("1970-01-02T01:00:00.007+01:00", 86_400_007),
        ] {
            assert_eq!(parse_instant(text), Ok(Timestamp(ms)), "{text}");
        }
        for text in ["", "yesterday", "1970-02-30", "1970-01-02T00:00:00", "7"] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
        assert_eq!(exact_instant(Timestamp(7)), "1970-01-01T00:00:00.007Z");
    }

    #[test]
    fn a_quoted_word_stays_one_word() {
        assert_eq!(quote("http://127.0.0.1:7717/x"), "http://127.0.0.1:7717/x");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("$(id)"), "'$(id)'");
        assert_eq!(quote_always("it's"), "'it'\\''s'");
        assert_eq!(quote("~root"), "'~root'");
    }

    #[test]
    fn an_instant_out_of_the_calendar_is_still_said() {
        assert_eq!(
            instant(Timestamp(1_795_183_263_000)),
            "2026-11-20T14:01:03Z"
        );
        assert_eq!(instant(Timestamp(i64::MAX)), "9223372036854775807 ms");
        assert_eq!(instant(Timestamp(-1)), "-1 ms");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "stream"), "1 stream");
        assert_eq!(count(0, "stream"), "0 streams");
    }
}
