//! The table: which lines there are, which one the cursor is on, which ones are on the screen.

use std::time::Duration;

use bb_proto::ids::BottleName;

use super::filter::Filter;
use super::fleet::Fleet;
use super::lines::{self, Line, Shape};
use super::order::Order;

/// How often the order is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The table of bottles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) order: Order,
    pub(crate) shape: Shape,
    pub(crate) filter: Filter,
    lines: Vec<Line>,
    cursor: Option<BottleName>,
    /// The line of the cursor.
    at: usize,
    /// The first line on the screen.
    top: usize,
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

    /// Makes the lines anew. The cursor stays on its bottle, and its bottle on its screen line.
    ///
    /// Returns the bottle that the cursor was on if that went away.
    pub(crate) fn remake(&mut self, fleet: &Fleet, height: usize) -> Option<BottleName> {
        let screen_line = self.at.saturating_sub(self.top);
        self.lines = lines::lines(fleet, self.order.names(), &self.shape, &self.filter);
        let wanted = self.cursor.take();
        let mut gone = None;
        let found = wanted.as_ref().and_then(|name| self.line_of(name));
        match (found, wanted) {
            (Some(line), Some(name)) => {
                self.cursor = Some(name);
                self.at = line;
            }
            (_, None) => {
                // The first time: on what runs out first. It may stand under its parent.
                let first = self
                    .order
                    .names()
                    .iter()
                    .find(|name| self.line_of(name).is_some())
                    .cloned();
                self.at = first.as_ref().and_then(|n| self.line_of(n)).unwrap_or(0);
                self.cursor = first;
                self.top = self.at.saturating_sub(height / 2);
                self.scroll_to_cursor(height);
                return None;
            }
            (None, Some(name)) => {
                let shown = nearest_shown(fleet, &name, |n| self.line_of(n));
                self.at = shown
                    .unwrap_or(self.at)
                    .min(self.lines.len().saturating_sub(1));
                self.cursor = self.lines.get(self.at).map(|line| line.name.clone());
                gone = Some(name);
            }
        }
        self.top = self.at.saturating_sub(screen_line);
        self.scroll_to_cursor(height);
        gone
    }

    fn line_of(&self, name: &BottleName) -> Option<usize> {
        self.lines.iter().position(|line| line.name == *name)
    }

    /// Moves the cursor to a line.
    pub(crate) fn go_to_line(&mut self, line: usize, height: usize) {
        self.at = line.min(self.lines.len().saturating_sub(1));
        self.cursor = self.lines.get(self.at).map(|line| line.name.clone());
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
        let last_top = self.lines.len().saturating_sub(height);
        self.top = if down {
            (self.top + by).min(last_top)
        } else {
            self.top.saturating_sub(by)
        };
    }

    /// Chooses what is on the screen so that the cursor is, and no line is left empty.
    pub(crate) fn scroll_to_cursor(&mut self, height: usize) {
        let height = height.max(1);
        let last_top = self.lines.len().saturating_sub(height);
        self.top = self
            .top
            .clamp((self.at + 1).saturating_sub(height), self.at)
            .min(last_top);
    }
}

/// Returns the line of the first ancestor that has one: where a folded bottle went.
fn nearest_shown(
    fleet: &Fleet,
    name: &BottleName,
    line_of: impl Fn(&BottleName) -> Option<usize>,
) -> Option<usize> {
    let mut at = name.clone();
    for _ in 0..64 {
        at = fleet.bottle(&at)?.told.parents.last()?.clone();
        if let Some(line) = line_of(&at) {
            return Some(line);
        }
    }
    None
}
