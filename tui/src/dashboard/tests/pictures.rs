//! Each screen as it is drawn.

use std::time::Duration;

use bb_proto::time::Timestamp;
use bb_proto::view::{BottleState, Ledger, Wanted};
use crossterm::event::KeyCode;
use ratatui::layout::Position;

use super::{acts, answer, draw, picture, press, type_keys};
use crate::dashboard::clean::clean;
use crate::dashboard::fixture;
use crate::dashboard::msg::Msg;
use crate::dashboard::rows::{Bottle, Budget, Deed, Delta, Failure, Greeting};
use crate::dashboard::state::{Start, State};
use crate::dashboard::theme::{Depth, Look, Role, Theme};

fn snap(name: &str, state: &State) {
    let (width, height) = (state.start.width, state.start.height);
    insta::assert_snapshot!(format!("{name}_{width}x{height}"), picture(state));
}

/// The same state at the two usual sizes.
fn both(name: &str, made: impl Fn(Start) -> State) {
    for (width, height) in [(80, 24), (120, 40)] {
        snap(name, &made(fixture::start(width, height)));
    }
}

/// The budgets as this version has them: no window ends, so there is no share of time.
fn without_windows(mut delta: Delta) -> Delta {
    delta.budgets = delta
        .budgets
        .into_iter()
        .map(|budget| {
            let mut told = budget.told;
            told.resets_at = None;
            told.elapsed_thousandths = None;
            told.pace_thousandths = None;
            Budget::from(told)
        })
        .collect();
    delta
}

fn started(start: Start, delta: Delta) -> State {
    let mut state = State::new(start);
    fixture::told(&mut state, Msg::Up(Box::new(fixture::greeting())));
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    fixture::answer_details(&mut state);
    state
}

#[test]
fn the_main_screen_says_what_runs_out_next_at_every_size() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        snap("main", &fixture::drawn(fixture::start(width, height)));
    }
}

#[test]
fn where_no_window_ends_there_are_no_columns_about_its_end() {
    both("no_windows", |start| {
        started(start, without_windows(fixture::delta()))
    });
}

#[test]
fn the_question_before_a_cutoff_says_what_it_does_and_what_undoes_it() {
    both("cutoff", |start| {
        let mut state = fixture::drawn(start);
        let effects = type_keys(&mut state, "x");
        let question = acts(&effects)[0].clone();
        let deed = Deed {
            changed: true,
            streams_ended: 3,
            took_us: 0,
            observed: BottleState::Running,
            note: None,
        };
        answer(&mut state, &question, Ok(deed));
        state
    });
}

#[test]
fn an_order_that_was_not_reached_stays_in_its_row_and_in_the_count() {
    both("pending", |start| {
        let mut delta = fixture::delta();
        delta.head.told.totals.orders_open = 1;
        delta.bottles = delta
            .bottles
            .into_iter()
            .map(|bottle| {
                let mut told = bottle.told;
                if told.name.as_str() == "legacy-ci" {
                    told.wanted = Some(Wanted {
                        state: BottleState::Stopped,
                        since: Timestamp(fixture::NOW.0 - 2_000),
                        tries: 3,
                        why_not: Some("its process has not ended in 2 s".to_owned()),
                    });
                }
                Bottle::from(told)
            })
            .collect();
        let mut state = started(start, delta);
        type_keys(&mut state, "!!!");
        state
    });
}

#[test]
fn tabs_show_calls_and_audit() {
    for (tab, keys) in [("calls", "2"), ("audit", "3")] {
        both(tab, |start| {
            let mut state = fixture::drawn(start);
            type_keys(&mut state, keys);
            fixture::answer_details(&mut state);
            state
        });
    }
}

#[test]
fn details_take_the_full_height() {
    both("zoomed", |start| {
        let mut state = fixture::drawn(start);
        press(&mut state, KeyCode::Enter);
        fixture::answer_details(&mut state);
        state
    });
}

#[test]
fn a_filter_narrows_the_table_and_the_title_counts_on() {
    both("filter", |start| {
        let mut state = fixture::drawn(start);
        type_keys(&mut state, "/provider:claude !state:cut over:60");
        state
    });
}

#[test]
fn the_raise_says_what_follows_from_what_is_typed() {
    both("raise", |start| {
        let mut state = fixture::drawn(start);
        type_keys(&mut state, "+");
        state
    });
}

#[test]
fn help_is_made_from_the_table_of_keys() {
    both("help", |start| {
        let mut state = fixture::drawn(start);
        type_keys(&mut state, "?");
        state
    });
}

#[test]
fn the_history_of_events_has_a_cursor() {
    both("events", |start| {
        let mut state = fixture::drawn(start);
        type_keys(&mut state, "ejj");
        state
    });
}

#[test]
fn read_only_has_no_key_that_acts() {
    both("read_only", |mut start| {
        start.read_only = true;
        fixture::drawn(start)
    });
}

#[test]
fn without_bottles_the_next_command_is_on_the_screen() {
    both("empty", |start| {
        let mut delta = fixture::delta();
        delta.bottles.clear();
        delta.head.told.totals = bb_proto::view::Totals::default();
        started(start, delta)
    });
}

#[test]
fn without_a_settings_file_it_is_said_in_red_that_nothing_is_limited() {
    let mut delta = fixture::delta();
    delta.head.told.has_settings = false;
    delta.head.told.totals = bb_proto::view::Totals::default();
    delta.bottles.clear();
    delta.budgets.clear();
    let state = started(fixture::start(80, 24), delta);
    snap("no_settings", &state);
    let (buffer, _) = draw(&state);
    let red = state.start.look.style(Role::Crit).fg;
    assert_eq!(Some(buffer[Position::new(2, 1)].fg), red);
}

#[test]
fn a_closed_ledger_is_said_in_red() {
    let mut delta = fixture::delta();
    delta.head.told.ledger = Ledger::Failing {
        since: Timestamp(fixture::NOW.0 - 60_000),
    };
    snap("ledger", &started(fixture::start(80, 24), delta));
}

#[test]
fn a_controller_that_does_not_answer_leaves_its_last_figures_as_old_ones() {
    let mut state = fixture::drawing();
    for _ in 0..7 {
        fixture::told(
            &mut state,
            Msg::Down(Failure::Broken(clean!("connection closed by controller"))),
        );
    }
    fixture::told(&mut state, Msg::At(Duration::from_secs(48)));
    for _ in 0..3 {
        let gone = Failure::Unasked(clean!("nobody listens"));
        fixture::told(&mut state, Msg::Down(gone));
    }
    snap("unreachable", &state);
    let (buffer, _) = draw(&state);
    let old = state.start.look.style(Role::Stale).fg;
    assert_eq!(Some(buffer[Position::new(5, 6)].fg), old);
}

#[test]
fn no_controller_from_the_start_names_the_command_that_starts_it() {
    let mut state = State::new(fixture::start(80, 24));
    let gone = Failure::Unasked(clean!("nobody listens at the socket"));
    fixture::told(&mut state, Msg::Down(gone));
    snap("no_controller", &state);
}

#[test]
fn a_controller_of_another_version_is_named_with_both_versions() {
    let mut state = fixture::drawing();
    let other = Greeting {
        protocol: 3,
        version: clean!("0.9.0"),
        ..fixture::greeting()
    };
    fixture::told(&mut state, Msg::OtherVersion(Box::new(other)));
    snap("version", &state);
}

#[test]
fn a_tiny_window_names_the_most_urgent() {
    snap("tiny", &fixture::drawn(fixture::start(20, 5)));
}

#[test]
fn ascii_has_a_twin_for_every_glyph_of_ours() {
    let mut start = fixture::start(80, 24);
    start.look.ascii = true;
    let state = fixture::drawn(start.clone());
    snap("ascii", &state);
    for keys in ["", "x", "?", "e"] {
        let mut state = fixture::drawn(start.clone());
        type_keys(&mut state, keys);
        let drawn = picture(&state).replace("日本語", "");
        let odd: String = drawn.chars().filter(|c| !c.is_ascii()).collect();
        assert_eq!(odd, "", "after {keys:?}");
    }
}

/// Writes each cell as the letter of its role, so that a change of colour is seen.
fn roles(state: &State) -> String {
    let letters = [
        (Role::Text, 't'),
        (Role::Muted, 'm'),
        (Role::Faint, 'f'),
        (Role::Accent, 'a'),
        (Role::Ok, 'o'),
        (Role::Warn, 'w'),
        (Role::Crit, 'C'),
        (Role::Stale, 's'),
    ];
    let look = state.start.look;
    let (buffer, _) = draw(state);
    let width = usize::from(buffer.area.width);
    let letter = |cell: &ratatui::buffer::Cell| {
        letters
            .iter()
            .find(|(role, _)| look.style(*role).fg == Some(cell.fg))
            .map_or('?', |(_, letter)| *letter)
    };
    let rows = buffer.content.chunks(width).map(|row| {
        let written = row.iter().map(|cell| match cell.symbol() {
            " " => ' ',
            _ => letter(cell),
        });
        written.collect::<String>().trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn colours_repeat_what_signs_and_words_say() {
    insta::assert_snapshot!("roles_80x24", roles(&fixture::drawing()));
}

#[test]
fn without_colour_the_cursor_is_reversed_and_its_bar_is_not() {
    let mut start = fixture::start(80, 24);
    start.look = Look {
        theme: Theme::Dark,
        depth: Depth::None,
        ascii: false,
    };
    let (buffer, _) = draw(&fixture::drawn(start));
    let is_reversed = |x: u16| {
        let reversed = ratatui::style::Modifier::REVERSED;
        buffer[Position::new(x, 6)].modifier.contains(reversed)
    };
    for x in 0..80 {
        let is_bar = (30..38).contains(&x);
        assert_eq!(is_reversed(x), !is_bar, "cell {x}");
    }
}

#[test]
fn a_row_whose_state_changed_is_bold_for_two_seconds() {
    let mut state = fixture::drawing();
    let mut delta = fixture::delta();
    delta.whole = false;
    delta.budgets.clear();
    delta
        .bottles
        .retain(|bottle| bottle.told.name.as_str() == "web");
    for bottle in &mut delta.bottles {
        bottle.told.state = BottleState::Failed;
    }
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    let bold_rows = |state: &State| -> usize {
        let (buffer, _) = draw(state);
        let bold = ratatui::style::Modifier::BOLD;
        (5..17)
            .filter(|y| buffer[Position::new(1, *y)].modifier.contains(bold))
            .count()
    };
    assert_eq!(bold_rows(&state), 1);
    assert!(state.next_wake() <= Some(Duration::from_secs(2)));
    fixture::told(&mut state, Msg::At(Duration::from_millis(2_001)));
    assert_eq!(bold_rows(&state), 0);
}
