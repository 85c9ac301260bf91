//! The last two lines: what happened last, and the keys, or the line that is being typed.

use ratatui::layout::Rect;

use super::happenings;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, clean};
use crate::dashboard::keys::{Action, BINDINGS, Binding, Mode};
use crate::dashboard::layout::{self, Screen};
use crate::dashboard::msg::Click;
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;

/// The newest event, or what there is to say about the last order.
pub(crate) fn event_line(state: &State, canvas: &mut Canvas<'_>) {
    let area = layout::regions(state).event;
    if area.height == 0 {
        return;
    }
    let hint = "  e history";
    let room = area.width.saturating_sub(clean::width(hint) + 2);
    let y = area.y;
    canvas.put(0, y, 1, "›", Role::Accent);
    if let Some(said) = &state.said {
        let role = if said.bad { Role::Crit } else { Role::Text };
        canvas.put(2, y, room, &said.text, role);
    } else if let Some(row) = state
        .log
        .rows
        .first()
        .filter(|_| state.log.matching.is_none())
    {
        let text = clean!(
            "{} {}",
            state.zone().clock(row.at),
            happenings::sentence(row)
        );
        canvas.put(2, y, room, &text, happenings::role(row.kind));
    }
    let at = area.width.saturating_sub(clean::width(hint));
    canvas.put(at, y, area.width, hint, Role::Muted);
    canvas.hit(area, Click::Act(Action::Events));
}

/// The keys, or the line that is being typed.
pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let height = canvas.area().height;
    let y = height.saturating_sub(1);
    if state.prompt.is_some() {
        prompt(state, y, canvas);
        return;
    }
    let mode = match (layout::screen(state), &state.overlay) {
        (Screen::Events, _) => Mode::Events,
        (Screen::OtherVersion, _) => Mode::Bare,
        _ if state.pane.zoomed || state.pane.focused => Mode::Pane,
        _ => Mode::Table,
    };
    let acts = !state.start.read_only && !state.is_stale() && !state.fleet.is_empty();
    let note = match (state.start.read_only, state.is_stale()) {
        _ if mode == Mode::Bare || state.greeting.is_none() => "",
        (true, _) => "   (no acts)",
        (false, true) => "   (no act is sent)",
        (false, false) => "",
    };
    let width = canvas.area().width;
    let room = width.saturating_sub(clean::width(note));
    let mut hints: Vec<(&Binding, &'static str, u8)> = BINDINGS
        .iter()
        .filter(|row| row.modes.contains(&mode) && (acts || !row.acts))
        .filter(|row| !(state.fleet.is_empty() && needs_a_bottle(row.action)))
        .filter_map(|row| row.hint.map(|(word, rank)| (row, word, rank)))
        .collect();
    let first_key = |row: &Binding| clean::width(row.shown.split(' ').next().unwrap_or(""));
    let taken = |hints: &[(&Binding, &'static str, u8)], gap: u16| {
        hints.iter().fold(0, |sum: u16, (row, word, _)| {
            sum + first_key(row) + 1 + clean::width(word) + gap
        })
    };
    let mut gap = 2;
    while taken(&hints, gap) > room + gap {
        if gap == 2 && taken(&hints, 1) <= room + 1 {
            gap = 1;
            break;
        }
        let last = hints.iter().map(|(_, _, rank)| *rank).max().unwrap_or(0);
        if last == 0 {
            break;
        }
        hints.retain(|(_, _, rank)| *rank != last);
    }
    let mut x = 0;
    for (row, word, _) in hints {
        let from = x;
        let key = row.shown.split(' ').next().unwrap_or("");
        x += canvas.put(x, y, width.saturating_sub(x), key, Role::Accent) + 1;
        x += canvas.put(x, y, width.saturating_sub(x), word, Role::Muted);
        canvas.hit(Rect::new(from, y, x - from, 1), Click::Act(row.action));
        x += gap;
    }
    canvas.put(x.saturating_sub(gap), y, width, note, Role::Warn);
}

fn needs_a_bottle(action: Action) -> bool {
    matches!(action, Action::Urgent | Action::Details | Action::Filter)
}

fn prompt(state: &State, y: u16, canvas: &mut Canvas<'_>) {
    let Some(prompt) = &state.prompt else {
        return;
    };
    let width = canvas.area().width;
    let (right, role) = match &prompt.odd {
        Some(word) => (clean!("not understood: {word}  Esc clear"), Role::Warn),
        None if state.log.open => (clean!("Enter search  Esc back"), Role::Muted),
        None => {
            let (shown, all) = (state.table.lines().len(), state.fleet.len());
            (
                clean!("{shown} of {all}  Enter keep  Esc clear"),
                Role::Muted,
            )
        }
    };
    let right_width = clean::width(right.as_str());
    let room = width.saturating_sub(right_width + 3);
    let mut x = canvas.put(0, y, 1, "/", Role::Accent);
    let text = clean!("{}", prompt.text);
    // What is being typed is at the end: the end is what is shown.
    let over = clean::width(text.as_str()).saturating_sub(room);
    let mut skipped = 0;
    let shown: String = clean::cells(text.as_str())
        .skip_while(|(_, cells)| {
            skipped += cells;
            skipped <= over && over > 0
        })
        .map(|(symbol, _)| symbol)
        .collect();
    x += canvas.put(x, y, room, &clean!("{shown}"), Role::Text);
    canvas.put(x, y, 1, "█", Role::Accent);
    let at = width.saturating_sub(right_width);
    if at > x {
        canvas.put(at, y, right_width, &right, role);
    }
}
