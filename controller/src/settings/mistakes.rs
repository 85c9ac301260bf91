//! Owns the list of mistakes while a file is read: bounded, in the order of the file, and safe to
//! print whatever the file says.

use bb_proto::reply::Mistake;

/// How many mistakes are told of one file; what comes after is only said to be there.
pub(super) const MISTAKES_MAX: usize = 500;
/// How many characters of the file a mistake repeats.
const QUOTED_CHARS_MAX: usize = 40;
/// The longest word that is compared with the known ones.
const COMPARED_CHARS_MAX: usize = 40;

/// A place in the file: line and column, both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl At {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    found: Vec<(At, String, Option<String>)>,
    more: bool,
}

impl Mistakes {
    /// Adds a mistake and what to write instead.
    pub(super) fn add(&mut self, at: At, text: impl Into<String>, hint: impl Into<String>) {
        self.push(at, text.into(), Some(hint.into()));
    }

    /// Adds a mistake whose text says all.
    pub(super) fn add_plain(&mut self, at: At, text: impl Into<String>) {
        self.push(at, text.into(), None);
    }

    fn push(&mut self, at: At, text: String, hint: Option<String>) {
        if self.found.len() < MISTAKES_MAX {
            self.found.push((at, text, hint));
        } else {
            self.more = true;
        }
    }

    /// Returns all of them in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|(at, ..)| *at);
        let last = self.found.last().map(|(at, ..)| *at);
        if let (true, Some(at)) = (self.more, last) {
            let text = format!("there are more mistakes than the {MISTAKES_MAX} told here");
            self.found.push((at, text, None));
        }
        self.found
            .into_iter()
            .map(|(at, text, hint)| Mistake {
                line: at.line,
                column: at.column,
                text,
                hint,
            })
            .collect()
    }
}

/// Returns a text of the file in quotes: cut short, and with nothing in it that a terminal obeys.
pub(super) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Returns the known word that was most likely meant, where one is near enough.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.chars().take(COMPARED_CHARS_MAX + 1).collect();
    if letters.len() > COMPARED_CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(&letters, candidate), candidate))
        .filter(|(steps, candidate)| *steps <= (letters.len().max(candidate.len()) / 3).max(1))
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// Returns how many letters must be added, taken away, changed or swapped to get from one word
/// to the other; capitals cost nothing.
fn distance(word: &[char], other: &str) -> usize {
    let word: Vec<char> = word.iter().map(char::to_ascii_lowercase).collect();
    let other: Vec<char> = other.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, &a) in word.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in other.iter().enumerate() {
            let mut steps = (above[j] + usize::from(a != b))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && a == other[j - 1] && word[i - 1] == b {
                steps = steps.min(before[j - 1] + 1);
            }
            row.push(steps);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found_and_a_strange_one_is_not() {
        let known = [
            "limit", "window", "cap", "ceiling", "warn", "shutdown", "gate",
        ];
        for (word, meant) in [
            ("limt", Some("limit")),
            ("ilmit", Some("limit")),
            ("Limit", Some("limit")),
            ("cielling", Some("ceiling")),
            ("shut_down", Some("shutdown")),
            ("gats", Some("gate")),
            ("sunflower", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word:?}");
        }
        assert_eq!(nearest(&"limit".repeat(100_000), known), None);
    }

    #[test]
    fn a_quoted_text_is_short_and_holds_no_control_character() {
        let quoted = quote(&format!("\u{1b}[2J\u{202e}{}", "x".repeat(1000)));
        assert!(quoted.chars().count() < 80, "{quoted}");
        assert!(quoted.is_ascii() || quoted.ends_with('…'), "{quoted}");
        assert!(!quoted.contains(['\u{1b}', '\u{202e}']), "{quoted}");
    }

    #[test]
    fn mistakes_without_end_are_told_up_to_a_number_and_said_to_go_on() {
        let mut mistakes = Mistakes::default();
        for line in (1..=2000).rev() {
            mistakes.add_plain(At { line, column: 1 }, "wrong");
        }
        let told = mistakes.into_sorted();
        assert_eq!(told.len(), MISTAKES_MAX + 1);
        assert!(told.is_sorted_by_key(|mistake| mistake.line));
        assert!(
            told.last()
                .is_some_and(|last| last.text.contains("more mistakes"))
        );
    }
}
