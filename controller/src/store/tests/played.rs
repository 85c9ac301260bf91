//! A book that writes what it decides, as the ledger's owner does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bb_core::book::{Account, Admission, Ask, Book, Effect, Entry, Outcome, Registration, Rules};
use bb_core::bottle::Manifest;
use bb_core::estimate::{InputSize, Known};
use bb_core::ledger::Group;
use bb_proto::ids::{CallId, ProviderKey, RunId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::store::{RolledUp, Store};

/// A book, its database, and the sums of what it wrote.
pub(super) struct Played {
    pub(super) book: Book,
    pub(super) store: Store,
    pub(super) rules: Rules,
    pub(super) now: Timestamp,
    pub(super) open: Vec<CallId>,
    /// By account and provider: the charges of the entries, added up here.
    pub(super) charged: BTreeMap<(String, String), i64>,
    next_entry: u64,
    ids: u128,
    folder: TempDir,
}

impl Played {
    /// Begins a ledger; `parents` says who extends whom.
    pub(super) fn begin(parents: &[(&str, &[&str])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("ledger.db")).expect("a ledger");
        let manifests = parents.iter().map(|(name, parents)| {
            let manifest = Manifest {
                parents: parents.iter().map(|p| p.parse().expect("a name")).collect(),
                ..Manifest::default()
            };
            (name.parse().expect("a name"), manifest)
        });
        let rules = Rules {
            manifests: manifests.collect(),
            ..Rules::default()
        };
        let (saved, next_entry) = store.load().expect("nothing");
        let now = Timestamp(1_795_168_800_000);
        Self {
            book: Book::restore(saved, rules.clone(), now),
            store,
            rules,
            now,
            open: Vec::new(),
            charged: BTreeMap::new(),
            next_entry,
            ids: 0,
            folder,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// Opens the database beside the ledger.
    pub(super) fn sql(&self) -> Connection {
        Connection::open(self.path()).expect("the database")
    }

    fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// Registers a bottle; one that runs already stays as it is.
    pub(super) fn register(&mut self, name: &str, agent: Option<&str>) {
        let registration = Registration {
            name: name.parse().expect("a name"),
            run: RunId(self.new_id()),
            token: format!("bb_{}", self.ids),
            agent: agent.map(|agent| agent.parse().expect("a name")),
            parents: None,
            provider: None,
            budgets: Vec::new(),
            command: vec!["sh".to_owned(), "-c".to_owned(), "'\u{1f600}'".to_owned()],
            process: None,
            renew: false,
            uid: 7,
        };
        drop(self.book.register(registration, false, self.now));
        self.write();
    }

    /// Asks for a call; it is open where it was admitted.
    pub(super) fn reserve(&mut self, bottle: &str, provider: &str, body_bytes: u64) -> CallId {
        let call = CallId(self.new_id());
        let name = bottle.parse().expect("a name");
        let run = self.book.bottles().get(&name).map(|bottle| bottle.run);
        let ask = Ask {
            call,
            bottle: name,
            run: run.unwrap_or(RunId(Uuid::nil())),
            provider: provider.parse().expect("a provider"),
            wire: Wire::AnthropicMessages,
            model: format!("model-{provider}"),
            input: InputSize::text(body_bytes),
            output_max: Some(500),
            choices: 1,
            background: false,
            bound: None,
            sidecar: None,
        };
        if let Admission::Admitted(_) = self.book.reserve(ask, self.now) {
            self.open.push(call);
        }
        self.write();
        call
    }

    /// Says how a call ended.
    pub(super) fn settle(&mut self, call: CallId, usage: [u64; 4], complete: bool) {
        self.open.retain(|open| *open != call);
        self.book.settle(call, &outcome(usage, complete), self.now);
        self.write();
    }

    /// Says it better.
    pub(super) fn amend(&mut self, call: CallId, usage: [u64; 4]) {
        self.book.amend(call, &outcome(usage, true), self.now);
        self.write();
    }

    pub(super) fn void(&mut self, call: CallId) {
        self.open.retain(|open| *open != call);
        self.book.void(call, Some(429), self.now);
        self.write();
    }

    /// Rolls up what was made before an instant, as the ledger's owner does.
    pub(super) fn roll_up(&mut self, before: Timestamp) -> RolledUp {
        self.book.forget_settled(before);
        self.store
            .roll_up(before, Timestamp(i64::MAX))
            .expect("rolled up")
    }

    /// Writes what was decided, twice, and does what is to be done.
    pub(super) fn write(&mut self) {
        let outbox = self.book.take_outbox();
        let mut group = Group::default();
        for entry in outbox.entries {
            self.add_up(&entry);
            group.entries.push((self.next_entry, entry));
            self.next_entry += 1;
        }
        group.balances = self.book.take_dirty();
        self.store.write(&group).expect("written");
        let once = dump(&self.sql());
        self.store.write(&group).expect("written again");
        assert_eq!(dump(&self.sql()), once, "{:?}", group.entries);
        for effect in outbox.effects {
            match effect {
                Effect::Admit(admitted) => self.open.push(admitted.call),
                Effect::Cut(call, _) if self.open.contains(&call) => {
                    self.settle(call, [5, 0, 0, 1], false);
                }
                _ => {}
            }
        }
    }

    fn add_up(&mut self, entry: &Entry) {
        let (facts, charge) = match entry {
            Entry::Settled {
                facts, settlement, ..
            } => (facts, signed(settlement.charge)),
            Entry::Amended {
                facts,
                before,
                after,
                ..
            } => (facts, signed(after.charge) - signed(before.charge)),
            Entry::BottleRemoved { run, .. } => {
                let gone = [Account::Launch(*run), Account::BottleRun(*run)];
                let gone = gone.map(|account| account.to_string());
                self.charged
                    .retain(|(account, _), _| !gone.contains(account));
                return;
            }
            _ => return,
        };
        for account in &facts.accounts {
            let key = (account.to_string(), facts.provider.to_string());
            *self.charged.entry(key).or_default() += charge;
        }
    }

    /// Closes the database and opens it again; returns a book put together from it.
    pub(super) fn reopened(&mut self) -> Book {
        // The last connection that is closed folds the log back.
        let other = tempfile::tempdir().expect("a folder");
        let parked = Store::open(&other.path().join("other.db")).expect("another ledger");
        drop(std::mem::replace(&mut self.store, parked));
        self.store = Store::open(&self.path()).expect("the ledger");
        let (saved, next_entry) = self.store.load().expect("what was kept");
        assert!(next_entry <= self.next_entry);
        self.next_entry = next_entry;
        Book::restore(saved, self.rules.clone(), self.now)
    }
}

fn signed(tokens: Tokens) -> i64 {
    i64::try_from(tokens.0).expect("a charge")
}

pub(super) fn outcome(
    [input, cache_read, cache_write, output]: [u64; 4],
    complete: bool,
) -> Outcome {
    Outcome {
        others: Vec::new(),
        known: Known {
            stated: Usage {
                input: Some(input),
                cache_read: Some(cache_read),
                cache_write: (cache_write > 0).then_some(cache_write),
                output: Some(output),
                reasoning: None,
            },
            complete,
            flowed_bytes: output * 4,
            reasoning_bytes: 0,
        },
        ending: if complete {
            Ending::Complete
        } else {
            Ending::Cut
        },
        status: Some(200),
    }
}

pub(super) fn provider(text: &str) -> ProviderKey {
    text.parse().expect("a provider")
}

/// Every row of every table.
pub(super) fn dump(connection: &Connection) -> Vec<(String, Vec<Value>)> {
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .expect("the tables");
    let names: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .expect("the tables")
        .collect::<Result<_, _>>()
        .expect("their names");
    let mut rows = Vec::new();
    for name in names {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {name} ORDER BY 1, 2"))
            .or_else(|_| connection.prepare(&format!("SELECT * FROM {name} ORDER BY 1")))
            .expect("the table");
        let columns = statement.column_count();
        let mut found = statement.query([]).expect("its rows");
        while let Some(row) = found.next().expect("a row") {
            let values = (0..columns).map(|at| row.get(at).expect("a value"));
            rows.push((name.clone(), values.collect()));
        }
    }
    rows
}
