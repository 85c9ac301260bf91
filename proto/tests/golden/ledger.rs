//! The ledger's entries: read on, copied, checked.

use bb_proto::reply::{
    BalanceDifference, Ending, EntryFault, EntryKind, EntryUsage, FileCheck, LedgerBackedUp,
    LedgerCorrected, LedgerEntries, LedgerEntry, LedgerVerified, RolledUp,
};
use bb_proto::request::{LedgerBackup, LedgerCorrect, LedgerExport, LedgerTail, LedgerVerify};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};

use crate::method;
use crate::sample::{AT, agent_name, bottle_name, claude, later, run};

fn entry() -> LedgerEntry {
    LedgerEntry {
        seq: 42,
        kind: EntryKind::Amend,
        call: "019aa0b2-6f00-7000-8000-0000000000c1"
            .parse()
            .expect("a call"),
        at: later(4_200),
        started_at: AT,
        bottle: bottle_name("web"),
        run: run(),
        agent: Some(agent_name("reviewer")),
        provider: claude(),
        wire: Wire::AnthropicMessages,
        model: "claude-opus-4-8".to_owned(),
        usage: EntryUsage {
            input: Some(-400),
            cache_read: Some(30_000),
            cache_write: Some(0),
            output: Some(900),
            reasoning: Some(300),
        },
        charge: -12,
        overrun: Tokens(7),
        estimated: true,
        ending: Ending::Cut,
        status: Some(200),
        uid: Some(1000),
        why: Some("the invoice says so".to_owned()),
        capped: Some(4_096),
        unbounded: true,
    }
}

fn bare_entry() -> LedgerEntry {
    LedgerEntry {
        kind: EntryKind::Void,
        agent: None,
        model: String::new(),
        usage: EntryUsage {
            input: None,
            cache_read: None,
            cache_write: None,
            output: None,
            reasoning: None,
        },
        charge: 0,
        overrun: Tokens::ZERO,
        estimated: false,
        ending: Ending::Voided,
        status: None,
        uid: None,
        why: None,
        capped: None,
        unbounded: false,
        ..entry()
    }
}

fn rolled_up() -> RolledUp {
    RolledUp {
        seq: 40,
        first: 3,
        hour: AT,
        bottle: bottle_name("web"),
        run: run(),
        agent: Some(agent_name("reviewer")),
        provider: claude(),
        model: "claude-opus-4-8".to_owned(),
        calls: 12,
        estimated: 2,
        voided: 1,
        amended: 3,
        usage: EntryUsage {
            cache_write: None,
            ..entry().usage
        },
        charge: 310_000,
        overrun: Tokens(7),
    }
}

fn pages() -> [LedgerEntries; 2] {
    [
        LedgerEntries {
            entries: vec![entry(), bare_entry()],
            rolled_up: Vec::new(),
            last: 42,
            more: true,
        },
        LedgerEntries {
            entries: Vec::new(),
            rolled_up: Vec::new(),
            last: 0,
            more: false,
        },
    ]
}

#[test]
fn entries_are_read_on_and_exported() {
    let whole = LedgerTail {
        after: Some(41),
        bottle: Some(bottle_name("web")),
        limit: Some(1_000),
        wait_ms: Some(30_000),
    };
    let bare = LedgerTail {
        after: None,
        bottle: None,
        limit: None,
        wait_ms: None,
    };
    method([whole, bare], pages());
    let whole = LedgerExport {
        after: Some(41),
        from: Some(AT),
        to: Some(later(3_600_000)),
        limit: Some(1_000),
    };
    let bare = LedgerExport {
        after: None,
        from: None,
        to: None,
        limit: None,
    };
    let [mut first, last] = pages();
    first.rolled_up = vec![rolled_up()];
    method([whole, bare], [first, last]);
}

#[test]
fn the_ledger_is_checked() {
    let wrong = LedgerVerified {
        agrees: false,
        entries: 42,
        rolled_up: 1_200,
        balances: 7,
        took_ms: 12,
        file: FileCheck::GivenUp,
        differences: vec![BalanceDifference {
            account: "bottle:web".to_owned(),
            provider: claude(),
            kept: 61_000,
            computed: 60_000,
        }],
        faults: vec![EntryFault {
            seq: 17,
            text: "it charges less than nothing".to_owned(),
        }],
        damage: vec!["Tree 4 page 9: btreeInitPage() returns error code 11".to_owned()],
        unlisted: 3,
    };
    let right = LedgerVerified {
        agrees: true,
        entries: 0,
        rolled_up: 0,
        balances: 0,
        took_ms: 0,
        file: FileCheck::Whole,
        differences: Vec::new(),
        faults: Vec::new(),
        damage: Vec::new(),
        unlisted: 0,
    };
    method([LedgerVerify {}, LedgerVerify {}], [wrong, right]);
}

#[test]
fn the_ledger_is_copied() {
    let to = |path: &str| LedgerBackup {
        path: path.to_owned(),
    };
    let made = |path: &str, bytes| LedgerBackedUp {
        path: path.to_owned(),
        bytes,
        entries: 42,
        took_ms: 12,
    };
    method(
        [to("/backup/bot-bottle.db"), to("/b")],
        [made("/backup/bot-bottle.db", 1_048_576), made("/b", 0)],
    );
}

#[test]
fn correcting() {
    let call = "019aa0b2-6f00-7000-8000-0000000000c1"
        .parse()
        .expect("a call");
    let whole = LedgerCorrect {
        call,
        input: Some(400),
        cache_read: Some(0),
        cache_write: Some(10),
        output: Some(900),
        why: Some("the invoice says so".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = LedgerCorrect {
        call,
        input: None,
        cache_read: None,
        cache_write: None,
        output: Some(900),
        why: None,
        request_id: None,
        dry_run: false,
    };
    let corrected = |dry_run| LedgerCorrected {
        call,
        before: Tokens(64_000),
        after: Tokens(1_310),
        usage: Usage {
            input: Some(400),
            cache_read: Some(0),
            cache_write: Some(10),
            output: Some(900),
            reasoning: None,
        },
        dry_run,
    };
    method([whole, bare], [corrected(true), corrected(false)]);
}
