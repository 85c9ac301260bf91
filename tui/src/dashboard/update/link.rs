//! The connection comes and goes; what it brings is taken in.

use std::time::Duration;

use super::{acts, changed, remake};
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::msg::Effect;
use crate::dashboard::rows::{Delta, Failure, Greeting};
use crate::dashboard::state::{Changed, Fleet, Link, Overlay, State, Table};

/// How long to wait before each further try.
const BACK_OFF: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How often a controller of another version is asked again.
const OTHER_VERSION_EVERY: Duration = Duration::from_secs(4);

/// It answers.
pub(crate) fn up(state: &mut State, greeting: Greeting) -> Vec<Effect> {
    changed(state, Changed::Data);
    let restarted = state
        .greeting
        .as_ref()
        .is_some_and(|before| before.started_at != greeting.started_at);
    if restarted {
        let clock = state.zone().clock(greeting.started_at);
        state.say(clean!("controller restarted {clock}"), false);
    } else if matches!(state.link, Link::Down { .. }) && state.greeting.is_some() {
        state.say(clean!("the controller answers again"), false);
    }
    state.greeting = Some(greeting);
    state.link = Link::Up;
    state.answered_at = Some(state.at);
    state.pane.calls.of = None;
    state.pane.audit.of = None;
    state.log.asked_up_to = None;
    acts::ask_again(state)
}

/// It does not.
pub(crate) fn down(state: &mut State, failure: &Failure) -> Vec<Effect> {
    changed(state, Changed::Data);
    let tries = match &state.link {
        Link::Down { tries, .. } => tries.saturating_add(1),
        _ => 1,
    };
    let wait = back_off(tries);
    close_questions(state);
    state.link = Link::Down {
        why: why(failure),
        tries,
        next_try: state.at + wait,
    };
    vec![Effect::Reconnect(wait)]
}

fn back_off(tries: u32) -> Duration {
    let at = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    BACK_OFF.get(at).copied().unwrap_or(OTHER_VERSION_EVERY)
}

fn why(failure: &Failure) -> Clean {
    match failure {
        Failure::Broken(text) | Failure::Unasked(text) | Failure::Refused { text, .. } => {
            text.clone()
        }
    }
}

/// An order that cannot be delivered is not kept behind the operator's back.
fn close_questions(state: &mut State) {
    if matches!(state.overlay, Some(Overlay::Dialog(_) | Overlay::Raise(_))) {
        state.overlay = None;
        state.say(
            clean!("connection lost: the question is closed, nothing was sent"),
            true,
        );
    }
}

/// It speaks another version: nothing is shown rather than shown wrong.
pub(crate) fn other_version(state: &mut State, greeting: Greeting) -> Vec<Effect> {
    changed(state, Changed::Data);
    close_questions(state);
    state.link = Link::OtherVersion(greeting);
    state.fleet = Fleet::default();
    state.table = Table::default();
    state.head = None;
    state.answered_at = None;
    vec![Effect::Reconnect(OTHER_VERSION_EVERY)]
}

/// What changed, or everything.
pub(crate) fn snapshot(state: &mut State, delta: Delta) -> Vec<Effect> {
    state.answered_at = Some(state.at);
    state.head = Some(delta.head.clone());
    let members_changed = state.fleet.apply(delta, state.at);
    if members_changed {
        state.table.order.look(&state.fleet, false);
    }
    remake(state);
    state.table.unsettled = true;
    changed(state, Changed::Data);
    acts::forecast_again(state)
}
