//! The detail pane: the rule with its tabs, and below it what the tab shows of the bottle.

use bb_proto::ids::BottleName;
use ratatui::layout::Rect;

use super::{calls, happenings, way};
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::layout;
use crate::dashboard::msg::Click;
use crate::dashboard::rows::Bottle;
use crate::dashboard::state::{State, Tab};
use crate::dashboard::theme::Role;
use crate::format;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let pane = layout::regions(state).pane;
    if pane.height == 0 {
        return;
    }
    canvas.hit(pane, Click::Pane);
    let bottle = state
        .table
        .cursor()
        .and_then(|name| state.fleet.bottle(name));
    rule(state, bottle, pane, canvas);
    let Some(bottle) = bottle else {
        return;
    };
    let inner = Rect::new(pane.x, pane.y + 1, pane.width, pane.height - 1);
    let shown = layout::tabs_shown(state);
    if shown.len() == Tab::ALL.len() {
        return beside(state, bottle, inner, canvas);
    }
    if shown.len() == 2 {
        return below(state, bottle, inner, canvas);
    }
    match state.pane.tab {
        Tab::Budgets => {
            way::draw(state, bottle, inner, canvas);
        }
        Tab::Calls => calls::draw(state, bottle, inner, canvas),
        Tab::Audit => audit(state, &bottle.told.name, inner, canvas),
    }
}

/// The tabs at the left of the rule, the bottle's name at its right.
fn rule(state: &State, bottle: Option<&Bottle>, pane: Rect, canvas: &mut Canvas<'_>) {
    let y = pane.y;
    canvas.rule(pane.x, y, pane.width, '─', Role::Faint);
    let mut x = pane.x + 1;
    for tab in Tab::ALL {
        let is_on = tab == state.pane.tab;
        let width = clean::width(tab.title()) + 2;
        if x + width > pane.right() {
            break;
        }
        let (left, right) = if is_on { ("[", "]") } else { (" ", " ") };
        let role = match (is_on, state.pane.focused || state.pane.zoomed) {
            (true, true) => Role::Accent,
            (true, false) => Role::Text,
            (false, _) => Role::Muted,
        };
        canvas.put(x, y, 1, left, role);
        canvas.put(x + 1, y, width - 2, tab.title(), role);
        canvas.put(x + width - 1, y, 1, right, role);
        canvas.hit(Rect::new(x, y, width, 1), Click::Tab(tab));
        x += width;
    }
    if let Some(bottle) = bottle {
        let room = pane.right().saturating_sub(x + 4);
        let name = bottle.name.shortened(room);
        let waits = bottle
            .told
            .waiting_since
            .map_or_else(Clean::default, |since| {
                let waited = format::duration_ms(state.now().since(since).0);
                clean!("· {} waiting {waited} ", bottle.told.waiting)
            });
        let text = clean!(" {name} {waits}");
        let at = pane.right().saturating_sub(clean::width(text.as_str()) + 1);
        canvas.put(at, y, pane.width, &text, Role::Text);
    }
}

/// Budgets, and the calls under them.
fn below(state: &State, bottle: &Bottle, area: Rect, canvas: &mut Canvas<'_>) {
    let wanted = way::height(state, bottle, area.width);
    let upper = wanted.min(area.height.saturating_sub(4));
    way::draw(
        state,
        bottle,
        Rect::new(area.x, area.y, area.width, upper),
        canvas,
    );
    let y = area.y + upper;
    canvas.rule(area.x, y, area.width, '─', Role::Faint);
    canvas.put(
        area.x + 1,
        y,
        area.width,
        " calls, newest first ",
        Role::Muted,
    );
    let rest = Rect::new(
        area.x,
        y + 1,
        area.width,
        area.bottom().saturating_sub(y + 1),
    );
    calls::draw(state, bottle, rest, canvas);
}

/// Budgets and calls at the left, the audit at the right.
fn beside(state: &State, bottle: &Bottle, area: Rect, canvas: &mut Canvas<'_>) {
    let left = (area.width / 2).max(104).min(area.width.saturating_sub(40));
    for y in area.top()..area.bottom() {
        canvas.put(area.x + left, y, 1, "│", Role::Faint);
    }
    below(
        state,
        bottle,
        Rect::new(area.x, area.y, left, area.height),
        canvas,
    );
    let right = Rect::new(
        area.x + left + 1,
        area.y,
        area.width.saturating_sub(left + 1),
        area.height,
    );
    audit(state, &bottle.told.name, right, canvas);
}

fn audit(state: &State, name: &BottleName, area: Rect, canvas: &mut Canvas<'_>) {
    let Some(rows) = state.pane.audit.of(name) else {
        return;
    };
    if let Some(failure) = &state.pane.audit.failure {
        return happenings::failure(failure, area, canvas);
    }
    if rows.is_empty() {
        canvas.put(area.x + 1, area.y, area.width, "nothing yet", Role::Muted);
    }
    let skip = if state.pane.tab == Tab::Audit {
        state.pane.scroll
    } else {
        0
    };
    for (y, row) in (area.top()..area.bottom()).zip(rows.iter().skip(skip)) {
        happenings::audit_row(state, row, Rect::new(area.x, y, area.width, 1), canvas);
    }
}
