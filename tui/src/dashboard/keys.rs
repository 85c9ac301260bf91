//! The one table of keys: what a key does, where, and how help and the last line call it.

mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

pub(crate) use table::BINDINGS;

/// What a key or a click does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Cutoff,
    Restore,
    Stop,
    Raise,
    Down,
    Up,
    First,
    Last,
    HalfDown,
    HalfUp,
    Unfold,
    Fold,
    TreeOrFlat,
    FoldAll,
    Urgent,
    Details,
    FirstTab,
    SecondTab,
    ThirdTab,
    NextTab,
    PrevTab,
    Focus,
    Filter,
    Events,
    Theme,
    Mouse,
    Reconnect,
    Redraw,
    Suspend,
    Help,
    Back,
    Quit,
    Yes,
    No,
    Press,
    NextButton,
}

/// Where a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Table,
    Pane,
    Events,
    Dialog,
    Help,
    /// Nothing but the way out: no controller that we understand, or a window too small to act in.
    Bare,
}

/// A key as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chord {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) action: Action,
    pub(crate) chords: &'static [Chord],
    /// The chords as help writes them.
    pub(crate) shown: &'static str,
    /// What help says.
    pub(crate) does: &'static str,
    /// The word in the last line, and how soon it gives way where that is too narrow: 0 never.
    pub(crate) hint: Option<(&'static str, u8)>,
    pub(crate) modes: &'static [Mode],
    /// Whether it orders something; absent under `--read-only`.
    pub(crate) acts: bool,
}

impl Chord {
    fn is(self, key: &KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if key.modifiers.contains(KeyModifiers::ALT) {
            return false;
        }
        match self {
            Self::Char(c) => !control && key.code == KeyCode::Char(c),
            Self::Ctrl(c) => control && key.code == KeyCode::Char(c),
            Self::Code(code) => !control && key.code == code,
        }
    }
}

/// Returns what a key does in a mode. A key that is held down does not act again in a dialog.
pub(crate) fn action(mode: Mode, key: &KeyEvent, read_only: bool) -> Option<Action> {
    match key.kind {
        KeyEventKind::Press => {}
        KeyEventKind::Repeat if mode != Mode::Dialog => {}
        _ => return None,
    }
    BINDINGS
        .iter()
        .filter(|row| row.modes.contains(&mode) && !(read_only && row.acts))
        .find(|row| row.chords.iter().any(|chord| chord.is(key)))
        .map(|row| row.action)
}

/// Returns the row of an action.
pub(crate) fn binding(action: Action) -> Option<&'static Binding> {
    BINDINGS.iter().find(|row| row.action == action)
}

#[cfg(test)]
mod tests {
    use super::Mode::{Bare, Dialog, Events, Help, Pane, Table};
    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_mode() {
        for mode in [Table, Pane, Events, Dialog, Help, Bare] {
            let mut seen: Vec<(Chord, Action)> = Vec::new();
            for row in BINDINGS.iter().filter(|row| row.modes.contains(&mode)) {
                for chord in row.chords {
                    let twin = seen.iter().find(|(other, _)| other == chord);
                    assert_eq!(twin, None, "{chord:?} in {mode:?}");
                    seen.push((*chord, row.action));
                }
            }
        }
    }

    #[test]
    fn a_key_held_down_repeats_in_a_list_and_not_in_a_dialog() {
        let mut held = KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE);
        held.kind = KeyEventKind::Repeat;
        assert_eq!(action(Dialog, &held, false), None);
        held.code = KeyCode::Char('j');
        assert_eq!(action(Table, &held, false), Some(Action::Down));
    }

    #[test]
    fn capital_letters_and_control_keys_are_keys_of_their_own() {
        let press = |code, modifiers| action(Table, &KeyEvent::new(code, modifiers), false);
        let none = KeyModifiers::NONE;
        assert_eq!(press(KeyCode::Char('x'), none), Some(Action::Cutoff));
        assert_eq!(
            press(KeyCode::Char('X'), KeyModifiers::SHIFT),
            Some(Action::Restore)
        );
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::CONTROL), None);
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(
            press(KeyCode::Char('d'), KeyModifiers::CONTROL),
            Some(Action::HalfDown)
        );
    }
}
