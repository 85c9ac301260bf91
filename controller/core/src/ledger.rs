//! The ledger's decisions: what is written together, what is synced, who is answered when, and what
//! becomes of everybody where a disk fails.
//!
//! A pure value around the [`Book`]: it knows no disk, channel or clock. Its owner tells it what the
//! letters of one round say, ends the round with [`Ledger::tick`], and carries out the [`Step`]s that
//! [`Ledger::next`] gives, one after the other, until there is none. Nothing that waits for the disk
//! is answered before the owner said what became of the writing.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bb_proto::event::EventKind;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::time::{Millis, Timestamp};

use crate::book::{Admission, Ask, Book, CutReason, Effect, Entry, Outcome};
use crate::estimate::Known;

mod group;
mod step;

pub use group::Group;
pub use step::{Answer, Step};

/// What has flowed of open calls is read at least so often.
const TICK: Millis = Millis(250);
/// How often a closed ledger is tried again.
const RETRY_AFTER: Millis = Millis(1_000);
/// The write-ahead log is looked at each time so many entries were written.
const TIDY_AFTER: u32 = 512;

/// What the ledger is told of a call; `C` is who asks for one, `S` is who waits for a charge.
#[derive(Debug)]
pub enum Command<C, S> {
    /// A call asks to be admitted.
    Reserve {
        /// What it asks for.
        ask: Ask,
        /// Who asks.
        to: C,
    },
    /// Who asked for a call is gone, or gives it up.
    Withdraw {
        /// Its bottle.
        bottle: BottleName,
        /// The call.
        call: CallId,
    },
    /// What has flowed of an open call.
    Flowed {
        /// The call.
        call: CallId,
        /// What is known of it.
        known: Known,
    },
    /// A call ended and is charged.
    Settle {
        /// The call.
        call: CallId,
        /// How it ended.
        outcome: Outcome,
        /// Who waits for that.
        to: S,
    },
    /// A later word about a call that was charged.
    Amend {
        /// The call.
        call: CallId,
        /// What holds now.
        outcome: Outcome,
        /// Who waits for that.
        to: S,
    },
    /// A call was surely not billed.
    Void {
        /// The call.
        call: CallId,
        /// The provider's status, where it answered.
        status: Option<u16>,
    },
}

/// The book, what of it is not written yet, and who waits for that; `O` is an order's answer.
#[derive(Debug)]
pub struct Ledger<C, S, O> {
    book: Book,
    next_entry: u64,
    /// Who waits for a call that the book lets wait.
    waiting: BTreeMap<CallId, C>,
    /// What could not be written yet.
    unwritten: Group,
    /// What is answered once that is written.
    held: Vec<Answer<C, S, O>>,
    /// What is to be done now, in order.
    ready: VecDeque<Step<C, S, O>>,
    closed_since: Option<Timestamp>,
    /// Whether a closed ledger was not yet tried again in this round.
    may_reopen: bool,
    /// Entries written since the write-ahead log was looked at.
    untidy: u32,
}

impl<C, S, O> Ledger<C, S, O> {
    /// Makes a ledger around a book that was put together from what is written, of which
    /// `next_entry` is the number of the next.
    pub fn new(book: Book, next_entry: u64) -> Self {
        Self {
            book,
            next_entry,
            waiting: BTreeMap::new(),
            unwritten: Group::default(),
            held: Vec::new(),
            ready: VecDeque::new(),
            closed_since: None,
            may_reopen: false,
            untidy: 0,
        }
    }

    /// Charges what was open at the last end; then makes the tokens of what runs known.
    pub fn recover(&mut self, now: Timestamp) {
        self.book.recover(now);
        let running = self.book.bottles().iter().filter(|b| b.is_running());
        let known = running.map(|bottle| Step::token_issued(bottle.token.clone(), bottle));
        self.ready.extend(known);
    }

    /// Returns the book.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Returns what is to be written.
    pub fn unwritten(&self) -> &Group {
        &self.unwritten
    }

    /// Returns since when the ledger takes no charges.
    pub fn closed_since(&self) -> Option<Timestamp> {
        self.closed_since
    }

    /// Takes what a letter says of a call.
    pub fn tell(&mut self, command: Command<C, S>, now: Timestamp) {
        match command {
            Command::Reserve { ask, to } => self.reserve(ask, to, now),
            Command::Withdraw { bottle, call } => {
                self.waiting.remove(&call);
                self.book.withdraw(&bottle, call, now);
                // It may have been admitted while the letter was under way: nobody forwards it.
                self.book.void(call, None, now);
            }
            Command::Flowed { call, known } => self.book.flowed(call, &known, now),
            Command::Settle { call, outcome, to } => {
                let resolved = self.book.settle(call, &outcome, now);
                self.held.push(Answer::resolved(to, resolved));
            }
            Command::Amend { call, outcome, to } => {
                let resolved = self.book.amend(call, &outcome, now);
                self.held.push(Answer::resolved(to, resolved));
            }
            Command::Void { call, status } => {
                self.book.void(call, status, now);
            }
        }
    }

    fn reserve(&mut self, ask: Ask, to: C, now: Timestamp) {
        let call = ask.call;
        if self.closed_since.is_some() {
            self.held.push(Answer::TurnedAway { to, call });
            return;
        }
        match self.book.reserve(ask, now) {
            Admission::Admitted(admitted) => self.held.push(Answer::Admitted { to, admitted }),
            Admission::Waiting => {
                self.waiting.insert(call, to);
            }
            Admission::Refused(refusal) => self.held.push(Answer::Refused { to, call, refusal }),
        }
    }

    /// Carries out an order, whose answer is given once what it decided is written.
    pub fn order(&mut self, act: impl FnOnce(&mut Book, Timestamp) -> O, now: Timestamp) {
        let to = act(&mut self.book, now);
        self.question(to);
    }

    /// Has the book decide on something that nobody waits for.
    pub fn decide(&mut self, act: impl FnOnce(&mut Book)) {
        act(&mut self.book);
    }

    /// Holds back a question until what was decided before it is written.
    pub fn question(&mut self, to: O) {
        let written = true;
        self.held.push(Answer::Done { to, written });
    }

    /// Ends a round, once all its letters were told: ends the waits that are over, turns the windows
    /// that are, and lets a closed ledger be tried again.
    pub fn tick(&mut self, now: Timestamp) {
        self.book.tick(now);
        self.may_reopen = true;
    }

    /// Returns what the owner does next; nothing once the round is over.
    pub fn next(&mut self, now: Timestamp) -> Option<Step<C, S, O>> {
        if self.ready.is_empty() {
            self.gather(now);
        }
        if let Some(step) = self.ready.pop_front() {
            return Some(step);
        }
        let is_closed = self.closed_since.is_some();
        if is_closed && self.may_reopen {
            return Some(Step::Reopen);
        }
        if !is_closed && !self.unwritten.is_empty() {
            return Some(Step::Write);
        }
        self.answer(!is_closed, now);
        self.ready.pop_front()
    }

    /// Takes what became of a [`Step::Write`]: who waited for it is answered, or the ledger closes.
    pub fn written(&mut self, written: Result<(), String>, now: Timestamp) {
        match written {
            Ok(()) => {
                self.let_go();
                self.answer(true, now);
            }
            Err(error) => self.failed(&error, now),
        }
    }

    /// Takes whether a [`Step::Reopen`] opened the database and wrote all that was not written yet.
    pub fn reopened(&mut self, is_open: bool, now: Timestamp) {
        self.may_reopen = false;
        if is_open {
            self.closed_since = None;
            self.ready.push_back(Step::Opened);
            self.let_go();
            let text = "the ledger is open again: all that happened meanwhile is written";
            self.book.note(now, EventKind::Ledger, text.to_owned());
        }
        self.answer(is_open, now);
    }

    /// Closes the ledger: what was decided stays in memory, calls in flight end, nobody is admitted.
    pub fn failed(&mut self, error: &str, now: Timestamp) {
        self.closed_since = Some(now);
        self.may_reopen = false;
        self.ready.push_back(Step::Closed { since: now });
        let text = format!("the ledger is closed: {error}");
        self.book.note(now, EventKind::Ledger, text);
        self.book.turn_away_waiting();
        for (call, to) in std::mem::take(&mut self.waiting) {
            self.held.push(Answer::TurnedAway { to, call });
        }
        self.answer(false, now);
        self.book.cut_all(&CutReason::LedgerClosed);
    }

    /// Takes back a call whose admission nobody heard: nobody forwards it.
    pub fn unheard(&mut self, call: CallId, now: Timestamp) {
        self.book.void(call, None, now);
    }

    /// Returns how long the owner may sleep where no letter comes.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Millis> {
        if self.closed_since.is_some() {
            return Some(RETRY_AFTER);
        }
        // Letters that nobody waits for come from calls that are open.
        let tick = (self.book.open_calls() > 0).then_some(TICK);
        self.next_expiry(now).into_iter().chain(tick).min()
    }

    /// Returns how long it is until a wait is over, a window turns or a raise ends.
    pub fn next_expiry(&self, now: Timestamp) -> Option<Millis> {
        self.book.next_deadline().map(|at| at.since(now))
    }

    /// Returns whether anything was written since the write-ahead log was looked at.
    pub fn has_untidy(&self) -> bool {
        self.untidy > 0
    }

    /// Takes that so many entries were written, or taken away, besides.
    pub fn add_untidy(&mut self, entries: u32) {
        self.untidy = self.untidy.saturating_add(entries);
    }

    /// Returns whether the write-ahead log is to be looked at; it is not again for a while.
    pub fn take_untidy(&mut self) -> bool {
        let is_due = self.closed_since.is_none() && self.untidy >= TIDY_AFTER;
        if is_due {
            self.untidy = 0;
        }
        is_due
    }

    /// Takes what the book decided: to be written, to be answered, or to be done now.
    fn gather(&mut self, now: Timestamp) {
        let outbox = self.book.take_outbox();
        for entry in outbox.entries {
            if self.closed_since.is_some()
                && let Entry::Happened(event) = &entry
                && event.kind == EventKind::Ledger
            {
                self.ready.push_back(Step::Alarm(event.clone()));
            }
            self.unwritten.entries.push((self.next_entry, entry));
            self.next_entry = self.next_entry.saturating_add(1);
        }
        self.unwritten.balances.extend(self.book.take_dirty());
        for effect in outbox.effects {
            match effect {
                Effect::Cut(call, reason) => self.ready.push_back(Step::Cut { call, reason }),
                Effect::Admit(admitted) => match self.waiting.remove(&admitted.call) {
                    Some(to) => self.held.push(Answer::Admitted { to, admitted }),
                    None => self.unheard(admitted.call, now),
                },
                Effect::Refuse(call, refusal) => {
                    if let Some(to) = self.waiting.remove(&call) {
                        self.held.push(Answer::Refused { to, call, refusal });
                    }
                }
                Effect::TokenIssued { token, bottle } => {
                    let bottle = self.book.bottles().get(&bottle);
                    let issued = bottle.map(|bottle| Step::token_issued(token, bottle));
                    self.ready.extend(issued);
                }
                Effect::TokenRevoked(token) => self.ready.push_back(Step::TokenRevoked(token)),
            }
        }
    }

    /// Lets go of what was written, and has the watchers told.
    fn let_go(&mut self) {
        for (_, entry) in std::mem::take(&mut self.unwritten).entries {
            self.untidy = self.untidy.saturating_add(1);
            if let Entry::Happened(event) = entry {
                self.ready.push_back(Step::Happened(event));
            }
        }
    }

    /// Has those answered that were held back; who was admitted is turned away instead where that
    /// is not written.
    fn answer(&mut self, written: bool, now: Timestamp) {
        for answer in std::mem::take(&mut self.held) {
            let answer = if written {
                answer
            } else {
                answer.unwritten(&mut self.book, now)
            };
            self.ready.push_back(Step::Answer(answer));
        }
    }
}

/// The ledger takes no charges now: what was sent is kept and written when it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ledger is closed")
    }
}

impl std::error::Error for Closed {}

#[cfg(test)]
mod tests;
