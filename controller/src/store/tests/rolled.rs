//! Entries that are rolled up: every sum is the same before, in the midst and after.

use std::collections::BTreeMap;

use bb_proto::reply::{LedgerEntries, UsageRow, Usages};
use bb_proto::request::{LedgerExport, UsageBy, UsageQuery};
use bb_proto::time::Timestamp;
use rusqlite::Connection;

use super::bulk::Bulk;
use super::played::{Played, dump};
use super::verified::verify;
use crate::store::reader::Reader;
use crate::store::{ROLL_UP_ENTRIES_MAX, RolledUp, Store};

const HOUR: i64 = 3_600_000;
/// Later than anything that was made.
const LATER: Timestamp = Timestamp(i64::MAX);

/// Calls over some hours, of bottles whose accounts change meanwhile.
fn played() -> Played {
    let mut played = Played::begin(&[("base", &[]), ("web", &["base"])]);
    played.register("base", None);
    played.register("web", Some("reviewer"));
    for round in 0..24 {
        played.now = Timestamp(played.now.0 + HOUR / 5);
        let bottle = ["web", "base"][usize::from(round % 3 == 0)];
        let call = played.reserve(
            bottle,
            ["claude", "codex"][usize::from(round % 5 == 0)],
            400,
        );
        match round % 4 {
            0 => played.void(call),
            1 => {
                played.settle(call, [100, 50, 0, 20], false);
                played.now = Timestamp(played.now.0 + HOUR);
                played.amend(call, [90, 50, 5, 30]);
            }
            _ => played.settle(call, [100 + round, 50, 0, 20], round % 4 == 2),
        }
        if round == 12 {
            let order = bb_core::book::Order {
                uid: 7,
                why: None,
                dry_run: false,
            };
            let base = "base".parse().expect("a name");
            drop(played.book.order_stop(&base, None, &order, played.now));
            played.register("base", None);
        }
    }
    played
}

fn usage(reader: &Reader, by: UsageBy, of: &UsageQuery) -> Usages {
    let query = UsageQuery { by, ..of.clone() };
    let mut usages = reader.usage(&query).expect("sums");
    let key = |row: &UsageRow| format!("{row:?}");
    usages.rows.sort_by_key(key);
    usages
}

/// Every sum that can be asked for.
fn sums(played: &Played) -> Vec<Usages> {
    let reader = Reader::new(&played.path());
    let web = "web".parse().expect("a name");
    let run = played.book.bottles().get(&web).map(|bottle| bottle.run);
    let half = Timestamp(1_795_168_800_000 + 5 * HOUR);
    let half = Timestamp(half.0 - half.0 % HOUR);
    let questions = [
        UsageQuery::default(),
        UsageQuery {
            bottle: Some(web),
            ..UsageQuery::default()
        },
        UsageQuery {
            run,
            provider: Some("claude".parse().expect("a name")),
            ..UsageQuery::default()
        },
        UsageQuery {
            from: Some(half),
            ..UsageQuery::default()
        },
        UsageQuery {
            to: Some(half),
            ..UsageQuery::default()
        },
    ];
    let groups = [
        UsageBy::Bottle,
        UsageBy::Agent,
        UsageBy::Provider,
        UsageBy::Model,
    ];
    let all = questions
        .iter()
        .flat_map(|of| groups.map(|by| usage(&reader, by, of)));
    all.collect()
}

fn export(reader: &Reader, after: u64, limit: u32) -> Option<LedgerEntries> {
    let query = LedgerExport {
        after: Some(after),
        limit: Some(limit),
        ..LedgerExport::default()
    };
    reader.export(&query).expect("a page")
}

/// Exports page by page; returns the charges by bottle, the calls, and how many rows.
fn exported(reader: &Reader, limit: u32) -> (BTreeMap<String, i64>, u64, usize) {
    let (mut sums, mut calls, mut rows, mut after) = (BTreeMap::new(), 0, 0, 0);
    loop {
        let page = export(reader, after, limit).expect("nothing is rolled up meanwhile");
        let mut numbers = Vec::new();
        for entry in &page.entries {
            *sums.entry(entry.bottle.to_string()).or_insert(0) += entry.charge;
            calls += u64::from(entry.kind == bb_proto::reply::EntryKind::Settle);
            numbers.push(entry.seq);
        }
        for row in &page.rolled_up {
            *sums.entry(row.bottle.to_string()).or_insert(0) += row.charge;
            calls += row.calls;
            numbers.push(row.seq);
        }
        assert!(
            numbers
                .iter()
                .all(|seq| (after + 1..=page.last).contains(seq))
        );
        assert!(numbers.len() <= limit as usize);
        rows += numbers.len();
        after = page.last;
        if !page.more {
            return (sums, calls, rows);
        }
    }
}

fn table(connection: &Connection, of: &[&str]) -> Vec<(String, Vec<rusqlite::types::Value>)> {
    let mut rows = dump(connection);
    rows.retain(|(table, _)| of.contains(&table.as_str()));
    rows
}

#[test]
fn no_sum_no_balance_and_no_event_changes_while_entries_are_rolled_up() {
    let mut played = played();
    let lasting = [
        "balances",
        "events",
        "bottles",
        "paths",
        "budgets",
        "open_calls",
    ];
    let (before, balances) = (sums(&played), table(&played.sql(), &lasting));
    let reader = Reader::new(&played.path());
    let whole = verify(&played.path());
    assert!(whole.agrees && whole.rolled_up == 0, "{whole:?}");
    let entries = exported(&reader, 7);
    let next = played.store.load().expect("what was kept").1;
    let mut gone = 0;
    let begun = 1_795_168_800_000;
    // Some at a time, in the midst of an hour too; the last time all that is left.
    for step in 1..=30 {
        let until = Timestamp(begun + step * HOUR * 2 / 5);
        gone += u64::from(played.roll_up(until).entries);
        assert_eq!(sums(&played), before, "step {step}");
        assert_eq!(table(&played.sql(), &lasting), balances);
        let verified = verify(&played.path());
        assert!(verified.agrees, "step {step}: {verified:?}");
        assert_eq!(
            (verified.entries, verified.rolled_up),
            (whole.entries - gone, gone)
        );
        let (charges, calls, rows) = exported(&reader, 7);
        assert_eq!((&charges, calls), (&entries.0, entries.1));
        assert!(rows <= entries.2);
        let (_, number) = played.store.load().expect("what was kept");
        assert_eq!(number, next, "no number is given twice");
    }
    assert_eq!(gone, whole.entries);
    assert_eq!(played.roll_up(LATER).entries, 0);
    // A copy has all of it, and a book that is put together from it is the same.
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copy.db");
    reader.backup(&to, || false).expect("a copy");
    assert!(verify(&to).agrees);
    let restored = played.reopened();
    assert_eq!(
        restored.accounts().sum(
            &bb_core::book::Account::Host,
            &bb_proto::budget::ProviderSelector::All
        ),
        played.book.accounts().sum(
            &bb_core::book::Account::Host,
            &bb_proto::budget::ProviderSelector::All
        )
    );
}

#[test]
fn a_row_says_of_an_hour_what_its_calls_said() {
    let mut played = Played::begin(&[]);
    played.register("web", Some("reviewer"));
    played.now = Timestamp(1_795_168_800_000 - 1_795_168_800_000 % HOUR);
    let hour = played.now;
    for round in 0..3 {
        played.now = Timestamp(hour.0 + round * 60_000);
        let call = played.reserve("web", "claude", 400);
        played.settle(call, [100, 50, 0, 20], round > 0);
    }
    let amended = played.reserve("web", "claude", 400);
    played.settle(amended, [100, 0, 0, 1], false);
    played.amend(amended, [90, 0, 0, 30]);
    let voided = played.reserve("web", "claude", 400);
    played.void(voided);
    played.now = Timestamp(hour.0 + HOUR);
    let next = played.reserve("web", "claude", 400);
    played.settle(next, [1, 0, 0, 1], true);
    let charged: i64 = played.charged[&("host".to_owned(), "claude".to_owned())];
    assert_eq!(played.roll_up(Timestamp(hour.0 + HOUR)).entries, 6);
    let page = export(&Reader::new(&played.path()), 0, 100).expect("a page");
    let [row] = page.rolled_up.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!(
        (row.calls, row.estimated, row.voided, row.amended),
        (4, 1, 1, 1)
    );
    assert_eq!((row.hour, row.bottle.as_str()), (hour, "web"));
    assert_eq!(
        row.agent.as_ref().map(bb_proto::ids::AgentName::as_str),
        Some("reviewer")
    );
    assert_eq!(
        (row.provider.as_str(), row.model.as_str()),
        ("claude", "model-claude")
    );
    let usage = row.usage;
    assert_eq!((usage.input, usage.cache_read), (Some(390), Some(150)));
    assert_eq!(
        (usage.output, usage.cache_write, usage.reasoning),
        (Some(93), None, None)
    );
    assert_eq!(page.entries.len(), 1);
    assert_eq!(row.charge, charged - page.entries[0].charge);
    // By call there is what is kept, and the sum has all.
    let query = UsageQuery {
        by: UsageBy::Call,
        ..UsageQuery::default()
    };
    let usages = Reader::new(&played.path()).usage(&query).expect("calls");
    assert_eq!((usages.rows.len(), usages.total.calls), (1, 5));
}

#[test]
fn a_step_that_fails_in_its_midst_leaves_all_as_it_was() {
    let mut played = played();
    let before = dump(&played.sql());
    for at in ["BEFORE DELETE ON entries", "BEFORE INSERT ON rolled_up"] {
        played
            .sql()
            .execute_batch(&format!(
                "CREATE TRIGGER fault {at} BEGIN SELECT RAISE(ABORT, 'a fault'); END"
            ))
            .expect("a trigger");
        played.store.roll_up(LATER, LATER).expect_err("a fault");
        played
            .sql()
            .execute_batch("DROP TRIGGER fault")
            .expect("gone");
        assert_eq!(dump(&played.sql()), before, "{at}");
    }
    assert!(played.roll_up(LATER).entries > 0);
}

#[test]
fn what_an_operator_corrected_stays_with_who_and_why() {
    let mut played = Played::begin(&[]);
    played.register("web", None);
    let call = played.reserve("web", "claude", 400);
    played.settle(call, [100, 0, 0, 1], false);
    played.amend(call, [500, 0, 0, 1]);
    played
        .sql()
        .execute_batch("UPDATE entries SET uid = 7, why = 'told so' WHERE kind = 'amend'")
        .expect("by an operator");
    let before = sums(&played);
    assert_eq!(played.roll_up(LATER).entries, 1);
    assert_eq!(sums(&played), before);
    let verified = verify(&played.path());
    assert!(verified.agrees && verified.entries == 1, "{verified:?}");
}

#[test]
fn an_entry_of_a_clock_that_was_wrong_holds_none_up() {
    let mut bulk = Bulk::begin();
    bulk.write(9);
    Connection::open(bulk.path())
        .expect("the database")
        .execute_batch("UPDATE entries SET at = 5000 WHERE seq = 4")
        .expect("a wrong time");
    let entries = |rolled: Result<RolledUp, _>| rolled.expect("rolled up").entries;
    assert_eq!(
        entries(bulk.store.roll_up(Timestamp(7), Timestamp(9_000))),
        3
    );
    assert_eq!(
        entries(bulk.store.roll_up(Timestamp(7), Timestamp(4_999))),
        3
    );
    assert_eq!(
        entries(bulk.store.roll_up(Timestamp(7), Timestamp(4_999))),
        0
    );
    assert!(verify(&bulk.path()).faults.is_empty());
}

#[test]
fn a_call_that_is_rolled_up_is_not_corrected_any_more() {
    let mut played = Played::begin(&[]);
    played.register("web", None);
    let old = played.reserve("web", "claude", 400);
    played.settle(old, [100, 0, 0, 1], false);
    played.now = Timestamp(played.now.0 + HOUR);
    let new = played.reserve("web", "claude", 400);
    played.settle(new, [100, 0, 0, 1], false);
    played.roll_up(played.now);
    let before = dump(&played.sql());
    played.amend(old, [500, 0, 0, 1]);
    assert_eq!(dump(&played.sql()), before);
    played.amend(new, [500, 0, 0, 1]);
    let verified = verify(&played.path());
    assert!(verified.agrees && verified.entries == 2, "{verified:?}");
}

#[test]
fn an_amendment_may_stand_when_its_call_is_rolled_up() {
    let mut played = Played::begin(&[]);
    played.register("web", None);
    let call = played.reserve("web", "claude", 400);
    played.settle(call, [100, 0, 0, 1], false);
    played.now = Timestamp(played.now.0 + HOUR);
    played.amend(call, [500, 0, 0, 1]);
    assert_eq!(played.roll_up(played.now).entries, 1);
    let verified = verify(&played.path());
    assert!(verified.agrees && verified.entries == 1, "{verified:?}");
    let total = usage(
        &Reader::new(&played.path()),
        UsageBy::Bottle,
        &UsageQuery::default(),
    )
    .total;
    assert_eq!((total.calls, total.estimated, total.input), (1, 0, 500));
}

#[test]
fn one_transaction_rolls_up_so_many_and_an_export_does_not_go_on_in_the_midst_of_them() {
    let mut bulk = Bulk::begin();
    bulk.write(u64::from(ROLL_UP_ENTRIES_MAX) + 10);
    let reader = Reader::new(&bulk.path());
    let first = export(&reader, 0, 100).expect("a page");
    assert_eq!((first.last, first.more), (100, true));
    let one = |store: &mut Store| store.roll_up(LATER, LATER).expect("rolled up");
    let full = RolledUp {
        entries: ROLL_UP_ENTRIES_MAX,
        more: true,
    };
    assert_eq!(one(&mut bulk.store), full);
    assert_eq!(
        export(&reader, 100, 100),
        None,
        "its sums have what was told before"
    );
    for after in [0, u64::from(ROLL_UP_ENTRIES_MAX)] {
        let page = export(&reader, after, 100).expect("a page");
        assert_eq!(page.entries.len(), 10);
        assert_eq!(page.rolled_up.len(), usize::from(after == 0));
    }
    let rest = RolledUp {
        entries: 10,
        more: false,
    };
    assert_eq!(one(&mut bulk.store), rest);
    assert_eq!(
        exported(&reader, 100).1,
        u64::from(ROLL_UP_ENTRIES_MAX) + 10
    );
}

#[test]
fn what_cannot_be_right_of_a_roll_up_is_named() {
    let after = |sql: &str| {
        let mut played = played();
        played.roll_up(Timestamp(1_795_168_800_000 + 4 * HOUR));
        assert!(verify(&played.path()).agrees);
        played.sql().execute_batch(sql).expect(sql);
        let verified = verify(&played.path());
        assert!(!verified.agrees, "{sql}: {verified:?}");
        verified
    };
    let verified = after("UPDATE rollups SET charge = charge + 1 WHERE calls > 0");
    assert!(!verified.differences.is_empty() && verified.faults.is_empty());
    assert!(
        !after("DELETE FROM rollups WHERE charge > 0")
            .differences
            .is_empty()
    );
    for fault in [
        "UPDATE rollups SET path = 999999 WHERE charge > 0",
        "UPDATE rollups SET estimated = calls + 1",
        "UPDATE rollups SET calls = 0, estimated = 0, amended = 0 WHERE charge > 0",
        "DELETE FROM rolled_up",
        "UPDATE rolled_up SET last = (SELECT max(seq) FROM entries)",
    ] {
        assert!(!after(fault).faults.is_empty(), "{fault}");
    }
}
