//! A frame means a dialog, and a dialog means: decide.

use ratatui::layout::Rect;

use crate::dashboard::canvas::{Canvas, Ink};
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::layout::cells;
use crate::dashboard::theme::Role;

/// A line in a frame.
pub(crate) struct Said {
    pub(crate) text: Clean,
    pub(crate) role: Role,
}

impl Said {
    pub(crate) fn new(text: Clean, role: Role) -> Self {
        Self { text, role }
    }

    pub(crate) fn gap() -> Self {
        Self::new(Clean::default(), Role::Text)
    }
}

/// Draws a frame of these lines in the middle of the screen; returns its last line, which is free.
///
/// Where there is no room for a frame its lines stand alone; the last one is always kept.
///
/// It stands below the row it is about, `under`, where it can.
pub(crate) fn draw(
    title: &Clean,
    lines: &[Said],
    widest: u16,
    under: Option<u16>,
    canvas: &mut Canvas<'_>,
) -> Rect {
    let screen = canvas.area();
    let framed = screen.width >= 40 && screen.height >= 9;
    let width = if framed {
        screen.width.saturating_sub(6).min(widest).max(38)
    } else {
        screen.width
    };
    let margin = if framed { 2 } else { 0 };
    let inner_width = width.saturating_sub(2 * margin);
    let mut wrapped: Vec<(Clean, Role)> = Vec::new();
    for line in lines {
        for part in wrap(&line.text, inner_width) {
            wrapped.push((part, line.role));
        }
    }
    let inner = cells(wrapped.len()).saturating_add(1);
    let height = if framed {
        inner.saturating_add(2).min(screen.height)
    } else {
        inner.saturating_add(1).min(screen.height)
    };
    let middle = (screen.height - height) / 2;
    let top = under
        .map(|row| row + 1)
        .filter(|below| *below > middle && below + height <= screen.height)
        .unwrap_or(middle);
    let area = Rect::new((screen.width - width) / 2, top, width, height);
    canvas.clear(area);
    if framed {
        border(title, area, canvas);
    } else if area.height > 1 {
        canvas.put(area.x, area.y, area.width, title, bold(Role::Text));
    }
    let below = u16::from(framed);
    let last = area.bottom().saturating_sub(1 + below);
    let first = area.y + 1;
    for (y, (text, role)) in (first..last).zip(&wrapped) {
        canvas.put(area.x + margin, y, inner_width, text, *role);
    }
    Rect::new(area.x + margin, last, inner_width, 1)
}

fn bold(role: Role) -> Ink {
    Ink { role, bold: true }
}

/// Draws a frame with its title.
pub(crate) fn border(title: &Clean, area: Rect, canvas: &mut Canvas<'_>) {
    let (left, right) = (area.x, area.right() - 1);
    let (top, bottom) = (area.y, area.bottom() - 1);
    canvas.rule(left, top, area.width, '─', Role::Accent);
    canvas.rule(left, bottom, area.width, '─', Role::Accent);
    for y in top + 1..bottom {
        canvas.put(left, y, 1, "│", Role::Accent);
        canvas.put(right, y, 1, "│", Role::Accent);
    }
    for (x, y, corner) in [
        (left, top, "╭"),
        (right, top, "╮"),
        (left, bottom, "╰"),
        (right, bottom, "╯"),
    ] {
        canvas.put(x, y, 1, corner, Role::Accent);
    }
    let title = clean!(" {title} ");
    canvas.put(left + 2, top, area.width - 4, &title, bold(Role::Text));
}

/// Breaks a sentence at its spaces.
pub(crate) fn wrap(text: &Clean, width: u16) -> Vec<Clean> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.as_str().split(' ') {
        let longer = clean::width(&line) + 1 + clean::width(word);
        if !line.is_empty() && longer > width {
            lines.push(clean!("{line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(clean!("{line}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_at_its_spaces() {
        let wrapped = wrap(&clean!("one two three four"), 9);
        let texts: Vec<&str> = wrapped.iter().map(Clean::as_str).collect();
        assert_eq!(texts, ["one two", "three", "four"]);
        assert_eq!(wrap(&Clean::default(), 9), [Clean::default()]);
    }
}
