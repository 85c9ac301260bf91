//! The table: which lines there are, which one the cursor is on, which ones are on the screen.

use std::time::Duration;

use bb_proto::ids::BottleName;

use super::filter::Filter;
use super::fleet::Fleet;
use super::lines::{self, Line, Shape};
use super::order::Order;

/// How often the order is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many ancestors are asked where a bottle went.
const ANCESTORS_MAX: usize = 64;

/// The table of bottles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) order: Order,
    pub(crate) shape: Shape,
    pub(crate) filter: Filter,
    lines: Vec<Line>,
    cursor: Option<BottleName>,
    /// The bottle that the operator chose: where that one is folded away or filtered out, the
    /// cursor waits beside it.
    chosen: Option<BottleName>,
    /// The line of the cursor.
    at: usize,
    /// The first line on the screen.
    top: usize,
    /// Where on the screen the cursor's line was before the lines were made anew.
    screen_line: Option<usize>,
    /// Whether the wheel moved the screen away from the cursor.
    looks_away: bool,
    /// When the order may be looked at next.
    pub(crate) look_at: Duration,
    /// Whether another look could find another order.
    pub(crate) unsettled: bool,
    /// How often in a row the most urgent was asked for.
    pub(crate) urgent_steps: usize,
}

impl Table {
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn cursor(&self) -> Option<&BottleName> {
        self.cursor.as_ref()
    }

    /// Returns the number of the cursor's line.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// Makes the lines anew. The cursor stays on its bottle; `place` puts it on the screen.
    ///
    /// Returns the bottle that was chosen if that is not there any more.
    pub(crate) fn remake(&mut self, fleet: &Fleet) -> Option<BottleName> {
        self.screen_line = self.at.checked_sub(self.top);
        self.lines = lines::lines(fleet, self.order.names(), &self.shape, &self.filter);
        let Some(chosen) = self.chosen.take() else {
            self.choose_most_urgent();
            return None;
        };
        let is_there = fleet.bottle(&chosen).is_some();
        let place = if is_there {
            self.line_of(&chosen)
                .or_else(|| self.line_of_ancestor(fleet, &chosen))
        } else {
            None
        };
        let last = self.lines.len().saturating_sub(1);
        self.at = place
            .or_else(|| self.cursor.as_ref().and_then(|name| self.line_of(name)))
            .unwrap_or(self.at)
            .min(last);
        self.cursor = self.lines.get(self.at).map(|line| line.name.clone());
        if is_there {
            self.chosen = Some(chosen);
            return None;
        }
        self.chosen.clone_from(&self.cursor);
        Some(chosen)
    }

    /// Puts the cursor's line where it was on the screen, or in its middle the first time.
    pub(crate) fn place(&mut self, height: usize) {
        if self.looks_away {
            self.top = self.top.min(self.lines.len().saturating_sub(height));
            return;
        }
        let screen_line = self.screen_line.unwrap_or(height / 2);
        self.top = self.at.saturating_sub(screen_line);
        self.scroll_to_cursor(height);
    }

    /// The first time: on what runs out first. It may stand under its parent.
    fn choose_most_urgent(&mut self) {
        let first = self
            .order
            .names()
            .iter()
            .find_map(|name| self.line_of(name).map(|line| (name.clone(), line)));
        if let Some((name, line)) = first {
            self.cursor = Some(name.clone());
            self.chosen = Some(name);
            self.at = line;
            self.screen_line = None;
        }
    }

    /// Returns the line of the nearest ancestor that has one: where a folded bottle went.
    fn line_of_ancestor(&self, fleet: &Fleet, name: &BottleName) -> Option<usize> {
        let mut at = name;
        for _ in 0..ANCESTORS_MAX {
            at = fleet.bottle(at)?.told.parents.last()?;
            if let Some(line) = self.line_of(at) {
                return Some(line);
            }
        }
        None
    }

    fn line_of(&self, name: &BottleName) -> Option<usize> {
        self.lines.iter().position(|line| line.name == *name)
    }

    /// Moves the cursor to a line.
    pub(crate) fn go_to_line(&mut self, line: usize, height: usize) {
        self.at = line.min(self.lines.len().saturating_sub(1));
        self.cursor = self.lines.get(self.at).map(|line| line.name.clone());
        self.chosen.clone_from(&self.cursor);
        self.scroll_to_cursor(height);
    }

    /// Moves the cursor to a bottle; returns whether it has a line.
    pub(crate) fn go_to(&mut self, name: &BottleName, height: usize) -> bool {
        let line = self.line_of(name);
        if let Some(line) = line {
            self.go_to_line(line, height);
        }
        line.is_some()
    }

    /// Moves what is on the screen; the cursor stays where it is, if need be out of sight.
    pub(crate) fn scroll(&mut self, down: bool, by: usize, height: usize) {
        self.looks_away = true;
        let last_top = self.lines.len().saturating_sub(height);
        self.top = if down {
            (self.top + by).min(last_top)
        } else {
            self.top.saturating_sub(by)
        };
    }

    /// Chooses what is on the screen so that the cursor is, and no line is left empty.
    pub(crate) fn scroll_to_cursor(&mut self, height: usize) {
        self.looks_away = false;
        let height = height.max(1);
        let last_top = self.lines.len().saturating_sub(height);
        self.top = self
            .top
            .clamp((self.at + 1).saturating_sub(height), self.at)
            .min(last_top);
    }
}
