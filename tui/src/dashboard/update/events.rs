//! The newest events are asked for when the controller says that there are newer ones.

use std::time::Duration;

use crate::dashboard::msg::{Ask, Effect};
use crate::dashboard::state::{AGAIN, Link, PAGE, State};

/// Asks for the newest events where that is due.
pub(crate) fn settle(state: &mut State, effects: &mut Vec<Effect>) {
    if due(state).is_none_or(|due| due > state.at) {
        return;
    }
    let newest = state.head.as_ref().map(|head| head.told.events);
    state.log.asked_up_to = newest;
    effects.push(ask(state, None));
}

/// Asks for events older than the oldest that was read.
pub(crate) fn older(state: &mut State) -> Vec<Effect> {
    let oldest = state.log.rows.last().map(|row| row.seq);
    if state.log.asking || !state.log.more || oldest.is_none() {
        return Vec::new();
    }
    vec![ask(state, oldest)]
}

fn ask(state: &mut State, before: Option<u64>) -> Effect {
    state.log.asking = true;
    state.log.asked_at = state.at;
    Effect::Ask(Ask::Events {
        before,
        matching: state.log.matching.clone(),
        limit: PAGE,
    })
}

/// Returns when the newest events are to be asked for.
pub(crate) fn due(state: &State) -> Option<Duration> {
    let newest = state.head.as_ref()?.told.events;
    if !matches!(state.link, Link::Up) || state.log.asking || state.log.asked_up_to >= Some(newest)
    {
        return None;
    }
    match state.log.asked_up_to {
        None => Some(state.at),
        Some(_) => Some(state.log.asked_at + AGAIN),
    }
}
