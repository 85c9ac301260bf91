//! The table of bottles.

use ratatui::layout::Rect;

use super::columns::{self, Column, MARGIN, Need, Placed};
use super::row::Subject;
use super::{BOLD_FOR, bar};
use crate::dashboard::canvas::{Canvas, Ink};
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::glyphs;
use crate::dashboard::layout;
use crate::dashboard::msg::Click;
use crate::dashboard::state::{Line, State};
use crate::dashboard::theme::Role;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let regions = layout::regions(state);
    if regions.rows.height == 0 {
        return;
    }
    let columns = columns::place(regions.rows, need(state));
    header(&columns, regions.header, canvas);
    let lines = state.table.lines();
    let shown = lines.iter().enumerate().skip(state.table.top());
    for (y, (at, line)) in (regions.rows.top()..regions.rows.bottom()).zip(shown) {
        row(state, line, at, y, &columns, canvas);
    }
    if lines.is_empty() {
        canvas.put(
            MARGIN,
            regions.rows.y,
            regions.rows.width,
            "no bottle is like that; Esc shows all",
            Role::Muted,
        );
    }
}

fn need(state: &State) -> Need {
    let budgets = || state.fleet.budgets();
    Need {
        pace: budgets().any(|budget| budget.told.pace_thousandths.is_some()),
        resets: budgets().any(|budget| budget.told.resets_at.is_some()),
    }
}

fn header(columns: &[Placed], area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    for placed in columns {
        let text = match placed.column {
            Column::Enforced if placed.width < 8 => "E",
            column => column.header(),
        };
        if placed.column.is_right() {
            canvas.put_right(placed.x, area.y, placed.width, text, Role::Muted);
        } else {
            canvas.put(placed.x, area.y, placed.width, text, Role::Muted);
        }
    }
}

fn row(state: &State, line: &Line, at: usize, y: u16, columns: &[Placed], canvas: &mut Canvas<'_>) {
    let Some(found) = state.fleet.row(&line.name) else {
        return;
    };
    let look = canvas.look();
    let area = Rect::new(0, y, canvas.area().width, 1);
    let is_under_cursor = at == state.table.at();
    if is_under_cursor {
        canvas.paint(area, look.selected());
        canvas.put(0, y, 1, "▌", Role::Accent);
    }
    let turned = found
        .turned_at
        .is_some_and(|then| state.at < then + BOLD_FOR);
    let ink = |role: Role| Ink { role, bold: turned };
    let subject = Subject::new(state, &found.bottle, line.rate_per_minute);
    let sign = match line.fold {
        Some(fold) if !fold.open => fold.worst.max(subject.sign),
        _ => subject.sign,
    };
    let style = canvas.style(ink(subject.role()));
    canvas.glyph(1, y, glyphs::sign(sign, look.ascii), style);
    canvas.hit(area, Click::Row(line.name.clone()));
    for placed in columns {
        let Placed { column, x, width } = *placed;
        match column {
            Column::Bottle => name(
                line,
                &found.bottle.name,
                y,
                *placed,
                ink(Role::Text),
                canvas,
            ),
            Column::Budget => {
                if let Some(budget) = subject.budget {
                    bar::draw(canvas, x, y, width, budget, subject.is_cut());
                }
            }
            Column::Recent => sparkline(&found.bottle.told.recent, x, y, width, canvas),
            _ => {
                let (text, role) = subject.cell(column, width);
                if column.is_right() {
                    canvas.put_right(x, y, width, &text, ink(role));
                } else {
                    canvas.put(x, y, width, &text, ink(role));
                }
            }
        }
    }
}

/// Tree lines, the fold sign, the name with both its ends.
fn name(line: &Line, name: &Clean, y: u16, placed: Placed, ink: Ink, canvas: &mut Canvas<'_>) {
    let Placed { mut x, width, .. } = placed;
    let end = x + width;
    for depth in 1..=line.depth {
        let goes_on = line.branches & (1_u16 << depth) != 0;
        let branch = match (depth == line.depth, goes_on) {
            (true, true) => "├",
            (true, false) => "└",
            (false, true) => "│",
            (false, false) => " ",
        };
        if x + 2 >= end {
            break;
        }
        canvas.put(x, y, 1, branch, Role::Faint);
        x += 2;
    }
    let mut shown = name.clone();
    if let Some(fold) = line.fold {
        let glyph = glyphs::fold(fold.open, canvas.look().ascii);
        let style = canvas.style(Role::Accent.into());
        canvas.glyph(x, y, glyph, style);
        canvas.hit(Rect::new(x, y, 2, 1), Click::Fold(line.name.clone()));
        x = (x + 2).min(end);
        if !fold.open {
            let count = clean!(" ({})", fold.below);
            let room = (end - x).saturating_sub(crate::dashboard::clean::width(count.as_str()));
            shown = clean!("{}{count}", shown.shortened(room));
        }
    }
    canvas.put(
        x,
        y,
        end.saturating_sub(x),
        &shown.shortened(end.saturating_sub(x)),
        ink,
    );
}

/// What it spent in the last ten minutes, on a scale of its own.
fn sparkline(recent: &[u64], x: u16, y: u16, width: u16, canvas: &mut Canvas<'_>) {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let style = canvas.style(Role::Accent.into());
    let count = recent.len();
    let sums: Vec<u64> = (0..usize::from(width))
        .map(|cell| {
            let from = cell * count / usize::from(width);
            let to = ((cell + 1) * count / usize::from(width)).max(from + 1);
            let part = recent.get(from..to.min(count)).unwrap_or_default();
            let sum = part.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
            sum / u64::try_from(part.len().max(1)).unwrap_or(1)
        })
        .collect();
    let Some(most) = sums.iter().max().copied().filter(|most| *most > 0) else {
        return;
    };
    for (at, sum) in (x..).zip(sums) {
        let level = u128::from(sum) * 8 / u128::from(most);
        let level = usize::try_from(level).unwrap_or(8).min(7);
        let glyph = match (sum, LEVELS.get(level)) {
            (0, _) | (_, None) => continue,
            (_, Some(glyph)) => *glyph,
        };
        canvas.glyph(at, y, glyph, style);
    }
}
