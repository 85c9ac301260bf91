//! The book: who may spend what, what is set aside, what was charged.
//!
//! A pure state machine. Commands come in with `now` and with every id; what it decides goes out
//! as [`Entry`]s to be written and [`Effect`]s to be done, and its own state changes by applying
//! those entries and by nothing else that lasts. One owner calls it, one command after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bb_proto::budget::{BudgetKey, Gate, Scope, Unbounded, Window};
use bb_proto::event::{Actor, Event, EventKind};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::EstimateErrors;
use bb_proto::time::{Millis, Timestamp};
use jiff::tz::TimeZone;

use crate::bottle::{Bottles, Manifest};
use crate::budget::{Budget, Budgets, Declared, WARN_DEFAULT};
use crate::estimate::Estimator;
use crate::weights::Weights;

pub mod account;
mod admission;
mod bottles;
mod budgets;
mod check;
mod clock;
mod closings;
mod correct;
pub mod entry;
mod exact;
mod explain;
pub mod history;
mod judge;
mod open;
mod outside;
mod queue;
mod rate;
mod refusals;
mod register;
mod reserve;
mod resets;
mod resolve;
mod restore;
mod revisions;
mod settled;
mod sidecar;
mod view;
mod windows;

pub use account::{Account, Accounts, Balance, Charged};
pub use admission::{Admission, Admitted, Ask, Refusal, RefusalReason, SidecarAsk};
pub use bottles::{Acted, Order};
pub use budgets::{BudgetActed, Lasts};
pub use check::Check;
pub use entry::{CallFacts, Corrected, Entry, Reservation, Settlement, Terms};
pub use exact::FLOOR_DEFAULT;
pub use outside::{ChargedOutside, Spent, SpentOutside};
pub use register::Registration;
pub use resets::Reset;
pub use resolve::{OtherModel, Outcome, Resolved};
pub use restore::{OpenCall, PastCall, Saved};
pub use revisions::Changes;
pub use sidecar::{Ended, Heard, Remembered, SILENCE_MAX, Said, SidecarCall};
pub use windows::CLOCK_BACK_MAX;

use judge::Exhausted;
use open::OpenCalls;
use queue::WaitQueue;
use refusals::Refused;
use revisions::Revisions;
use sidecar::Sidecars;
use windows::Windows;

/// What the settings say to the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The settings' budgets.
    pub budgets: Vec<Declared>,
    /// What the settings say of bottles.
    pub manifests: BTreeMap<BottleName, Manifest>,
    /// Each provider's weights; one that is not named has all ones.
    pub weights: HashMap<ProviderKey, Weights>,
    /// How calls are admitted where a budget does not say.
    pub gate: Gate,
    /// What the gate `exact` does with calls that nothing bounds, where a budget does not say.
    pub unbounded: Unbounded,
    /// The least output of one choice that the gate `exact` leaves a call, in tokens.
    pub floor: u64,
    /// How long a call waits for room.
    pub wait: Millis,
    /// The warning levels in percent of a budget that names none, ascending.
    pub warn: Vec<u8>,
    /// Whether exhaustion lets the calls in flight finish.
    pub in_flight_finish: bool,
    /// By which windows of the calendar turn.
    pub zone: TimeZone,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            budgets: Vec::new(),
            manifests: BTreeMap::new(),
            weights: HashMap::new(),
            gate: Gate::Estimate,
            unbounded: Unbounded::Refuse,
            floor: FLOOR_DEFAULT,
            wait: Millis(30_000),
            warn: WARN_DEFAULT.to_vec(),
            in_flight_finish: false,
            zone: TimeZone::UTC,
        }
    }
}

/// Why a call in flight is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutReason {
    /// A budget is spent.
    Budget(Refusal),
    /// The operator said so.
    Operator,
    /// The ledger takes no charges.
    LedgerClosed,
    /// The controller stops.
    Draining,
}

/// What the book's owner does once the entries are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A call that waited is admitted.
    Admit(Admitted),
    /// A call that waited is refused.
    Refuse(CallId, Refusal),
    /// A call in flight is ended.
    Cut(CallId, CutReason),
    /// A token means this bottle's run from now on.
    TokenIssued {
        /// The token.
        token: String,
        /// The bottle.
        bottle: BottleName,
    },
    /// A token means nothing from now on.
    TokenRevoked(String),
}

/// What a command decided, to be written and then done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Facts, in order.
    pub entries: Vec<Entry>,
    /// Deeds, in order.
    pub effects: Vec<Effect>,
}

/// Who may spend what, what is set aside, what was charged.
#[derive(Debug, Default)]
pub struct Book {
    rules: Rules,
    budgets: Budgets,
    bottles: Bottles,
    accounts: Accounts,
    open: OpenCalls,
    queue: WaitQueue,
    estimator: Estimator,
    windows: Windows,
    exhausted: BTreeMap<BudgetKey, Exhausted>,
    warned: BTreeMap<BudgetKey, BTreeSet<u8>>,
    /// Budgets of which it was told in this window that they are spent before it turns.
    paced: BTreeSet<BudgetKey>,
    refused: Refused,
    last_call: HashMap<BottleName, (ProviderKey, String)>,
    settled: settled::SettledCalls,
    sidecars: Sidecars,
    revisions: Revisions,
    next_event: u64,
    outbox: Outbox,
}

impl Book {
    /// Takes what the commands since the last time decided.
    pub fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    /// Takes the balances that changed since the last time.
    pub fn take_dirty(&mut self) -> Vec<(Account, ProviderKey, Balance)> {
        self.accounts.take_dirty()
    }

    /// Returns the calls that are open.
    pub fn open_calls(&self) -> usize {
        self.open.len()
    }

    /// Returns the calls that wait for room.
    pub fn waiting_calls(&self) -> usize {
        self.queue.len()
    }

    /// Returns a provider's weights.
    pub fn weights(&self, provider: &ProviderKey) -> Weights {
        self.rules
            .weights
            .get(provider)
            .copied()
            .unwrap_or_default()
    }

    /// Returns how far estimates were off, a provider at a time.
    pub fn estimate_errors(&self) -> BTreeMap<ProviderKey, EstimateErrors> {
        self.estimator.errors()
    }

    /// Returns the bottles.
    pub fn bottles(&self) -> &Bottles {
        &self.bottles
    }

    /// Returns the budgets.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Returns the accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the account a budget counts on; none for a run of a bottle that never ran.
    fn account_of(&self, key: &BudgetKey) -> Option<Account> {
        match (&key.scope, key.window) {
            (Scope::Launch(run), _) => Some(Account::Launch(*run)),
            (Scope::Agent(name), _) => Some(Account::Agent(name.clone())),
            (Scope::Bottle(name), Window::Run) => self
                .bottles
                .get(name)
                .map(|bottle| Account::BottleRun(bottle.run)),
            (Scope::Bottle(name), _) => Some(Account::Bottle(name.clone())),
            (Scope::Host, _) => Some(Account::Host),
        }
    }

    /// Returns the accounts of a call on which budgets still count: not those of runs that are over.
    fn live<'a>(&self, accounts: &'a [Account]) -> Vec<&'a Account> {
        let live = accounts.iter().filter(|account| self.is_live(account));
        live.collect()
    }

    fn is_live(&self, account: &Account) -> bool {
        match account {
            Account::Launch(run) | Account::BottleRun(run) => self.bottles.has_run(*run),
            Account::Agent(_) | Account::Bottle(_) | Account::Host => true,
        }
    }

    fn gate_of(&self, budget: &Budget) -> Gate {
        budget.declared.gate.unwrap_or(self.rules.gate)
    }

    /// Changes the state as `entry` says, and puts the entry out to be written.
    fn commit(&mut self, entry: Entry) {
        self.apply(&entry);
        self.outbox.entries.push(entry);
    }

    fn effect(&mut self, effect: Effect) {
        if let Effect::Cut(call, reason) = &effect {
            self.sidecars.cut(*call, reason);
        }
        self.outbox.effects.push(effect);
    }

    fn happened(&mut self, event: Event) {
        self.commit(Entry::Happened(event));
    }

    /// Returns an event that is numbered when it is committed.
    fn event(&self, at: Timestamp, kind: EventKind, actor: Actor, text: String) -> Event {
        Event {
            seq: self.next_event,
            at,
            kind,
            actor,
            bottle: None,
            run: None,
            budget: None,
            provider: None,
            text,
            uid: None,
            why: None,
            explained: None,
        }
    }

    /// Puts down something that is about the controller itself.
    pub fn note(&mut self, now: Timestamp, kind: EventKind, text: String) {
        let event = self.event(now, kind, Actor::System, text);
        self.happened(event);
    }
}

#[cfg(test)]
mod tests;
