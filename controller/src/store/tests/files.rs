//! The file: made, opened again, refused; its write-ahead log.

use bb_core::book::Entry;
use bb_core::ledger::Group;
use bb_proto::event::{Actor, Event, EventKind};
use bb_proto::time::Timestamp;
use rusqlite::Connection;

use super::played::{Played, dump};
use super::verified::verify;
use crate::store::{CHECKPOINT_PAGES, SCHEMA_VERSION, Store, StoreError, migrate};

#[test]
fn a_new_file_has_the_newest_schema_and_opening_it_again_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a?b#c%41.db");
    drop(Store::open(&path).expect("a ledger"));
    let connection = Connection::open(&path).expect("the database");
    let version: u32 = connection
        .query_row("SELECT version FROM schema_version", [], |row| row.get(0))
        .expect("a version");
    assert_eq!(version, SCHEMA_VERSION);
    assert_eq!(usize::try_from(version), Ok(migrate::STEPS.len()));
    let before = dump(&connection);
    drop(connection);
    for _ in 0..2 {
        drop(Store::open(&path).expect("the ledger"));
    }
    assert_eq!(
        dump(&Connection::open(&path).expect("the database")),
        before
    );
    let files = std::fs::read_dir(folder.path())
        .expect("the folder")
        .count();
    assert_eq!(files, 1, "the log is folded back at the end");
}

#[test]
fn every_table_is_strict() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    drop(Store::open(&path).expect("a ledger"));
    let connection = Connection::open(&path).expect("the database");
    let loose: u32 = connection
        .query_row(
            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND NOT strict
             AND name NOT LIKE 'sqlite_%'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(loose, 0);
    let mode: String = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .expect("a mode");
    assert_eq!(mode, "wal");
}

#[test]
fn a_step_that_was_interrupted_is_done_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let connection = Connection::open(&path).expect("a database");
    // The table of versions stands alone where the first step was rolled back.
    connection
        .execute_batch("CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT")
        .expect("a table");
    drop(connection);
    let store = Store::open(&path).expect("the ledger");
    assert!(store.load().expect("nothing").0.bottles.is_empty());
}

#[test]
fn a_newer_file_is_refused_and_one_that_is_none_is_named_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    drop(Store::open(&path).expect("a ledger"));
    let connection = Connection::open(&path).expect("the database");
    connection
        .execute(
            "UPDATE schema_version SET version = ?1",
            [SCHEMA_VERSION + 1],
        )
        .expect("a later version");
    drop(connection);
    let before = std::fs::read(&path).expect("the file");
    let refused = Store::open(&path).expect_err("a newer one");
    assert!(
        matches!(refused, StoreError::Newer { found } if found == SCHEMA_VERSION + 1),
        "{refused}"
    );
    assert!(std::fs::read(&path).expect("the file") == before);

    std::fs::write(
        &path,
        "no database at all, but long enough to be looked at".repeat(50),
    )
    .expect("written");
    let refused = Store::open(&path).expect_err("none");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

/// A group that fills pages.
fn filling(seq: u64) -> Group {
    let event = Event {
        explained: None,
        seq,
        at: Timestamp(1),
        kind: EventKind::Refused,
        actor: Actor::System,
        bottle: None,
        run: None,
        budget: None,
        provider: None,
        text: "x".repeat(40_000),
        uid: None,
        why: None,
    };
    Group {
        entries: vec![(seq, Entry::Happened(event))],
        balances: Vec::new(),
    }
}

#[test]
fn a_long_log_is_folded_back_and_does_not_grow_again() {
    let mut played = Played::begin(&[]);
    let log = played.path().with_extension("db-wal");
    let length = || std::fs::metadata(&log).expect("the log").len();
    assert!(!played.store.checkpoint_if_long().expect("looked at"));
    let mut longest = 0;
    let mut folded = 0;
    for seq in 1..2_000 {
        played.store.write(&filling(seq)).expect("written");
        if played.store.checkpoint_if_long().expect("looked at") {
            folded += 1;
            longest = longest.max(length());
        }
    }
    assert!(folded > 5, "{folded}");
    assert_eq!(
        length(),
        longest,
        "the log is used again from its beginning"
    );
    assert!(
        longest < 2 * 4_200 * u64::from(CHECKPOINT_PAGES),
        "{longest}"
    );
}

#[test]
fn a_reader_that_holds_the_log_up_is_not_waited_for() {
    let mut played = Played::begin(&[]);
    played.store.write(&filling(1)).expect("written");
    let reader = played.sql();
    reader.execute_batch("BEGIN").expect("a transaction");
    let count = || -> u32 {
        reader
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .expect("a count")
    };
    assert_eq!(count(), 1);
    for seq in 2..300 {
        played.store.write(&filling(seq)).expect("written");
    }
    let begun = std::time::Instant::now();
    assert!(!played.store.checkpoint_if_long().expect("looked at"));
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(count(), 1, "what it reads stays what it was");
    reader.execute_batch("COMMIT").expect("its end");
    assert!(played.store.checkpoint_if_long().expect("looked at"));
    assert_eq!(count(), 299);
}

#[test]
fn a_database_of_every_version_is_brought_up_to_date_with_all_that_is_in_it() {
    for version in 1..migrate::STEPS.len() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let connection = Connection::open(&path).expect("a database");
        for (number, step) in (1..).zip(migrate::STEPS).take(version) {
            connection.execute_batch(step).expect("a step");
            connection
                .execute_batch(&format!(
                    "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT;
                     DELETE FROM schema_version; INSERT INTO schema_version VALUES ({number});"
                ))
                .expect("its number");
        }
        // Of the tables that every version has.
        connection
            .execute_batch(
                "INSERT INTO entries (seq, kind, call, at, started_at, bottle, run, agent, provider, wire,
                     model, input, cache_read, cache_write, output, reasoning, charge, overrun,
                     estimated, ending, status)
                 VALUES (7, 'settle', zeroblob(16), 1000, 900, 'web',
                     zeroblob(16), 'reviewer', 'claude', 'anthropic_messages', 'model', 10, 0, NULL,
                     5, NULL, 15, 0, 0, 'complete', 200);
                 INSERT INTO balances VALUES ('host', 'claude', 15, 0),
                     ('bottle:web', 'claude', 15, 0), ('agent:reviewer', 'claude', 15, 0);
                 INSERT INTO open_calls (call, started_at, bottle, run, agent, provider, wire, model,
                     accounts, reserved, estimate_input, estimate_output, body_bytes, flowed)
                 VALUES (randomblob(16), 1100, 'web', zeroblob(16), NULL,
                     'claude', 'anthropic_messages', 'model', '[\"host\"]', 100, 50, 50, 200, 0);
                 INSERT INTO raises (seq, key, by, at, uid, why) VALUES (9, 'host/claude/total', 10, 1000, 7, 'why');
                 INSERT INTO events VALUES (3, 1000, 'started', NULL,
                     '{\"seq\":3,\"at\":1000,\"kind\":\"started\",\"actor\":\"system\",\"text\":\"x\"}');",
            )
            .expect("rows");
        if version > 1 {
            connection
                .execute_batch(
                    "INSERT INTO paths VALUES (7, zeroblob(16),
                         '[\"host\",\"bottle:web\",\"agent:reviewer\"]')",
                )
                .expect("a list");
        }
        drop(connection);
        let mut store = Store::open(&path).expect("an older ledger");
        let (saved, next) = store.load().expect("what was kept");
        assert_eq!(
            (saved.open.len(), saved.past.len(), saved.raises.len()),
            (1, 1, 1)
        );
        assert_eq!((saved.balances.len(), saved.next_event, next), (3, 4, 10));
        for rolled_up in [0, 1] {
            let verified = verify(&path);
            assert!(verified.agrees, "version {version}: {verified:?}");
            assert_eq!(
                (verified.entries, verified.rolled_up),
                (1 - rolled_up, rolled_up)
            );
            store
                .roll_up(Timestamp(2_000), Timestamp(9_000))
                .expect("rolled up");
        }
        drop(store);
        let again = Connection::open(&path).expect("the database");
        let now: u32 = again
            .query_row("SELECT version FROM schema_version", [], |row| row.get(0))
            .expect("a version");
        assert_eq!(now, SCHEMA_VERSION);
    }
}

#[test]
fn a_file_that_was_deleted_is_written_anew_and_another_one_is_left_alone() {
    let mut played = Played::begin(&[]);
    played.register("web", None);
    let call = played.reserve("web", "claude", 400);
    played.settle(call, [100, 0, 0, 20], true);
    let before = dump(&played.sql());
    played.store.check_place().expect("it is there");
    // Its log too, or not.
    for also in [true, false] {
        std::fs::remove_file(played.path()).expect("deleted");
        if also {
            for end in ["db-wal", "db-shm"] {
                std::fs::remove_file(played.path().with_extension(end)).expect("deleted");
            }
        }
        let gone = played.store.check_place().expect_err("it is gone");
        assert!(matches!(gone, StoreError::Gone), "{gone}");
        played.store = played.store.reopened().expect("written anew");
        played.store.check_place().expect("it is there");
        assert_eq!(dump(&played.sql()), before, "with its log: {also}");
        let next = played.reserve("web", "claude", 400);
        played.void(next);
        played
            .sql()
            .execute_batch("DELETE FROM entries WHERE kind = 'void'")
            .expect("as before");
        assert_eq!(dump(&played.sql()), before);
    }
    let aside = played.path().with_extension("aside");
    std::fs::rename(played.path(), &aside).expect("moved");
    std::fs::write(played.path(), "mine").expect("another one");
    let replaced = played.store.reopened().expect_err("another one");
    assert!(matches!(replaced, StoreError::Replaced), "{replaced}");
    assert_eq!(std::fs::read(played.path()).expect("the file"), b"mine");
    std::fs::rename(&aside, played.path()).expect("moved back");
    played.store = played.store.reopened().expect("it is there again");
    assert_eq!(dump(&played.sql()), before);
}
