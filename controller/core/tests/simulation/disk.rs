//! A disk that is a value: rows as they are committed, and what of them a power loss leaves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;

use bb_core::book::{
    Account, Balance, CallFacts, Charged, Entry, OpenCall, PastCall, Reservation, Reset, Saved,
    Settlement,
};
use bb_core::bottle::Bottle;
use bb_core::budget::Declared;
use bb_core::estimate::{Estimate, InputSize};
use bb_core::ledger::Group;
use bb_proto::budget::{BudgetKey, Scope, Window};
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::Raise;

use super::random::Random;

/// How a call that is not open any more stands in the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    Settled(CallFacts, Settlement),
    Amended(CallFacts, Settlement, Settlement),
    Voided(CallFacts),
}

impl Row {
    pub(crate) fn facts(&self) -> &CallFacts {
        match self {
            Self::Settled(facts, _) | Self::Amended(facts, ..) | Self::Voided(facts) => facts,
        }
    }
}

/// The rows of the database, with what its keys and statements see to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) entries: BTreeMap<u64, Row>,
    /// The numbers of the entries that resolve a call: one each.
    pub(crate) resolved: BTreeMap<CallId, u64>,
    pub(crate) open: BTreeMap<CallId, OpenCall>,
    pub(crate) balances: BTreeMap<(Account, ProviderKey), Balance>,
    pub(crate) bottles: BTreeMap<BottleName, Bottle>,
    pub(crate) commands: BTreeMap<BudgetKey, Declared>,
    raises: BTreeMap<u64, (BudgetKey, Raise)>,
    /// What was charged when, by the minute.
    charged: BTreeMap<(Account, ProviderKey, i64), Balance>,
    blocks: BTreeMap<BudgetKey, Timestamp>,
    resets: BTreeMap<BudgetKey, Reset>,
    /// The latest instant that was put down.
    seen: Timestamp,
    next_event: u64,
}

impl Rows {
    fn apply(&mut self, group: &Group, twice: bool) {
        for (seq, entry) in &group.entries {
            self.apply_entry(*seq, entry, twice);
        }
        for (account, provider, balance) in &group.balances {
            self.balances
                .insert((account.clone(), provider.clone()), *balance);
        }
    }

    fn apply_entry(&mut self, seq: u64, entry: &Entry, twice: bool) {
        match entry {
            Entry::Reserved(reservation) => {
                let open = OpenCall {
                    reservation: as_kept(reservation),
                    flowed: Tokens::ZERO,
                };
                self.open.insert(reservation.facts.call, open);
            }
            Entry::Marked { call, flowed, .. } => {
                if let Some(open) = self.open.get_mut(call) {
                    open.flowed = *flowed;
                }
            }
            Entry::Settled {
                facts, settlement, ..
            } => {
                self.open.remove(&facts.call);
                self.resolve(seq, Row::Settled(facts.clone(), *settlement), twice);
            }
            Entry::Amended {
                facts,
                before,
                after,
                ..
            } => {
                let row = Row::Amended(facts.clone(), *before, *after);
                if let Vacant(place) = self.entries.entry(seq) {
                    place.insert(row);
                    self.charge(facts, after.balance(), before.balance());
                }
            }
            Entry::Voided { facts, .. } => {
                self.open.remove(&facts.call);
                self.resolve(seq, Row::Voided(facts.clone()), twice);
            }
            Entry::Bottle(bottle) => {
                let before = self.bottles.insert(bottle.name.clone(), (**bottle).clone());
                if let Some(over) = before.filter(|before| before.run != bottle.run) {
                    self.forget_run(&bottle.name, over.run);
                }
            }
            Entry::BottleRemoved { name, run } => {
                self.bottles.remove(name);
                self.forget_run(name, *run);
            }
            Entry::BudgetSet(declared) => {
                self.raises.retain(|_, (key, _)| *key != declared.key);
                self.commands.insert(declared.key.clone(), declared.clone());
            }
            Entry::BudgetUnset(key) => {
                self.raises.retain(|_, (raised, _)| raised != key);
                self.commands.remove(key);
            }
            Entry::Raised(key, raise) => {
                self.raises
                    .entry(seq)
                    .or_insert_with(|| (key.clone(), raise.clone()));
            }
            Entry::RaiseEnded(key, over) => {
                self.raises
                    .retain(|_, (raised, raise)| (&*raised, &*raise) != (key, over));
            }
            Entry::Reset(key, reset) | Entry::ResetAmended(key, reset) => {
                self.resets.insert(key.clone(), reset.clone());
            }
            Entry::BlockBegan(key, from) => drop(self.blocks.insert(key.clone(), *from)),
            Entry::Seen(at) => self.seen = self.seen.max(*at),
            Entry::Happened(event) => {
                self.next_event = self.next_event.max(event.seq.saturating_add(1));
            }
        }
    }

    /// Puts an entry that resolves a call, which a call has once, by the number that it has.
    fn resolve(&mut self, seq: u64, row: Row, twice: bool) {
        let call = row.facts().call;
        let is_known = self.resolved.contains_key(&call) || self.entries.contains_key(&seq);
        if is_known && !twice {
            return;
        }
        let seq = if is_known { self.next_entry() } else { seq };
        if let Row::Settled(facts, settlement) = &row {
            self.charge(facts, settlement.balance(), Balance::default());
        }
        self.resolved.insert(call, seq);
        self.entries.insert(seq, row);
    }

    fn charge(&mut self, facts: &CallFacts, charge: Balance, before: Balance) {
        let minute = facts.started_at.0 - facts.started_at.0.rem_euclid(60_000);
        let accounts = facts.accounts.iter().filter(|it| it.has_windows());
        for account in accounts {
            let key = (account.clone(), facts.provider.clone(), minute);
            let charged = self.charged.entry(key).or_default();
            *charged = charged.plus(charge).minus(before);
        }
    }

    fn forget_run(&mut self, name: &BottleName, run: RunId) {
        self.resets.retain(|key, _| match &key.scope {
            Scope::Launch(of) => *of != run,
            Scope::Bottle(of) => of != name || key.window != Window::Run,
            Scope::Agent(_) | Scope::Host => true,
        });
        let over = [Account::Launch(run), Account::BottleRun(run)];
        self.balances
            .retain(|(account, _), _| !over.contains(account));
        self.raises
            .retain(|_, (key, _)| key.scope != Scope::Launch(run));
    }

    /// Returns whether a run is the current or last one of its bottle.
    pub(crate) fn is_live(&self, account: &Account) -> bool {
        match account {
            Account::Launch(run) | Account::BottleRun(run) => {
                self.bottles.values().any(|bottle| bottle.run == *run)
            }
            Account::Agent(_) | Account::Bottle(_) | Account::Host => true,
        }
    }

    pub(crate) fn next_entry(&self) -> u64 {
        let last = |last: Option<&u64>| last.copied().unwrap_or(0);
        let entries = last(self.entries.keys().next_back());
        1 + entries.max(last(self.raises.keys().next_back()))
    }

    /// Returns the latest instant that is known: of a reservation, or put down.
    pub(crate) fn left_at(&self) -> Timestamp {
        let open = self.open.values().map(|open| &open.reservation.facts);
        let facts = self.entries.values().map(Row::facts).chain(open);
        facts
            .map(|facts| facts.started_at)
            .max()
            .unwrap_or_default()
    }

    /// Returns what is read at a start.
    pub(crate) fn saved(&self) -> Saved {
        let past = self.entries.values().filter_map(|row| match row {
            Row::Settled(facts, settlement) if !settlement.estimated => Some(PastCall {
                provider: facts.provider.clone(),
                wire: facts.wire,
                model: facts.model.clone(),
                usage: settlement.usage,
            }),
            _ => None,
        });
        let balances = self.balances.iter();
        Saved {
            bottles: self.bottles.values().cloned().collect(),
            commands: self.commands.values().cloned().collect(),
            raises: self.raises.values().cloned().collect(),
            balances: balances
                .map(|((a, p), balance)| (a.clone(), p.clone(), *balance))
                .collect(),
            charged: self
                .charged
                .iter()
                .map(|((account, provider, at), charge)| Charged {
                    account: account.clone(),
                    provider: provider.clone(),
                    at: Timestamp(*at),
                    charge: *charge,
                })
                .collect(),
            blocks: self.blocks.clone().into_iter().collect(),
            resets: self.resets.clone().into_iter().collect(),
            left_at: self.left_at(),
            open: self.open.values().cloned().collect(),
            past: past.collect(),
            next_event: self.next_event,
        }
    }
}

/// Returns a reservation with what of it has a column.
fn as_kept(reservation: &Reservation) -> Reservation {
    Reservation {
        estimate: Estimate {
            input: reservation.estimate.input,
            output: reservation.estimate.output,
            ..Estimate::default()
        },
        input: InputSize::text(reservation.input.body_bytes()),
        ..reservation.clone()
    }
}

/// How a disk takes what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Works,
    /// It works, and takes its time.
    Slow,
    /// Nothing is committed.
    Full,
    /// A group that is to be synced is not; it may be committed all the same.
    SyncFails,
}

#[derive(Debug)]
pub(crate) struct Disk {
    /// As committed: what a killed controller finds.
    pub(crate) rows: Rows,
    /// As synced: what a power loss leaves at least.
    pub(crate) durable: Rows,
    /// What was committed since, in order.
    unsynced: Vec<Group>,
    pub(crate) mood: Mood,
    /// Planted: a group that is written again is taken for a new one.
    pub(crate) applies_twice: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            rows: Rows::default(),
            durable: Rows::default(),
            unsynced: Vec::new(),
            mood: Mood::Works,
            applies_twice: false,
        }
    }

    /// Writes a group in one transaction.
    pub(crate) fn write(&mut self, group: &Group, random: &mut Random) -> Result<(), String> {
        let synced = group.needs_sync();
        match self.mood {
            Mood::Works | Mood::Slow => self.commit(group),
            Mood::SyncFails if !synced => self.commit(group),
            Mood::Full => return Err("the disk is full".to_owned()),
            Mood::SyncFails => {
                if random.one_in(2) {
                    self.commit(group);
                }
                return Err("a sync failed".to_owned());
            }
        }
        if synced {
            for group in std::mem::take(&mut self.unsynced) {
                self.durable.apply(&group, self.applies_twice);
            }
        }
        Ok(())
    }

    fn commit(&mut self, group: &Group) {
        self.rows.apply(group, self.applies_twice);
        self.unsynced.push(group.clone());
    }

    /// Loses what was not synced, but for as much of its beginning as had reached the disk.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        let reached = random.below(self.unsynced.len() + 1);
        for group in self.unsynced.drain(..).take(reached) {
            self.durable.apply(&group, self.applies_twice);
        }
        self.rows = self.durable.clone();
    }
}
