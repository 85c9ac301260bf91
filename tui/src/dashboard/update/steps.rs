//! Moving: in the table, the pane, the history, the help.

use super::events;
use crate::dashboard::keys::{self, Mode};
use crate::dashboard::layout;
use crate::dashboard::msg::Effect;
use crate::dashboard::state::{Overlay, State, Tab};

/// How far a key moves.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    By(isize),
    HalfPage(isize),
    First,
    Last,
}

impl Step {
    fn from(self, at: usize, last: usize, height: usize) -> usize {
        let half = isize::try_from(height / 2).unwrap_or(1).max(1);
        match self {
            Self::By(lines) => at.saturating_add_signed(lines),
            Self::HalfPage(way) => at.saturating_add_signed(way * half),
            Self::First => 0,
            Self::Last => last,
        }
        .min(last)
    }
}

pub(crate) fn step(state: &mut State, step: Step) -> Vec<Effect> {
    match state.mode() {
        Mode::Help => {
            if let Some(Overlay::Help { scroll }) = &mut state.overlay {
                let last = keys::BINDINGS.len();
                let to = step.from(usize::from(*scroll), last, 10);
                *scroll = layout::cells(to);
            }
        }
        Mode::Events => return step_events(state, step),
        Mode::Pane => {
            let height = usize::from(layout::regions(state).pane.height);
            let last = pane_rows(state).saturating_sub(1);
            state.pane.scroll = step.from(state.pane.scroll, last, height);
        }
        _ => {
            let height = layout::table_height(state);
            let last = state.table.lines().len().saturating_sub(1);
            let to = step.from(state.table.at(), last, height);
            state.table.go_to_line(to, height);
        }
    }
    Vec::new()
}

/// How many rows the tab has that the keys scroll.
pub(crate) fn pane_rows(state: &State) -> usize {
    match state.pane.tab {
        Tab::Budgets => 0,
        Tab::Calls => state.pane.calls.rows.len(),
        Tab::Audit => state.pane.audit.rows.len(),
    }
}

fn step_events(state: &mut State, step: Step) -> Vec<Effect> {
    let height = usize::from(layout::events_rows(state).height).max(1);
    let last = state.log.rows.len().saturating_sub(1);
    let log = &mut state.log;
    log.cursor = step.from(log.cursor, last, height);
    log.top = log
        .top
        .clamp((log.cursor + 1).saturating_sub(height), log.cursor);
    if log.cursor + height > last {
        return events::older(state);
    }
    Vec::new()
}
