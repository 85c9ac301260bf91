//! One sentence: which runs out next, when, by which budget. Without a link: when it is tried again.

use ratatui::layout::Rect;

use super::row::pace_text;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::keys::Action;
use crate::dashboard::msg::Click;
use crate::dashboard::rows::Bottle;
use crate::dashboard::state::{Fleet, Left, Link, SOON_MS, Sign, State};
use crate::dashboard::theme::Role;
use crate::format;

pub(crate) fn draw(state: &State, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    if let Link::Down {
        tries,
        next_try,
        why,
    } = &state.link
    {
        let wait = next_try.saturating_sub(state.at).as_millis();
        let wait = format::duration_ms(u64::try_from(wait).unwrap_or(0).div_ceil(1000) * 1000);
        let text = if state.greeting.is_some() {
            clean!("✗ next try in {wait} ({tries} so far), ^r now. Budgets may still be enforced.")
        } else {
            clean!("✗ {why}; next try in {wait} ({tries} so far)")
        };
        canvas.put(area.x, area.y, area.width, &text, Role::Crit);
        return;
    }
    if state.is_stale() {
        return;
    }
    let Some((bottle, ms)) = next_out(state) else {
        if !state.fleet.is_empty() {
            let calm = "○ nothing runs out at the present rate";
            canvas.put(area.x, area.y, area.width, calm, Role::Muted);
        }
        return;
    };
    let soon = ms < SOON_MS;
    let sentences = sentences(state, bottle, ms, if soon { "▲" } else { "○" });
    let role = if soon { Role::Warn } else { Role::Text };
    let hint = "    ! goes there";
    let with_hint = area.width.saturating_sub(clean::width(hint));
    let fitting = |room: u16| {
        sentences
            .iter()
            .find(|text| clean::width(text.as_str()) <= room)
    };
    let text = fitting(with_hint)
        .or_else(|| fitting(area.width))
        .or(sentences.last());
    let Some(text) = text else {
        return;
    };
    let taken = canvas.put(area.x, area.y, area.width, text, role);
    canvas.hit(area, Click::Act(Action::Urgent));
    if taken + clean::width(hint) <= area.width {
        canvas.put(area.x + taken, area.y, area.width, hint, Role::Muted);
    }
}

/// Returns the running bottle whose budget is spent first, and in how long.
pub(crate) fn next_out(state: &State) -> Option<(&Bottle, u64)> {
    state
        .table
        .order
        .names()
        .iter()
        .filter_map(|name| state.fleet.bottle(name))
        .filter(|bottle| Fleet::is_live(bottle) && state.fleet.sign(bottle) != Sign::CutOff)
        .filter_map(|bottle| match state.fleet.left(bottle) {
            Left::Time(ms) => Some((bottle, ms)),
            Left::Spent => Some((bottle, 0)),
            _ => None,
        })
        .min_by_key(|(_, ms)| *ms)
}

/// The longest sentence first.
fn sentences(state: &State, bottle: &Bottle, ms: u64, sign: &'static str) -> Vec<Clean> {
    let name = &bottle.name;
    let when = if ms == 0 {
        clean!("now")
    } else {
        clean!("in {}", format::duration_ms(ms))
    };
    let Some(budget) = state.fleet.binding(bottle) else {
        return Vec::new();
    };
    let (scope, provider, window) = (&budget.scope, &budget.provider, &budget.window);
    let (semicolon, comma) = match budget.told.pace_thousandths {
        Some(pace) => {
            let pace = pace_text(pace);
            (clean!("; pace {pace}"), clean!(", pace {pace}"))
        }
        None => (Clean::default(), Clean::default()),
    };
    let begin = clean!("{sign} next out: {name} {when}");
    vec![
        clean!("{begin} ({scope}, {provider}, {window}{semicolon})"),
        clean!("{begin} ({scope}, {provider}{comma})"),
        clean!("{begin} ({scope}{comma})"),
        clean!("{begin} ({scope})"),
        begin,
    ]
}
