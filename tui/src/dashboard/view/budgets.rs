//! The host's budgets, a line each.

use bb_proto::budget::Window;
use ratatui::layout::Rect;

use super::bar;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::layout::Regions;
use crate::dashboard::rows::Budget;
use crate::dashboard::state::{SOON_MS, State, is_spent};
use crate::dashboard::theme::Role;
use crate::format;

/// The bar's cells on a wide and on a narrow line.
const BAR: (u16, u16) = (30, 14);
/// A line from this width up has the wide bar.
const WIDE_FROM: u16 = 96;

pub(crate) fn draw(state: &State, regions: &Regions, canvas: &mut Canvas<'_>) {
    let area = regions.budgets;
    let beside = regions.budgets_beside.max(1);
    let width = area.width / beside;
    let shown = state.fleet.host_budgets();
    let places = (area.top()..area.bottom())
        .flat_map(|y| (0..beside).map(move |n| Rect::new(area.x + n * width, y, width, 1)));
    for (place, budget) in places.zip(shown) {
        line(state, budget, place, canvas);
    }
}

fn line(state: &State, budget: &Budget, area: Rect, canvas: &mut Canvas<'_>) {
    let told = &budget.told;
    let (y, end) = (area.y, area.right());
    let mut x = area.x;
    let put = |x: &mut u16, width: u16, text: &Clean, role: Role, canvas: &mut Canvas<'_>| {
        canvas.put(*x, y, width.min(end.saturating_sub(*x)), text, role);
        *x += width + 1;
    };
    put(&mut x, 4, &clean!("host"), Role::Muted, canvas);
    let mark = if told.ceiling { "^" } else { "" };
    put(
        &mut x,
        7,
        &clean!("{}{mark}", budget.provider),
        Role::Text,
        canvas,
    );
    put(&mut x, 5, &budget.window, Role::Muted, canvas);
    let cells = if area.width >= WIDE_FROM {
        BAR.0
    } else {
        BAR.1
    };
    if x + cells < end {
        bar::draw(canvas, x, y, cells, budget, is_spent(budget));
    }
    x += cells + 1;
    let right = |x: &mut u16, width: u16, text: &Clean, role: Role, canvas: &mut Canvas<'_>| {
        let room = width.min(end.saturating_sub(*x));
        canvas.put_right(*x, y, room, text, role);
        *x += width + 1;
    };
    let percent = clean!("{}", format::percent(told.used, told.limit));
    right(&mut x, 4, &percent, bar::fill(budget, false), canvas);
    let used = clean!("{}", format::used_of(told.used, told.limit));
    right(&mut x, 10, &used, Role::Text, canvas);
    let (left, role) = left(budget);
    let wide = clean::width(left.as_str()).max(10);
    right(&mut x, wide, &left, role, canvas);
    let room = end.saturating_sub(x);
    let resets = match told.resets_at {
        Some(at) => {
            let due = clean!("resets {}", state.zone().due(at, state.now()));
            if clean::width(due.as_str()) <= room {
                due
            } else {
                clean!("resets {}", state.zone().short(at, state.now()))
            }
        }
        None => match never(told.window) {
            "never" => clean!("never resets"),
            rolls => clean!("{rolls}"),
        },
    };
    canvas.put(x, y, room, &resets, Role::Muted);
}

/// Returns what is said of a window that never turns.
pub(super) fn never(window: Window) -> &'static str {
    match window {
        Window::Rolling(_) => "rolls",
        _ => "never",
    }
}

fn left(budget: &Budget) -> (Clean, Role) {
    let told = &budget.told;
    match told.left_ms {
        _ if is_spent(budget) => (clean!("spent"), Role::Crit),
        _ if told.resets_first => (clean!("resets first"), Role::Muted),
        Some(ms) => (
            clean!("{} left", format::duration_ms(ms)),
            if ms < SOON_MS { Role::Warn } else { Role::Text },
        ),
        None => (clean!("-"), Role::Muted),
    }
}
