//! Copies of a ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::bulk::Bulk;
use super::played::{Played, dump};
use super::verified::verify;
use crate::store::Store;
use crate::store::reader::{BackupError, Reader};

fn files(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string());
    names.map(|name| name.expect("a name")).collect()
}

#[test]
fn a_copy_is_a_ledger_of_its_own_that_its_owner_alone_can_read() {
    let mut played = Played::begin(&[("web", &["base"])]);
    played.register("web", Some("reviewer"));
    let call = played.reserve("web", "claude", 400);
    played.settle(call, [100, 50, 0, 20], true);
    played.reserve("web", "claude", 400);
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("a copy.db");
    let reader = Reader::new(&played.path());
    let copied = reader.backup(&to, || false).expect("a copy");
    assert_eq!(files(folder.path()), ["a copy.db"]);
    let file = std::fs::metadata(&to).expect("the copy");
    assert_eq!((file.len(), copied.entries), (copied.bytes, 1));
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let before = dump(&played.sql());
    assert_eq!(dump(&Connection::open(&to).expect("the copy")), before);
    let (saved, _) = Store::open(&to)
        .expect("a ledger")
        .load()
        .expect("its rows");
    assert_eq!(saved.open.len(), 1);
    let verified = verify(&to);
    assert!(verified.agrees, "{verified:?}");
    assert_eq!(dump(&played.sql()), before, "the ledger is as it was");
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_of_a_copy_that_failed() {
    let mut bulk = Bulk::begin();
    bulk.write(500);
    let reader = Reader::new(&bulk.path());
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("copy.db");
    std::fs::write(&to, "mine").expect("a file");
    let refused = reader.backup(&to, || false).expect_err("it is there");
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(std::fs::read(&to).expect("the file"), b"mine");
    let refused = reader.backup(&folder.path().join("no/copy.db"), || false);
    assert!(matches!(refused, Err(BackupError::NoFolder(_))));
    let refused = reader.backup(Path::new("copy.db"), || false);
    assert!(matches!(refused, Err(BackupError::NoPath(_))));
    for _ in 0..100 {
        bulk.write(500);
    }
    let stopped = reader.backup(&folder.path().join("other.db"), || true);
    assert!(matches!(stopped, Err(BackupError::Stopping)), "{stopped:?}");
    assert_eq!(files(folder.path()), ["copy.db"]);
}

#[test]
fn a_copy_is_of_one_instant_while_the_ledger_is_written_to() {
    let mut bulk = Bulk::begin();
    for _ in 0..40 {
        bulk.write(500);
    }
    let reader = Reader::new(&bulk.path());
    let folder = tempfile::tempdir().expect("a folder");
    let ended = AtomicBool::new(false);
    let mut slowest = std::time::Duration::ZERO;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut slowest = std::time::Duration::ZERO;
            while !ended.load(Ordering::Relaxed) {
                let begun = std::time::Instant::now();
                bulk.write(16);
                slowest = slowest.max(begun.elapsed());
            }
            slowest
        });
        let mut sizes = Vec::new();
        for copy in 0..5 {
            let to = folder.path().join(format!("{copy}.db"));
            let copied = reader.backup(&to, || false).expect("a copy");
            let verified = verify(&to);
            assert!(verified.agrees, "{verified:?}");
            assert_eq!(verified.entries, copied.entries);
            // Groups are copied whole or not at all.
            assert_eq!((copied.entries - 20_000) % 16, 0);
            sizes.push(copied.entries);
        }
        ended.store(true, Ordering::Relaxed);
        assert!(
            sizes.is_sorted() && sizes.first() < sizes.last(),
            "{sizes:?}"
        );
        slowest = writer.join().expect("the writer");
    });
    assert!(slowest < std::time::Duration::from_secs(4), "{slowest:?}");
}
