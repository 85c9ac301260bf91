//! Orders: asked about, confirmed, sent under an id, and their outcome said.

use std::time::Duration;

use bb_proto::view::BottleState;

use super::outcome::outcome;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::msg::{Act, Ask, Deal, Effect, Raise, Target};
use crate::dashboard::rows::{Bottle, Budget, Deed, Failure};
use crate::dashboard::state::{Dialog, Link, Open, Overlay, RaiseForm, State};
use crate::format;

/// For how long an order whose connection broke is asked again.
const AGAIN_FOR: Duration = Duration::from_secs(30);
/// How often it is asked again while the other connection stands.
const AGAIN_MAX: u32 = 3;

/// Returns the bottle under the cursor, if orders can be given for it; says so if not.
fn subject(state: &mut State) -> Option<Bottle> {
    if state.is_stale() {
        state.say(
            clean!("no act is sent while the controller does not answer"),
            true,
        );
        return None;
    }
    if !state.may_act() {
        return None;
    }
    let name = state.table.cursor()?;
    state.fleet.bottle(name).cloned()
}

/// Opens the question whether to do something to the bottle under the cursor.
pub(crate) fn ask(state: &mut State, deal: Deal) -> Vec<Effect> {
    let Some(bottle) = subject(state) else {
        return Vec::new();
    };
    let name = bottle.name.clone();
    let target = match (bottle.told.run, bottle.told.state) {
        (_, BottleState::Declared) | (None, _) => {
            state.say(clean!("{name} is only named: it has no run"), false);
            return Vec::new();
        }
        (Some(_), BottleState::Stopped | BottleState::Failed) => {
            state.say(clean!("{name} has ended"), false);
            return Vec::new();
        }
        (Some(run), _) => Target {
            name: bottle.told.name.clone(),
            run,
        },
    };
    let forecast = forecast(state, deal, &target);
    state.overlay = Some(Overlay::Dialog(Dialog {
        deal,
        target,
        name,
        forecast: None,
        asked_at_calls: bottle.told.in_flight,
        on_yes: false,
    }));
    vec![forecast]
}

fn forecast(state: &mut State, deal: Deal, target: &Target) -> Effect {
    Effect::Ask(Ask::Act(Act {
        deal,
        target: target.clone(),
        dry_run: true,
        request_id: state.next_request(),
    }))
}

/// Asks again what an order would do once the number of its calls is another one.
pub(crate) fn forecast_again(state: &mut State) -> Vec<Effect> {
    let Some(Overlay::Dialog(dialog)) = &mut state.overlay else {
        return Vec::new();
    };
    let Some(bottle) = state.fleet.bottle(&dialog.target.name) else {
        return Vec::new();
    };
    let calls = bottle.told.in_flight;
    if dialog.forecast.is_none() || dialog.asked_at_calls == calls {
        return Vec::new();
    }
    dialog.asked_at_calls = calls;
    let (deal, target) = (dialog.deal, dialog.target.clone());
    vec![forecast(state, deal, &target)]
}

/// Opens the form that raises the budget which binds the bottle under the cursor.
pub(crate) fn ask_raise(state: &mut State) {
    let Some(bottle) = subject(state) else {
        return;
    };
    match state.fleet.binding(&bottle).cloned() {
        Some(budget) => state.overlay = Some(Overlay::Raise(Box::new(RaiseForm::new(budget)))),
        None => state.say(clean!("no budget binds {}", bottle.name), false),
    }
}

/// Does what the open question is about.
pub(crate) fn confirm(state: &mut State) -> Vec<Effect> {
    match &state.overlay {
        Some(Overlay::Dialog(dialog)) if dialog.may_act(&state.fleet) && state.may_act() => {
            let (deal, target, name) = (dialog.deal, dialog.target.clone(), dialog.name.clone());
            state.overlay = None;
            state.say(clean!("{} {name} …", deal.word()), false);
            let request_id = state.next_request();
            vec![send(
                state,
                Ask::Act(Act {
                    deal,
                    target,
                    dry_run: false,
                    request_id,
                }),
            )]
        }
        Some(Overlay::Raise(form)) if state.may_act() => {
            let Some(by) = form.amount() else {
                return Vec::new();
            };
            let budget = form.budget.told.id.clone();
            state.overlay = None;
            let request_id = state.next_request();
            vec![send(
                state,
                Ask::Raise(Raise {
                    budget,
                    by,
                    request_id,
                }),
            )]
        }
        _ => Vec::new(),
    }
}

fn send(state: &mut State, ask: Ask) -> Effect {
    state.open.push(Open {
        ask: ask.clone(),
        sent_at: state.at,
        broken: 0,
    });
    Effect::Ask(ask)
}

fn request_id(ask: &Ask) -> Option<&str> {
    match ask {
        Ask::Act(act) => Some(&act.request_id),
        Ask::Raise(raise) => Some(&raise.request_id),
        _ => None,
    }
}

/// What an order did, or would do.
pub(crate) fn acted(state: &mut State, act: &Act, result: Result<Deed, Failure>) -> Vec<Effect> {
    if act.dry_run {
        if let Some(Overlay::Dialog(dialog)) = &mut state.overlay
            && dialog.target == act.target
            && dialog.deal == act.deal
        {
            dialog.forecast = Some(result);
        }
        return Vec::new();
    }
    let name = Clean::new(act.target.name.as_str());
    let what = clean!("{} {name}", act.deal.word());
    match result {
        Ok(deed) => {
            forget(state, &act.request_id);
            let (text, bad) = outcome(act.deal, &what, &deed);
            state.say(text, bad);
            Vec::new()
        }
        Err(failure) => failed(state, &act.request_id, &what, &failure),
    }
}

/// What a raise did.
pub(crate) fn raised(
    state: &mut State,
    raise: &Raise,
    result: Result<Option<Box<Budget>>, Failure>,
) -> Vec<Effect> {
    let what = clean!("raise {} by {}", raise.budget, format::tokens(raise.by.0));
    match result {
        Ok(budget) => {
            forget(state, &raise.request_id);
            let text = match budget {
                Some(budget) => clean!(
                    "{} {} raised by {} to {}",
                    budget.scope,
                    budget.provider,
                    format::tokens(raise.by.0),
                    format::tokens(budget.told.limit.0)
                ),
                None => clean!("{what}: done"),
            };
            state.say(text, false);
            Vec::new()
        }
        Err(failure) => failed(state, &raise.request_id, &what, &failure),
    }
}

fn forget(state: &mut State, id: &str) {
    state.open.retain(|open| request_id(&open.ask) != Some(id));
}

fn failed(state: &mut State, id: &str, what: &Clean, failure: &Failure) -> Vec<Effect> {
    match failure {
        Failure::Refused { text, hint, .. } => {
            forget(state, id);
            let text = match hint {
                Some(hint) => clean!("{what}: {text}; {hint}"),
                None => clean!("{what}: {text}"),
            };
            state.say(text, true);
            Vec::new()
        }
        Failure::Unasked(text) => {
            forget(state, id);
            state.say(clean!("{what}: not sent, {text}"), true);
            Vec::new()
        }
        Failure::Broken(_) => {
            state.say(
                clean!("{what}: the connection broke; asking again under the same id"),
                true,
            );
            let up = matches!(state.link, Link::Up);
            let open = state
                .open
                .iter_mut()
                .find(|open| request_id(&open.ask) == Some(id));
            let Some(open) = open else {
                return Vec::new();
            };
            open.broken += 1;
            if up && open.broken <= AGAIN_MAX {
                return vec![Effect::Ask(open.ask.clone())];
            }
            Vec::new()
        }
    }
}

/// After the connection is back: what got no answer is asked again under the same id.
pub(crate) fn ask_again(state: &mut State) -> Vec<Effect> {
    let at = state.at;
    let (broken, kept): (Vec<Open>, Vec<Open>) =
        state.open.drain(..).partition(|open| open.broken > 0);
    state.open = kept;
    let mut effects = Vec::new();
    for mut open in broken {
        if at.saturating_sub(open.sent_at) > AGAIN_FOR {
            state.say(
                clean!("an order was open when the connection broke: its row tells"),
                true,
            );
            continue;
        }
        open.broken = 0;
        effects.push(Effect::Ask(open.ask.clone()));
        state.open.push(open);
    }
    effects
}
