//! Owns the words for what is not YAML at all.

use saphyr_parser::ScanError;

use super::super::mistakes::At;

/// What a part of the library's message means for somebody who writes settings.
const MEANINGS: &[(&str, &str, &str)] = &[
    (
        "tab",
        "a tab stands where the line is indented",
        "indent with spaces",
    ),
    (
        "simple key expect",
        "this line has no colon",
        "write KEY: VALUE, with a space after the colon",
    ),
    (
        "mapping values are not allowed",
        "there is a second colon where a value was expected",
        "put quotes around a value that has a colon and a space, or put the inner key on its own, \
         further indented line",
    ),
    (
        "did not find expected key",
        "this line is not indented like the lines it belongs to",
        "give all keys of one block the same number of spaces",
    ),
    (
        "invalid indentation in quoted scalar",
        "this quote is not closed",
        "close the quote on the same line",
    ),
    (
        "unexpected end of stream",
        "this quote is not closed",
        "close the quote on the same line",
    ),
    (
        "trailing content after",
        "something stands behind the closing quote",
        "put the whole value between the quotes",
    ),
    (
        "unknown escape character",
        "this backslash in double quotes begins no known escape",
        "use single quotes, in which a backslash is only a backslash",
    ),
    (
        "illegal placement of ':'",
        "a bracket before this place is not closed",
        "close the bracket, or write one item a line, each behind \"- \"",
    ),
    (
        "expected ','",
        "a bracket before this place is not closed",
        "close the bracket, or write one item a line, each behind \"- \"",
    ),
    (
        "flow construct",
        "a bracket before this place is not closed",
        "close the bracket, or write one item a line, each behind \"- \"",
    ),
    (
        "misplaced bracket",
        "this bracket closes nothing",
        "take it away, or put quotes around a value that has a bracket",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot begin here",
        "put \"- ITEM\" on a line of its own, indented under its key",
    ),
    (
        "unexpected character",
        "a value cannot begin with this character",
        "put quotes around the value",
    ),
    (
        "unknown anchor",
        "an alias (*NAME) is not taken in settings",
        "write the value itself again",
    ),
    (
        "unprintable",
        "this character cannot be printed",
        "take it away",
    ),
];

/// Returns what is wrong and what to write, for a message of the library.
pub(super) fn explain(info: &str) -> (String, &'static str) {
    MEANINGS
        .iter()
        .find(|(part, ..)| info.contains(part))
        .map_or_else(
            || {
                (
                    format!("this is not YAML: {info}"),
                    "write settings as KEY: VALUE, one a line, indented with spaces",
                )
            },
            |(_, text, hint)| ((*text).to_owned(), hint),
        )
}

/// Returns where the mistake is, where the library only notices it further down.
pub(super) fn place(text: &str, error: &ScanError) -> Option<At> {
    if !error.info().contains("simple key expect ") {
        return None;
    }
    let written =
        |line: &&str| !line.trim_start().is_empty() && !line.trim_start().starts_with('#');
    let (index, line) = text
        .lines()
        .enumerate()
        .take(error.marker().line().saturating_sub(1))
        .filter(|(_, line)| written(line))
        .last()?;
    let indent = line.chars().take_while(|c| *c == ' ').count();
    Some(At {
        line: u32::try_from(index + 1).ok()?,
        column: u32::try_from(indent + 1).ok()?,
    })
}
