//! Nothing jumps: the cursor belongs to a bottle, and its bottle to a line of the screen.

use std::time::Duration;

use bb_proto::units::Tokens;
use bb_proto::view::BottleState;
use crossterm::event::KeyCode;

use super::{Numbers, cursor, press, type_keys};
use crate::dashboard::fixture::{self, Made};
use crate::dashboard::msg::Msg;
use crate::dashboard::rows::{Bottle, Budget, Delta};
use crate::dashboard::state::State;
use crate::dashboard::update::update;

/// A host of so many bottles, each under a budget of its own.
pub(super) fn many(count: u64, width: u16, height: u16) -> (State, Vec<Bottle>, Vec<Budget>) {
    let names: Vec<&'static str> = (0..count)
        .map(|n| &*Box::leak(format!("bottle-{n:04}").into_boxed_str()))
        .collect();
    let mut bottles = Vec::new();
    let mut budgets = Vec::new();
    for (n, name) in (0_u64..).zip(names) {
        let key = format!("bottle:{name}/claude/total");
        let mut budget = fixture::budget(&key, 1_000 * n, 10_000_000);
        budget.told.rate_per_minute = 1_000;
        budget.told.left_ms = Some(60_000 * (n + 1));
        budgets.push(budget);
        let made = Made {
            calls: 1 + n % 3,
            rate: 1_000 + n,
            path: vec![(key, bb_proto::view::PathRole::Binds)],
            ..Made::plain(name, u128::from(n) + 1)
        };
        bottles.push(made.bottle());
    }
    let mut state = State::new(fixture::start(width, height));
    fixture::told(&mut state, Msg::Up(Box::new(fixture::greeting())));
    fixture::told(
        &mut state,
        Msg::Snapshot(Box::new(Delta {
            bottles: bottles.clone(),
            budgets: budgets.clone(),
            ..fixture::delta()
        })),
    );
    (state, bottles, budgets)
}

/// Changes of some bottles and their budgets.
pub(super) fn shaken(
    numbers: &mut Numbers,
    bottles: &mut [Bottle],
    budgets: &mut [Budget],
    how_many: u64,
) -> Delta {
    let mut delta = Delta {
        bottles: Vec::new(),
        budgets: Vec::new(),
        whole: false,
        ..fixture::delta()
    };
    for _ in 0..how_many {
        let at = usize::try_from(numbers.next(bottles.len() as u64)).expect("an index");
        let (bottle, budget) = (&mut bottles[at], &mut budgets[at]);
        bottle.told.rate_per_minute = numbers.next(50_000);
        bottle.told.in_flight = numbers.next(4);
        bottle.told.state = match numbers.next(12) {
            0 => BottleState::Cutoff,
            1 => BottleState::Failed,
            _ => BottleState::Running,
        };
        budget.told.used = Tokens(numbers.next(11_000_000));
        budget.told.left_ms = Some(numbers.next(100_000_000));
        delta.bottles.push(bottle.clone());
        delta.budgets.push(budget.clone());
    }
    delta
}

#[test]
fn the_first_snapshot_puts_the_cursor_on_what_runs_out_first() {
    assert_eq!(cursor(&fixture::drawing()), "review-pr-4812");
    let (state, ..) = many(200, 80, 24);
    assert_eq!(cursor(&state), "bottle-0000");
}

#[test]
fn the_cursor_stays_on_its_bottle_and_its_line_through_a_thousand_changes() {
    let (mut state, mut bottles, mut budgets) = many(200, 80, 24);
    // In the middle of the list and of the screen, and later too: so no end of the list is near.
    for _ in 0..100 {
        press(&mut state, KeyCode::Down);
    }
    for _ in 0..5 {
        press(&mut state, KeyCode::Up);
    }
    let chosen = cursor(&state);
    let screen_line = |state: &State| state.table.at() - state.table.top();
    let line = screen_line(&state);
    let mut numbers = Numbers(4812);
    let mut moved = 0;
    let mut now = Duration::from_secs(10);
    for _ in 0..1_000 {
        let before = state.table.at();
        let mut delta = shaken(&mut numbers, &mut bottles, &mut budgets, 3);
        // Its own figures stand, so that it stays about the middle of the order.
        delta.bottles.retain(|b| b.told.name.as_str() != chosen);
        delta
            .budgets
            .retain(|b| !b.scope.as_str().ends_with(&chosen));
        now += Duration::from_millis(1_100);
        fixture::told(&mut state, Msg::At(now));
        fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
        moved += usize::from(state.table.at() != before);
        assert_eq!(cursor(&state), chosen);
        let is_at_an_end = state.table.top() == 0
            || state.table.top() + super::super::layout::table_height(&state)
                >= state.table.lines().len();
        if !is_at_an_end {
            assert_eq!(screen_line(&state), line);
        }
    }
    assert!(moved > 100, "the order did change around it: {moved}");
}

#[test]
fn the_wheel_looks_elsewhere_and_the_cursor_stays() {
    let (mut state, bottles, _) = many(200, 80, 24);
    for _ in 0..20 {
        let wheel = Msg::Wheel {
            down: true,
            over: None,
        };
        fixture::told(&mut state, wheel);
    }
    assert_eq!((state.table.top(), state.table.at()), (60, 0));
    let delta = Delta {
        bottles,
        budgets: Vec::new(),
        whole: false,
        ..fixture::delta()
    };
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    assert_eq!(state.table.top(), 60);
    press(&mut state, KeyCode::Down);
    assert_eq!((state.table.top(), state.table.at()), (1, 1));
}

#[test]
fn two_neighbours_change_places_when_the_difference_is_clear_or_lasts() {
    let (mut state, _, mut budgets) = many(3, 80, 24);
    let order = |state: &State| -> String {
        let names = state.table.order.names();
        names
            .iter()
            .map(|name| name.as_str().trim_start_matches("bottle-000"))
            .collect()
    };
    assert_eq!(order(&state), "012");
    let mut now = Duration::from_secs(10);
    let mut look = |state: &mut State, left: [u64; 3]| {
        for (budget, left) in budgets.iter_mut().zip(left) {
            budget.told.left_ms = Some(left * 60_000);
        }
        now += Duration::from_millis(1_100);
        let delta = Delta {
            bottles: Vec::new(),
            budgets: budgets.clone(),
            whole: false,
            ..fixture::delta()
        };
        fixture::told(state, Msg::Snapshot(Box::new(delta)));
        fixture::told(state, Msg::At(now));
        order(state)
    };
    assert_eq!(look(&mut state, [100, 200, 300]), "012");
    assert_eq!(
        look(&mut state, [203, 200, 300]),
        "012",
        "a little, for one look"
    );
    assert_eq!(look(&mut state, [100, 200, 300]), "012", "it did not last");
    assert_eq!(look(&mut state, [203, 200, 300]), "012");
    assert_eq!(look(&mut state, [203, 200, 300]), "102", "it lasted");
    assert_eq!(look(&mut state, [203, 200, 100]), "210", "it is clear");
}

#[test]
fn order_waits_for_a_second_after_a_key() {
    let (mut state, bottles, mut budgets) = many(3, 80, 24);
    fixture::told(&mut state, Msg::At(Duration::from_secs(10)));
    type_keys(&mut state, "j");
    budgets[2].told.left_ms = Some(1);
    let delta = Delta {
        bottles,
        budgets,
        whole: false,
        ..fixture::delta()
    };
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    let first = |state: &State| state.table.order.names()[0].to_string();
    fixture::told(&mut state, Msg::At(Duration::from_millis(10_900)));
    assert_eq!(first(&state), "bottle-0000");
    assert!(state.next_wake() <= Some(Duration::from_secs(11)));
    drop(update(&mut state, Msg::At(Duration::from_millis(11_100))));
    assert_eq!(first(&state), "bottle-0002");
}

#[test]
fn parents_that_name_each_other_are_shown_once_each() {
    let mut delta = fixture::delta();
    for bottle in &mut delta.bottles {
        let parents = match bottle.told.name.as_str() {
            "base" => vec![fixture::name("web")],
            "legacy-ci" => vec![fixture::name("base")],
            _ => continue,
        };
        bottle.told.parents = parents;
    }
    let mut state = State::new(fixture::start(80, 40));
    fixture::told(&mut state, Msg::Up(Box::new(fixture::greeting())));
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    let mut names: Vec<&str> = state
        .table
        .lines()
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 12);
    assert_eq!(state.table.lines().len(), 12);
}
