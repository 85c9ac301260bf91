//! What the reader answers.

use bb_proto::reply::{Ending, Usages};
use bb_proto::request::{UsageBy, UsageQuery};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;

use super::played::Played;
use crate::store::reader::{EventFilter, Reader};

fn ask(played: &Played, query: &UsageQuery) -> Usages {
    Reader::new(&played.path()).usage(query).expect("an answer")
}

fn by(by: UsageBy) -> UsageQuery {
    UsageQuery {
        by,
        ..UsageQuery::default()
    }
}

/// Three calls that were charged, one of them corrected twice, and one that was taken back.
fn played() -> Played {
    let mut played = Played::begin(&[]);
    played.register("web", Some("reviewer"));
    played.register("nightly", None);
    let calls: Vec<_> = [
        ("web", "claude"),
        ("web", "codex"),
        ("nightly", "claude"),
        ("web", "claude"),
    ]
    .into_iter()
    .map(|(bottle, provider)| played.reserve(bottle, provider, 400))
    .collect();
    let [first, second, third, fourth] = calls.as_slice() else {
        panic!("four calls")
    };
    played.now = Timestamp(played.now.0 + 1_000);
    played.settle(*first, [100, 50, 0, 20], true);
    played.now = Timestamp(played.now.0 + 1_000);
    played.settle(*second, [10, 0, 0, 5], false);
    played.now = Timestamp(played.now.0 + 1_000);
    played.settle(*third, [7, 0, 3, 2], true);
    played.void(*fourth);
    played.now = Timestamp(played.now.0 + 1_000);
    played.amend(*second, [40, 0, 6, 9]);
    played.amend(*second, [30, 0, 6, 4]);
    played
}

fn charges(usages: &Usages) -> Vec<(String, u64, u64)> {
    let named = |row: &bb_proto::reply::UsageRow| {
        let names = [
            row.bottle.as_ref().map(ToString::to_string),
            row.agent.as_ref().map(ToString::to_string),
            row.provider.as_ref().map(ToString::to_string),
            row.model.clone(),
        ];
        names.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let rows = usages.rows.iter();
    rows.map(|row| (named(row), row.sum.calls, row.sum.charge.0))
        .collect()
}

fn row(name: &str, calls: u64, charge: u64) -> (String, u64, u64) {
    (name.to_owned(), calls, charge)
}

#[test]
fn usage_is_summed_by_what_is_asked_for_the_dearest_first() {
    let played = played();
    let charged = |what| charges(&ask(&played, &by(what)));
    assert_eq!(
        charged(UsageBy::Bottle),
        [
            row("web claude", 1, 170),
            row("web codex", 1, 40),
            row("nightly claude", 1, 12)
        ]
    );
    assert_eq!(
        charged(UsageBy::Agent),
        [
            row("reviewer claude", 1, 170),
            row("reviewer codex", 1, 40),
            row("claude", 1, 12)
        ]
    );
    assert_eq!(
        charged(UsageBy::Provider),
        [row("claude", 2, 182), row("codex", 1, 40)]
    );
    assert_eq!(
        charged(UsageBy::Model),
        [
            row("claude model-claude", 2, 182),
            row("codex model-codex", 1, 40)
        ]
    );
    let total = ask(&played, &by(UsageBy::Bottle)).total;
    assert_eq!((total.calls, total.charge), (3, Tokens(222)));
    assert_eq!(
        (
            total.input,
            total.cache_read,
            total.cache_write,
            total.output
        ),
        (137, 50, 9, 26)
    );
    assert_eq!(
        total.estimated, 0,
        "the estimate was corrected by the provider's own word"
    );
}

#[test]
fn calls_come_newest_first_each_as_it_holds_now() {
    let played = played();
    let usages = ask(&played, &by(UsageBy::Call));
    let of = |at: usize| {
        usages
            .rows
            .get(at)
            .and_then(|row| row.call.as_ref())
            .expect("a call")
    };
    let endings: Vec<_> = (0..4).map(|at| of(at).ending).collect();
    assert_eq!(
        endings,
        [
            Ending::Voided,
            Ending::Complete,
            Ending::Complete,
            Ending::Complete
        ]
    );
    let summed: Vec<_> = usages
        .rows
        .iter()
        .map(|row| (row.sum.calls, row.sum.charge.0))
        .collect();
    assert_eq!(summed, [(0, 0), (1, 12), (1, 40), (1, 170)]);
    let amended = of(2);
    assert_eq!(
        (amended.usage.input, amended.usage.cache_write),
        (Some(30), Some(6))
    );
    assert!(!amended.estimated);
    let rows: u64 = usages.rows.iter().map(|row| row.sum.charge.0).sum();
    assert_eq!(Tokens(rows), usages.total.charge);
}

#[test]
fn a_question_is_narrowed_and_its_total_counts_beyond_the_rows() {
    let played = played();
    let some = |query: UsageQuery| {
        let usages = ask(&played, &query);
        (usages.rows.len(), usages.total.calls, usages.total.charge.0)
    };
    let all = by(UsageBy::Call);
    assert_eq!(
        some(UsageQuery {
            limit: Some(1),
            ..all.clone()
        }),
        (1, 3, 222)
    );
    assert_eq!(
        some(UsageQuery {
            limit: Some(0),
            ..all.clone()
        }),
        (0, 3, 222)
    );
    let bottle = "nightly".parse().ok();
    assert_eq!(
        some(UsageQuery {
            bottle,
            ..all.clone()
        }),
        (1, 1, 12)
    );
    let provider = "codex".parse().ok();
    assert_eq!(
        some(UsageQuery {
            provider,
            ..all.clone()
        }),
        (1, 1, 40)
    );
    let run = played
        .book
        .bottles()
        .get(&"nightly".parse().expect("a name"))
        .map(|b| b.run);
    assert_eq!(some(UsageQuery { run, ..all.clone() }), (1, 1, 12));
    let begun = 1_795_168_800_000;
    let (from, to) = (
        Some(Timestamp(begun + 1_000)),
        Some(Timestamp(begun + 2_000)),
    );
    assert_eq!(
        some(UsageQuery {
            from,
            to,
            ..all.clone()
        }),
        (1, 1, 170)
    );
    let from = Some(Timestamp(begun + 9_000));
    assert_eq!(some(UsageQuery { from, ..all }), (0, 0, 0));
}

#[test]
fn the_audit_has_what_was_decided_and_what_was_refused() {
    let mut played = Played::begin(&[]);
    played.register("web", None);
    let order = bb_core::book::Order::default();
    let name = "web".parse().expect("a name");
    played
        .book
        .cutoff(&name, None, &order, played.now)
        .expect("cut off");
    played.write();
    played.reserve("web", "claude", 10);
    played.reserve("nobody", "claude", 10);
    let reader = Reader::new(&played.path());
    let kinds = |audit| {
        let filter = EventFilter {
            audit,
            ..EventFilter::default()
        };
        let events = reader.events(&filter).expect("events").events;
        events
            .iter()
            .map(|event| format!("{:?}", event.kind))
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(false), ["Refused", "Cutoff", "Launched"]);
    assert_eq!(kinds(true), ["Refused", "Cutoff", "Launched"]);
}

#[test]
fn calls_that_were_settled_as_stated_are_kept_to_learn_from() {
    let mut played = played();
    let (saved, _) = played.store.load().expect("what was kept");
    let past: Vec<_> = saved
        .past
        .iter()
        .map(|call| {
            (
                call.provider.as_str(),
                call.model.as_str(),
                call.usage.total(),
            )
        })
        .collect();
    assert_eq!(
        past,
        [
            ("claude", "model-claude", 170),
            ("claude", "model-claude", 12)
        ],
        "without the one that was estimated and the one that was taken back"
    );
    // Only the last thousand entries are looked through.
    for _ in 0..1_001 {
        let call = played.reserve("web", "codex", 40);
        played.void(call);
    }
    let (saved, _) = played.store.load().expect("what was kept");
    assert_eq!(saved.past, []);
}
