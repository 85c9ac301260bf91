//! What keys and clicks send, and what they never send.

use std::time::Duration;

use bb_proto::budget::Scope;
use bb_proto::units::Tokens;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{acts, control, cursor, draw, picture, press, type_keys};
use crate::dashboard::canvas::Hit;
use crate::dashboard::fixture;
use crate::dashboard::keys::{Action, BINDINGS, Chord};
use crate::dashboard::msg::{Ask, Click, Deal, Effect, Msg};
use crate::dashboard::state::{State, Tab};
use crate::dashboard::update::update;

/// Whether an effect leaves the host as it is.
fn only_reads(effect: &Effect) -> bool {
    match effect {
        Effect::Ask(Ask::Act(act)) => act.dry_run,
        Effect::Ask(Ask::Raise(_)) => false,
        _ => true,
    }
}

#[test]
fn x_and_y_on_the_first_screen_cut_off_the_most_urgent_and_nothing_else() {
    let mut state = fixture::drawing();
    let effects = type_keys(&mut state, "xy");
    let sent: Vec<_> = acts(&effects)
        .into_iter()
        .filter(|act| !act.dry_run)
        .collect();
    let [act] = sent.as_slice() else {
        panic!("one order, not {sent:?}");
    };
    assert_eq!(act.deal, Deal::Cutoff);
    assert_eq!(act.target.name.as_str(), "review-pr-4812");
    assert_eq!(act.target.run, fixture::run(2));
    let more = type_keys(&mut state, "yyy");
    assert!(more.iter().all(only_reads), "{more:?}");
}

#[test]
fn every_request_that_changes_something_has_an_id_of_its_own() {
    let mut state = fixture::drawing();
    let first = type_keys(&mut state, "xy");
    let second = type_keys(&mut state, "Xy");
    let mut ids: Vec<_> = acts(&first)
        .into_iter()
        .chain(acts(&second))
        .map(|act| &act.request_id)
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn read_only_sends_nothing_but_reads_whatever_is_pressed_or_clicked() {
    let mut start = fixture::start(80, 24);
    start.read_only = true;
    let mut state = fixture::drawn(start);
    for row in BINDINGS {
        for chord in row.chords {
            let (code, modifiers) = match chord {
                Chord::Char(c) => (KeyCode::Char(*c), KeyModifiers::NONE),
                Chord::Ctrl(c) => (KeyCode::Char(*c), KeyModifiers::CONTROL),
                Chord::Code(code) => (*code, KeyModifiers::NONE),
            };
            let effects = update(&mut state, Msg::Key(KeyEvent::new(code, modifiers)));
            assert!(effects.iter().all(only_reads), "{chord:?}: {effects:?}");
            let mut state = state.clone();
            let confirmed = type_keys(&mut state, "y");
            assert!(confirmed.iter().all(only_reads), "{chord:?}: {confirmed:?}");
        }
        let clicked = update(&mut state, Msg::Click(Click::Act(row.action)));
        assert!(clicked.iter().all(only_reads), "{:?}", row.action);
    }
    assert!(!picture(&fixture::drawn(state.start.clone())).contains("x cut off"));
}

#[test]
fn the_last_line_and_help_name_what_the_table_of_keys_has() {
    let mut state = fixture::drawn(fixture::start(200, 60));
    let main = picture(&state);
    for row in BINDINGS {
        if let Some((word, _)) = row.hint {
            let key = row.shown.split(' ').next().unwrap_or_default();
            assert!(main.contains(&format!("{key} {word}")), "{key} {word}");
        }
    }
    type_keys(&mut state, "?");
    let help = picture(&state);
    for row in BINDINGS {
        assert!(help.contains(row.does), "{}", row.does);
    }
}

#[test]
fn what_is_drawn_as_a_hint_can_be_clicked_and_does_what_its_key_does() {
    let mut state = fixture::drawing();
    let (buffer, hits) = draw(&state);
    let last = buffer.area.height - 1;
    assert_eq!(Hit::find(&hits, 0, last), Some(&Click::Act(Action::Cutoff)));
    let clicked = update(&mut state, Msg::Click(Click::Act(Action::Cutoff)));
    assert_eq!(acts(&clicked).len(), 1);
    assert!(picture(&state).contains("Cut off review-pr-4812?"));
    let behind = update(&mut state, Msg::Click(Click::Row(fixture::name("web"))));
    assert!(behind.is_empty());
    assert_eq!(cursor(&state), "review-pr-4812");
}

#[test]
fn a_click_on_a_row_moves_there_and_on_its_fold_sign_folds() {
    let mut state = fixture::drawing();
    let (_, hits) = draw(&state);
    let row_of = |name: &str| {
        hits.iter()
            .find(|hit| hit.click == Click::Row(fixture::name(name)))
            .expect("a row")
            .area
            .y
    };
    let web = Hit::find(&hits, 10, row_of("web")).cloned().expect("a hit");
    fixture::told(&mut state, Msg::Click(web));
    assert_eq!(cursor(&state), "web");
    let fold = Hit::find(&hits, 3, row_of("base")).cloned().expect("a hit");
    assert_eq!(fold, Click::Fold(fixture::name("base")));
    fixture::told(&mut state, Msg::Click(fold));
    let drawn = picture(&state);
    assert!(drawn.contains("▸ base (3)"), "{drawn}");
    assert_eq!(cursor(&state), "base");
}

#[test]
fn a_fold_shows_the_worst_look_of_what_it_hides_and_gives_the_cursor_back() {
    let mut state = fixture::drawing();
    press(&mut state, KeyCode::Left);
    assert_eq!(cursor(&state), "review");
    press(&mut state, KeyCode::Left);
    let drawn = picture(&state);
    assert!(drawn.contains("▌▲ ▸ review (2)"), "{drawn}");
    press(&mut state, KeyCode::Right);
    assert_eq!(cursor(&state), "review");
    type_keys(&mut state, "z");
    assert_eq!(state.table.lines().len(), 7);
    type_keys(&mut state, "z");
    assert_eq!(state.table.lines().len(), 12);
}

#[test]
fn the_exclamation_mark_goes_to_the_most_urgent_and_then_to_the_next() {
    let mut state = fixture::drawing();
    press(&mut state, KeyCode::End);
    assert_eq!(cursor(&state), "nightly-dependencies-2026-11-20");
    type_keys(&mut state, "!");
    assert_eq!(cursor(&state), "review-pr-4812");
    type_keys(&mut state, "!");
    assert_eq!(cursor(&state), "review-pr-4815");
    type_keys(&mut state, "j!");
    assert_eq!(cursor(&state), "review-pr-4812");
}

#[test]
fn escape_goes_back_step_by_step_and_never_out() {
    let mut state = fixture::drawing();
    type_keys(&mut state, "/web");
    press(&mut state, KeyCode::Enter);
    assert_eq!(state.table.lines().len(), 1);
    press(&mut state, KeyCode::Enter);
    assert!(state.pane.zoomed);
    type_keys(&mut state, "?");
    for _ in 0..6 {
        let effects = press(&mut state, KeyCode::Esc);
        assert!(!effects.contains(&Effect::Quit));
    }
    assert!(!state.pane.zoomed);
    assert_eq!(state.table.lines().len(), 12);
    assert_eq!(type_keys(&mut state, "q"), [Effect::Quit]);
    assert_eq!(control(&mut state, 'c'), [Effect::Quit]);
}

#[test]
fn the_filter_follows_what_is_typed_and_keeps_the_last_one_it_understood() {
    let mut state = fixture::drawing();
    type_keys(&mut state, "/provider:codex st");
    assert_eq!(state.table.lines().len(), 0);
    type_keys(&mut state, "ate:zzz");
    assert!(picture(&state).contains("not understood: state:zzz?"));
    for _ in 0..9 {
        press(&mut state, KeyCode::Backspace);
    }
    assert_eq!(state.table.lines().len(), 2);
    press(&mut state, KeyCode::Esc);
    assert_eq!(
        cursor(&state),
        "review-pr-4812",
        "the cursor is where it was"
    );
    assert_eq!(state.table.lines().len(), 12);
}

#[test]
fn a_paste_goes_into_a_line_that_is_typed_and_never_acts() {
    let mut state = fixture::drawing();
    let pasted = update(&mut state, Msg::Paste("xy".to_owned()));
    assert!(pasted.is_empty() && state.overlay.is_none());
    type_keys(&mut state, "x");
    let pasted = update(&mut state, Msg::Paste("y".to_owned()));
    assert!(acts(&pasted).is_empty());
    assert!(state.overlay.is_some());
    press(&mut state, KeyCode::Esc);
    type_keys(&mut state, "/");
    fixture::told(&mut state, Msg::Paste("we\u{1b}b\n".to_owned()));
    assert_eq!(state.filter_text, "web");
}

#[test]
fn a_raise_asks_for_the_binding_budget_and_an_amount() {
    let mut state = fixture::drawing();
    type_keys(&mut state, "+");
    press(&mut state, KeyCode::Down);
    assert!(picture(&state).contains("from 300k to 450k"));
    type_keys(&mut state, "y");
    let effects = press(&mut state, KeyCode::Enter);
    let raise = effects.iter().find_map(|effect| match effect {
        Effect::Ask(Ask::Raise(raise)) => Some(raise),
        _ => None,
    });
    let raise = raise.expect("a raise");
    assert_eq!(raise.by, Tokens(150_000));
    assert!(matches!(&raise.budget.scope, Scope::Agent(agent) if agent.as_str() == "reviewer"));
    type_keys(&mut state, "+");
    control(&mut state, 'c');
    assert!(state.overlay.is_none());
    type_keys(&mut state, "+");
    for _ in 0..8 {
        press(&mut state, KeyCode::Backspace);
    }
    let nothing = press(&mut state, KeyCode::Enter);
    assert!(nothing.iter().all(only_reads), "{nothing:?}");
}

#[test]
fn details_are_asked_for_once_the_cursor_rests_and_only_for_what_is_shown() {
    let mut state = fixture::drawing();
    let asked = |effects: &[Effect]| -> Vec<String> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Ask(Ask::Calls { bottle, .. }) => Some(format!("calls of {bottle}")),
                Effect::Ask(Ask::Audit { bottle, .. }) => Some(format!("audit of {bottle}")),
                _ => None,
            })
            .collect()
    };
    let mut now = Duration::from_secs(20);
    let mut wait = |state: &mut State, ms: u64| {
        now += Duration::from_millis(ms);
        update(state, Msg::At(now))
    };
    wait(&mut state, 0);
    assert!(asked(&type_keys(&mut state, "2jj")).is_empty());
    let subject = cursor(&state);
    assert!(asked(&wait(&mut state, 100)).is_empty());
    assert_eq!(
        asked(&wait(&mut state, 60)),
        [format!("calls of {subject}")]
    );
    assert!(
        asked(&wait(&mut state, 5_000)).is_empty(),
        "it is asked already"
    );
    type_keys(&mut state, "3");
    assert_eq!(state.pane.tab, Tab::Audit);
    assert_eq!(
        asked(&wait(&mut state, 0)),
        Vec::<String>::new(),
        "the key itself asked"
    );
}
