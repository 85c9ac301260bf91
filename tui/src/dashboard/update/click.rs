//! The mouse: what is drawn can be clicked, and does what its key does.

use super::{press, remake, steps};
use crate::dashboard::keys::{self, Mode};
use crate::dashboard::layout;
use crate::dashboard::msg::{Click, Effect};
use crate::dashboard::state::State;

/// How many rows a notch of the wheel moves.
const NOTCH: usize = 3;

/// Something was clicked.
pub(crate) fn click(state: &mut State, click: Click) -> Vec<Effect> {
    if let Click::Act(action) = click {
        let allowed = keys::binding(action).is_some_and(|row| {
            row.modes.contains(&state.mode()) && !(row.acts && state.start.read_only)
        });
        return if allowed && state.prompt.is_none() {
            press::act(state, action)
        } else {
            Vec::new()
        };
    }
    if state.overlay.is_some() {
        return Vec::new();
    }
    let height = layout::table_height(state);
    match click {
        Click::Row(name) => {
            state.pane.focused = false;
            state.table.go_to(&name, height);
        }
        Click::Fold(name) => {
            if !state.table.shape.folded.remove(&name) {
                state.table.shape.folded.insert(name);
            }
            remake(state);
        }
        Click::Pane => state.pane.focused = true,
        Click::Tab(tab) => {
            state.pane.tab = tab;
            state.pane.scroll = 0;
        }
        Click::Event(seq) => {
            if let Some(at) = state.log.rows.iter().position(|row| row.seq == seq) {
                state.log.cursor = at;
            }
        }
        Click::Act(_) => {}
    }
    Vec::new()
}

/// The wheel was turned over something.
pub(crate) fn wheel(state: &mut State, down: bool, over: Option<&Click>) {
    let height = layout::table_height(state);
    let moved = |at: usize, last: usize| {
        if down {
            (at + NOTCH).min(last)
        } else {
            at.saturating_sub(NOTCH)
        }
    };
    match (state.mode(), over) {
        (Mode::Dialog | Mode::Help | Mode::Bare, _) => {}
        (Mode::Events, _) => {
            let last = state.log.rows.len().saturating_sub(1);
            state.log.cursor = moved(state.log.cursor, last);
            let height = usize::from(layout::events_rows(state).height).max(1);
            let cursor = state.log.cursor;
            state.log.top = state
                .log
                .top
                .clamp((cursor + 1).saturating_sub(height), cursor);
        }
        (_, Some(Click::Pane)) => {
            let last = steps::pane_rows(state).saturating_sub(1);
            state.pane.scroll = moved(state.pane.scroll, last);
        }
        _ => state.table.scroll(down, NOTCH, height),
    }
}
