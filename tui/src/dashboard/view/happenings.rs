//! Rows of events and of the audit.

use bb_proto::event::{Actor, EventKind};
use ratatui::layout::Rect;

use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::rows::{Failure, Happening};
use crate::dashboard::state::State;
use crate::dashboard::theme::Role;

/// A row of the audit: when, who, what, the sentence.
pub(crate) fn audit_row(state: &State, row: &Happening, area: Rect, canvas: &mut Canvas<'_>) {
    let mut put = columns(area, canvas);
    put(8, &state.zone().clock(row.at), Role::Muted);
    put(8, &clean!("{}", actor(row.actor)), Role::Muted);
    put(9, &clean!("{}", kind(row.kind)), role(row.kind));
    put(area.width, &sentence(row), Role::Text);
}

/// A row of the history: when, what, about which bottle, the sentence.
pub(crate) fn event_row(state: &State, row: &Happening, area: Rect, canvas: &mut Canvas<'_>) {
    let name = match &row.bottle {
        Some((_, shown)) => shown.shortened(20),
        None => Clean::default(),
    };
    let mut put = columns(area, canvas);
    put(8, &state.zone().clock(row.at), Role::Muted);
    put(9, &clean!("{}", kind(row.kind)), role(row.kind));
    put(20, &name, Role::Text);
    put(area.width, &sentence(row), Role::Text);
}

fn columns<'a, 'b>(
    area: Rect,
    canvas: &'a mut Canvas<'b>,
) -> impl FnMut(u16, &Clean, Role) + use<'a, 'b> {
    let mut x = area.x + 1;
    move |width, text, role| {
        canvas.put(
            x,
            area.y,
            width.min(area.right().saturating_sub(x)),
            text,
            role,
        );
        x = x.saturating_add(width + 1).min(area.right());
    }
}

/// The sentence, with the reason that was given.
pub(crate) fn sentence(row: &Happening) -> Clean {
    match &row.why {
        Some(why) => clean!("{}: \"{why}\"", row.text),
        None => row.text.clone(),
    }
}

/// Says why there are no rows.
pub(crate) fn failure(failure: &Failure, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    let text = match failure {
        Failure::Broken(text) | Failure::Unasked(text) => clean!("no answer: {text}"),
        Failure::Refused { text, hint, .. } => match hint {
            Some(hint) => clean!("{text}; {hint}"),
            None => text.clone(),
        },
    };
    canvas.put(
        area.x + 1,
        area.y,
        area.width.saturating_sub(1),
        &text,
        Role::Stale,
    );
}

fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Budget => "budget",
        Actor::Operator => "operator",
        Actor::System => "system",
    }
}

fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Started => "start",
        EventKind::Stopped => "end",
        EventKind::Launched => "launch",
        EventKind::Ended => "ended",
        EventKind::Removed => "removed",
        EventKind::Warned => "warn",
        EventKind::Paced => "pace",
        EventKind::Exhausted => "spent",
        EventKind::Cutoff => "cut off",
        EventKind::Restored => "restore",
        EventKind::StopOrdered => "stop",
        EventKind::BudgetChanged => "budget",
        EventKind::Refused => "refuse",
        EventKind::Overrun => "overrun",
        EventKind::Settings => "settings",
        EventKind::Ledger => "ledger",
        EventKind::Recovered => "recover",
        EventKind::Corrected => "correct",
        EventKind::Clock => "clock",
        EventKind::Charged => "charge",
        EventKind::Abandoned => "given up",
        _ => "?",
    }
}

/// Returns the role of an event by its kind.
pub(crate) fn role(kind: EventKind) -> Role {
    match kind {
        EventKind::Warned
        | EventKind::Paced
        | EventKind::Overrun
        | EventKind::Refused
        | EventKind::Recovered
        | EventKind::Abandoned
        | EventKind::Clock => Role::Warn,
        EventKind::Exhausted | EventKind::Cutoff | EventKind::Ledger => Role::Crit,
        EventKind::Restored => Role::Ok,
        _ => Role::Muted,
    }
}
