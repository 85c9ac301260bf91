//! The state as a picture. Nothing is changed here; what the mouse can hit comes back.

pub(crate) mod alarms;
mod bar;
mod budgets;
mod calls;
mod columns;
mod details;
mod dialog;
mod empty;
mod events;
mod footer;
mod frame;
mod happenings;
mod help;
mod next_out;
mod raise;
mod row;
mod sentences;
mod table;
mod tiny;
mod title;
mod version;
mod way;

use std::time::Duration;

use ratatui::buffer::Buffer;

use super::canvas::{Canvas, Hit};
use super::layout::{self, Screen};
use super::state::{Overlay, State};

/// For how long a row is bold after its state changed.
pub(crate) const BOLD_FOR: Duration = Duration::from_secs(2);

/// Draws everything; returns what the mouse can hit.
pub(crate) fn view(state: &State, buffer: &mut Buffer) -> Vec<Hit> {
    let mut canvas = Canvas::new(buffer, state.start.look);
    if canvas.area().is_empty() {
        return Vec::new();
    }
    match layout::screen(state) {
        Screen::Tiny => tiny::draw(state, &mut canvas),
        Screen::OtherVersion => version::draw(state, &mut canvas),
        Screen::Empty => {
            top(state, &mut canvas);
            empty::draw(state, &mut canvas);
            footer::draw(state, &mut canvas);
        }
        Screen::Events => {
            top(state, &mut canvas);
            events::draw(state, &mut canvas);
            footer::draw(state, &mut canvas);
        }
        Screen::Main => {
            top(state, &mut canvas);
            let regions = layout::regions(state);
            if regions.rule.height > 0 {
                let rule = regions.rule;
                canvas.rule(rule.x, rule.y, rule.width, '─', super::theme::Role::Faint);
            }
            canvas.stale = state.is_stale();
            table::draw(state, &mut canvas);
            details::draw(state, &mut canvas);
            canvas.stale = false;
            footer::event_line(state, &mut canvas);
            footer::draw(state, &mut canvas);
        }
    }
    match &state.overlay {
        Some(Overlay::Dialog(dialog)) => dialog::draw(state, dialog, &mut canvas),
        Some(Overlay::Raise(form)) => raise::draw(state, form, &mut canvas),
        Some(Overlay::Help { scroll }) => help::draw(state, *scroll, &mut canvas),
        None => {}
    }
    canvas.hits
}

/// Title, alarms, the host's budgets and what runs out next.
fn top(state: &State, canvas: &mut Canvas<'_>) {
    let regions = layout::regions(state);
    title::draw(state, regions.title, canvas);
    alarms::draw(state, regions.alarms, canvas);
    canvas.stale = state.is_stale();
    budgets::draw(state, &regions, canvas);
    canvas.stale = false;
    next_out::draw(state, regions.next_out, canvas);
}
