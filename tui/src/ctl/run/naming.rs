//! Names for bottles that were given none.

use std::ffi::OsStr;
use std::path::Path;

use bb_proto::ids::{BottleName, NAME_BYTES_MAX};

/// What is left for `-1000` and its like.
const NUMBER_BYTES: usize = 5;
/// Where a command's name has nothing that a bottle's name may have.
const FALLBACK: &str = "bottle";

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

#[cfg(test)]
mod tests {
    use super::*;

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
