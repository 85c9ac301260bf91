//! What changed when, for clients that ask only for that.

use std::collections::{HashMap, VecDeque};

use bb_proto::ids::BottleName;
use bb_proto::time::{Millis, Timestamp};
use bb_proto::view;

use super::rate::MOVES_MS;
use super::{Account, Book, CallFacts};

/// How many rows that went away are remembered for clients that ask what changed.
const GONE_MAX: usize = 1_024;

/// What changed when: the revision of each row.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    current: u64,
    /// The first revision of this life of the controller.
    first: u64,
    /// What every row depends on: budgets' definitions and who extends whom.
    structure: u64,
    /// What many rows show of one budget: its warnings, and that it is exhausted.
    shared: u64,
    bottles: HashMap<BottleName, u64>,
    /// When each bottle's record changed: its run, state and closings, not what it counts.
    records: HashMap<BottleName, u64>,
    accounts: HashMap<Account, u64>,
    gone: VecDeque<(u64, BottleName)>,
    /// When the next rate comes to rest, and up to when those are told that did.
    rest_at: Option<Timestamp>,
    rested_at: Timestamp,
}

/// What changed since a revision, or everything.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whether everything is in it.
    pub whole: bool,
    /// Budgets.
    pub budgets: Vec<view::Budget>,
    /// Bottles.
    pub bottles: Vec<view::Bottle>,
    /// Bottles that went away.
    pub bottles_gone: Vec<BottleName>,
}

impl Book {
    /// Returns the revision: it grows with every change, over restarts too.
    pub fn revision(&self) -> u64 {
        self.revisions.current
    }

    /// Returns at which revision budgets, or who extends whom, changed last.
    pub(super) fn structure_revision(&self) -> u64 {
        self.revisions.structure
    }

    /// Returns the number of the newest event.
    pub fn newest_event(&self) -> u64 {
        self.next_event.saturating_sub(1)
    }

    pub(super) fn begin_revisions(&mut self, now: Timestamp) {
        // A millisecond has room for a thousand changes, so a later life begins above this one.
        let first = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000);
        self.revisions = Revisions {
            current: first,
            first,
            structure: first,
            rested_at: Timestamp(i64::MIN),
            ..Revisions::default()
        };
    }

    fn next_revision(&mut self) -> u64 {
        self.revisions.current = self.revisions.current.saturating_add(1);
        self.revisions.current
    }

    pub(super) fn touch_head(&mut self) {
        self.next_revision();
    }

    pub(super) fn touch_all(&mut self) {
        self.revisions.structure = self.next_revision();
    }

    pub(super) fn touch_shared(&mut self) {
        self.revisions.shared = self.next_revision();
    }

    pub(super) fn touch_bottle(&mut self, name: &BottleName) {
        let revision = self.next_revision();
        self.revisions.bottles.insert(name.clone(), revision);
    }

    pub(super) fn touch_record(&mut self, name: &BottleName) {
        self.touch_bottle(name);
        let revision = self.revisions.current;
        self.revisions.records.insert(name.clone(), revision);
    }

    /// Returns the revision at which a bottle's record changed last.
    pub(super) fn record_revision(&self, name: &BottleName) -> u64 {
        let known = self.revisions.records.get(name);
        known.copied().unwrap_or(self.revisions.first)
    }

    pub(super) fn touch_call(&mut self, facts: &CallFacts) {
        let revision = self.next_revision();
        for account in &facts.accounts {
            match self.revisions.accounts.get_mut(account) {
                Some(of_account) => *of_account = revision,
                None => {
                    self.revisions.accounts.insert(account.clone(), revision);
                }
            }
        }
    }

    pub(super) fn touch_account(&mut self, account: Account) {
        let revision = self.next_revision();
        self.revisions.accounts.insert(account, revision);
    }

    /// Notes that rates move now, and will have come to rest some time after.
    pub(super) fn rates_move(&mut self, now: Timestamp) {
        let rest_at = now.plus(Millis(MOVES_MS));
        self.revisions.rest_at.get_or_insert(rest_at);
    }

    /// Returns when the next rate comes to rest.
    pub(super) fn next_rest(&self) -> Option<Timestamp> {
        self.revisions.rest_at
    }

    /// Counts the rows as changed whose rates have come to rest.
    pub(super) fn rest_rates(&mut self, now: Timestamp) {
        if self.revisions.rest_at.is_none_or(|at| now < at) {
            return;
        }
        let (rest, next) = self.accounts.at_rest(self.revisions.rested_at, now);
        self.revisions.rest_at = next;
        self.revisions.rested_at = now;
        for account in rest {
            self.touch_account(account);
        }
    }

    /// Begins with rates anew, of a clock that was set.
    pub(super) fn forget_rates(&mut self, now: Timestamp) {
        self.accounts.forget_rates(now);
        self.revisions.rest_at = None;
        self.revisions.rested_at = now;
    }

    pub(super) fn account_gone(&mut self, account: &Account) {
        self.revisions.accounts.remove(account);
    }

    pub(super) fn bottle_gone(&mut self, name: &BottleName) {
        self.touch_all();
        self.revisions.bottles.remove(name);
        self.revisions.records.remove(name);
        self.revisions
            .gone
            .push_back((self.revisions.current, name.clone()));
        if self.revisions.gone.len() > GONE_MAX {
            self.revisions.gone.pop_front();
        }
    }

    /// Returns the revision at which budgets or ancestry changed last.
    pub(super) fn structure(&self) -> u64 {
        self.revisions.structure
    }

    fn row_moved(&self, name: &BottleName, since: u64, now: Timestamp) -> bool {
        let account = Account::Bottle(name.clone());
        let own = self.revisions.bottles.get(name);
        let of_account = self.revisions.accounts.get(&account);
        own.max(of_account)
            .is_some_and(|revision| *revision > since)
            || self.accounts.moves(&account, now)
    }

    /// Returns what changed after `since`, or everything where that cannot be said.
    ///
    /// A row with a charge of the last minutes counts as changed: its rate is of this moment.
    pub fn changes(&self, since: Option<u64>, now: Timestamp) -> Changes {
        let told = since.filter(|since| {
            *since >= self.revisions.first
                && *since <= self.revisions.current
                && *since >= self.revisions.structure
                && *since >= self.revisions.shared
        });
        let Some(since) = told else {
            return Changes {
                whole: true,
                budgets: self.budget_views(now),
                bottles: self.bottle_views(now),
                bottles_gone: Vec::new(),
            };
        };
        if since == self.revisions.current && !self.accounts.any_moves(now) {
            return Changes::default();
        }
        let moved = |account: &Account| {
            let revision = self.revisions.accounts.get(account).copied().unwrap_or(0);
            revision > since || self.accounts.moves(account, now)
        };
        let budgets = self.budgets.iter().filter(|budget| {
            self.account_of(budget.key())
                .is_some_and(|account| moved(&account))
        });
        let known = self.bottles.iter().map(|bottle| bottle.name.clone());
        let rows = known
            .chain(self.bottles.declared())
            .filter(|name| self.row_moved(name, since, now));
        let gone = self
            .revisions
            .gone
            .iter()
            .filter(|(revision, _)| *revision > since);
        Changes {
            whole: false,
            budgets: budgets
                .map(|budget| self.budget_view(budget, now))
                .collect(),
            bottles: rows.map(|name| self.bottle_view(&name, now)).collect(),
            bottles_gone: gone.map(|(_, name)| name.clone()).collect(),
        }
    }
}
