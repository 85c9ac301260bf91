//! A window too small for a table: the most urgent, their time left, the keys that matter.

use ratatui::layout::Rect;

use super::row::Subject;
use super::title;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, clean};
use crate::dashboard::glyphs;
use crate::dashboard::msg::Click;
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;
use crate::format;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let area = canvas.area();
    let (head, keys) = if area.height >= 3 && area.width >= 12 {
        (1, 1)
    } else {
        (0, 0)
    };
    if head > 0 {
        first_line(state, area.width, canvas);
    }
    let last = area.height.saturating_sub(keys);
    canvas.stale = state.is_stale();
    let room = usize::from(last.saturating_sub(head)).max(1);
    let lines = urgent_lines(state, room);
    for (y, at) in (head..last).zip(lines) {
        row(state, at, y, area.width, canvas);
    }
    canvas.stale = false;
    if keys > 0 {
        let hint = if state.may_act() && !state.fleet.is_empty() {
            "x cut  + raise  ?"
        } else {
            "? help  q quit"
        };
        canvas.put(0, last, area.width, hint, Role::Muted);
    }
}

fn first_line(state: &State, width: u16, canvas: &mut Canvas<'_>) {
    let (word, role) = title::link_word(state);
    let text = match (&state.head, state.is_stale()) {
        (Some(head), false) => {
            let totals = &head.told.totals;
            let rate = format::tokens(totals.rate_per_minute);
            let clock = state.zone().clock(state.now());
            let clock = clean!("{}", clock.as_str().get(..5).unwrap_or_default());
            clean!("● {}  {rate}/m  {clock}", totals.bottles)
        }
        _ => word,
    };
    canvas.put(0, 0, width, &text, role);
}

/// By urgency; where the cursor's line would not be among them, it is the last.
fn urgent_lines(state: &State, room: usize) -> Vec<usize> {
    let lines = state.table.lines();
    let mut places: Vec<usize> = state
        .table
        .order
        .names()
        .iter()
        .filter_map(|name| lines.iter().position(|line| line.name == *name))
        .take(room)
        .collect();
    let at = state.table.at();
    if !places.contains(&at) && at < lines.len() {
        places.pop();
        places.push(at);
    }
    places
}

fn row(state: &State, at: usize, y: u16, width: u16, canvas: &mut Canvas<'_>) {
    let Some(line) = state.table.lines().get(at) else {
        return;
    };
    let Some(bottle) = state.fleet.bottle(&line.name) else {
        return;
    };
    let area = Rect::new(0, y, width, 1);
    if at == state.table.at() {
        let selected = canvas.look().selected();
        canvas.paint(area, selected);
    }
    canvas.hit(area, Click::Row(line.name.clone()));
    let subject = Subject::new(state, bottle, line.rate_per_minute);
    let style = canvas.style(subject.role().into());
    canvas.glyph(0, y, glyphs::sign(subject.sign, canvas.look().ascii), style);
    let (left, role) = subject.left();
    let left_width = clean::width(left.as_str());
    let name_room = width.saturating_sub(left_width + 3);
    if name_room < 6 {
        let room = width.saturating_sub(2);
        canvas.put(2, y, room, &bottle.name.shortened(room), Role::Text);
        return;
    }
    canvas.put(
        2,
        y,
        name_room,
        &bottle.name.shortened(name_room),
        Role::Text,
    );
    canvas.put_right(width - left_width, y, left_width, &left, role);
}
