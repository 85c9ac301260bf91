//! The first line: whether it is live, how much there is of everything, the controller's clock.

use std::time::Duration;

use bb_proto::view::BottleState;
use ratatui::layout::Rect;

use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::layout::cells;
use crate::dashboard::state::{Freshness, Link, State};
use crate::dashboard::theme::Role;
use crate::format;

pub(crate) fn draw(state: &State, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    let mut x = area.x + 1;
    x += canvas.put(x, area.y, area.width, "bb-dash", Role::Accent) + 2;
    let (word, role) = link_word(state);
    x += canvas.put(x, area.y, area.width.saturating_sub(x), &word, role);
    if state.start.read_only {
        x += canvas.put(
            x,
            area.y,
            area.width.saturating_sub(x),
            " · read-only",
            Role::Muted,
        );
    }
    let clock = clock(state);
    let clock_at = area.width.saturating_sub(clean::width(clock.as_str()));
    if clock_at <= x {
        return;
    }
    canvas.put(clock_at, area.y, area.width, &clock, Role::Text);
    let room = clock_at.saturating_sub(x + 2);
    let counts = if state.is_stale() {
        Vec::new()
    } else {
        counts(state)
    };
    let counts = counts
        .iter()
        .find(|c| clean::width(c.as_str()) + 3 <= room + 1);
    if let Some(counts) = counts {
        let width = clean::width(counts.as_str());
        canvas.put(clock_at - 3 - width, area.y, width, counts, Role::Text);
    }
}

/// Says how far the screen can be believed.
pub(crate) fn link_word(state: &State) -> (Clean, Role) {
    let seconds = |age: Duration| format::duration_ms(u64::try_from(age.as_millis()).unwrap_or(0));
    match (state.freshness(), &state.link) {
        (_, Link::OtherVersion(_)) => (clean!("✗ other version"), Role::Crit),
        (Freshness::Live, _) => (clean!("● live"), Role::Ok),
        (Freshness::Aging(age), _) => (clean!("▲ {} old", seconds(age)), Role::Warn),
        (Freshness::Stale(Some(age)), _) => {
            (clean!("✗ no answer for {}", seconds(age)), Role::Crit)
        }
        (Freshness::Stale(None), Link::Connecting) => (clean!("○ connecting"), Role::Muted),
        (Freshness::Stale(None), _) => (clean!("✗ no controller"), Role::Crit),
    }
}

fn clock(state: &State) -> Clean {
    match (&state.head, state.is_stale()) {
        (None, _) => clean!("--:--:--"),
        (Some(_), false) => state.zone().clock_with_zone(state.now()),
        (Some(_), true) => clean!("all as of {}", state.zone().clock_with_zone(state.now())),
    }
}

/// The counts, the longest form first.
fn counts(state: &State) -> Vec<Clean> {
    let Some(head) = &state.head else {
        return Vec::new();
    };
    let totals = &head.told.totals;
    let rate = format::tokens(totals.rate_per_minute);
    let bottles = bottles(state, totals.bottles);
    if totals.bottles == 0 && state.table.filter.is_empty() {
        return vec![clean!("{bottles}")];
    }
    let by_state: String = [
        (BottleState::Running, "running"),
        (BottleState::Cutoff, "cut off"),
        (BottleState::Failed, "failed"),
        (BottleState::Stopped, "stopped"),
    ]
    .into_iter()
    .filter_map(|(kind, word)| Some((totals.by_state.get(&kind)?, word)))
    .filter(|(count, _)| **count > 0)
    .flat_map(|(count, word)| {
        [
            " · ".to_owned(),
            count.to_string(),
            " ".to_owned(),
            word.to_owned(),
        ]
    })
    .collect();
    let orders = match totals.orders_open {
        0 => String::new(),
        open => format!(" · {open} not reached"),
    };
    let calls = match (totals.in_flight, totals.waiting) {
        (1, 0) => "1 call".to_owned(),
        (calls, 0) => format!("{calls} calls"),
        (calls, waiting) => {
            let since = totals.waiting_since.map_or_else(String::new, |since| {
                format!(" ({})", format::duration_ms(state.now().since(since).0))
            });
            format!("{calls}+{waiting}{since} calls")
        }
    };
    vec![
        clean!("{bottles}{by_state}{orders} · {calls} · {rate}/min"),
        clean!("{bottles}{orders} · {calls} · {rate}/min"),
        clean!("{bottles}{orders} · {rate}/min"),
        clean!("{bottles}{orders}"),
        clean!("{rate}/min"),
    ]
}

fn bottles(state: &State, count: u64) -> String {
    if !state.table.filter.is_empty() {
        let shown = cells(state.table.lines().len());
        return format!("{shown} of {} bottles", state.fleet.len());
    }
    match count {
        0 => "no bottles".to_owned(),
        1 => "1 bottle".to_owned(),
        many => format!("{many} bottles"),
    }
}
