//! What of the selected bottle is asked for: only for tabs that are shown, once the cursor rests.

use std::time::Duration;

use bb_proto::ids::BottleName;

use crate::dashboard::layout;
use crate::dashboard::msg::{Ask, Effect};
use crate::dashboard::state::{Link, REST, State, Tab};

/// How many rows are asked for.
const ROWS: u32 = 200;

/// Notes which bottle the details are of, and asks for what is due.
pub(crate) fn settle(state: &mut State, effects: &mut Vec<Effect>) {
    if state.pane.subject.as_ref() != state.table.cursor() {
        state.pane.subject = state.table.cursor().cloned();
        state.pane.subject_since = state.at;
        state.pane.scroll = 0;
    }
    let Some(subject) = state.pane.subject.clone() else {
        return;
    };
    for tab in layout::tabs_shown(state) {
        if tab_due(state, tab, &subject).is_none_or(|due| due > state.at) {
            continue;
        }
        let bottle = subject.clone();
        let at = state.at;
        match tab {
            Tab::Budgets => {}
            Tab::Calls => {
                state.pane.calls.asking = true;
                state.pane.calls.asked_at = at;
                effects.push(Effect::Ask(Ask::Calls {
                    bottle,
                    limit: ROWS,
                }));
            }
            Tab::Audit => {
                state.pane.audit.asking = true;
                state.pane.audit.asked_at = at;
                effects.push(Effect::Ask(Ask::Audit {
                    bottle,
                    limit: ROWS,
                }));
            }
        }
    }
}

/// Returns when something is to be asked for, if nothing comes in before.
pub(crate) fn due(state: &State) -> Option<Duration> {
    let of_subject = state.pane.subject.as_ref().and_then(|subject| {
        layout::tabs_shown(state)
            .into_iter()
            .filter_map(|tab| tab_due(state, tab, subject))
            .min()
    });
    of_subject
        .into_iter()
        .chain(super::events::due(state))
        .min()
}

fn tab_due(state: &State, tab: Tab, subject: &BottleName) -> Option<Duration> {
    if !matches!(state.link, Link::Up) {
        return None;
    }
    let touched = state.fleet.row(subject)?.touched_at;
    let rest = state.pane.subject_since + REST;
    match tab {
        Tab::Budgets => None,
        Tab::Calls => state.pane.calls.due(subject, touched, rest),
        Tab::Audit => state.pane.audit.due(subject, touched, rest),
    }
}
