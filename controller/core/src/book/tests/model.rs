//! What the book promises, said again in as few lines as it can be.

use std::collections::{BTreeMap, BTreeSet};

use bb_proto::budget::{BudgetKey, Cap, Gate, Minutes, ProviderSelector, Scope, Window};
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::view::Source;

use crate::book::{Account, Ask, Book, Entry};
use crate::budget::Budget;

/// What becomes of a call that asks, its bottle aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fits,
    Waits,
    Refused,
}

/// A call that is open.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) bottle: BottleName,
    pub(super) provider: ProviderKey,
    pub(super) accounts: Vec<Account>,
    reserved: Tokens,
    started_at: Timestamp,
    pub(super) flowed: Tokens,
}

/// Sums over the entries.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) posted: BTreeMap<(Account, ProviderKey), Tokens>,
    pub(super) open: BTreeMap<CallId, Call>,
    pub(super) settled: BTreeSet<CallId>,
    /// Calls that wait, in the order they came.
    pub(super) waiting: Vec<Ask>,
    pub(super) cut: BTreeSet<CallId>,
    runs: BTreeMap<BottleName, RunId>,
    charges: BTreeMap<CallId, Charge>,
    blocks: BTreeMap<BudgetKey, Timestamp>,
    /// The calls that a reset of a budget no longer counts, and when it was.
    resets: BTreeMap<BudgetKey, (Timestamp, BTreeSet<CallId>)>,
}

/// What a call was charged.
#[derive(Debug)]
struct Charge {
    accounts: Vec<Account>,
    provider: ProviderKey,
    started_at: Timestamp,
    tokens: Tokens,
}

impl Model {
    pub(super) fn apply(&mut self, book: &Book, entry: &Entry) {
        match entry {
            Entry::Bottle(bottle) => {
                let own = Scope::Bottle(bottle.name.clone());
                let is_new = self.runs.insert(bottle.name.clone(), bottle.run) != Some(bottle.run);
                self.resets
                    .retain(|key, _| !(is_new && key.scope == own && key.window == Window::Run));
            }
            Entry::BlockBegan(key, from) => {
                self.blocks.insert(key.clone(), *from);
            }
            Entry::Reset(key, reset) => {
                let calls = self.charges.keys().copied().collect();
                self.resets.insert(key.clone(), (reset.at, calls));
            }
            Entry::Reserved(new) => {
                let facts = &new.facts;
                assert_eq!(
                    facts.accounts,
                    accounts(book, &facts.bottle),
                    "on every scope once"
                );
                for budget in binding(book, &facts.bottle, &facts.provider) {
                    let after = self.posted(book, budget).plus(self.pending(book, budget));
                    let fits = after.plus(new.reserved) <= budget.limit();
                    assert!(
                        gate(book, budget) == Gate::Off || fits,
                        "{} overbooked",
                        budget.key()
                    );
                }
                let call = Call {
                    bottle: facts.bottle.clone(),
                    provider: facts.provider.clone(),
                    accounts: facts.accounts.clone(),
                    reserved: new.reserved,
                    started_at: facts.started_at,
                    flowed: Tokens::ZERO,
                };
                assert!(self.open.insert(facts.call, call).is_none(), "open once");
            }
            Entry::Settled {
                facts, settlement, ..
            } => {
                assert!(
                    self.open.remove(&facts.call).is_some(),
                    "an open call resolves once"
                );
                assert!(self.settled.insert(facts.call), "and is charged once");
                let charge = Charge {
                    accounts: facts.accounts.clone(),
                    provider: facts.provider.clone(),
                    started_at: facts.started_at,
                    tokens: settlement.charge,
                };
                self.charges.insert(facts.call, charge);
                self.post(&facts.accounts, &facts.provider, |sum| {
                    sum.plus(settlement.charge)
                });
            }
            Entry::Amended {
                facts,
                before,
                after,
                ..
            } => {
                assert!(
                    self.settled.contains(&facts.call),
                    "what was charged is corrected"
                );
                let charge = self.charges.get_mut(&facts.call).expect("a charge");
                charge.tokens = after.charge;
                self.post(&facts.accounts, &facts.provider, |sum| {
                    sum.plus(after.charge).minus(before.charge)
                });
            }
            Entry::Voided { facts, .. } => {
                assert!(
                    self.open.remove(&facts.call).is_some(),
                    "an open call resolves once"
                );
            }
            _ => {}
        }
    }

    fn post(&mut self, to: &[Account], provider: &ProviderKey, sum: impl Fn(Tokens) -> Tokens) {
        for account in to {
            let posted = self
                .posted
                .entry((account.clone(), provider.clone()))
                .or_default();
            *posted = sum(*posted);
        }
    }

    pub(super) fn posted(&self, book: &Book, budget: &Budget) -> Tokens {
        let key = budget.key();
        let (account, from) = (account(book, key), self.from(book, key));
        let forgiven = self.resets.get(key).map(|(_, calls)| calls);
        let counted = self.charges.iter().filter(|(call, charge)| {
            account
                .as_ref()
                .is_some_and(|it| charge.accounts.contains(it))
                && key.provider.matches(&charge.provider)
                && charge.started_at >= from
                && !forgiven.is_some_and(|calls| calls.contains(call))
        });
        counted.fold(Tokens::ZERO, |sum, (_, charge)| sum.plus(charge.tokens))
    }

    /// Returns from when a budget counts.
    fn from(&self, book: &Book, key: &BudgetKey) -> Timestamp {
        let now = book.windows.latest().0;
        let floor = |at: i64, grain: i64| at.saturating_sub(at.rem_euclid(grain));
        let length = |minutes: Minutes| i64::from(minutes.get()).saturating_mul(60_000);
        let from = match key.window {
            Window::Total | Window::Run => i64::MIN,
            Window::Hour => floor(now, 3_600_000),
            Window::Rolling(minutes) => {
                let grain = if minutes.get() > 1_440 {
                    900_000
                } else {
                    60_000
                };
                let from = floor(now.saturating_sub(length(minutes)), grain);
                let reset = self.resets.get(key).map(|(at, _)| floor(at.0, grain));
                from.max(reset.unwrap_or(from))
            }
            Window::Block(minutes) => {
                let from = self.blocks.get(key).map(|from| from.0);
                let from = from.filter(|from| now < from.saturating_add(length(minutes)));
                from.unwrap_or(i64::MAX)
            }
            other => panic!("no command sets a budget of a {other}"),
        };
        Timestamp(from)
    }

    fn on<'a>(&'a self, book: &Book, budget: &'a Budget) -> impl Iterator<Item = &'a Call> {
        let key = budget.key();
        let (account, from) = (account(book, key), self.from(book, key));
        self.open.values().filter(move |call| {
            account
                .as_ref()
                .is_some_and(|account| call.accounts.contains(account))
                && key.provider.matches(&call.provider)
                && call.started_at >= from
        })
    }

    fn pending(&self, book: &Book, budget: &Budget) -> Tokens {
        let calls = self.on(book, budget);
        calls.fold(Tokens::ZERO, |sum, call| {
            sum.plus(call.reserved.max(call.flowed))
        })
    }

    pub(super) fn flowed(&self, book: &Book, budget: &Budget) -> Tokens {
        self.on(book, budget)
            .fold(Tokens::ZERO, |sum, call| sum.plus(call.flowed))
    }

    /// Returns what is set aside on an account, and for how many calls.
    pub(super) fn aside(&self, account: &Account, provider: &ProviderKey) -> (Tokens, u64) {
        let calls = self.open.values();
        let of = calls.filter(|c| c.provider == *provider && c.accounts.contains(account));
        of.fold((Tokens::ZERO, 0), |(sum, calls), call| {
            (
                sum.plus(call.reserved.max(call.flowed)),
                calls.saturating_add(1),
            )
        })
    }

    pub(super) fn verdict(&self, book: &Book, ask: &Ask) -> Verdict {
        let input = Tokens(ask.input.text_bytes.div_ceil(4));
        let need = input.plus(Tokens(ask.output_max.unwrap_or(0)));
        let mut waits = false;
        for budget in binding(book, &ask.bottle, &ask.provider) {
            let (posted, limit) = (self.posted(book, budget), budget.limit());
            let pending = self.pending(book, budget);
            let alone = self.on(book, budget).next().is_none();
            if posted >= limit {
                return Verdict::Refused;
            }
            if gate(book, budget) == Gate::Off || posted.plus(pending).plus(need) <= limit {
                continue;
            }
            if posted.plus(input) > limit {
                return Verdict::Refused;
            }
            waits = waits || !alone;
        }
        if waits { Verdict::Waits } else { Verdict::Fits }
    }

    /// Returns whether an earlier call of the same bottle waits that a common budget binds.
    pub(super) fn is_behind(&self, book: &Book, ask: &Ask) -> bool {
        let keys = |ask: &Ask| -> BTreeSet<BudgetKey> {
            let binding = binding(book, &ask.bottle, &ask.provider);
            binding.iter().map(|budget| budget.key().clone()).collect()
        };
        let before = self
            .waiting
            .iter()
            .take_while(|earlier| earlier.call != ask.call);
        let mut rivals = before.filter(|earlier| earlier.bottle == ask.bottle);
        rivals.any(|earlier| !keys(earlier).is_disjoint(&keys(ask)))
    }
}

fn gate(book: &Book, budget: &Budget) -> Gate {
    budget.declared.gate.unwrap_or(book.rules.gate)
}

fn lineage(book: &Book, name: &BottleName, found: &mut Vec<BottleName>) {
    if !found.contains(name) {
        found.push(name.clone());
        for parent in book.bottles.parents(name).iter().rev() {
            lineage(book, parent, found);
        }
    }
}

fn run(book: &Book, name: &BottleName) -> Option<RunId> {
    book.bottles.get(name).map(|bottle| bottle.run)
}

fn accounts(book: &Book, name: &BottleName) -> Vec<Account> {
    let bottle = book.bottles.get(name).expect("a bottle that calls");
    let mut bottles = Vec::new();
    lineage(book, name, &mut bottles);
    let mut accounts = vec![Account::Launch(bottle.run)];
    accounts.extend(bottle.agent.clone().map(Account::Agent));
    for name in bottles {
        let run = run(book, &name).map(Account::BottleRun);
        accounts.push(Account::Bottle(name));
        accounts.extend(run);
    }
    accounts.push(Account::Host);
    accounts
}

/// Returns what a budget counts on.
pub(super) fn account(book: &Book, key: &BudgetKey) -> Option<Account> {
    match (&key.scope, key.window) {
        (Scope::Launch(run), _) => Some(Account::Launch(*run)),
        (Scope::Agent(name), _) => Some(Account::Agent(name.clone())),
        (Scope::Bottle(name), Window::Run) => run(book, name).map(Account::BottleRun),
        (Scope::Bottle(name), _) => Some(Account::Bottle(name.clone())),
        (Scope::Host, _) => Some(Account::Host),
    }
}

/// Returns the budgets that bind a bottle's calls to a provider.
pub(super) fn binding<'a>(
    book: &'a Book,
    name: &BottleName,
    provider: &ProviderKey,
) -> Vec<&'a Budget> {
    let hard = book.budgets.iter().filter(|budget| {
        budget.declared.cap == Cap::Hard
            && budget.key().provider.matches(provider)
            && account(book, budget.key()).is_some()
    });
    let hard: Vec<&Budget> = hard.collect();
    let bottle = book.bottles.get(name);
    let mut names = Vec::new();
    lineage(book, name, &mut names);
    let launch = bottle.map(|bottle| Scope::Launch(bottle.run));
    let agent = match bottle {
        Some(bottle) => bottle.agent.clone(),
        None => book.bottles.manifest(name).and_then(|m| m.agent.clone()),
    };
    let agent = agent.map(Scope::Agent);
    let own = [agent.clone(), Some(Scope::Bottle(name.clone()))];
    let bottles = names.into_iter().map(Scope::Bottle);
    let scopes: Vec<Scope> = launch
        .into_iter()
        .chain(agent)
        .chain(bottles)
        .chain([Scope::Host])
        .collect();
    let governs = |scope: &&Scope| hard.iter().any(|budget| budget.key().scope == **scope);
    let Some(at) = scopes.iter().position(|scope| governs(&scope)) else {
        return Vec::new();
    };
    let (_, from) = scopes.split_at(at);
    let launched = matches!(from.first(), Some(Scope::Launch(_)));
    let binds = |budget: &Budget| {
        let scope = &budget.key().scope;
        let ordered = matches!(budget.declared.source, Source::Command { .. });
        from.first() == Some(scope)
            || from.contains(scope) && budget.declared.ceiling
            || launched && ordered && own.contains(&Some(scope.clone()))
    };
    hard.into_iter().filter(|budget| binds(budget)).collect()
}

/// Returns a selector of one provider.
pub(super) fn one(provider: &ProviderKey) -> ProviderSelector {
    ProviderSelector::One(provider.clone())
}
