//! A question and what may happen to its target while it is open.

use bb_proto::view::BottleState;
use crossterm::event::KeyCode;

use super::{acts, answer, cursor, picture, press, type_keys};
use crate::dashboard::clean::clean;
use crate::dashboard::fixture;
use crate::dashboard::msg::{Act, Msg};
use crate::dashboard::rows::{Bottle, Deed, Delta, Failure};
use crate::dashboard::state::State;
use crate::dashboard::update::update;

fn deed(streams_ended: u64, observed: BottleState) -> Deed {
    Deed {
        changed: true,
        streams_ended,
        took_us: 2_100,
        observed,
        note: None,
    }
}

/// Asks to cut off the most urgent; returns the question that went to the controller.
fn asked(state: &mut State) -> Act {
    let effects = type_keys(state, "x");
    let questions = acts(&effects);
    let [question] = questions.as_slice() else {
        panic!("one question, not {questions:?}");
    };
    assert!(question.dry_run);
    (*question).clone()
}

fn change(state: &mut State, name: &str, change: impl FnOnce(&mut Bottle)) {
    let mut bottle = state
        .fleet
        .bottle(&fixture::name(name))
        .expect("a bottle")
        .clone();
    change(&mut bottle);
    let delta = Delta {
        bottles: vec![bottle],
        budgets: Vec::new(),
        whole: false,
        ..fixture::delta()
    };
    fixture::told(state, Msg::Snapshot(Box::new(delta)));
}

fn sends_nothing(state: &mut State) {
    let effects = type_keys(state, "y");
    assert!(acts(&effects).iter().all(|act| act.dry_run), "{effects:?}");
}

#[test]
fn the_question_says_what_the_controller_says_it_would_do() {
    let mut state = fixture::drawing();
    let question = asked(&mut state);
    assert!(picture(&state).contains("asking the controller what this will do"));
    answer(&mut state, &question, Ok(deed(3, BottleState::Running)));
    let drawn = picture(&state);
    assert!(drawn.contains("3 running streams end now and are charged what they used."));
    assert!(drawn.contains("undo: X restore"));
    assert!(drawn.contains("[ n  cancel ]<"), "it opens on cancel");
    press(&mut state, KeyCode::Enter);
    assert!(state.overlay.is_none());
    assert!(state.open.is_empty(), "Enter pressed cancel");
}

#[test]
fn the_other_button_is_reached_by_tab_and_pressed_by_enter() {
    let mut state = fixture::drawing();
    let question = asked(&mut state);
    answer(&mut state, &question, Ok(deed(3, BottleState::Running)));
    press(&mut state, KeyCode::Tab);
    let effects = press(&mut state, KeyCode::Enter);
    assert_eq!(acts(&effects).len(), 1);
    assert!(acts(&effects).iter().all(|act| !act.dry_run));
}

#[test]
fn what_was_done_is_said_with_the_controllers_own_time() {
    let mut state = fixture::drawing();
    asked(&mut state);
    let effects = type_keys(&mut state, "y");
    let order = acts(&effects)[0].clone();
    answer(&mut state, &order, Ok(deed(3, BottleState::Cutoff)));
    let drawn = picture(&state);
    assert!(
        drawn.contains("› cut off review-pr-4812: 3 streams ended in 2 ms, new calls refused"),
        "{drawn}"
    );
}

#[test]
fn what_was_not_reached_is_said_to_be_so() {
    let mut state = fixture::drawing();
    type_keys(&mut state, "s");
    let effects = type_keys(&mut state, "y");
    let order = acts(&effects)[0].clone();
    let still_runs = Deed {
        note: Some(clean!("its process has not ended in 2 s")),
        ..deed(0, BottleState::Running)
    };
    answer(&mut state, &order, Ok(still_runs));
    let drawn = picture(&state);
    assert!(
        drawn.contains("stop review-pr-4812: not reached yet"),
        "{drawn}"
    );
}

#[test]
fn a_refusal_offers_only_the_way_out() {
    let mut state = fixture::drawing();
    let effects = type_keys(&mut state, "X");
    let question = acts(&effects)[0].clone();
    let refused = Failure::Refused {
        text: clean!("agent:reviewer is spent"),
        hint: Some(clean!(
            "bb-ctl budget raise agent:reviewer/claude/total --by 100k"
        )),
    };
    answer(&mut state, &question, Err(refused));
    let drawn = picture(&state);
    assert!(drawn.contains("It would be refused: agent:reviewer is spent"));
    assert!(drawn.contains("bb-ctl budget raise"));
    assert!(!drawn.contains("[ y"));
    sends_nothing(&mut state);
}

#[test]
fn a_target_that_ended_meanwhile_is_left_alone() {
    let mut state = fixture::drawing();
    asked(&mut state);
    change(&mut state, "review-pr-4812", |bottle| {
        bottle.told.state = BottleState::Stopped;
    });
    assert!(picture(&state).contains("review-pr-4812 has ended meanwhile"));
    sends_nothing(&mut state);
}

#[test]
fn a_bottle_launched_again_under_the_name_is_not_the_target() {
    let mut state = fixture::drawing();
    asked(&mut state);
    change(&mut state, "review-pr-4812", |bottle| {
        bottle.told.run = Some(fixture::run(99));
    });
    let drawn = picture(&state);
    assert!(drawn.contains("was launched again meanwhile"), "{drawn}");
    sends_nothing(&mut state);
}

#[test]
fn a_target_that_is_gone_is_said_to_be_and_the_cursor_takes_the_row_in_its_place() {
    let mut state = fixture::drawing();
    asked(&mut state);
    let delta = Delta {
        bottles: Vec::new(),
        budgets: Vec::new(),
        whole: false,
        bottles_gone: vec![fixture::name("review-pr-4812")],
        ..fixture::delta()
    };
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    assert!(picture(&state).contains("review-pr-4812 is not there any more"));
    sends_nothing(&mut state);
    press(&mut state, KeyCode::Esc);
    assert_eq!(cursor(&state), "review-pr-4815");
    assert!(picture(&state).contains("review-pr-4812 is gone"));
}

#[test]
fn the_number_of_streams_in_the_question_stays_true() {
    let mut state = fixture::drawing();
    let question = asked(&mut state);
    answer(&mut state, &question, Ok(deed(3, BottleState::Running)));
    let mut bottle = state
        .fleet
        .bottle(&fixture::name("review-pr-4812"))
        .expect("a bottle")
        .clone();
    bottle.told.in_flight = 5;
    let delta = Delta {
        bottles: vec![bottle],
        budgets: Vec::new(),
        whole: false,
        ..fixture::delta()
    };
    let effects = update(&mut state, Msg::Snapshot(Box::new(delta)));
    let again = acts(&effects)[0].clone();
    assert!(again.dry_run);
    answer(&mut state, &again, Ok(deed(5, BottleState::Running)));
    assert!(picture(&state).contains("5 running streams end now"));
}

#[test]
fn the_order_waits_while_a_question_is_open() {
    let mut state = fixture::drawing();
    asked(&mut state);
    change(&mut state, "review-pr-4812", |bottle| {
        bottle.told.in_flight = 0;
        bottle.told.rate_per_minute = 0;
    });
    fixture::pass(&mut state, 5);
    let line_of = |state: &State| {
        state
            .table
            .lines()
            .iter()
            .position(|line| line.name.as_str() == "review-pr-4812")
    };
    assert_eq!(line_of(&state), Some(1));
    let wake = state.next_wake().expect("an age to write");
    assert!(wake > state.at, "waiting for the answer costs nothing");
    press(&mut state, KeyCode::Esc);
    fixture::pass(&mut state, 5);
    assert_eq!(line_of(&state), Some(2));
}

#[test]
fn what_has_no_run_or_has_ended_gets_no_question() {
    let mut state = fixture::drawing();
    for (name, said) in [
        ("base", "base is only named: it has no run"),
        ("gpu-box", "gpu-box has ended"),
    ] {
        fixture::told(
            &mut state,
            Msg::Click(crate::dashboard::msg::Click::Row(fixture::name(name))),
        );
        let effects = type_keys(&mut state, "x");
        assert!(acts(&effects).is_empty(), "{name}");
        assert!(picture(&state).contains(said), "{name}");
    }
}
