//! What a store keeps of a book: enough to put it together again.

use std::collections::BTreeMap;

use bb_proto::budget::{BudgetKey, Scope, Window};
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::view::Raise;

use crate::book::history::{MINUTE_MS, floor};
use crate::book::{
    Account, Balance, Book, CallFacts, Charged, Entry, OpenCall, Outbox, PastCall, Reset, Saved,
};
use crate::bottle::Bottle;
use crate::budget::Declared;

/// The rows that a store would have.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) bottles: BTreeMap<BottleName, Bottle>,
    pub(super) balances: BTreeMap<(Account, ProviderKey), Balance>,
    pub(super) open: BTreeMap<CallId, OpenCall>,
    commands: BTreeMap<BudgetKey, Declared>,
    raises: Vec<(BudgetKey, Raise)>,
    past: Vec<PastCall>,
    charged: BTreeMap<(Account, ProviderKey, Timestamp), Balance>,
    blocks: BTreeMap<BudgetKey, Timestamp>,
    resets: BTreeMap<BudgetKey, Reset>,
    left_at: Timestamp,
    next_event: u64,
}

impl Kept {
    /// Writes what a command decided, as one transaction would.
    pub(super) fn write(&mut self, book: &mut Book) -> Outbox {
        let outbox = book.take_outbox();
        for entry in &outbox.entries {
            self.apply(entry);
        }
        for (account, provider, balance) in book.take_dirty() {
            self.balances.insert((account, provider), balance);
        }
        outbox
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Reserved(reservation) => {
                self.left_at = self.left_at.max(reservation.facts.started_at);
                let open = OpenCall {
                    reservation: reservation.clone(),
                    flowed: bb_proto::units::Tokens::ZERO,
                };
                self.open.insert(reservation.facts.call, open);
            }
            Entry::Marked { call, flowed, .. } => {
                self.open
                    .get_mut(call)
                    .expect("a mark of an open call")
                    .flowed = *flowed;
            }
            Entry::Settled {
                facts, settlement, ..
            } => {
                let is_outside = settlement.ending == Ending::Outside;
                if !is_outside {
                    self.close(facts.call);
                }
                self.charge(facts, settlement.balance(), Balance::default());
                if !settlement.estimated && !is_outside {
                    self.past.push(PastCall {
                        provider: facts.provider.clone(),
                        wire: facts.wire,
                        model: facts.model.clone(),
                        usage: settlement.usage,
                    });
                }
            }
            Entry::Voided { facts, .. } => self.close(facts.call),
            Entry::Amended {
                facts,
                before,
                after,
                ..
            } => self.charge(facts, after.balance(), before.balance()),
            Entry::Bottle(bottle) => {
                let before = self.bottles.get(&bottle.name).map(|before| before.run);
                if let Some(over) = before.filter(|before| *before != bottle.run) {
                    self.forget_run(&bottle.name, over);
                }
                self.bottles.insert(bottle.name.clone(), (**bottle).clone());
            }
            Entry::BottleRemoved { name, run } => {
                self.forget_run(name, *run);
                self.bottles.remove(name);
            }
            Entry::BudgetSet(declared) => {
                self.raises.retain(|(key, _)| *key != declared.key);
                self.commands.insert(declared.key.clone(), declared.clone());
            }
            Entry::BudgetUnset(key) => {
                self.raises.retain(|(raised, _)| raised != key);
                self.commands.remove(key);
            }
            Entry::Raised(key, raise) => self.raises.push((key.clone(), raise.clone())),
            Entry::Seen(at) => self.left_at = self.left_at.max(*at),
            Entry::RaiseEnded(key, over) => {
                self.raises
                    .retain(|(raised, raise)| (raised, raise) != (key, over));
            }
            Entry::Reset(key, reset) | Entry::ResetAmended(key, reset) => {
                self.resets.insert(key.clone(), reset.clone());
            }
            Entry::BlockBegan(key, from) => {
                self.blocks.insert(key.clone(), *from);
            }
            Entry::Happened(event) => {
                assert_eq!(
                    event.seq, self.next_event,
                    "events are numbered without a gap"
                );
                self.next_event = event.seq.saturating_add(1);
            }
        }
    }

    fn forget_run(&mut self, name: &BottleName, over: RunId) {
        self.resets.retain(|key, _| match &key.scope {
            Scope::Launch(run) => *run != over,
            Scope::Bottle(of) => of != name || key.window != Window::Run,
            Scope::Agent(_) | Scope::Host => true,
        });
    }

    fn charge(&mut self, facts: &CallFacts, charge: Balance, before: Balance) {
        let minute = floor(facts.started_at, MINUTE_MS);
        for account in facts
            .accounts
            .iter()
            .filter(|account| account.has_windows())
        {
            let key = (account.clone(), facts.provider.clone(), minute);
            let charged = self.charged.entry(key).or_default();
            *charged = charged.plus(charge).minus(before);
        }
    }

    fn close(&mut self, call: CallId) {
        self.open.remove(&call).expect("an open call resolves");
    }

    /// Returns what is read at the next start.
    pub(super) fn saved(&self) -> Saved {
        let balances = self.balances.iter();
        Saved {
            bottles: self.bottles.values().cloned().collect(),
            commands: self.commands.values().cloned().collect(),
            raises: self.raises.clone(),
            balances: balances
                .map(|((a, p), balance)| (a.clone(), p.clone(), *balance))
                .collect(),
            open: self.open.values().cloned().collect(),
            past: self.past.clone(),
            charged: self
                .charged
                .iter()
                .map(|((account, provider, at), charge)| Charged {
                    account: account.clone(),
                    provider: provider.clone(),
                    at: *at,
                    charge: *charge,
                })
                .collect(),
            blocks: self.blocks.clone().into_iter().collect(),
            resets: self.resets.clone().into_iter().collect(),
            left_at: self.left_at,
            next_event: self.next_event,
        }
    }
}
