//! A line that is being typed: the filter of the table, or the search in the events.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::dashboard::clean::Clean;

/// The longest line that can be typed, in characters.
const CHARS_MAX: usize = 200;

/// A line that is being typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    /// The word that is not understood.
    pub(crate) odd: Option<Clean>,
}

/// What a key did to a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Changed,
    Kept,
    Cleared,
    Nothing,
}

impl Prompt {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            odd: None,
        }
    }

    pub(crate) fn key(&mut self, key: &KeyEvent) -> Typed {
        type_key(&mut self.text, key, |_| true)
    }

    pub(crate) fn paste(&mut self, pasted: &str) {
        type_text(&mut self.text, pasted, |_| true);
    }
}

/// Puts a key into a line.
pub(crate) fn type_key(line: &mut String, key: &KeyEvent, takes: impl Fn(char) -> bool) -> Typed {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => Typed::Kept,
        KeyCode::Esc => Typed::Cleared,
        KeyCode::Char('c') if control => Typed::Cleared,
        KeyCode::Char('u') if control => {
            line.clear();
            Typed::Changed
        }
        KeyCode::Backspace => {
            line.pop();
            Typed::Changed
        }
        KeyCode::Char(c) if !control => {
            type_text(line, c.encode_utf8(&mut [0; 4]), takes);
            Typed::Changed
        }
        _ => Typed::Nothing,
    }
}

/// Puts text into a line: what it takes, up to its end.
pub(crate) fn type_text(line: &mut String, text: &str, takes: impl Fn(char) -> bool) {
    let room = CHARS_MAX.saturating_sub(line.chars().count());
    line.extend(
        text.chars()
            .filter(|c| !c.is_control() && takes(*c))
            .take(room),
    );
}
