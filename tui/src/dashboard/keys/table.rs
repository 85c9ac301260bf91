//! The rows of the key table.

use crossterm::event::KeyCode;

use super::Chord::{Char, Code, Ctrl};
use super::Mode::{Bare, Dialog, Events, Help, Pane, Table};
use super::{Action, Binding, Chord, Mode};

const LISTS: &[Mode] = &[Table, Pane, Events, Help];
const SCREENS: &[Mode] = &[Table, Pane, Events];
const ANY: &[Mode] = &[Table, Pane, Events, Help, Bare];
const BOTH: &[Mode] = &[Table, Pane];
const ROWS: &[Mode] = &[Table];
const ASKED: &[Mode] = &[Dialog];

/// Every key there is, in the order in which help and the last line name them.
pub(crate) const BINDINGS: &[Binding] = &[
    act(Action::Cutoff, &[Char('x')], "x", "cut off", ("cut off", 1)),
    act(
        Action::Restore,
        &[Char('X')],
        "X",
        "restore (undoes x)",
        ("restore", 4),
    ),
    act(Action::Stop, &[Char('s')], "s", "stop", ("stop", 3)),
    act(
        Action::Raise,
        &[Char('+')],
        "+",
        "raise the binding budget",
        ("raise", 2),
    ),
    key(
        Action::Down,
        &[Char('j'), Code(KeyCode::Down)],
        "j ↓",
        "next row",
        LISTS,
    ),
    key(
        Action::Up,
        &[Char('k'), Code(KeyCode::Up)],
        "k ↑",
        "row before",
        LISTS,
    ),
    key(
        Action::First,
        &[Char('g'), Code(KeyCode::Home)],
        "g Home",
        "first row",
        LISTS,
    ),
    key(
        Action::Last,
        &[Char('G'), Code(KeyCode::End)],
        "G End",
        "last row",
        LISTS,
    ),
    key(
        Action::HalfDown,
        &[Ctrl('d'), Code(KeyCode::PageDown)],
        "^d PgDn",
        "half a page down",
        LISTS,
    ),
    key(
        Action::HalfUp,
        &[Ctrl('u'), Code(KeyCode::PageUp)],
        "^u PgUp",
        "half a page up",
        LISTS,
    ),
    key(
        Action::Unfold,
        &[Char('l'), Code(KeyCode::Right)],
        "l →",
        "unfold",
        ROWS,
    ),
    key(
        Action::Fold,
        &[Char('h'), Code(KeyCode::Left)],
        "h ←",
        "fold, or to the parent",
        ROWS,
    ),
    key(Action::TreeOrFlat, &[Char('t')], "t", "tree or flat", ROWS),
    key(
        Action::FoldAll,
        &[Char('z')],
        "z",
        "fold or unfold all",
        ROWS,
    ),
    hinted(
        Action::Urgent,
        &[Char('!')],
        "!",
        "most urgent, then the next",
        ("urgent", 8),
        SCREENS,
    ),
    hinted(
        Action::Details,
        &[Code(KeyCode::Enter), Char('d')],
        "Enter d",
        "details, full height",
        ("details", 6),
        SCREENS,
    ),
    key(Action::FirstTab, &[Char('1')], "1", "budgets", BOTH),
    key(Action::SecondTab, &[Char('2')], "2", "calls", BOTH),
    key(Action::ThirdTab, &[Char('3')], "3", "audit", BOTH),
    key(Action::NextTab, &[Char(']')], "]", "next tab", BOTH),
    key(Action::PrevTab, &[Char('[')], "[", "tab before", BOTH),
    key(
        Action::Focus,
        &[Code(KeyCode::Tab), Code(KeyCode::BackTab)],
        "Tab",
        "table or details",
        BOTH,
    ),
    hinted(
        Action::Filter,
        &[Char('/')],
        "/",
        "filter; in events: search",
        ("filter", 5),
        SCREENS,
    ),
    hinted(
        Action::Events,
        &[Char('e')],
        "e",
        "events",
        ("events", 7),
        SCREENS,
    ),
    key(Action::Theme, &[Char('T')], "T", "dark or light", SCREENS),
    key(Action::Mouse, &[Char('M')], "M", "mouse on or off", SCREENS),
    key(Action::Reconnect, &[Ctrl('r')], "^r", "reconnect now", ANY),
    key(Action::Redraw, &[Ctrl('l')], "^l", "draw again", ANY),
    key(Action::Suspend, &[Ctrl('z')], "^z", "suspend", ANY),
    key(
        Action::Back,
        &[Code(KeyCode::Esc)],
        "Esc",
        "one step back, never quits",
        LISTS,
    ),
    hinted(Action::Help, &[Char('?')], "?", "help", ("help", 0), ANY),
    hinted(
        Action::Quit,
        &[Char('q'), Ctrl('c')],
        "q ^c",
        "quit; the controller goes on",
        ("quit", 9),
        ANY,
    ),
    key(Action::Yes, &[Char('y')], "y", "dialog: do it", ASKED),
    key(
        Action::No,
        &[Char('n'), Code(KeyCode::Esc), Char('q'), Ctrl('c')],
        "n Esc",
        "dialog: do not",
        ASKED,
    ),
    key(
        Action::Press,
        &[Code(KeyCode::Enter)],
        "Enter",
        "dialog: the marked button",
        ASKED,
    ),
    key(
        Action::NextButton,
        &[
            Code(KeyCode::Tab),
            Code(KeyCode::BackTab),
            Code(KeyCode::Left),
            Code(KeyCode::Right),
        ],
        "Tab ← →",
        "dialog: the other button",
        ASKED,
    ),
];

const fn key(
    action: Action,
    chords: &'static [Chord],
    shown: &'static str,
    does: &'static str,
    modes: &'static [Mode],
) -> Binding {
    Binding {
        action,
        chords,
        shown,
        does,
        hint: None,
        modes,
        acts: false,
    }
}

const fn hinted(
    action: Action,
    chords: &'static [Chord],
    shown: &'static str,
    does: &'static str,
    hint: (&'static str, u8),
    modes: &'static [Mode],
) -> Binding {
    Binding {
        hint: Some(hint),
        ..key(action, chords, shown, does, modes)
    }
}

const fn act(
    action: Action,
    chords: &'static [Chord],
    shown: &'static str,
    does: &'static str,
    hint: (&'static str, u8),
) -> Binding {
    Binding {
        acts: true,
        ..hinted(action, chords, shown, does, hint, ROWS)
    }
}
