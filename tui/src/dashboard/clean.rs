//! Text that may be drawn: `Clean` is what foreign text becomes where it is decoded.
//!
//! The canvas takes `Clean` and the program's own words and nothing else, so that no text of
//! others reaches the terminal as it came.

use std::fmt;

use crate::format::text;

/// The longest foreign text that is kept, in bytes.
const BYTES_MAX: usize = 4096;

/// A text in which nothing can steer a terminal, hide, or turn the direction of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clean(Box<str>);

impl Clean {
    /// Cleans a foreign text; one that is very long is cut, and says by how much.
    pub(crate) fn new(foreign: &str) -> Self {
        if foreign.len() <= BYTES_MAX {
            return Self(text::clean(foreign).into());
        }
        let end = foreign.floor_char_boundary(BYTES_MAX);
        let kept = foreign.get(..end).unwrap_or_default();
        let over = foreign.len() - end;
        Self(format!("{}…+{over} bytes", text::clean(kept)).into())
    }

    /// Composes a text; all of it is cleaned, and cleaning what is clean changes nothing.
    pub(crate) fn of(parts: fmt::Arguments<'_>) -> Self {
        match parts.as_str() {
            Some(fixed) => Self::new(fixed),
            None => Self::new(&parts.to_string()),
        }
    }

    /// Shortens it in the middle to at most `cells`: names differ at their ends.
    #[must_use]
    pub(crate) fn shortened(&self, cells: u16) -> Self {
        Self(text::shorten_middle(&self.0, usize::from(cells)).into())
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it has no characters.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Composes a [`Clean`] as `format!` composes a `String`.
macro_rules! clean {
    ($($part:tt)*) => {
        $crate::dashboard::clean::Clean::of(format_args!($($part)*))
    };
}
pub(crate) use clean;

/// Returns the cells of a text that is clean: each base with its marks, and how wide it is.
pub(crate) fn cells(text: &str) -> impl Iterator<Item = (&str, u16)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, base) = chars.next()?;
        let end = chars
            .find(|(_, c)| char_width(*c) > 0)
            .map_or(rest.len(), |(at, _)| at);
        let (cell, after) = rest.split_at(end);
        rest = after;
        Some((cell, char_width(base)))
    })
}

/// Returns how many cells a clean text takes.
pub(crate) fn width(text: &str) -> u16 {
    cells(text).fold(0, |sum, (_, width)| sum.saturating_add(width))
}

fn char_width(c: char) -> u16 {
    use unicode_width::UnicodeWidthChar;
    // Halfwidth sound marks extend a grapheme by the tables, and take a cell in every terminal.
    if matches!(c, '\u{ff9e}' | '\u{ff9f}') {
        return 1;
    }
    u16::try_from(c.width().unwrap_or(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clean_stays_as_it_is_when_it_is_cleaned_again() {
        for hostile in [
            "plain",
            "\u{1b}]0;pwned\u{7}",
            "a\u{301}\u{302}\u{303}\u{304}",
            "\u{301}x",
            "a\u{202e}b\u{200d}c\u{fe0f}",
            "日本語ﾞ",
        ] {
            let once = Clean::new(hostile);
            assert_eq!(clean!("{once}"), once, "{hostile:?}");
            assert!(!once.as_str().contains(char::is_control), "{hostile:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_on_a_character_and_says_so() {
        let long = Clean::new(&"ä".repeat(4000));
        assert!(long.as_str().ends_with("…+3904 bytes"), "{long}");
    }

    #[test]
    fn a_mark_shares_the_cell_of_its_base_and_a_wide_character_takes_two() {
        let found: Vec<_> = cells("a\u{301}日bｶﾞ").collect();
        assert_eq!(
            found,
            [("a\u{301}", 1), ("日", 2), ("b", 1), ("ｶ", 1), ("ﾞ", 1)]
        );
        assert_eq!(width("a\u{301}日b"), 4);
    }
}
