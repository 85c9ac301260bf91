//! The only way onto the screen: takes the program's own words and `Clean`, keeps within its
//! width, and notes what the mouse can hit.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::clean::{self, Clean};
use super::glyphs;
use super::msg::Click;
use super::theme::{Look, Role};

/// A text that may be drawn: the program's own words, or text that was cleaned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a>(&'a str);

impl From<&'static str> for Shown<'static> {
    fn from(own: &'static str) -> Self {
        Self(own)
    }
}

impl<'a> From<&'a Clean> for Shown<'a> {
    fn from(clean: &'a Clean) -> Self {
        Self(clean.as_str())
    }
}

/// Where the mouse can hit what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) area: Rect,
    pub(crate) click: Click,
}

impl Hit {
    /// Returns what is hit at a place: what was drawn last is on top.
    pub(crate) fn find(hits: &[Self], column: u16, row: u16) -> Option<&Click> {
        hits.iter()
            .rev()
            .find(|hit| hit.area.contains(Position::new(column, row)))
            .map(|hit| &hit.click)
    }
}

/// A role, maybe made stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink {
    pub(crate) role: Role,
    pub(crate) bold: bool,
}

impl From<Role> for Ink {
    fn from(role: Role) -> Self {
        Self { role, bold: false }
    }
}

/// A screen that is being drawn.
#[derive(Debug)]
pub(crate) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    /// Everything is drawn as what was so once.
    pub(crate) stale: bool,
    pub(crate) hits: Vec<Hit>,
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        let area = buffer.area;
        buffer.reset();
        buffer.set_style(area, look.ground());
        Self {
            buffer,
            look,
            stale: false,
            hits: Vec::new(),
        }
    }

    pub(crate) fn look(&self) -> Look {
        self.look
    }

    pub(crate) fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Writes a text from the left; what is too long ends in `…`. Returns the cells it took.
    pub(crate) fn put<'t>(
        &mut self,
        x: u16,
        y: u16,
        width: u16,
        text: impl Into<Shown<'t>>,
        ink: impl Into<Ink>,
    ) -> u16 {
        let style = self.style(ink.into());
        self.write(x, y, width, text.into().0, style)
    }

    /// Writes a text that ends at the right end of its width.
    pub(crate) fn put_right<'t>(
        &mut self,
        x: u16,
        y: u16,
        width: u16,
        text: impl Into<Shown<'t>>,
        ink: impl Into<Ink>,
    ) -> u16 {
        let text = text.into();
        let indent = width.saturating_sub(clean::width(text.0));
        self.put(x.saturating_add(indent), y, width - indent, text, ink)
    }

    /// Writes one character in a style of its own.
    pub(crate) fn glyph(&mut self, x: u16, y: u16, glyph: char, style: Style) {
        self.write(x, y, 1, glyph.encode_utf8(&mut [0; 4]), style);
    }

    /// Fills a width with one character.
    pub(crate) fn rule(&mut self, x: u16, y: u16, width: u16, glyph: char, role: Role) {
        let style = self.style(role.into());
        for at in x..x.saturating_add(width).min(self.buffer.area.right()) {
            self.glyph(at, y, glyph, style);
        }
    }

    /// Puts a style under an area.
    pub(crate) fn paint(&mut self, area: Rect, style: Style) {
        self.buffer
            .set_style(area.intersection(self.buffer.area), style);
    }

    /// Clears an area for what comes on top of it.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let ground = self.look.ground();
        for y in area.top()..area.bottom() {
            self.split_wide(area.left(), y);
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut(Position::new(x, y)) {
                    cell.reset();
                    cell.set_style(ground);
                }
            }
        }
        self.hits
            .retain(|hit| hit.area.intersection(area).is_empty());
    }

    pub(crate) fn hit(&mut self, area: Rect, click: Click) {
        let area = area.intersection(self.buffer.area);
        if !area.is_empty() {
            self.hits.push(Hit { area, click });
        }
    }

    /// Returns the style of an ink as things are now.
    pub(crate) fn style(&self, ink: Ink) -> Style {
        let role = match (self.stale, ink.role) {
            (true, Role::Faint) | (false, _) => ink.role,
            (true, _) => Role::Stale,
        };
        let style = self.look.style(role);
        if ink.bold {
            style.add_modifier(Modifier::BOLD)
        } else {
            style
        }
    }

    /// A wide character whose second half is drawn over leaves a space.
    fn split_wide(&mut self, x: u16, y: u16) {
        if let Some(before) = x.checked_sub(1)
            && let Some(cell) = self.buffer.cell_mut(Position::new(before, y))
            && clean::width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
    }

    fn write(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        if x < area.left() || x >= area.right() || y < area.top() || y >= area.bottom() {
            return 0;
        }
        let width = width.min(area.right() - x);
        let is_cut = clean::width(text) > width;
        let room = if is_cut {
            width.saturating_sub(1)
        } else {
            width
        };
        if width == 0 || text.is_empty() {
            return 0;
        }
        self.split_wide(x, y);
        let mut taken = 0;
        for (symbol, cells) in clean::cells(text) {
            if taken + cells > room {
                break;
            }
            self.set(x + taken, y, symbol, style);
            if cells == 2 {
                self.set(x + taken + 1, y, " ", style);
            }
            taken += cells;
        }
        if is_cut {
            self.set(x + taken, y, "…", style);
            taken += 1;
        }
        taken
    }

    fn set(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        let ascii = self.look.ascii;
        if let Some(cell) = self.buffer.cell_mut(Position::new(x, y)) {
            let plain;
            let symbol = if ascii && !symbol.is_ascii() {
                plain = glyphs::in_ascii(symbol);
                plain.as_deref().unwrap_or(symbol)
            } else {
                symbol
            };
            cell.set_symbol(symbol).set_style(style);
        }
    }
}
