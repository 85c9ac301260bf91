//! Entries, page by page.

use bb_proto::reply::{EntryKind, LedgerEntries};
use bb_proto::request::{LedgerExport, LedgerTail};
use bb_proto::time::Timestamp;

use super::bulk::Bulk;
use super::played::Played;
use crate::store::reader::Reader;

fn numbers(page: &LedgerEntries) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.seq).collect()
}

fn tail(reader: &Reader, after: Option<u64>, limit: u32) -> LedgerEntries {
    let query = LedgerTail {
        after,
        limit: Some(limit),
        ..LedgerTail::default()
    };
    reader.tail(&query).expect("entries")
}

#[test]
fn what_is_read_on_leaves_nothing_out_and_repeats_nothing() {
    let mut bulk = Bulk::begin();
    let reader = Reader::new(&bulk.path());
    let none = tail(&reader, None, 10);
    assert_eq!((none.entries.len(), none.last, none.more), (0, 0, false));
    bulk.write(25);
    let newest = tail(&reader, None, 10);
    assert_eq!(numbers(&newest), (16..=25).collect::<Vec<_>>());
    assert_eq!((newest.last, newest.more), (25, true));
    let only_the_place = tail(&reader, None, 0);
    assert_eq!((only_the_place.entries.len(), only_the_place.last), (0, 25));
    assert_eq!(tail(&reader, Some(25), 10).last, 25);
    bulk.write(17);
    let mut seen = Vec::new();
    let mut last = newest.last;
    loop {
        let page = tail(&reader, Some(last), 5);
        seen.extend(numbers(&page));
        last = page.last;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (26..=42).collect::<Vec<_>>());
}

#[test]
fn an_entry_says_what_was_charged_and_an_amendment_what_it_changed() {
    let mut played = Played::begin(&[]);
    played.register("web", Some("reviewer"));
    played.register("nightly", None);
    let call = played.reserve("web", "claude", 400);
    let other = played.reserve("nightly", "codex", 400);
    played.settle(call, [100, 50, 0, 20], false);
    played.void(other);
    played.amend(call, [90, 50, 5, 30]);
    let reader = Reader::new(&played.path());
    let page = tail(&reader, Some(0), 10);
    let kinds: Vec<EntryKind> = page.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [EntryKind::Settle, EntryKind::Void, EntryKind::Amend]
    );
    let [settled, voided, amended] = page.entries.as_slice() else {
        panic!("three entries")
    };
    assert_eq!(
        (settled.usage.cache_write, voided.usage.input),
        (None, None)
    );
    assert_eq!(amended.usage.input, Some(-10));
    assert_eq!(amended.usage.cache_write, Some(5));
    assert_eq!(settled.charge + amended.charge, 175);
    let of_web = LedgerTail {
        bottle: Some("web".parse().expect("a name")),
        ..LedgerTail::default()
    };
    let of_web = reader.tail(&of_web).expect("entries");
    assert_eq!(numbers(&of_web), [settled.seq, amended.seq]);
}

#[test]
fn an_export_has_every_entry_of_its_time_once_however_large_its_pages_are() {
    let mut bulk = Bulk::begin();
    bulk.write(12_000);
    let reader = Reader::new(&bulk.path());
    let export = |from: Option<i64>, to: Option<i64>, limit: Option<u32>| {
        let mut query = LedgerExport {
            after: None,
            from: from.map(Timestamp),
            to: to.map(Timestamp),
            limit,
        };
        let mut seen = Vec::new();
        for _ in 0..2_000 {
            let page = reader.export(&query).expect("a page").expect("no roll-up");
            seen.extend(numbers(&page));
            query.after = Some(page.last);
            if !page.more {
                return seen;
            }
        }
        panic!("it does not end")
    };
    assert_eq!(export(None, None, None), (1..=12_000).collect::<Vec<_>>());
    // More entries are before it than a page looks through.
    assert_eq!(
        export(Some(11_000), Some(11_500), Some(7)),
        (11_000..11_500).collect::<Vec<_>>()
    );
    assert_eq!(export(Some(20_000), None, None), Vec::<u64>::new());
}

#[test]
fn a_page_fits_into_a_line() {
    let mut bulk = Bulk::begin();
    bulk.model = "\u{1}".repeat(256);
    bulk.write(1_000);
    let reader = Reader::new(&bulk.path());
    for page in [tail(&reader, None, 1_000), tail(&reader, Some(0), 1_000)] {
        let line = serde_json::to_string(&page).expect("JSON");
        assert!(line.len() < (1 << 20) - 1_024, "{}", line.len());
        assert!(page.more);
        assert!(page.entries.len() > 100);
    }
    let page = reader
        .export(&LedgerExport::default())
        .expect("a page")
        .expect("no roll-up");
    assert!(page.more);
    assert_eq!(page.last, page.entries.last().expect("an entry").seq);
}
