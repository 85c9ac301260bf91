//! What a bottle and its command are called.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use bb_proto::ids::{BottleName, NAME_BYTES_MAX};

/// What is left for `-1000` and its like.
const NUMBER_BYTES: usize = 5;
/// Where a command's name has nothing that a bottle's name may have.
const FALLBACK: &str = "bottle";

/// How much of a command is told: a prompt among its arguments may be longer than a line of the
/// socket.
const COMMAND_BYTES_MAX: usize = 4096;

/// The part of the name that the numbers follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stem(BottleName);

/// Makes a stem of a command: its file name, with `-` for what no name may have.
pub(super) fn stem(program: &OsStr) -> Stem {
    let file = Path::new(program)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut text = String::new();
    for c in file.chars() {
        let c = if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '-'
        };
        let first_fits = !text.is_empty() || c.is_alphanumeric();
        if first_fits && text.len() + c.len_utf8() <= NAME_BYTES_MAX - NUMBER_BYTES {
            text.push(c);
        }
    }
    let text = text.trim_end_matches('-');
    Stem(name(text).unwrap_or_else(name_of_fallback))
}

fn name(text: &str) -> Option<BottleName> {
    BottleName::new(text).ok()
}

#[expect(
    clippy::expect_used,
    reason = "the fallback is a name, and a test says so"
)]
fn name_of_fallback() -> BottleName {
    name(FALLBACK).expect("a name")
}

impl Stem {
    /// Returns the stem itself as the first name, `stem-2` as the second, and so on.
    pub(super) fn numbered(&self, number: u32) -> BottleName {
        match number {
            0 | 1 => self.0.clone(),
            _ => name(&format!("{}-{number}", self.0)).unwrap_or_else(|| self.0.clone()),
        }
    }
}

/// Returns the beginning of a command, for people to know it by.
pub(super) fn for_people(command: &[OsString]) -> Vec<String> {
    let mut left = COMMAND_BYTES_MAX;
    let mut words = Vec::new();
    for word in command {
        let mut word = word.to_string_lossy().into_owned();
        let whole = word.len() < left;
        if !whole {
            word.truncate(word.floor_char_boundary(left));
            word.push('…');
        }
        left = left.saturating_sub(word.len() + 1);
        words.push(word);
        if !whole {
            break;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_command_the_beginning_is_told() {
        let command = |words: &[&str]| -> Vec<OsString> {
            words.iter().map(|word| OsString::from(*word)).collect()
        };
        assert_eq!(for_people(&command(&["a", "b c", ""])), ["a", "b c", ""]);
        let long = "日".repeat(9_000);
        let told = for_people(&command(&["claude", "-p", &long, "last"]));
        assert_eq!(told.len(), 3);
        let bytes: usize = told.iter().map(String::len).sum();
        assert!((4_000..=4_100).contains(&bytes), "{bytes}");
        assert!(told[2].ends_with("日…"));
        assert!(for_people(&command(&["x"].repeat(9_000))).len() < 4_000);
    }

    #[test]
    fn a_bottle_is_named_after_its_command_and_numbered_from_two() {
        let names = |program: &str| {
            let stem = stem(OsStr::new(program));
            [1, 2, 1000].map(|number| stem.numbered(number).to_string())
        };
        assert_eq!(names("claude"), ["claude", "claude-2", "claude-1000"]);
        assert_eq!(names("/usr/bin/python3.11")[0], "python3.11");
        assert_eq!(names("./my agent(2).sh")[0], "my-agent-2-.sh");
        assert_eq!(names("--odd")[0], "odd");
        assert_eq!(names("日本語")[1], "日本語-2");
        assert_eq!(names("+++")[0], "bottle");
        assert_eq!(names("/")[0], "bottle");
    }

    #[test]
    fn the_longest_command_still_gives_a_name_with_a_number() {
        for letter in ["x", "é", "日"] {
            let long = letter.repeat(100);
            let stem = stem(OsStr::new(&long));
            let name = stem.numbered(1000).to_string();
            assert!(name.ends_with("-1000"), "{name}");
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
        }
    }
}
