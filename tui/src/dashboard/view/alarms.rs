//! What is wrong with the whole host, a red line each.

use bb_proto::view::Ledger;
use ratatui::layout::Rect;

use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::layout::cells;
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;

/// Returns how many lines there are.
pub(crate) fn count(state: &State) -> u16 {
    cells(lines(state).len())
}

pub(crate) fn draw(state: &State, area: Rect, canvas: &mut Canvas<'_>) {
    for (y, line) in (area.top()..area.bottom()).zip(lines(state)) {
        canvas.put(area.x, y, area.width, &line, Role::Crit);
    }
}

fn lines(state: &State) -> Vec<Clean> {
    let Some(head) = &state.head else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Ledger::Failing { since } = head.told.ledger {
        let since = state.zone().clock(since);
        lines.push(clean!(
            "✗ ledger closed since {since}: every call is refused until it is back"
        ));
    }
    if !head.told.has_settings {
        lines.push(if state.fleet.budgets().next().is_some() {
            clean!("✗ no settings file: only launches and commands limit anything")
        } else {
            clean!("✗ no settings file: nothing is limited")
        });
    }
    lines
}
