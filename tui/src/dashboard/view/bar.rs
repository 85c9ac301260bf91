//! A budget as a bar: what is used, what is reserved, how much of the window has passed.
//!
//! Rounded down: a full bar is a spent budget.

use crate::dashboard::canvas::Canvas;
use crate::dashboard::rows::Budget;
use crate::dashboard::state::SOON_MS;
use crate::dashboard::theme::Role;
use crate::format;

/// From this many cells up the warning levels are marked.
const MARKS_FROM: u16 = 20;

/// One cell of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Eighths of it that are used, from 0 to 8.
    Used(u8),
    /// The last cell, which is used in part: in ASCII too only a spent budget is full.
    Last(u8),
    Pending,
    /// The budget is over, in the last cell.
    Over,
    Mark,
    /// The share of time that has passed, in the used part or in the empty one.
    Tick(bool),
}

/// Draws the bar of a budget.
pub(crate) fn draw(
    canvas: &mut Canvas<'_>,
    x: u16,
    y: u16,
    width: u16,
    budget: &Budget,
    cut: bool,
) {
    let look = canvas.look();
    let role = fill(budget, cut);
    let drawn = if canvas.stale { Role::Stale } else { role };
    for (at, cell) in (x..).zip(cells(budget, width)) {
        let style = match cell {
            Cell::Tick(true) => look.tick_in(drawn),
            Cell::Tick(false) => look.track().patch(look.style(Role::Text)),
            Cell::Used(0) | Cell::Mark => look.track().patch(look.style(Role::Faint)),
            Cell::Used(_) | Cell::Last(_) | Cell::Pending | Cell::Over => {
                look.track().patch(look.style(drawn))
            }
        };
        canvas.glyph(at, y, glyph(cell, look.ascii), style);
    }
}

/// Returns the role of the used part.
pub(crate) fn fill(budget: &Budget, cut: bool) -> Role {
    let told = &budget.told;
    let soon = !told.resets_first && told.left_ms.is_some_and(|left| left < SOON_MS);
    match told.used.percent_of(told.limit) {
        95.. => Role::Crit,
        _ if cut => Role::Crit,
        _ if soon || !told.warned.is_empty() => Role::Warn,
        _ => Role::Ok,
    }
}

fn glyph(cell: Cell, ascii: bool) -> char {
    const PARTS: [char; 9] = ['·', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    match (cell, ascii) {
        (Cell::Used(eighths) | Cell::Last(eighths), false) => {
            PARTS.get(usize::from(eighths)).copied().unwrap_or('█')
        }
        (Cell::Used(0..=3) | Cell::Last(_), true) => '.',
        (Cell::Used(_), true) => '#',
        (Cell::Pending, false) => '▒',
        (Cell::Pending, true) => '=',
        (Cell::Over, false) => '▶',
        (Cell::Over, true) => '>',
        (Cell::Mark, false) => '╷',
        (Cell::Mark, true) => ':',
        (Cell::Tick(_), false) => '│',
        (Cell::Tick(_), true) => '|',
    }
}

fn cells(budget: &Budget, width: u16) -> Vec<Cell> {
    let told = &budget.told;
    let count = usize::from(width);
    let filled = format::eighths(told.used, told.limit, count);
    let (full, part) = (filled / 8, u8::try_from(filled % 8).unwrap_or(0));
    let mut cells = vec![Cell::Used(0); count];
    cells
        .iter_mut()
        .take(full)
        .for_each(|cell| *cell = Cell::Used(8));
    let mut used_cells = full;
    if part > 0
        && let Some(cell) = cells.get_mut(full)
    {
        *cell = if full + 1 == count {
            Cell::Last(part)
        } else {
            Cell::Used(part)
        };
        used_cells += 1;
    }
    if width >= MARKS_FROM {
        for level in &told.warn {
            let at = count * usize::from(*level) / 100;
            if at >= used_cells
                && let Some(cell) = cells.get_mut(at)
            {
                *cell = Cell::Mark;
            }
        }
    }
    let reserved = told.used.plus(told.pending);
    let reserved_cells = format::eighths(reserved, told.limit, count) / 8;
    for cell in cells.iter_mut().take(reserved_cells).skip(used_cells) {
        *cell = Cell::Pending;
    }
    if let Some(elapsed) = told.elapsed_thousandths {
        let elapsed = usize::try_from(elapsed).unwrap_or(usize::MAX).min(999);
        let at = count * elapsed / 1000;
        if let Some(cell) = cells.get_mut(at) {
            *cell = Cell::Tick(at < full);
        }
    }
    if told.used > told.limit
        && let Some(last) = cells.last_mut()
    {
        *last = Cell::Over;
    }
    cells
}

#[cfg(test)]
mod tests {
    use bb_proto::units::Tokens;

    use super::*;
    use crate::dashboard::fixture;

    fn drawn(used: u64, limit: u64, width: u16, ascii: bool) -> String {
        written(&fixture::host_budget(used, limit), width, ascii)
    }

    fn written(budget: &Budget, width: u16, ascii: bool) -> String {
        cells(budget, width)
            .into_iter()
            .map(|cell| glyph(cell, ascii))
            .collect()
    }

    #[test]
    fn a_bar_is_full_only_when_the_budget_is_spent() {
        assert_eq!(drawn(0, 100_000, 8, false), "········");
        assert_eq!(drawn(1, 100_000, 8, false), "········");
        assert_eq!(drawn(94_990, 100_000, 8, false), "███████▌");
        assert_eq!(drawn(99_990, 100_000, 8, false), "███████▉");
        assert_eq!(drawn(100_000, 100_000, 8, false), "████████");
        assert_eq!(drawn(101_000, 100_000, 8, false), "███████▶");
        assert_eq!(drawn(0, 0, 8, false), "████████");
        assert_eq!(drawn(1, 0, 8, false), "███████▶");
        assert_eq!(drawn(1, u64::MAX, 8, false), "········");
        assert_eq!(drawn(u64::MAX, u64::MAX, 8, false), "████████");
        assert_eq!(drawn(5, 10, 0, false), "");
    }

    #[test]
    fn in_ascii_half_a_cell_counts_and_the_last_cell_does_not() {
        assert_eq!(drawn(99_990, 100_000, 8, true), "#######.");
        assert_eq!(drawn(57_000, 100_000, 8, true), "#####...");
        assert_eq!(drawn(101_000, 100_000, 8, true), "#######>");
    }

    #[test]
    fn the_tick_stands_where_time_is_and_levels_are_marked_in_the_empty_part() {
        let mut budget = fixture::host_budget(3_410_000, 5_000_000);
        budget.told.elapsed_thousandths = Some(585);
        budget.told.warn = vec![50, 80, 95];
        assert_eq!(written(&budget, 14, false), "████████│▌····");
        assert_eq!(
            written(&budget, 30, false),
            "█████████████████│██▍···╷···╷·"
        );
        budget.told.elapsed_thousandths = Some(1000);
        assert_eq!(written(&budget, 14, false), "█████████▌···│");
    }

    #[test]
    fn what_is_reserved_follows_what_is_used_where_it_is_a_cell_or_more() {
        let mut budget = fixture::host_budget(400, 1_000);
        budget.told.pending = Tokens(250);
        assert_eq!(written(&budget, 10, false), "████▒▒····");
        budget.told.pending = Tokens(90);
        assert_eq!(written(&budget, 10, false), "████······");
        budget.told.pending = Tokens(u64::MAX);
        assert_eq!(written(&budget, 10, true), "####======");
    }

    #[test]
    fn the_colour_follows_what_is_left() {
        let mut budget = fixture::host_budget(500, 1_000);
        assert_eq!(fill(&budget, false), Role::Ok);
        assert_eq!(fill(&budget, true), Role::Crit);
        budget.told.left_ms = Some(599_999);
        assert_eq!(fill(&budget, false), Role::Warn);
        budget.told.resets_first = true;
        assert_eq!(fill(&budget, false), Role::Ok);
        budget.told.used = Tokens(950);
        assert_eq!(fill(&budget, false), Role::Crit);
    }
}
