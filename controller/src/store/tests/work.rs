//! Random work: what is kept is what there is, over every reopening, and sums are sums.

use std::collections::BTreeMap;

use bb_core::book::{Book, Lasts, Order};
use bb_core::budget::Declared;
use bb_proto::budget::{BudgetKey, Cap};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::{self, Source};
use rusqlite::Connection;

use super::played::{Played, outcome, provider};
use super::verified::verify;

const PARENTS: [(&str, &[&str]); 5] = [
    ("base", &[]),
    ("a", &["base"]),
    ("b", &["base", "a"]),
    ("c", &[]),
    ("d", &["c", "a"]),
];
const AGENTS: [Option<&str>; 3] = [None, Some("reviewer"), Some("writer")];
const BUDGETS: [&str; 8] = [
    "host/claude/total",
    "host/all/total",
    "bottle:base/claude/total",
    "bottle:d/all/run",
    "agent:reviewer/codex/total",
    "host/claude/hour",
    "bottle:a/all/rolling 90m",
    "agent:writer/claude/block 1h",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.roll(u64::try_from(all.len()).expect("a number"));
        all.get(usize::try_from(at).expect("a number"))
            .expect("one of them")
    }
}

fn step(played: &mut Played, dice: &mut Dice) {
    played.now = Timestamp(played.now.0 + i64::try_from(dice.roll(2_000)).expect("a span"));
    let name = dice.one_of(&PARENTS).0;
    let target = name.parse().expect("a name");
    let budget: BudgetKey = dice.one_of(&BUDGETS).parse().expect("a budget");
    let order = Order {
        uid: 7,
        why: (dice.roll(2) == 0).then(|| "it's \"so\"".to_owned()),
        dry_run: false,
    };
    let now = played.now;
    let usage = [
        dice.roll(300),
        dice.roll(300),
        dice.roll(2) * 50,
        dice.roll(200),
    ];
    let call = (!played.open.is_empty()).then(|| *dice.one_of(&played.open));
    match (dice.roll(17), call) {
        (0 | 1, _) => played.register(name, *dice.one_of(&AGENTS)),
        (2..=5, _) => {
            let provider = *dice.one_of(&["claude", "codex"]);
            played.reserve(name, provider, dice.roll(4_000));
        }
        (6 | 7, Some(call)) => played.settle(call, usage, true),
        (8, Some(call)) => {
            played.settle(call, usage, false);
            let more = usage.map(|tokens| tokens + 3);
            played.amend(
                call,
                if dice.roll(2) == 0 {
                    more
                } else {
                    [1, 0, 0, 1]
                },
            );
        }
        (9, Some(call)) => played.void(call),
        (10, Some(call)) => played.book.flowed(call, &outcome(usage, false).known, now),
        (11, _) => drop(played.book.cutoff(&target, None, &order, now)),
        (12, _) => drop(played.book.restore_egress(&target, None, &order, now)),
        (13, _) => drop(played.book.order_stop(&target, None, &order, now)),
        (14, _) => drop(played.book.remove(&target, None, &order, now)),
        (15, _) => {
            let span = i64::try_from(dice.roll(100_000)).expect("a span");
            played.roll_up(Timestamp(now.0 - span));
        }
        (_, _) => change_budget(played, dice, &budget, &order),
    }
    played.book.tick(now);
    played.write();
}

fn change_budget(played: &mut Played, dice: &mut Dice, budget: &BudgetKey, order: &Order) {
    let (now, tokens) = (played.now, Tokens(1 + dice.roll(6_000)));
    match dice.roll(4) {
        0 => drop(played.book.budget_unset(budget, order, now)),
        1 => drop(
            played
                .book
                .budget_raise(budget, tokens, Lasts::ForGood, order, now),
        ),
        hard => {
            let cap = if hard == 2 { Cap::Hard } else { Cap::Soft };
            let declared = Declared {
                cap,
                ..Declared::hard(budget.clone(), tokens, Source::Command { uid: 0 })
            };
            drop(played.book.budget_set(declared, order, now));
        }
    }
}

/// What of a book outlives its process.
fn lasting(book: &Book, now: Timestamp) -> (Vec<view::Bottle>, Vec<view::Budget>) {
    let bottles = book
        .bottle_views(now)
        .into_iter()
        .map(|bottle| view::Bottle {
            warned: false,
            waiting: 0,
            waiting_since: None,
            waits_until: None,
            // Counted in memory, and written with the next change of the bottle.
            refusals: 0,
            last_provider: None,
            last_model: None,
            rate_per_minute: 0,
            recent: Vec::new(),
            binding: BTreeMap::new(),
            binds_next: BTreeMap::new(),
            path: Vec::new(),
            ..bottle
        });
    let budgets = book
        .budget_views(now)
        .into_iter()
        .map(|budget| view::Budget {
            warned: Vec::new(),
            exhausted_since: None,
            rate_per_minute: 0,
            left_ms: None,
            spent_at: None,
            resets_first: false,
            ..budget
        });
    (bottles.collect(), budgets.collect())
}

fn sums(connection: &Connection, sql: &str) -> BTreeMap<(String, String), i64> {
    let mut statement = connection.prepare(sql).expect(sql);
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
    rows.expect(sql)
        .map(|row| row.expect(sql))
        .filter(|(_, posted)| *posted != 0)
        .collect()
}

/// The sums by account and provider that can be told from the entries' own columns.
const OF_ENTRIES: &str = "
    WITH RECURSIVE extends (name, ancestor) AS (
        VALUES ('a', 'base'), ('b', 'base'), ('b', 'a'), ('d', 'c'), ('d', 'a'), ('d', 'base')),
    charged (agent, bottle, provider, charge) AS (
        SELECT agent, bottle, provider, charge FROM entries
        UNION ALL SELECT agent, bottle, provider, charge FROM rollups),
    counted (account, provider, charge) AS (
        SELECT 'host', provider, charge FROM charged
        UNION ALL SELECT 'agent:' || agent, provider, charge FROM charged WHERE agent IS NOT NULL
        UNION ALL SELECT 'bottle:' || bottle, provider, charge FROM charged
        UNION ALL SELECT 'bottle:' || ancestor, provider, charge
            FROM charged JOIN extends ON extends.name = charged.bottle)
    SELECT account, provider, sum(charge) FROM counted GROUP BY 1, 2";
const OF_BALANCES: &str = "
    SELECT account, provider, posted FROM balances
    WHERE account = 'host' OR account LIKE 'agent:%' OR account LIKE 'bottle:%'";

fn check_sums(played: &Played) {
    let connection = played.sql();
    let all = sums(
        &connection,
        "SELECT account, provider, posted FROM balances",
    );
    let mut charged = played.charged.clone();
    // What was counted of a run goes when the run is over and no budget can count on it.
    let runs: Vec<String> = played
        .book
        .bottles()
        .iter()
        .map(|bottle| bottle.run.to_string())
        .collect();
    charged.retain(|(account, _), charge| {
        let run = account
            .strip_prefix("run:")
            .or_else(|| account.strip_prefix("launch:"));
        *charge != 0 && run.is_none_or(|run| runs.iter().any(|live| live == run))
    });
    assert_eq!(all, charged);
    assert_eq!(
        sums(&connection, OF_BALANCES),
        sums(&connection, OF_ENTRIES)
    );
    let open: u32 = connection
        .query_row("SELECT count(*) FROM open_calls", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(usize::try_from(open), Ok(played.open.len()));
    let verified = verify(&played.path());
    assert!(verified.agrees, "{verified:?}");
}

#[test]
fn random_work_is_kept_whole_and_its_balances_are_sums() {
    for seed in 1..=4 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut played = Played::begin(&PARENTS);
        for round in 0..320 {
            step(&mut played, &mut dice);
            if round % 40 != 39 {
                continue;
            }
            check_sums(&played);
            let before = lasting(&played.book, played.now);
            let mut restored = played.reopened();
            let after = lasting(&restored, played.now);
            for (after, before) in after.0.iter().zip(&before.0) {
                assert_eq!(after, before, "seed {seed}, round {round}");
            }
            for (after, before) in after.1.iter().zip(&before.1) {
                assert_eq!(after, before, "seed {seed}, round {round}");
            }
            assert_eq!(
                (after.0.len(), after.1.len()),
                (before.0.len(), before.1.len())
            );
            if dice.roll(2) == 0 {
                // A crash: what was open is charged, and nothing is open any more.
                let open = played.open.len();
                assert_eq!(restored.recover(played.now), open);
                played.book = restored;
                played.open.clear();
                played.write();
                check_sums(&played);
            }
        }
        let kinds = sums(
            &played.sql(),
            "SELECT kind, ending, count(*) FROM entries GROUP BY 1, 2
             UNION ALL SELECT 'settle', 'rolled up', sum(calls) FROM rollups
             UNION ALL SELECT 'amend', 'rolled up', sum(amended) FROM rollups
             UNION ALL SELECT 'void', 'rolled up', sum(voided) FROM rollups",
        );
        let rolled_up: u32 = played
            .sql()
            .query_row("SELECT count(*) FROM rolled_up", [], |row| row.get(0))
            .expect("a count");
        assert!(rolled_up > 1, "{rolled_up}");
        for kind in ["settle", "amend", "void"] {
            assert!(kinds.keys().any(|(found, _)| found == kind), "{kinds:?}");
        }
        assert!(
            played
                .book
                .accounts()
                .sum(
                    &bb_core::book::Account::Host,
                    &bb_proto::budget::ProviderSelector::One(provider("claude")),
                )
                .balance
                .posted
                > Tokens::ZERO
        );
    }
}
