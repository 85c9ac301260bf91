//! What a store keeps of a book: enough to put it together again.

use std::collections::BTreeMap;

use bb_proto::budget::BudgetKey;
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::view::Raise;

use crate::book::{Account, Balance, Book, Entry, OpenCall, Outbox, PastCall, Saved};
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
                self.close(facts.call);
                if !settlement.estimated {
                    self.past.push(PastCall {
                        provider: facts.provider.clone(),
                        wire: facts.wire,
                        model: facts.model.clone(),
                        usage: settlement.usage,
                    });
                }
            }
            Entry::Voided { facts, .. } => self.close(facts.call),
            Entry::Amended { .. } => {}
            Entry::Bottle(bottle) => {
                self.bottles.insert(bottle.name.clone(), (**bottle).clone());
            }
            Entry::BottleRemoved { name, .. } => {
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
            Entry::Happened(event) => {
                assert_eq!(
                    event.seq, self.next_event,
                    "events are numbered without a gap"
                );
                self.next_event = event.seq.saturating_add(1);
            }
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
            next_event: self.next_event,
        }
    }
}
