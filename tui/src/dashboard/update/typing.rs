//! Text that is typed or pasted: the filter, the search, the amount of a raise.

use crossterm::event::{KeyCode, KeyEvent};

use super::{press, remake};
use crate::dashboard::msg::Effect;
use crate::dashboard::state::{Filter, Overlay, Prompt, State, Typed, type_key, type_text};

/// A key while a line is typed.
pub(crate) fn key(state: &mut State, key: &KeyEvent) -> Vec<Effect> {
    let Some(prompt) = &mut state.prompt else {
        return Vec::new();
    };
    match prompt.key(key) {
        Typed::Nothing => {}
        Typed::Changed => changed(state),
        Typed::Kept => {
            let text = prompt.text.trim().to_owned();
            state.prompt = None;
            if state.log.open {
                state.log.search((!text.is_empty()).then_some(text));
            }
        }
        Typed::Cleared => {
            state.prompt = None;
            if !state.log.open {
                state.filter_text.clear();
                state.table.filter = Filter::default();
                remake(state);
            }
        }
    }
    press::rescroll(state);
    Vec::new()
}

/// Text is pasted: into a line that is typed, else nowhere. A paste never acts.
pub(crate) fn paste(state: &mut State, text: &str) {
    if let Some(prompt) = &mut state.prompt {
        prompt.paste(text);
        changed(state);
    } else if let Some(Overlay::Raise(form)) = &mut state.overlay {
        type_text(&mut form.by, text, is_of_an_amount);
    }
}

/// The table follows what is typed; where a word is not understood, the last good filter stands.
fn changed(state: &mut State) {
    if state.log.open {
        return;
    }
    let Some(Prompt { text, odd, .. }) = &mut state.prompt else {
        return;
    };
    match Filter::read(text) {
        Ok(filter) => {
            *odd = None;
            state.filter_text.clone_from(text);
            state.table.filter = filter;
            remake(state);
        }
        Err(word) => *odd = Some(word),
    }
}

/// A key in the form that raises a budget; returns whether the form took it.
pub(crate) fn raise_key(state: &mut State, key: &KeyEvent) -> bool {
    let Some(Overlay::Raise(form)) = &mut state.overlay else {
        return false;
    };
    match key.code {
        KeyCode::Up => form.scale(true),
        KeyCode::Down => form.scale(false),
        KeyCode::Backspace => {
            form.by.pop();
        }
        KeyCode::Char(c) if is_of_an_amount(c) && key.modifiers.is_empty() => {
            type_key(&mut form.by, key, is_of_an_amount);
        }
        KeyCode::Char('K' | 'M' | 'G') => {
            type_key(&mut form.by, key, is_of_an_amount);
        }
        KeyCode::Enter | KeyCode::Esc | KeyCode::Char('c') => return false,
        _ => {}
    }
    true
}

fn is_of_an_amount(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '+' | '.' | 'k' | 'K' | 'm' | 'M' | 'g' | 'G')
}
