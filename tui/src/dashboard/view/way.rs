//! The budgets on a bottle's way: which binds now, which next, which only counts.

use bb_proto::budget::Scope;
use bb_proto::view::PathRole;
use ratatui::layout::Rect;

use super::{bar, sentences};
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::layout;
use crate::dashboard::rows::{Bottle, Budget};
use crate::dashboard::state::{SOON_MS, State, is_spent};
use crate::dashboard::theme::Role;
use crate::format;

/// How many rows the budgets and their sentences take.
pub(crate) fn height(state: &State, bottle: &Bottle, width: u16) -> u16 {
    let rows = on_way(state, bottle).len() + 1;
    let sentences = sentences::of(state, bottle, width).len();
    layout::cells(rows + usize::from(has_no_own(state, bottle)) + sentences + 2)
}

fn has_no_own(state: &State, bottle: &Bottle) -> bool {
    bottle.told.run.is_some()
        && !on_way(state, bottle)
            .iter()
            .any(|row| match &row.budget.told.scope {
                Scope::Launch(_) => true,
                Scope::Bottle(name) => *name == bottle.told.name,
                _ => false,
            })
}

/// The budgets on the way, and in sentences what follows.
pub(crate) fn draw(state: &State, bottle: &Bottle, area: Rect, canvas: &mut Canvas<'_>) {
    let rows = on_way(state, bottle);
    let mut y = area.top();
    let columns = Columns::new(area.width);
    if area.height > 5 {
        columns.header(area.x, y, canvas);
        y += 1;
    }
    let sentences = sentences::of(state, bottle, area.width);
    // The last line is kept for the sentence that says what happens.
    let kept = u16::from(area.height >= 3 && !sentences.is_empty());
    let last = area.bottom().saturating_sub(kept);
    let mut left_out = 0;
    for row in &rows {
        if y < last {
            columns.row(state, row, area.x, y, canvas);
            y += 1;
        } else {
            left_out += 1;
        }
    }
    if has_no_own(state, bottle) {
        if y < last {
            columns.own(bottle, area.x, y, canvas);
            y += 1;
        } else {
            left_out += 1;
        }
    }
    if sentences.is_empty() {
        return;
    }
    if y + 1 < area.bottom() && area.height > 5 {
        y += 1;
        for (y, sentence) in (y..area.bottom()).zip(&sentences) {
            canvas.put(area.x + 1, y, area.width - 1, sentence, Role::Text);
        }
    } else if let (Some(sentence), true) = (sentences.first(), y < area.bottom()) {
        let more = match left_out {
            0 => Clean::default(),
            more => clean!("({more} more: Enter)"),
        };
        let more_width = clean::width(more.as_str());
        let room = area.width.saturating_sub(more_width + 3);
        canvas.put(area.x + 1, y, room, sentence, Role::Text);
        let at = area.right().saturating_sub(more_width + 1);
        canvas.put(at, y, more_width, &more, Role::Muted);
    }
}

/// A budget on the bottle's way, and what it is to it.
struct OnWay<'a> {
    budget: &'a Budget,
    role: &'static str,
    binds_first: bool,
}

/// The one that binds first, the one after it, those that bind, those that only count.
fn on_way<'a>(state: &'a State, bottle: &'a Bottle) -> Vec<OnWay<'a>> {
    let first = state.fleet.binding(bottle).map(|b| &b.told.id);
    let next = state.fleet.binds_next(bottle).map(|b| &b.told.id);
    let mut rows: Vec<(u8, OnWay<'a>)> = bottle
        .told
        .path
        .iter()
        .filter_map(|on_path| {
            let budget = state.fleet.budget(&on_path.budget)?;
            let binds_first = first == Some(&on_path.budget);
            let (rank, role) = match on_path.role {
                _ if binds_first => (0, "binds now"),
                _ if next == Some(&on_path.budget) => (1, "binds next"),
                PathRole::Binds | PathRole::Ceiling => (2, "binds"),
                PathRole::Soft => (3, "warns only"),
                PathRole::Counted => (4, "counted only"),
            };
            let row = OnWay {
                budget,
                role,
                binds_first,
            };
            Some((rank, row))
        })
        .collect();
    rows.sort_by_key(|(rank, _)| *rank);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Where the columns of the budgets are.
struct Columns {
    scope: u16,
    bar: u16,
    width: u16,
}

impl Columns {
    fn new(width: u16) -> Self {
        let wide = width >= 100;
        Self {
            scope: if wide { 26 } else { 15 },
            bar: if wide { 20 } else { 8 },
            width,
        }
    }

    /// The left end of each column: provider, window, bar, used, left, resets, role.
    fn places(&self) -> [u16; 7] {
        let provider = 1 + self.scope + 1;
        let window = provider + 9;
        let bar = window + 9;
        let used = bar + self.bar + 1;
        let left = used + 11;
        let resets = left + 7;
        [provider, window, bar, used, left, resets, resets + 7]
    }

    fn header(&self, x: u16, y: u16, canvas: &mut Canvas<'_>) {
        let [provider, window, bar, used, left, resets, role] = self.places();
        let mut put = |at: u16, width: u16, text: &'static str, is_right: bool| {
            let room = self.width.saturating_sub(at).min(width);
            if is_right {
                canvas.put_right(x + at, y, room, text, Role::Muted);
            } else {
                canvas.put(x + at, y, room, text, Role::Muted);
            }
        };
        put(1, self.scope, "SCOPE", false);
        put(provider, 8, "PROVIDER", false);
        put(window, 8, "WINDOW", false);
        put(bar, self.bar, "USED", false);
        put(used, 10, "USED/LIMIT", true);
        put(left, 6, "LEFT", true);
        put(resets, 6, "RESETS", true);
        put(role, 12, "ROLE", false);
    }

    fn row(&self, state: &State, row: &OnWay<'_>, x: u16, y: u16, canvas: &mut Canvas<'_>) {
        let [provider, window, bar_at, used, left, resets, role] = self.places();
        let told = &row.budget.told;
        if row.binds_first {
            canvas.put(x, y, 1, "▸", Role::Accent);
        }
        let room = |at: u16, width: u16| self.width.saturating_sub(at).min(width);
        let mark = if told.ceiling { "^" } else { "" };
        let scope = clean!("{}{mark}", row.budget.scope).shortened(self.scope);
        canvas.put(x + 1, y, room(1, self.scope), &scope, Role::Text);
        let put = |at: u16, width: u16, text: &Clean, canvas: &mut Canvas<'_>| {
            canvas.put(x + at, y, room(at, width), text, Role::Muted);
        };
        put(provider, 8, &row.budget.provider, canvas);
        put(window, 8, &row.budget.window, canvas);
        let bar_room = room(bar_at, self.bar);
        bar::draw(
            canvas,
            x + bar_at,
            y,
            bar_room,
            row.budget,
            is_spent(row.budget),
        );
        let right = |at: u16, width: u16, text: &Clean, role: Role, canvas: &mut Canvas<'_>| {
            canvas.put_right(x + at, y, room(at, width), text, role);
        };
        let of = clean!("{}", format::used_of(told.used, told.limit));
        right(used, 10, &of, Role::Text, canvas);
        let (time, time_role) = match told.left_ms {
            _ if is_spent(row.budget) => (clean!("spent"), Role::Crit),
            _ if told.resets_first => (clean!("resets"), Role::Muted),
            Some(ms) if ms < SOON_MS => (clean!("{}", format::duration_ms(ms)), Role::Warn),
            Some(ms) => (clean!("{}", format::duration_ms(ms)), Role::Text),
            None => (clean!("-"), Role::Muted),
        };
        right(left, 6, &time, time_role, canvas);
        let when = told.resets_at.map_or_else(
            || clean!("{}", super::budgets::never(told.window)),
            |at| state.zone().short(at, state.now()),
        );
        right(resets, 6, &when, Role::Muted, canvas);
        canvas.put(x + role, y, room(role, 12), row.role, Role::Muted);
    }

    /// What the bottle spent itself, where it has no budget of its own.
    fn own(&self, bottle: &Bottle, x: u16, y: u16, canvas: &mut Canvas<'_>) {
        let [provider, window, _, used, _, _, role] = self.places();
        let room = |at: u16, width: u16| self.width.saturating_sub(at).min(width);
        let scope = clean!("bottle:{}", bottle.name).shortened(self.scope);
        canvas.put(x + 1, y, room(1, self.scope), &scope, Role::Text);
        canvas.put(x + provider, y, room(provider, 8), "all", Role::Muted);
        canvas.put(x + window, y, room(window, 8), "run", Role::Muted);
        let spent = clean!("{}", format::tokens(bottle.told.used_run.0));
        canvas.put_right(x + used, y, room(used, 10), &spent, Role::Text);
        canvas.put(x + role, y, room(role, 12), "no budget", Role::Muted);
    }
}
