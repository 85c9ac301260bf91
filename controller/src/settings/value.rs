//! Owns the reading of single values: words, names, quantities with their unit.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bb_proto::units::{Thousandths, Tokens};

use super::block::not_yet;
use super::keys;
use super::mistakes::{At, Mistakes, nearest, quote};
use super::quantity;
use super::tree::{Entry, Kind, Node, Scalar};
use jiff::tz::TimeZone;

/// The most warning levels of a budget.
const WARN_LEVELS_MAX: usize = 16;
/// The longest name of a time zone, in bytes.
const TIME_ZONE_BYTES_MAX: usize = 64;

/// Returns the scalar behind a key; else tells that `expected` was.
pub(super) fn scalar<'a>(
    entry: &'a Entry,
    expected: &str,
    mistakes: &mut Mistakes,
) -> Option<&'a Scalar> {
    if matches!(entry.value.kind, Kind::Nothing) {
        mistakes.add(
            entry.at,
            format!("{} has no value", quote(&entry.key)),
            format!("write {expected} behind it, or take the line away"),
        );
        return None;
    }
    scalar_of(&entry.value, expected, mistakes)
}

/// Returns a scalar that may stand in a list; else tells that `expected` was expected.
pub(super) fn scalar_of<'a>(
    node: &'a Node,
    expected: &str,
    mistakes: &mut Mistakes,
) -> Option<&'a Scalar> {
    match &node.kind {
        Kind::Scalar(scalar) => return Some(scalar),
        Kind::Refused => {}
        Kind::Mapping(_) | Kind::List(_) | Kind::Nothing => mistakes.add_plain(
            node.at,
            format!("expected {expected}, and found {}", node.describe()),
        ),
    }
    None
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(
    entry: &Entry,
    words: &[(&'static str, T)],
    mistakes: &mut Mistakes,
) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = names.join(" or ");
    let word = scalar(entry, &expected, mistakes)?.text.as_str();
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    let later = keys::VALUES_LATER
        .iter()
        .find(|(key, value, _)| *key == entry.key && *value == word);
    if let Some((_, _, what)) = later {
        let hint = format!("it means that {what}; this version has {expected}");
        not_yet(entry.value.at, word, &hint, mistakes);
        return None;
    }
    let hint = match nearest(word, names.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("write {expected}"),
    };
    let text = format!(
        "{} is nothing that {} can be",
        quote(word),
        quote(&entry.key)
    );
    mistakes.add(entry.value.at, text, hint);
    None
}

/// Reads `true` or `false`.
pub(super) fn boolean(entry: &Entry, mistakes: &mut Mistakes) -> Option<bool> {
    let scalar = scalar(entry, "true or false", mistakes)?;
    let hint = match (scalar.text.to_ascii_lowercase().as_str(), scalar.plain) {
        ("true", true) if scalar.text == "true" => return Some(true),
        ("false", true) if scalar.text == "false" => return Some(false),
        ("true" | "yes" | "on" | "y" | "1", _) => "write true, small and without quotes",
        ("false" | "no" | "off" | "n" | "0", _) => "write false, small and without quotes",
        _ => "write true or false",
    };
    let text = format!(
        "expected true or false, and found {}",
        entry.value.describe()
    );
    mistakes.add(entry.value.at, text, hint);
    None
}

/// Reads a name.
pub(super) fn name<T>(entry: &Entry, expected: &str, mistakes: &mut Mistakes) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    scalar(entry, expected, mistakes)?;
    name_of(&entry.value, expected, mistakes)
}

/// Reads a name that may stand in a list.
pub(super) fn name_of<T>(node: &Node, expected: &str, mistakes: &mut Mistakes) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    let text = &scalar_of(node, expected, mistakes)?.text;
    key_name(text, node.at, expected, mistakes)
}

/// Reads a name that stands as a key.
pub(super) fn key_name<T>(text: &str, at: At, expected: &str, mistakes: &mut Mistakes) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            mistakes.add(
                at,
                format!("{} is not {expected}", quote(text)),
                error.to_string(),
            );
            None
        }
    }
}

/// Reads the limit of a budget.
pub(super) fn limit(entry: &Entry, mistakes: &mut Mistakes) -> Option<Tokens> {
    let text = &scalar(entry, "a number of tokens such as 5000000 or 5M", mistakes)?.text;
    quantity::limit(text)
        .map_err(|wrong| mistakes.add(entry.value.at, wrong.text, wrong.hint))
        .ok()
}

/// Reads a number of tokens from `least` to `most`.
pub(super) fn tokens(entry: &Entry, least: u64, most: u64, mistakes: &mut Mistakes) -> Option<u64> {
    let count = limit(entry, mistakes)?.0;
    if (least..=most).contains(&count) {
        return Some(count);
    }
    let text = format!("{count} tokens are not what {} can be", quote(&entry.key));
    let hint = format!("write a number from {least} to {most}");
    mistakes.add(entry.value.at, text, hint);
    None
}

/// Reads a time from `least` to `most`.
pub(super) fn duration(
    entry: &Entry,
    least: Duration,
    most: Duration,
    mistakes: &mut Mistakes,
) -> Option<Duration> {
    let text = &scalar(entry, "a time such as 30s or 5m", mistakes)?.text;
    quantity::duration(text, least, most)
        .map_err(|wrong| mistakes.add(entry.value.at, wrong.text, wrong.hint))
        .ok()
}

/// Reads a number of bytes from `least` to `most`.
pub(super) fn size(entry: &Entry, least: u64, most: u64, mistakes: &mut Mistakes) -> Option<u64> {
    let text = &scalar(entry, "a size such as 32M", mistakes)?.text;
    quantity::size(text, least, most)
        .map_err(|wrong| mistakes.add(entry.value.at, wrong.text, wrong.hint))
        .ok()
}

/// Reads a factor.
pub(super) fn thousandths(entry: &Entry, mistakes: &mut Mistakes) -> Option<Thousandths> {
    let text = &scalar(entry, "a number such as 0.1", mistakes)?.text;
    quantity::thousandths(text)
        .map_err(|wrong| mistakes.add(entry.value.at, wrong.text, wrong.hint))
        .ok()
}

/// Reads warning levels, which come back ascending.
pub(super) fn warn(entry: &Entry, mistakes: &mut Mistakes) -> Option<Vec<u8>> {
    let hint = "write percentages from 1 to 100, such as [50, 80, 95], or [] for no warnings";
    let items = match &entry.value.kind {
        Kind::List(items) => items,
        Kind::Refused => return None,
        Kind::Nothing => {
            mistakes.add(
                entry.at,
                format!("{} has no value", quote(&entry.key)),
                hint,
            );
            return None;
        }
        Kind::Scalar(_) | Kind::Mapping(_) => {
            let text = format!(
                "expected a list of percentages, and found {}",
                entry.value.describe()
            );
            mistakes.add(entry.value.at, text, hint);
            return None;
        }
    };
    if items.len() > WARN_LEVELS_MAX {
        let text = format!(
            "{} warning levels are more than the {WARN_LEVELS_MAX} there can be",
            items.len()
        );
        mistakes.add_plain(entry.value.at, text);
        return None;
    }
    let mut levels: Vec<u8> = Vec::new();
    for item in items {
        let Some(scalar) = scalar_of(item, "a percentage", mistakes) else {
            continue;
        };
        let digits = scalar.text.bytes().all(|byte| byte.is_ascii_digit());
        match scalar.text.parse() {
            Ok(level @ 1..=100) if digits && !levels.contains(&level) => levels.push(level),
            Ok(1..=100) if digits => {
                let text = format!("{} is there twice", quote(&scalar.text));
                mistakes.add(item.at, text, "keep one of them");
            }
            _ => {
                let text = format!(
                    "{} is no whole percentage from 1 to 100",
                    quote(&scalar.text)
                );
                mistakes.add(item.at, text, hint);
            }
        }
    }
    levels.sort_unstable();
    Some(levels)
}

/// Reads the name of a time zone that there is.
pub(super) fn time_zone(entry: &Entry, mistakes: &mut Mistakes) -> Option<String> {
    let text = &scalar(entry, "a time zone such as Europe/Berlin", mistakes)?.text;
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-+".contains(&b))
    };
    if text.len() <= TIME_ZONE_BYTES_MAX
        && text.split('/').count() <= 3
        && text.split('/').all(part)
    {
        if TimeZone::get(text).is_ok() {
            return Some(text.clone());
        }
        mistakes.add(
            entry.value.at,
            format!("there is no time zone {}", quote(text)),
            "write a name of the time zone database, such as Europe/Berlin or UTC",
        );
        return None;
    }
    mistakes.add(
        entry.value.at,
        format!("{} is no name of a time zone", quote(text)),
        "write a name of the time zone database, such as Europe/Berlin or UTC",
    );
    None
}
