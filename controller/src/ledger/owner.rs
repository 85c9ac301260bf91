//! What the owner of the ledger does: tells it what the letters say, and carries out its steps.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bb_core::book::{Admitted, Book, CutReason, Resolved};
use bb_core::ledger::{self, Command, Ledger};
use bb_proto::event::EventKind;
use bb_proto::ids::CallId;
use bb_proto::time::{Millis, Timestamp};
use tokio::sync::oneshot;

use super::identities::Identity;
use super::mailbox::{Answer, Letter, Look};
use super::{Closed, NotAdmitted, Outside};
use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// How often what was charged when is folded.
const FOLD_EVERY: Millis = Millis(3_600_000);

type ReserveReply = oneshot::Sender<Result<Admitted, NotAdmitted>>;
type SettleReply = oneshot::Sender<Result<Resolved, Closed>>;
type Step = ledger::Step<ReserveReply, SettleReply, OrderReply>;

/// What is done once what was decided is written, or could not be.
pub(super) enum OrderReply {
    Act(Answer),
    Look(Look),
}

/// The ledger's decisions, the database, and how those are reached who wait for either.
pub(super) struct Owner {
    ledger: Ledger<ReserveReply, SettleReply, OrderReply>,
    store: Store,
    clock: Clock,
    /// How each call that asked is told to end.
    cuts: HashMap<CallId, oneshot::Sender<CutReason>>,
    /// When what was charged when was folded last.
    folded_at: Timestamp,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("folded_at", &self.folded_at)
            .finish_non_exhaustive()
    }
}

impl Owner {
    pub(super) fn new(book: Book, store: Store, next_entry: u64, clock: Clock) -> Self {
        Self {
            ledger: Ledger::new(book, next_entry),
            store,
            clock,
            cuts: HashMap::new(),
            folded_at: Timestamp(0),
        }
    }

    /// Charges what was open at the last end, and makes the valid tokens known.
    pub(super) fn recover(&mut self, outside: &Outside) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.ledger.recover(now);
        while let Some(step) = self.ledger.next(now) {
            if matches!(step, Step::Write) {
                self.store.write(self.ledger.unwritten())?;
                self.ledger.written(Ok(()), now);
            } else {
                self.carry_out(step, now, outside);
            }
        }
        outside.revision.send_replace(self.ledger.book().revision());
        Ok(())
    }

    /// Returns how long the owner may sleep where no letter comes.
    pub(super) fn next_deadline(&mut self) -> Option<Duration> {
        let now = self.clock.now();
        self.ledger.next_deadline(now).map(duration)
    }

    /// Returns how long it is until the book has something to do by itself.
    pub(super) fn next_expiry(&mut self) -> Option<Duration> {
        let now = self.clock.now();
        self.ledger.next_expiry(now).map(duration)
    }

    /// Has letters decided on, what was decided written, then answered.
    pub(super) fn work(&mut self, letters: Vec<Letter>, outside: &Outside) {
        let now = self.clock.now();
        if let Some(by) = self.clock.take_jump() {
            self.ledger.decide(|book| book.clock_jumped(by, now));
        }
        self.check_place(now);
        for letter in letters {
            self.tell(letter, now);
        }
        self.ledger.tick(now);
        self.carry_on(now, outside);
        self.store.rest();
        let current = self.ledger.book().revision();
        outside
            .revision
            .send_if_modified(|revision| std::mem::replace(revision, current) != current);
    }

    /// Folds back what grew long; nobody waits for it.
    pub(super) fn tidy(&mut self, outside: &Outside) {
        if self.ledger.closed_since().is_some() {
            return;
        }
        let now = self.clock.now();
        let mut tidied = Ok(());
        if self.ledger.has_untidy() && now.since(self.folded_at) >= FOLD_EVERY {
            self.folded_at = now;
            tidied = self.store.fold(now);
        }
        if self.ledger.take_untidy() {
            tidied = tidied.and_then(|()| self.store.checkpoint_if_long().map(drop));
        }
        if let Err(error) = tidied {
            say_closed(&error);
            self.ledger.failed(&error.to_string(), now);
            self.carry_on(now, outside);
        }
    }

    /// Rolls up some entries of calls that are older than what is kept; returns whether there may be
    /// more. Nobody waits for it, so a full disk is left to who needs it more.
    pub(super) fn roll_up(&mut self, kept: Duration, outside: &Outside) -> bool {
        if self.ledger.closed_since().is_some() || !self.ledger.unwritten().is_empty() {
            return false;
        }
        let now = self.clock.now();
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp(now.0.saturating_sub(kept));
        self.ledger.decide(|book| book.forget_settled(before));
        match self.store.roll_up(before, now) {
            Ok(rolled) => {
                self.ledger.add_untidy(rolled.entries);
                rolled.more
            }
            Err(error @ StoreError::Full { .. }) => {
                tracing::warn!(%error, "entries are not rolled up");
                false
            }
            Err(error) => {
                self.fail(&error, now);
                self.carry_on(now, outside);
                false
            }
        }
    }

    /// Writes a file anew that was taken away; closes the ledger where that fails.
    fn check_place(&mut self, now: Timestamp) {
        if self.ledger.closed_since().is_some() {
            return;
        }
        let Err(error) = self.store.check_place() else {
            return;
        };
        match self.store.reopened() {
            Ok(store) => {
                tracing::error!("the ledger's file was gone, and was written anew");
                self.store = store;
                let text = "the ledger's file was taken away: all of it was written anew";
                self.ledger
                    .decide(|book| book.note(now, EventKind::Ledger, text.to_owned()));
            }
            Err(again) => {
                tracing::error!(error = %again, "the ledger's file cannot be written anew");
                self.fail(&error, now);
            }
        }
    }

    fn fail(&mut self, error: &StoreError, now: Timestamp) {
        say_closed(error);
        self.ledger.failed(&error.to_string(), now);
    }

    fn tell(&mut self, letter: Letter, now: Timestamp) {
        let command = match letter {
            Letter::Reserve { ask, cut, reply } => {
                // A sidecar's call hears of it when it asks.
                if !cut.is_closed() {
                    self.cuts.insert(ask.call, cut);
                }
                Command::Reserve { ask, to: reply }
            }
            Letter::Withdraw { bottle, call } => {
                self.cuts.remove(&call);
                Command::Withdraw { bottle, call }
            }
            Letter::Flowed { call, known } => Command::Flowed { call, known },
            Letter::Settle {
                call,
                outcome,
                reply: to,
            } => {
                self.cuts.remove(&call);
                Command::Settle { call, outcome, to }
            }
            Letter::Amend {
                call,
                outcome,
                reply: to,
            } => Command::Amend { call, outcome, to },
            Letter::Void { call, status } => {
                self.cuts.remove(&call);
                Command::Void { call, status }
            }
            Letter::Act(act) => {
                let act = |book: &mut Book, now| OrderReply::Act(act(book, now));
                return self.ledger.order(act, now);
            }
            Letter::Look(look) => return self.ledger.question(OrderReply::Look(look)),
        };
        self.ledger.tell(command, now);
    }

    fn carry_on(&mut self, now: Timestamp, outside: &Outside) {
        while let Some(step) = self.ledger.next(now) {
            self.carry_out(step, now, outside);
        }
    }

    fn carry_out(&mut self, step: Step, now: Timestamp, outside: &Outside) {
        match step {
            Step::Write => {
                let written = self.store.write(self.ledger.unwritten());
                let written = written.inspect_err(say_closed);
                self.ledger
                    .written(written.map_err(|error| error.to_string()), now);
            }
            Step::Reopen => {
                let is_open = self.reopen();
                self.ledger.reopened(is_open, now);
            }
            Step::Answer(answer) => self.answer(answer, now),
            Step::Cut { call, reason } => {
                if let Some(cut) = self.cuts.remove(&call) {
                    // The call may have ended by itself in this very moment.
                    drop(cut.send(reason));
                    outside.cuts.send_modify(|cuts| *cuts += 1);
                }
            }
            Step::TokenIssued {
                token,
                bottle,
                run,
                provider,
            } => {
                let identity = Identity {
                    bottle,
                    run,
                    provider,
                };
                outside.identities.issue(token, identity);
            }
            Step::TokenRevoked(token) => outside.identities.revoke(&token),
            // No watcher is no fault.
            Step::Happened(event) => drop(outside.events.send(event)),
            Step::Alarm(event) => drop(outside.alarms.send(event)),
            Step::Closed { since } => {
                outside
                    .closed_since
                    .store(since.0.max(1), Ordering::Relaxed);
            }
            Step::Opened => outside.closed_since.store(0, Ordering::Relaxed),
        }
    }

    /// Tries to open the database anew, and to write all that could not be written.
    fn reopen(&mut self) -> bool {
        let reopened = self.store.reopened().and_then(|mut store| {
            store.write(self.ledger.unwritten())?;
            Ok(store)
        });
        match reopened {
            Ok(store) => {
                tracing::info!("the ledger is open again");
                self.store = store;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the ledger stays closed");
                false
            }
        }
    }

    fn answer(
        &mut self,
        answer: ledger::Answer<ReserveReply, SettleReply, OrderReply>,
        now: Timestamp,
    ) {
        match answer {
            ledger::Answer::Admitted { to, admitted } => {
                let call = admitted.call;
                if to.send(Ok(admitted)).is_err() {
                    self.cuts.remove(&call);
                    self.ledger.unheard(call, now);
                }
            }
            ledger::Answer::Refused { to, call, refusal } => {
                self.turn_away(to, call, NotAdmitted::Refused(refusal));
            }
            ledger::Answer::TurnedAway { to, call } => {
                self.turn_away(to, call, NotAdmitted::Closed);
            }
            ledger::Answer::Resolved {
                to,
                resolved,
                written,
            } => {
                let answer = if written { Ok(resolved) } else { Err(Closed) };
                if to.send(answer).is_err() {
                    tracing::trace!("nobody waited for a charge");
                }
            }
            ledger::Answer::Done { to, written } => match to {
                OrderReply::Act(answer) => answer(written),
                OrderReply::Look(look) => look(self.ledger.book(), now),
            },
        }
    }

    fn turn_away(&mut self, to: ReserveReply, call: CallId, why: NotAdmitted) {
        self.cuts.remove(&call);
        // Who asked may be gone; nothing is left to do for them.
        drop(to.send(Err(why)));
    }
}

fn say_closed(error: &StoreError) {
    tracing::error!(%error, "the ledger is closed: new calls are refused");
}

fn duration(of: Millis) -> Duration {
    Duration::from_millis(of.0)
}
