//! The form that raises a budget: by how much, and what follows from it.

use ratatui::layout::Rect;

use super::frame::{self, Said};
use super::row::rate;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::keys::Action;
use crate::dashboard::layout;
use crate::dashboard::msg::Click;
use crate::dashboard::rows::Budget;
use crate::dashboard::state::{RaiseForm, State};
use crate::dashboard::theme::Role;
use crate::format;

const WIDEST: u16 = 68;

pub(crate) fn draw(state: &State, form: &RaiseForm, canvas: &mut Canvas<'_>) {
    let budget = state
        .fleet
        .budget(&form.budget.told.id)
        .unwrap_or(&form.budget);
    let (scope, provider) = (&budget.scope, &budget.provider);
    let title = clean!("Raise {scope} {provider} ({})", budget.window);
    let typed = form.by.trim_start_matches('+');
    let mut lines = vec![Said::gap()];
    if let Some(by) = form.amount() {
        let limit = budget.told.limit;
        let raised = limit.plus(by);
        let (from, to) = (format::tokens(limit.0), format::tokens(raised.0));
        let amount = clean!("by   +{typed}█   from {from} to {to}, for good");
        lines.push(Said::new(amount, Role::Text));
        lines.push(Said::gap());
        lines.push(Said::new(consequence(state, budget, raised), Role::Text));
    } else {
        lines.push(Said::new(clean!("by   +{typed}█"), Role::Text));
        lines.push(Said::gap());
        let wanted = "write a number of tokens, such as 300k or 1.5M";
        lines.push(Said::new(clean!("{wanted}"), Role::Warn));
    }
    let count = state.fleet.bound_by(&budget.told.id);
    lines.push(Said::new(
        clean!("It binds {count} running bottles."),
        Role::Muted,
    ));
    lines.push(Said::new(clean!("↑ ↓ double, halve"), Role::Muted));
    lines.push(Said::gap());
    let last = frame::draw(&title, &lines, WIDEST, layout::cursor_row(state), canvas);
    buttons(last, form.amount().is_some(), canvas);
}

fn consequence(state: &State, budget: &Budget, raised: bb_proto::units::Tokens) -> Clean {
    let told = &budget.told;
    let used = format::tokens(told.used.0);
    let share = format::percent(told.used, raised);
    let left = raised.minus(told.used).0;
    let begin = clean!("used {used}: {share} of {}", format::tokens(raised.0));
    if told.used >= raised {
        return clean!("{begin}; it stays spent");
    }
    if told.rate_per_minute == 0 {
        return clean!("{begin}; nothing was charged in the last minute");
    }
    let ms = u128::from(left) * 60_000 / u128::from(told.rate_per_minute);
    let ms = u64::try_from(ms).unwrap_or(u64::MAX);
    let lasts = format::duration_ms(ms);
    let spent = state.now().plus(bb_proto::time::Millis(ms));
    let until = state.zone().short(spent, state.now());
    let per_minute = rate(told.rate_per_minute);
    clean!("{begin}; at {per_minute}/min it lasts {lasts}, to {until}")
}

fn buttons(area: Rect, can: bool, canvas: &mut Canvas<'_>) {
    let raise = if can { "[ Enter  raise ]<" } else { "" };
    let cancel = "[ Esc  cancel ]";
    let x = area.x + area.width.saturating_sub(37) / 2;
    let taken = canvas.put(
        x,
        area.y,
        area.right().saturating_sub(x),
        raise,
        Role::Accent,
    );
    canvas.hit(Rect::new(x, area.y, taken, 1), Click::Act(Action::Press));
    let x = x + taken + 3;
    let taken = canvas.put(
        x,
        area.y,
        area.right().saturating_sub(x),
        cancel,
        Role::Text,
    );
    canvas.hit(Rect::new(x, area.y, taken, 1), Click::Act(Action::No));
}
