//! One message in: the state changes, and what is wanted from outside comes out.
//!
//! There is no clock, no socket and no terminal here.

mod acts;
mod click;
mod details;
mod events;
mod link;
mod outcome;
mod press;
mod steps;
mod typing;

use std::time::Duration;

use super::clean::clean;
use super::keys::Mode;
use super::layout;
use super::msg::{Answer, Effect, Msg};
use super::state::{Changed, Freshness, LOOK_EVERY, State};

pub(crate) use details::due as details_due;

/// After a key the order waits for this long.
const KEY_REST: Duration = Duration::from_secs(1);

/// Takes a message.
pub(crate) fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::At(at) => pass_time(state, at),
        Msg::Key(key) => {
            changed(state, Changed::Input);
            state.key_at = state.at;
            effects.extend(press::key(state, &key));
        }
        Msg::Click(click) => {
            changed(state, Changed::Input);
            state.key_at = state.at;
            effects.extend(click::click(state, click));
        }
        Msg::Wheel { down, over } => {
            changed(state, Changed::Input);
            click::wheel(state, down, over.as_ref());
        }
        Msg::Paste(text) => {
            changed(state, Changed::Input);
            typing::paste(state, &text);
        }
        Msg::Resize { width, height } => {
            changed(state, Changed::Input);
            (state.start.width, state.start.height) = (width, height);
            let height = layout::table_height(state);
            state.table.scroll_to_cursor(height);
        }
        Msg::Up(greeting) => effects.extend(link::up(state, *greeting)),
        Msg::Down(failure) => effects.extend(link::down(state, &failure)),
        Msg::OtherVersion(greeting) => effects.extend(link::other_version(state, *greeting)),
        Msg::Snapshot(delta) => effects.extend(link::snapshot(state, *delta)),
        Msg::Answer(answer) => {
            changed(state, Changed::Data);
            effects.extend(answered(state, *answer));
        }
        Msg::Terminate => effects.push(Effect::Quit),
        Msg::Suspend => effects.push(Effect::Suspend),
    }
    settle_order(state);
    details::settle(state, &mut effects);
    events::settle(state, &mut effects);
    effects
}

fn changed(state: &mut State, how: Changed) {
    state.changed = state.changed.max(how);
}

fn pass_time(state: &mut State, at: Duration) {
    let before = state.at;
    state.at = at.max(before);
    if state.said.as_ref().is_some_and(|said| said.until <= at) {
        state.said = None;
        changed(state, Changed::Data);
    }
    let bold = |at: Duration| {
        state
            .fleet
            .last_turn()
            .is_some_and(|turned| at < turned + super::view::BOLD_FOR)
    };
    if bold(before) && !bold(at) {
        changed(state, Changed::Data);
    }
    if before.as_secs() != at.as_secs() && state.freshness() != Freshness::Live {
        changed(state, Changed::Data);
    }
}

fn answered(state: &mut State, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Act(act, result) => return acts::acted(state, &act, result),
        Answer::Raise(raise, result) => return acts::raised(state, &raise, result),
        Answer::Calls(bottle, result) => state.pane.calls.take(bottle, result),
        Answer::Audit(bottle, result) => state.pane.audit.take(bottle, result),
        Answer::Events {
            before,
            matching,
            result,
        } => state.log.take(before, matching.as_deref(), result),
    }
    Vec::new()
}

/// Looks at the order where that is due and nobody is in the middle of something.
fn settle_order(state: &mut State) {
    let key_rests = state.key_at.is_zero() || state.at >= state.key_at + KEY_REST;
    if !state.table.unsettled || state.overlay.is_some() || state.at < state.table.look_at {
        return;
    }
    if !key_rests {
        state.table.look_at = state.key_at + KEY_REST;
        return;
    }
    state.table.look_at = state.at + LOOK_EVERY;
    state.table.order.look(&state.fleet, true);
    state.table.unsettled = state.table.order.is_doubtful();
    remake(state);
}

/// Makes the table's lines anew.
fn remake(state: &mut State) {
    let gone = state.table.remake(&state.fleet);
    let height = layout::table_height(state);
    state.table.place(height);
    if let Some(name) = gone {
        state.say(clean!("{name} is gone"), false);
    }
    changed(state, Changed::Data);
}

/// Returns whether the table has the keys.
fn in_table(state: &State) -> bool {
    state.mode() == Mode::Table
}
