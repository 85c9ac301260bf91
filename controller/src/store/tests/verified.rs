//! Whether the ledger says what it is: nothing wrong where nothing is, and each wrong thing found.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bb_proto::reply::{FileCheck, LedgerVerified};
use rusqlite::Connection;

use super::bulk::Bulk;
use super::played::Played;
use crate::store::reader::Reader;
use crate::store::{CHECKPOINT_PAGES, Store, migrate};

pub(super) fn verify(path: &std::path::Path) -> LedgerVerified {
    let verified = Reader::new(path).verify(|| false).expect("an answer");
    verified.expect("it was not stopped")
}

/// Calls of a bottle, of one that extends it, and of a run that is over.
fn played() -> Played {
    let mut played = Played::begin(&[("base", &[]), ("web", &["base"])]);
    played.register("base", None);
    played.register("web", Some("reviewer"));
    played.register("gone", None);
    for bottle in ["web", "web", "base", "gone"] {
        let call = played.reserve(bottle, "claude", 400);
        played.settle(call, [100, 50, 0, 20], false);
        played.amend(call, [90, 50, 5, 30]);
    }
    let voided = played.reserve("web", "codex", 400);
    played.void(voided);
    let order = bb_core::book::Order {
        uid: 7,
        why: None,
        dry_run: false,
    };
    let gone = "gone".parse().expect("a name");
    drop(played.book.order_stop(&gone, None, &order, played.now));
    drop(played.book.remove(&gone, None, &order, played.now));
    played.write();
    played
}

#[test]
fn a_ledger_that_is_right_is_found_right() {
    let played = played();
    let verified = verify(&played.path());
    assert!(verified.agrees, "{verified:?}");
    assert_eq!((verified.entries, verified.file), (9, FileCheck::Whole));
    // Host, agent, two bottles, two of their runs, two launches, and the name of the one gone.
    assert_eq!(verified.balances, 9);
}

#[test]
fn an_amendment_counts_where_its_call_did_also_after_its_parent_began_another_run() {
    let mut played = Played::begin(&[("base", &[]), ("web", &["base"])]);
    played.register("base", None);
    played.register("web", None);
    let before = played.reserve("web", "claude", 400);
    played.settle(before, [100, 0, 0, 20], false);
    let order = bb_core::book::Order {
        uid: 7,
        why: None,
        dry_run: false,
    };
    let base = "base".parse().expect("a name");
    drop(played.book.order_stop(&base, None, &order, played.now));
    played.register("base", None);
    let after = played.reserve("web", "claude", 400);
    played.settle(after, [100, 0, 0, 20], true);
    played.amend(before, [110, 0, 0, 20]);
    let lists: u32 = played
        .sql()
        .query_row("SELECT count(*) FROM paths", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(lists, 3, "that of the amendment is another one again");
    let verified = verify(&played.path());
    assert!(verified.agrees, "{verified:?}");
    assert_eq!(verified.entries, 3);
}

/// Verifies a ledger after a change behind its back.
fn after(sql: &str) -> LedgerVerified {
    let played = played();
    played.sql().execute_batch(sql).expect(sql);
    let verified = verify(&played.path());
    assert!(!verified.agrees, "{sql}: {verified:?}");
    verified
}

#[test]
fn each_balance_that_is_no_sum_is_named() {
    let verified = after("UPDATE balances SET posted = posted + 1 WHERE account = 'bottle:base'");
    let [difference] = verified.differences.as_slice() else {
        panic!("{verified:?}")
    };
    assert_eq!(difference.account, "bottle:base");
    assert_eq!(difference.provider.as_str(), "claude");
    assert_eq!((difference.kept, difference.computed), (526, 525));
    let verified = after("DELETE FROM balances WHERE account LIKE 'run:%'");
    assert_eq!(verified.differences.len(), 2, "{verified:?}");
    let verified = after("INSERT INTO balances VALUES ('agent:nobody', 'claude', 5, 0)");
    assert_eq!(verified.differences.len(), 1, "{verified:?}");
    let verified = after("UPDATE balances SET cache_read = posted + 1 WHERE account = 'host'");
    assert_eq!(verified.damage.len(), 1, "{verified:?}");
    // An entry that is lost is missing on every account that it counted on.
    let verified = after(
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries WHERE bottle = 'base')",
    );
    assert_eq!(verified.differences.len(), 4, "{verified:?}");
}

#[test]
fn each_entry_that_cannot_be_right_is_named() {
    let copy = |columns: &str, values: &str, of: &str| {
        format!(
            "CREATE TEMP TABLE one AS SELECT * FROM entries WHERE {of} LIMIT 1;
             UPDATE one SET ({columns}) = ({values});
             INSERT INTO entries SELECT * FROM one;"
        )
    };
    let twice = copy("seq, charge", "1000, 0", "kind = 'settle'");
    let only = |verified: &LedgerVerified, text: &str| {
        let found = verified
            .faults
            .iter()
            .all(|fault| fault.text.contains(text));
        assert!(found && !verified.faults.is_empty(), "{text}: {verified:?}");
    };
    let verified = after(&format!(
        "DROP INDEX entries_resolve_once;
         CREATE INDEX entries_resolve_once ON entries (call) WHERE kind <> 'amend'; {twice}"
    ));
    let twice: Vec<_> = verified.faults.iter().map(|fault| &fault.text).collect();
    assert!(twice.iter().any(|text| text.contains("more than once")));
    let lonely = copy(
        "seq, call, charge",
        "1000, x'00000000000000000000000000000099', 0",
        "kind = 'amend'",
    );
    only(&after(&lonely), "was not charged once before it");
    let torn = copy("seq, call, charge", "1000, x'99', 0", "kind = 'settle'");
    only(&after(&torn), "cannot be read");
    only(
        &after("UPDATE entries SET output = -1 WHERE kind = 'settle'"),
        "below zero",
    );
    only(
        &after("UPDATE entries SET input = -1000 WHERE kind = 'amend'"),
        "below zero",
    );
    only(
        &after("UPDATE entries SET charge = 4 WHERE kind = 'void'"),
        "takes a call back",
    );
    only(&after("DELETE FROM paths"), "not known which accounts");
}

#[test]
fn a_damaged_file_is_told_from_a_whole_one() {
    let mut damaged = Bulk::begin();
    damaged.write(3_000);
    let at = damaged.path();
    let connection = Connection::open(&at).expect("the database");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("folded back");
    drop(connection);
    let mut bytes = std::fs::read(&at).expect("the file");
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes
        .get_mut(middle..middle + 4_096)
        .expect("a page")
        .fill(0x55);
    let torn = at.with_extension("torn");
    std::fs::write(&torn, bytes).expect("written");
    let verified = verify(&torn);
    assert!(
        !verified.agrees && !verified.damage.is_empty(),
        "{verified:?}"
    );
}

#[test]
fn a_ledger_is_verified_while_it_is_written_to_and_its_log_stays_short() {
    const GROUPS: u64 = 1_200;
    let mut bulk = Bulk::begin();
    for _ in 0..40 {
        bulk.write(500);
    }
    let path = bulk.path();
    let log = path.with_extension("db-wal");
    let (ended, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut verified = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for group in 0..GROUPS {
                bulk.write(64);
                if group % 8 == 7 {
                    bulk.store.checkpoint_if_long().expect("looked at");
                }
                let length = std::fs::metadata(&log).expect("the log").len();
                longest.fetch_max(length, Ordering::Relaxed);
            }
            ended.store(true, Ordering::Relaxed);
        });
        while !ended.load(Ordering::Relaxed) {
            let found = verify(&path);
            assert!(found.agrees, "{found:?}");
            assert_eq!(found.balances, 2);
            verified += 1;
        }
    });
    assert!(verified > 1, "{verified}");
    let longest = longest.load(Ordering::Relaxed);
    assert!(
        longest < 8 * 4_200 * u64::from(CHECKPOINT_PAGES),
        "{longest}"
    );
    assert_eq!(verify(&path).entries, 20_000 + GROUPS * 64);
}

#[test]
fn verifying_stops_where_it_is_told_to() {
    let mut bulk = Bulk::begin();
    bulk.write(100);
    let verified = Reader::new(&bulk.path()).verify(|| true);
    assert_eq!(verified.expect("an answer"), None);
}

#[test]
fn a_ledger_of_the_first_version_is_verified_from_the_balances_that_it_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let connection = Connection::open(&path).expect("a database");
    let first = migrate::STEPS.first().expect("a step");
    connection.execute_batch(first).expect("the first version");
    connection
        .execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
             INSERT INTO schema_version VALUES (1);
             INSERT INTO entries VALUES (1, 'settle', x'00000000000000000000000000000099', 1, 1,
                 'web', x'00000000000000000000000000000001', NULL, 'claude', 'anthropic_messages',
                 'm', 8, NULL, NULL, 2, NULL, 10, 0, 0, 'complete', 200);
             INSERT INTO balances VALUES ('host', 'claude', 10, 0), ('bottle:web', 'claude', 10, 0);",
        )
        .expect("what it had");
    drop(connection);
    drop(Store::open(&path).expect("the ledger"));
    let verified = verify(&path);
    assert!(verified.agrees, "{verified:?}");
    assert_eq!((verified.entries, verified.balances), (1, 2));
    let connection = Connection::open(&path).expect("the database");
    connection
        .execute_batch("UPDATE balances SET posted = 9 WHERE account = 'host'")
        .expect("changed");
    assert_eq!(verify(&path).differences.len(), 1);
}

#[test]
fn what_a_group_counts_on_is_written_again_after_it_could_not_be_written() {
    let mut bulk = Bulk::begin();
    let connection = Connection::open(bulk.path()).expect("the database");
    let refuse = "CREATE TRIGGER full BEFORE INSERT ON balances
                  BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    connection.execute_batch(refuse).expect("a trigger");
    assert!(bulk.try_write(3).is_err());
    connection
        .execute_batch("DROP TRIGGER full")
        .expect("no trigger");
    bulk.write(3);
    let verified = verify(&bulk.path());
    assert!(verified.agrees, "{verified:?}");
    assert_eq!(verified.entries, 3);
}
