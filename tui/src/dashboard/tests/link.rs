//! The connection is lost and comes back; what was asked is done once.

use std::time::Duration;

use bb_proto::time::Timestamp;
use bb_proto::view::BottleState;

use super::{acts, answer, cursor, picture, press, type_keys};
use crate::dashboard::clean::clean;
use crate::dashboard::fixture;
use crate::dashboard::msg::{Effect, Msg};
use crate::dashboard::rows::{Deed, Failure, Greeting};
use crate::dashboard::state::State;
use crate::dashboard::update::update;

fn lost() -> Msg {
    Msg::Down(Failure::Broken(clean!("connection closed by controller")))
}

fn at(state: &mut State, ms: u64) -> Vec<Effect> {
    update(state, Msg::At(Duration::from_millis(ms)))
}

#[test]
fn it_is_tried_again_after_growing_waits() {
    let mut state = fixture::drawing();
    let waits: Vec<Vec<Effect>> = (0..7).map(|_| update(&mut state, lost())).collect();
    let expected = [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000];
    for (wait, ms) in waits.iter().zip(expected) {
        assert_eq!(wait, &[Effect::Reconnect(Duration::from_millis(ms))]);
    }
    let now = super::control(&mut state, 'r');
    assert_eq!(now, [Effect::Reconnect(Duration::ZERO)]);
}

#[test]
fn what_is_old_is_said_to_be_and_nothing_is_ordered_on_it() {
    let mut state = fixture::drawing();
    at(&mut state, 1_900);
    assert!(picture(&state).contains("● live"));
    at(&mut state, 3_000);
    assert!(picture(&state).contains("▲ 3s old"));
    assert!(
        !acts(&type_keys(&mut state, "x")).is_empty(),
        "the connection stands"
    );
    press(&mut state, crossterm::event::KeyCode::Esc);
    at(&mut state, 12_000);
    let drawn = picture(&state);
    assert!(drawn.contains("✗ no answer for 12s"), "{drawn}");
    assert!(drawn.contains("all as of 14:02:11 CET"));
    assert!(acts(&type_keys(&mut state, "xy")).is_empty());
}

#[test]
fn an_age_on_the_screen_is_drawn_each_second_and_a_live_one_is_left_alone() {
    let mut state = fixture::drawing();
    state.changed = crate::dashboard::state::Changed::Nothing;
    at(&mut state, 1_200);
    assert_eq!(state.changed, crate::dashboard::state::Changed::Nothing);
    fixture::told(&mut state, lost());
    for second in 2..6 {
        state.changed = crate::dashboard::state::Changed::Nothing;
        let due = state.next_wake().expect("an age grows");
        assert!(due <= Duration::from_secs(second), "{due:?}");
        at(&mut state, second * 1_000);
        assert_eq!(state.changed, crate::dashboard::state::Changed::Data);
    }
}

#[test]
fn losing_it_closes_the_question_and_coming_back_keeps_the_cursor() {
    let mut state = fixture::drawing();
    type_keys(&mut state, "jx");
    let chosen = cursor(&state);
    fixture::told(&mut state, lost());
    assert!(state.overlay.is_none());
    assert!(picture(&state).contains("the question is closed, nothing was sent"));
    assert!(acts(&type_keys(&mut state, "y")).is_empty());
    fixture::told(&mut state, Msg::Up(Box::new(fixture::greeting())));
    fixture::told(&mut state, Msg::Snapshot(Box::new(fixture::delta())));
    assert_eq!(cursor(&state), chosen);
    assert!(picture(&state).contains("● live"));
    assert!(picture(&state).contains("the controller answers again"));
}

#[test]
fn another_start_time_is_said_to_be_a_restart() {
    let mut state = fixture::drawing();
    fixture::told(&mut state, lost());
    let again = Greeting {
        started_at: Timestamp(fixture::NOW.0 + 9_000),
        ..fixture::greeting()
    };
    fixture::told(&mut state, Msg::Up(Box::new(again)));
    assert!(picture(&state).contains("› controller restarted 14:02:20"));
}

#[test]
fn an_order_whose_connection_broke_is_asked_again_under_the_same_id() {
    let mut state = fixture::drawing();
    let effects = type_keys(&mut state, "xy");
    let order = acts(&effects)
        .into_iter()
        .find(|act| !act.dry_run)
        .expect("an order")
        .clone();
    fixture::told(&mut state, lost());
    let broken = Failure::Broken(clean!("end of file"));
    let nothing = answer(&mut state, &order, Err(broken));
    assert!(acts(&nothing).is_empty(), "there is nobody to ask");
    let back = update(&mut state, Msg::Up(Box::new(fixture::greeting())));
    assert_eq!(acts(&back), [&order]);
    let done = Deed {
        changed: true,
        streams_ended: 3,
        took_us: 2_100,
        observed: BottleState::Cutoff,
        note: None,
    };
    answer(&mut state, &order, Ok(done));
    assert!(state.open.is_empty());
}

#[test]
fn an_order_that_was_open_for_too_long_is_not_sent_behind_the_operators_back() {
    let mut state = fixture::drawing();
    let effects = type_keys(&mut state, "xy");
    let order = acts(&effects)[1].clone();
    fixture::told(&mut state, lost());
    answer(
        &mut state,
        &order,
        Err(Failure::Broken(clean!("end of file"))),
    );
    at(&mut state, 45_000);
    let back = update(&mut state, Msg::Up(Box::new(fixture::greeting())));
    assert!(acts(&back).is_empty());
    assert!(picture(&state).contains("an order was open when the connection broke"));
}

#[test]
fn an_order_that_was_never_sent_is_said_not_to_be() {
    let mut state = fixture::drawing();
    let effects = type_keys(&mut state, "xy");
    let order = acts(&effects)[1].clone();
    let unasked = Failure::Unasked(clean!("nobody listens"));
    answer(&mut state, &order, Err(unasked));
    assert!(picture(&state).contains("cut off review-pr-4812: not sent, nobody listens"));
    assert!(state.open.is_empty());
}

#[test]
fn another_version_shows_nothing_of_the_host_and_is_asked_again() {
    let mut state = fixture::drawing();
    let other = Greeting {
        protocol: 3,
        version: clean!("0.9.0"),
        ..fixture::greeting()
    };
    let effects = update(&mut state, Msg::OtherVersion(Box::new(other)));
    assert_eq!(effects, [Effect::Reconnect(Duration::from_secs(4))]);
    let drawn = picture(&state);
    assert!(!drawn.contains("review"), "{drawn}");
    assert_eq!(
        type_keys(&mut state, "r"),
        [Effect::Reconnect(Duration::ZERO)]
    );
    assert!(acts(&type_keys(&mut state, "xy")).is_empty());
    assert_eq!(type_keys(&mut state, "q"), [Effect::Quit]);
}
