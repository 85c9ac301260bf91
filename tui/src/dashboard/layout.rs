//! Where each region of the screen is: a function of the state, so that `update` and `view` agree.

use ratatui::layout::Rect;

use super::state::{State, Tab};

/// Under this size only the most urgent names are shown.
const SMALLEST: (u16, u16) = (50, 10);

/// What kind of screen there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// The most urgent, and nothing else.
    Tiny,
    /// The controller speaks another version.
    OtherVersion,
    /// There is no bottle yet.
    Empty,
    Events,
    Main,
}

/// The regions of the main screen, from the top. One that is not there has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Regions {
    pub(crate) title: Rect,
    /// What is wrong with the whole host.
    pub(crate) alarms: Rect,
    pub(crate) budgets: Rect,
    /// How many budgets stand beside each other.
    pub(crate) budgets_beside: u16,
    pub(crate) next_out: Rect,
    pub(crate) rule: Rect,
    pub(crate) header: Rect,
    pub(crate) rows: Rect,
    pub(crate) pane: Rect,
    pub(crate) event: Rect,
    pub(crate) keys: Rect,
}

/// Returns which screen there is.
pub(crate) fn screen(state: &State) -> Screen {
    let (width, height) = (state.start.width, state.start.height);
    if width < SMALLEST.0 || height < SMALLEST.1 {
        Screen::Tiny
    } else if matches!(state.link, super::state::Link::OtherVersion(_)) {
        Screen::OtherVersion
    } else if state.log.open {
        Screen::Events
    } else if state.fleet.is_empty() {
        Screen::Empty
    } else {
        Screen::Main
    }
}

/// Returns where the regions of the main screen are.
pub(crate) fn regions(state: &State) -> Regions {
    let (width, height) = (state.start.width, state.start.height);
    let mut top = 0;
    let mut take = |rows: u16| {
        let rows = rows.min(height.saturating_sub(top));
        let taken = Rect::new(0, top, width, rows);
        top += rows;
        taken
    };
    let title = take(1);
    let alarms = take(super::view::alarms::count(state));
    let budgets_beside = if width >= 160 { 2 } else { 1 };
    let most = if height >= 40 { 4 } else { 2 };
    let shown = cells(state.fleet.host_budgets().len()).min(most);
    let budgets = take(shown.div_ceil(budgets_beside));
    let next_out = take(1);
    let rule = take(u16::from(height >= 40 && !state.pane.zoomed));
    let header = take(u16::from(!state.pane.zoomed));
    let left = height.saturating_sub(top).saturating_sub(2);
    let table = if state.pane.zoomed {
        0
    } else {
        table_rows(state, left)
    };
    let rows = Rect::new(0, top, width, table);
    let pane = Rect::new(0, top + table, width, left.saturating_sub(table));
    let bottom = top + left;
    Regions {
        title,
        alarms,
        budgets,
        budgets_beside,
        next_out,
        rule,
        header,
        rows,
        pane,
        event: Rect::new(0, bottom, width, u16::from(height > bottom)),
        keys: Rect::new(0, bottom + 1, width, u16::from(height > bottom + 1)),
    }
}

/// The pane takes what the table leaves, and has a least height by the screen's.
fn table_rows(state: &State, left: u16) -> u16 {
    let least_pane = match state.start.height {
        ..24 => 0,
        24..40 => 5,
        40..60 => 16,
        _ => 28,
    };
    let most = left.saturating_sub(least_pane);
    if least_pane == 0 {
        return left;
    }
    // One line stays empty between the last row and the pane where there is room for it.
    cells(state.table.lines().len())
        .saturating_add(1)
        .clamp(1, most.max(1))
}

/// Returns how many lines of the table are on the screen.
pub(crate) fn table_height(state: &State) -> usize {
    match screen(state) {
        Screen::Main => usize::from(regions(state).rows.height),
        _ => usize::from(state.start.height),
    }
}

/// Returns the row of the screen that the cursor is on.
pub(crate) fn cursor_row(state: &State) -> Option<u16> {
    if screen(state) != Screen::Main {
        return None;
    }
    let rows = regions(state).rows;
    let below_top = state.table.at().checked_sub(state.table.top())?;
    let below_top = u16::try_from(below_top).ok()?;
    (below_top < rows.height).then(|| rows.y + below_top)
}

/// Returns where the list of events is.
pub(crate) fn events_rows(state: &State) -> Rect {
    let regions = regions(state);
    let top = regions.next_out.bottom() + 1;
    let bottom = state.start.height.saturating_sub(1);
    Rect::new(0, top, state.start.width, bottom.saturating_sub(top))
}

/// Returns which tabs the pane shows: one, or those that have room beside it.
pub(crate) fn tabs_shown(state: &State) -> Vec<Tab> {
    if screen(state) != Screen::Main {
        return Vec::new();
    }
    let pane = regions(state).pane;
    let tab = state.pane.tab;
    match (tab, pane.width, pane.height) {
        (_, _, ..2) => Vec::new(),
        (Tab::Budgets, 160.., 20..) => Tab::ALL.to_vec(),
        (Tab::Budgets, _, 14..) => vec![Tab::Budgets, Tab::Calls],
        _ => vec![tab],
    }
}

/// Returns a count as cells, of which no screen has more than it can count.
pub(crate) fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
