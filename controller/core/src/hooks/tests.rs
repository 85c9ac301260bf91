use std::collections::HashMap;

use bb_proto::event::Actor;
use bb_proto::time::Timestamp;
use proptest::prelude::*;

use super::*;

/// Returns an event of the budget of a bottle named by a letter; `!` is one of the controller.
fn event(subject: char, seq: u64) -> Event {
    let budget = format!("bottle:{subject}/claude/total");
    Event {
        explained: None,
        seq,
        at: Timestamp(0),
        kind: EventKind::Warned,
        actor: Actor::Budget,
        bottle: None,
        run: None,
        budget: (subject != '!').then(|| budget.parse().expect("a budget")),
        provider: None,
        text: String::new(),
        uid: None,
        why: None,
    }
}

fn name(due: &Due) -> String {
    let letter = match &due.event.budget {
        Some(key) => key.to_string().chars().nth("bottle:".len()),
        None => Some('!'),
    };
    let skipped = match due.skipped {
        0 => String::new(),
        skipped => format!("+{skipped}"),
    };
    format!("{}{}{skipped}", letter.expect("a letter"), due.event.seq)
}

/// Each line: the time, what happens (`a` an event of `a`, `.` the end of a run), what starts then
/// (`a3+2`: the third event, two skipped), and how long nothing will.
fn check(table: &[(u64, &str, &str, Option<u64>)]) -> Hooks {
    let mut hooks = Hooks::default();
    let mut seq = 0;
    for (now, happens, starts, wait) in table {
        for what in happens.chars() {
            if what == '.' {
                hooks.ended();
            } else {
                seq += 1;
                hooks.happened(event(what, seq));
            }
        }
        let now = Millis(*now);
        let started: Vec<String> =
            std::iter::from_fn(|| hooks.start(now).map(|due| name(&due))).collect();
        assert_eq!(started.join(" "), *starts, "at {now:?}");
        assert_eq!(hooks.wait(now), wait.map(Millis), "at {now:?}");
    }
    hooks
}

#[test]
fn the_first_event_is_told_at_once_and_of_the_rest_of_its_second_the_last() {
    check(&[
        (0, "a", "a1", None),
        (10, "aaaa", "", Some(990)),
        (900, "aaaaa", "", Some(100)),
        (999, "", "", Some(1)),
        (1_000, "", "a10+8", None),
        (1_001, "a", "", Some(999)),
        (2_000, "", "a11", None),
        (3_000, "a", "a12", None),
    ]);
}

#[test]
fn subjects_do_not_wait_for_each_other() {
    check(&[
        (0, "ab!", "a1 b2 !3", None),
        (500, "a!", "", Some(500)),
        (600, "c", "c6", None),
        (1_000, "..", "a4 !5", None),
    ]);
}

#[test]
fn as_many_run_as_may_and_the_longest_waiting_is_next() {
    check(&[
        (0, "abcdef", "a1 b2 c3 d4", None),
        (1_500, "fae", "", None),
        (5_000, ".", "e9+1", None),
        (5_000, "..", "f7+1 a8", None),
        (5_000, "....", "", None),
    ]);
}

#[test]
fn a_subject_that_is_held_lets_a_later_one_pass() {
    check(&[
        (0, "a", "a1", None),
        (100, "a", "", Some(900)),
        (200, "b", "b3", Some(800)),
    ]);
}

#[test]
fn beyond_the_limit_the_oldest_is_left_out_and_counted_with_what_it_skipped() {
    let mut hooks = Hooks::default();
    let letters = ('\u{3400}'..).take(WAITING_MAX);
    for (letter, seq) in letters.zip(0..) {
        hooks.happened(event(letter, seq));
    }
    hooks.happened(event('\u{3400}', 1_000));
    assert_eq!(hooks.dropped(), 0);
    hooks.happened(event('z', 1_001));
    assert_eq!(hooks.dropped(), 2);
    hooks.lost(5);
    assert_eq!(hooks.dropped(), 7);
    let next = hooks.start(Millis(0)).expect("one that waits");
    assert_eq!((next.event.seq, next.skipped), (1, 0));
    assert_eq!(hooks.forget(), 255);
    assert_eq!((hooks.start(Millis(9_000)), hooks.running()), (None, 1));
}

#[test]
fn what_is_about_no_budget_is_about_its_bottle_and_else_about_the_controller() {
    let mut of_bottle = event('!', 1);
    of_bottle.bottle = Some("web".parse().expect("a name"));
    let mut of_ledger = event('!', 2);
    of_ledger.kind = EventKind::Ledger;
    let mut hooks = Hooks::default();
    for event in [&of_bottle, &of_ledger, &event('!', 3)] {
        hooks.happened(event.clone());
    }
    let mut again = of_bottle.clone();
    again.kind = EventKind::Restored;
    hooks.happened(again);
    let started: Vec<(u64, u64)> = std::iter::from_fn(|| hooks.start(Millis(0)))
        .map(|due| (due.event.seq, due.skipped))
        .collect();
    assert_eq!(started, [(1, 1), (2, 0), (3, 0)]);
}

#[test]
fn each_kind_is_written_as_programs_compare_it() {
    for (word, kind) in KINDS {
        assert_eq!(serde_json::to_value(kind).expect("a word"), *word);
    }
}

proptest! {
    /// Whatever happens: no more at once than may be, no subject twice in its pace, and each event
    /// is told, skipped, dropped or waits.
    #[test]
    fn no_event_is_lost_without_being_counted(
        steps in prop::collection::vec((0_u64..700, 0_u8..8, prop::bool::ANY), 1..200)
    ) {
        let mut hooks = Hooks::default();
        let (mut now, mut accounted, mut running) = (0_u64, 0_u64, 0_usize);
        let mut last: HashMap<Subject, u64> = HashMap::new();
        let mut happened = 0_u64;
        for (pause, letter, ends) in steps {
            now += pause;
            if ends && running > 0 {
                hooks.ended();
                running -= 1;
            }
            happened += 1;
            hooks.happened(event(char::from(b'a' + letter), happened));
            while let Some(due) = hooks.start(Millis(now)) {
                running += 1;
                accounted += 1 + due.skipped;
                let before = last.insert(Subject::of(&due.event), now);
                prop_assert!(before.is_none_or(|before| now >= before + PACE.0));
            }
            prop_assert!(running <= RUNNING_MAX);
            prop_assert_eq!(hooks.running(), running);
            prop_assert_ne!(hooks.wait(Millis(now)), Some(Millis(0)));
        }
        prop_assert_eq!(accounted + hooks.forget() + hooks.dropped(), happened);
    }
}
