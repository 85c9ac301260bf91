//! Help, made from the key table.

use ratatui::layout::Rect;

use super::frame;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::keys::BINDINGS;
use crate::dashboard::layout::cells;
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;

/// What the signs mean.
const LEGEND: [&str; 6] = [
    "● running ○ idle ▲ warned ■ cut off",
    "» wanted, not yet so  ✗ failed",
    "□ stopped  · only named as a parent",
    "▾ open  ▸ folded  host^ a ceiling",
    "█ used  ▒ reserved  ▶ over the limit",
    "S sealed  K keyed  A advisory",
];

/// How wide a column of keys is.
const KEYS: u16 = 9;

/// Returns what help says: a key with what it does, or a line of the legend.
fn entries(state: &State) -> Vec<(Clean, Clean)> {
    let keys = BINDINGS
        .iter()
        .filter(|row| !(row.acts && state.start.read_only))
        .map(|row| (clean!("{}", row.shown), clean!("{}", row.does)));
    let legend = LEGEND
        .iter()
        .map(|line| (Clean::default(), clean!("{line}")));
    keys.chain(legend).collect()
}

pub(crate) fn draw(state: &State, scroll: u16, canvas: &mut Canvas<'_>) {
    let screen = canvas.area();
    let entries = entries(state);
    let columns: u16 = if screen.width >= 80 { 2 } else { 1 };
    let width = screen.width.min(columns * 40);
    let lines = cells(entries.len().div_ceil(usize::from(columns)));
    let height = screen.height.min(lines + 2);
    let area = Rect::new(
        (screen.width - width) / 2,
        (screen.height - height) / 2,
        width,
        height,
    );
    canvas.clear(area);
    if area.width < 4 || area.height < 2 {
        return;
    }
    frame::border(&clean!("Help: Esc closes it"), area, canvas);
    let inner = height.saturating_sub(2);
    let scroll = scroll.min(lines.saturating_sub(inner));
    let column_width = (width - 2) / columns;
    for (at, (key, does)) in (0..).zip(&entries) {
        let (column, line) = (at / lines, at % lines);
        let Some(line) = line.checked_sub(scroll).filter(|line| *line < inner) else {
            continue;
        };
        let x = area.x + column * column_width + 2;
        let y = area.y + 1 + line;
        let end = area.x + 1 + (column + 1) * column_width;
        let room = |from: u16| end.saturating_sub(from);
        if key.is_empty() {
            canvas.put(x, y, room(x), does, Role::Muted);
        } else {
            canvas.put(x, y, room(x).min(KEYS), key, Role::Accent);
            let at = x + KEYS.max(clean::width(key.as_str())) + 1;
            canvas.put(at, y, room(at), does, Role::Text);
        }
    }
}
