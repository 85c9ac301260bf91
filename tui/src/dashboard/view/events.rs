//! The event history, over table and pane.

use ratatui::layout::Rect;

use super::happenings;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::clean;
use crate::dashboard::layout;
use crate::dashboard::msg::Click;
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;
use crate::format;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let area = layout::events_rows(state);
    let log = &state.log;
    let rule = area.y.saturating_sub(1);
    canvas.rule(0, rule, area.width, '─', Role::Faint);
    let all = state.head.as_ref().map_or(0, |head| head.told.events);
    let title = match &log.matching {
        Some(pattern) => clean!("[events]  search: {pattern}  {} found ", log.rows.len()),
        None => clean!("[events]  {} of {} ", log.rows.len(), format::grouped(all)),
    };
    canvas.put(1, rule, area.width.saturating_sub(2), &title, Role::Text);
    if let Some(failure) = &log.failure {
        return happenings::failure(failure, area, canvas);
    }
    if log.rows.is_empty() {
        let text = if log.asking { "reading" } else { "nothing" };
        canvas.put(1, area.y, area.width, text, Role::Muted);
    }
    let shown = log.rows.iter().enumerate().skip(log.top);
    for (y, (at, row)) in (area.top()..area.bottom()).zip(shown) {
        let line = Rect::new(0, y, area.width, 1);
        if at == log.cursor {
            let selected = canvas.look().selected();
            canvas.paint(line, selected);
            canvas.put(0, y, 1, "▌", Role::Accent);
        }
        canvas.hit(line, Click::Event(row.seq));
        happenings::event_row(state, row, line, canvas);
    }
}
