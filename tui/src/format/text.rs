//! Foreign text made safe to show, and text made to fit.
//!
//! Names, models, reasons and messages come from elsewhere. Nothing of them may steer the
//! terminal, hide a character or turn the direction of a line; so such characters are shown as
//! what they are, not dropped: two different names never look alike because of them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for a character that must not be shown.
const HIDDEN: char = '␦';
/// The most combining marks on one base that are shown.
const MARKS_MAX: usize = 2;

/// Returns the text with everything that could steer a terminal made visible.
///
/// Control characters become their pictures; format and direction characters, variation
/// selectors, private use, noncharacters, and marks without a base or beyond two become `␦`.
pub fn clean(text: &str) -> String {
    let mut marks = None;
    text.chars()
        .map(|c| {
            let shown = visible(c);
            if shown != c {
                marks = None;
                return shown;
            }
            if c.width() != Some(0) {
                marks = Some(0);
                return c;
            }
            match &mut marks {
                Some(count) if *count < MARKS_MAX => {
                    *count += 1;
                    c
                }
                _ => HIDDEN,
            }
        })
        .collect()
}

/// Returns whether a character, taken by itself, is shown as it is.
pub fn is_shown(c: char) -> bool {
    visible(c) == c
}

fn visible(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or(HIDDEN),
        0x7f => '␡',
        0x80..=0x9f => HIDDEN,
        _ if is_hidden(c) => HIDDEN,
        _ => c,
    }
}

/// Unicode's general category Cf, line and paragraph separators, variation selectors, private
/// use, noncharacters, and letters that are drawn as nothing.
fn is_hidden(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x600..=0x605
            | 0x61c
            | 0x6dd
            | 0x70f
            | 0x890..=0x891
            | 0x8e2
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xe000..=0xf8ff
            | 0xfdd0..=0xfdef
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0x1_10bd
            | 0x1_10cd
            | 0x1_3430..=0x1_343f
            | 0x1_bca0..=0x1_bca3
            | 0x1_d173..=0x1_d17a
            | 0xe_0000..=0xe_0fff
            | 0xf_0000..
    ) || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
}

/// Returns how many cells a cleaned text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Shortens a cleaned text in its middle to at most `cells`: names differ at their ends.
pub fn shorten_middle(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let Some(room) = cells.checked_sub(1) else {
        return String::new();
    };
    let head = prefix(text, room.div_ceil(2));
    let tail = suffix(text, room - width(head));
    format!("{head}…{tail}")
}

/// Shortens a cleaned text at its end to at most `cells`: sentences begin with what matters.
pub fn shorten_end(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    match cells.checked_sub(1) {
        None => String::new(),
        Some(room) => format!("{}…", prefix(text, room)),
    }
}

/// Returns the longest beginning that takes at most `cells`.
fn prefix(text: &str, cells: usize) -> &str {
    let end = text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| text.get(..*end).is_some_and(|s| width(s) <= cells))
        .last()
        .unwrap_or(0);
    text.get(..end).unwrap_or("")
}

/// Returns the longest end that takes at most `cells` and does not begin with a mark.
fn suffix(text: &str, cells: usize) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(at, _)| text.get(*at..).is_some_and(|s| width(s) <= cells))
        .filter(|(_, c)| c.width() != Some(0))
        .last()
        .map_or(text.len(), |(at, _)| at);
    text.get(start..).unwrap_or("")
}

/// Adds spaces at the end up to `cells`.
pub fn pad_end(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(width(text))))
}

/// Adds spaces in front up to `cells`.
pub fn pad_start(text: &str, cells: usize) -> String {
    format!("{}{text}", " ".repeat(cells.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_can_steer_the_terminal_or_hide() {
        assert_eq!(clean("a\u{1b}[31mb\tc\r\n"), "a␛[31mb␉c␍␊");
        assert_eq!(clean("\u{7f}\u{9b}31m"), "␡␦31m");
        for hidden in [
            '\u{202e}',
            '\u{200b}',
            '\u{200d}',
            '\u{feff}',
            '\u{ad}',
            '\u{e0041}',
            '\u{fe0f}',
            '\u{e000}',
            '\u{1fffe}',
            '\u{10ffff}',
            '\u{2028}',
            '\u{3164}',
        ] {
            assert_eq!(clean(&format!("a{hidden}b")), "a␦b", "{hidden:?}");
        }
    }

    #[test]
    fn letters_of_any_script_stay_as_they_are() {
        for text in ["translate-日本語", "žluťoučký", "עברית", "e\u{301}", "🦀"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        assert_eq!(clean("e\u{301}\u{301}\u{301}x"), "e\u{301}\u{301}␦x");
        assert_eq!(clean("\u{301}x"), "␦x");
        assert_eq!(clean("\u{1b}\u{301}"), "␛␦");
    }

    #[test]
    fn a_shortened_text_never_takes_more_cells_than_it_may() {
        assert_eq!(
            shorten_middle("api-gateway-linux-arm64", 16),
            "api-gate…x-arm64"
        );
        assert_eq!(shorten_middle("web", 3), "web");
        assert_eq!(shorten_end("provider ended it", 9), "provider…");
        for text in [
            "api-gateway-linux-arm64",
            "日本語日本語日本語",
            "e\u{301}".repeat(9).as_str(),
        ] {
            for cells in 0..30 {
                assert!(
                    width(&shorten_middle(text, cells)) <= cells,
                    "{text} {cells}"
                );
                assert!(width(&shorten_end(text, cells)) <= cells, "{text} {cells}");
            }
        }
    }

    #[test]
    fn padding_counts_cells_and_not_letters() {
        assert_eq!(pad_end("日本", 6), "日本  ");
        assert_eq!(pad_start("日本", 6), "  日本");
        assert_eq!(pad_start("longer", 3), "longer");
    }
}
