//! Applying entries, and putting a book together from what was kept.

use bb_proto::budget::{BudgetKey, Cap, Scope, Window};
use bb_proto::ids::{BottleName, ProviderKey, RunId};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::Raise;

use super::judge::Exhausted;
use super::open::Open;
use super::{Account, Balance, Book, Charged, Entry, Reservation, Reset, Rules};
use crate::bottle::Bottle;
use crate::budget::{self, Declared};
use crate::estimate::Called;

/// A call that was open when it was last written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// As it was reserved.
    pub reservation: Reservation,
    /// What had flowed of it at its last mark.
    pub flowed: Tokens,
}

/// A call that was settled in an earlier life, by what its provider stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCall {
    /// The provider.
    pub provider: ProviderKey,
    /// The dialect.
    pub wire: Wire,
    /// The model asked for.
    pub model: String,
    /// What it used.
    pub usage: Usage,
}

/// What is kept of a book between two lives of the controller.
#[derive(Debug, Default)]
pub struct Saved {
    /// The bottles.
    pub bottles: Vec<Bottle>,
    /// The budgets set by command.
    pub commands: Vec<Declared>,
    /// The raises, in the order they were given.
    pub raises: Vec<(BudgetKey, Raise)>,
    /// The balances.
    pub balances: Vec<(Account, ProviderKey, Balance)>,
    /// What was charged when, of the time that windows look back on; by account and provider, in
    /// the order of time.
    pub charged: Vec<Charged>,
    /// When the blocks began, those too that are over.
    pub blocks: Vec<(BudgetKey, Timestamp)>,
    /// The last reset of each budget.
    pub resets: Vec<(BudgetKey, Reset)>,
    /// The latest instant that is known to have been seen.
    pub left_at: Timestamp,
    /// The calls that were open.
    pub open: Vec<OpenCall>,
    /// The last calls that were settled as stated, oldest first: estimates learn from them.
    pub past: Vec<PastCall>,
    /// The number of the next event.
    pub next_event: u64,
}

impl Book {
    /// Puts a book together from what was kept.
    ///
    /// Nothing is decided here: calls that were open still are, until [`Book::recover`].
    pub fn restore(saved: Saved, rules: Rules, now: Timestamp) -> Self {
        let mut book = Self {
            next_event: saved.next_event,
            ..Self::default()
        };
        book.resume_windows(saved.left_at, now);
        book.begin_revisions(book.life_begins(now));
        book.budgets.take_settings(rules.budgets.clone());
        book.bottles.take_manifests(rules.manifests.clone());
        book.rules = rules;
        for bottle in saved.bottles {
            book.apply(&Entry::Bottle(Box::new(bottle)));
        }
        for declared in saved.commands {
            book.budgets.set(declared);
        }
        for (key, raise) in saved.raises {
            book.budgets.raise(&key, raise);
        }
        for (account, provider, balance) in saved.balances {
            if book.is_live(&account) {
                book.accounts.restore(account, provider, balance);
            }
        }
        book.accounts.restore_history(&saved.charged);
        for (key, reset) in saved.resets {
            book.windows.put_reset(key, reset, 0);
        }
        for (key, from) in saved.blocks {
            book.windows.put_block(key, from);
        }
        for call in saved.open {
            book.put_open(&call.reservation, call.flowed);
        }
        for call in &saved.past {
            let called = Called {
                provider: &call.provider,
                wire: call.wire,
                model: &call.model,
            };
            book.estimator.remember(called, &call.usage);
        }
        book.find_windows();
        book.remember_levels(now);
        book
    }

    /// Takes what balances already reached as said, so that a restart does not say it again.
    fn remember_levels(&mut self, now: Timestamp) {
        let keys: Vec<BudgetKey> = self.budgets.iter().map(|b| b.key().clone()).collect();
        for key in keys {
            let Some(budget) = self.budgets.get(&key) else {
                continue;
            };
            let used = self.sum_of(&key).balance.posted;
            let percent = used.percent_of(budget.limit());
            let levels = budget.levels().into_iter();
            let reached = levels
                .filter(|level| u64::from(*level) <= percent)
                .collect();
            let spent = budget.declared.cap == Cap::Hard && used >= budget.limit();
            self.warned.insert(key.clone(), reached);
            if spent {
                let closed = self.closed_since(&key);
                let since = closed.unwrap_or(now);
                self.exhausted.insert(key, Exhausted::since(since));
            }
        }
    }

    /// Changes the state as an entry says: the only way it lastingly changes.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Reserved(reservation) => self.put_open(reservation, Tokens::ZERO),
            Entry::Marked { .. } | Entry::Seen(_) => {}
            Entry::Settled {
                facts,
                at,
                settlement,
                ..
            } => {
                self.apply_settled(facts, settlement, *at);
            }
            Entry::Amended {
                facts,
                before,
                after,
                ..
            } => {
                self.apply_amended(facts, before, after);
            }
            Entry::Voided { facts, at, .. } => self.apply_voided(facts, *at),
            Entry::Bottle(bottle) => self.apply_bottle(bottle),
            Entry::BottleRemoved { name, run } => {
                self.bottles.remove(name);
                self.budgets.forget_launch(*run);
                self.last_call.remove(name);
                self.refused.remove(name);
                self.forget_run(name, *run);
                self.bottle_gone(name);
            }
            Entry::BudgetSet(declared) => {
                self.budgets.set(declared.clone());
                self.forget_levels(&declared.key);
            }
            Entry::BudgetUnset(key) => {
                self.budgets.unset(key);
                self.forget_levels(key);
            }
            Entry::Raised(key, raise) => {
                self.budgets.raise(key, raise.clone());
                self.forget_levels(key);
            }
            Entry::RaiseEnded(key, raise) => {
                self.budgets.end_raise(key, raise);
                self.touch_all();
            }
            Entry::Reset(key, reset) => {
                let next = self.next_event;
                self.windows.put_reset(key.clone(), reset.clone(), next);
                self.forget_levels(key);
            }
            Entry::ResetAmended(key, reset) => self.windows.amend_reset(key, reset),
            Entry::BlockBegan(key, from) => {
                self.windows.put_block(key.clone(), *from);
                self.touch_shared();
            }
            Entry::Happened(event) => {
                self.next_event = event.seq.saturating_add(1);
                self.touch_head();
            }
        }
    }

    fn put_open(&mut self, reservation: &Reservation, flowed: Tokens) {
        let facts = &reservation.facts;
        let open = Open {
            reservation: reservation.clone(),
            flowed,
            marked_at: None,
        };
        for account in self.live(&facts.accounts) {
            self.accounts
                .put_aside(account, &facts.provider, open.aside(), facts.started_at);
        }
        self.last_call.insert(
            facts.bottle.clone(),
            (facts.provider.clone(), facts.model.clone()),
        );
        self.open.insert(open);
        self.touch_call(facts);
    }

    fn apply_bottle(&mut self, bottle: &Bottle) {
        let before = self.bottles.get(&bottle.name).map(|before| before.run);
        self.bottles.put(bottle.clone());
        if before != Some(bottle.run) {
            let declared = bottle
                .budgets
                .iter()
                .map(|given| {
                    let provider = given.provider.clone();
                    Declared {
                        warn: self.rules.warn.clone(),
                        ..budget::of_launch(bottle.run, &bottle.name, provider, given.limit)
                    }
                })
                .collect();
            self.budgets.take_launch(bottle.run, before, declared);
            if let Some(before) = before {
                self.forget_run(&bottle.name, before);
            }
            self.refused.remove(&bottle.name);
            self.touch_all();
        }
        self.touch_record(&bottle.name);
    }

    /// Forgets what was counted of a run that is over, and what budgets said of it.
    fn forget_run(&mut self, name: &BottleName, run: RunId) {
        let of_run = |key: &BudgetKey| match &key.scope {
            Scope::Launch(launched) => *launched == run,
            Scope::Bottle(of) => key.window == Window::Run && of == name,
            Scope::Agent(_) | Scope::Host => false,
        };
        for account in [Account::Launch(run), Account::BottleRun(run)] {
            self.accounts.forget(&account);
            self.account_gone(&account);
        }
        self.windows.forget(of_run);
        self.paced.retain(|key| !of_run(key));
        self.warned.retain(|key, _| !of_run(key));
        self.exhausted.retain(|key, _| !of_run(key));
    }

    fn forget_levels(&mut self, key: &BudgetKey) {
        self.paced.remove(key);
        self.warned.remove(key);
        self.exhausted.remove(key);
        self.touch_all();
    }
}
