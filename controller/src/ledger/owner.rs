//! What the owner of the ledger does: decides, writes, answers, in that order.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bb_core::book::{Admission, Admitted, Book, CutReason, Effect, Entry, Resolved};
use bb_proto::event::EventKind;
use bb_proto::ids::CallId;
use bb_proto::time::{Millis, Timestamp};
use tokio::sync::oneshot;

use super::identities::Identity;
use super::mailbox::{Answer, Letter, Look};
use super::{Closed, NotAdmitted, Outside};
use crate::clock::Clock;
use crate::store::{Group, Store, StoreError};

/// The write-ahead log is looked at each time so many entries were written.
const TIDY_AFTER: u32 = 512;
/// What has flowed of open calls is read at least so often.
const TICK: Duration = Duration::from_millis(250);
/// How often what was charged when is folded, in milliseconds.
const FOLD_EVERY: Millis = Millis(3_600_000);
/// How often a closed ledger is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type ReserveReply = oneshot::Sender<Result<Admitted, NotAdmitted>>;

/// An answer that is kept until what it says is written.
enum Reply {
    Reserve(ReserveReply, Admitted),
    Refuse(ReserveReply, NotAdmitted),
    Settle(oneshot::Sender<Result<Resolved, Closed>>, Resolved),
    Act(Answer),
    Look(Look),
}

/// The book, the database, and who waits for what.
pub(super) struct Owner {
    book: Book,
    store: Store,
    path: PathBuf,
    clock: Clock,
    next_entry: u64,
    /// How each call in flight is told to end.
    cuts: HashMap<CallId, oneshot::Sender<CutReason>>,
    /// Who waits for a call that the book lets wait.
    waiting: HashMap<CallId, (oneshot::Sender<CutReason>, ReserveReply)>,
    /// What could not be written yet.
    unwritten: Group,
    closed: bool,
    /// Entries written since the write-ahead log was looked at.
    untidy: u32,
    /// When what was charged when was folded last.
    folded_at: Timestamp,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("next_entry", &self.next_entry)
            .finish_non_exhaustive()
    }
}

impl Owner {
    pub(super) fn new(
        book: Book,
        store: Store,
        path: PathBuf,
        next_entry: u64,
        clock: Clock,
    ) -> Self {
        Self {
            book,
            store,
            path,
            clock,
            next_entry,
            cuts: HashMap::new(),
            waiting: HashMap::new(),
            unwritten: Group::default(),
            closed: false,
            untidy: 0,
            folded_at: Timestamp(0),
        }
    }

    /// Charges what was open at the last end, and makes the valid tokens known.
    pub(super) fn recover(&mut self, outside: &Outside) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.book.recover(now);
        let mut replies = Vec::new();
        self.gather(outside, &mut replies);
        self.store.write(&self.unwritten)?;
        self.publish(outside);
        for bottle in self.book.bottles().iter() {
            if bottle.lifecycle == bb_core::bottle::Lifecycle::Running {
                let identity = Identity {
                    bottle: bottle.name.clone(),
                    run: bottle.run,
                    provider: bottle.provider.clone(),
                };
                outside.identities.issue(bottle.token.clone(), identity);
            }
        }
        outside.revision.send_replace(self.book.revision());
        Ok(())
    }

    /// Returns how long the owner may sleep where no letter comes.
    pub(super) fn next_deadline(&mut self) -> Option<Duration> {
        if self.closed {
            return Some(RETRY_AFTER);
        }
        // Letters that nobody waits for come from calls that are open.
        let tick = (self.book.open_calls() > 0).then_some(TICK);
        self.next_expiry().into_iter().chain(tick).min()
    }

    /// Returns how long the first call that waits may still wait.
    pub(super) fn next_expiry(&mut self) -> Option<Duration> {
        let deadline = self.book.next_deadline()?;
        Some(Duration::from_millis(deadline.since(self.clock.now()).0))
    }

    /// Decides on letters, writes what was decided, then answers.
    pub(super) fn work(&mut self, letters: Vec<Letter>, outside: &Outside) {
        let now = self.clock.now();
        if let Some(by) = self.clock.take_jump() {
            self.book.clock_jumped(by, now);
        }
        let mut replies = Vec::with_capacity(letters.len());
        for letter in letters {
            self.decide(letter, now, &mut replies);
        }
        self.book.tick(now);
        self.gather(outside, &mut replies);
        let written = self.write(now, outside);
        for reply in replies {
            self.answer(reply, written, now);
        }
        // What nobody waited for was taken back: that is to be written too.
        let mut none = Vec::new();
        self.gather(outside, &mut none);
        if !self.unwritten.is_empty() && !self.closed {
            self.write(now, outside);
        }
        self.store.rest();
        outside.revision.send_if_modified(|revision| {
            let changed = *revision != self.book.revision();
            *revision = self.book.revision();
            changed
        });
    }

    /// Folds the write-ahead log back where it grew long; nobody waits for it.
    pub(super) fn tidy(&mut self, outside: &Outside) {
        if self.closed {
            return;
        }
        let now = self.clock.now();
        let mut tidied = Ok(());
        if self.untidy > 0 && now.since(self.folded_at) >= FOLD_EVERY {
            self.folded_at = now;
            tidied = self.store.fold(now);
        }
        if self.untidy >= TIDY_AFTER {
            self.untidy = 0;
            tidied = tidied.and_then(|()| self.store.checkpoint_if_long().map(drop));
        }
        if let Err(error) = tidied {
            self.close(&error, now, outside);
        }
    }

    fn decide(&mut self, letter: Letter, now: Timestamp, replies: &mut Vec<Reply>) {
        match letter {
            Letter::Reserve { reply, .. } if self.closed => {
                replies.push(Reply::Refuse(reply, NotAdmitted::Closed));
            }
            Letter::Reserve { ask, cut, reply } => {
                let call = ask.call;
                match self.book.reserve(ask, now) {
                    Admission::Admitted(admitted) => {
                        self.cuts.insert(call, cut);
                        replies.push(Reply::Reserve(reply, admitted));
                    }
                    Admission::Waiting => {
                        self.waiting.insert(call, (cut, reply));
                    }
                    Admission::Refused(refusal) => {
                        replies.push(Reply::Refuse(reply, NotAdmitted::Refused(refusal)));
                    }
                }
            }
            Letter::Withdraw { bottle, call } => {
                self.waiting.remove(&call);
                self.book.withdraw(&bottle, call, now);
                // It may have been admitted while the letter was under way: nobody forwards it.
                self.cuts.remove(&call);
                self.book.void(call, None, now);
            }
            Letter::Flowed { call, known } => self.book.flowed(call, &known, now),
            Letter::Settle {
                call,
                outcome,
                reply,
            } => {
                self.cuts.remove(&call);
                let resolved = self.book.settle(call, &outcome, now);
                replies.push(Reply::Settle(reply, resolved));
            }
            Letter::Amend {
                call,
                outcome,
                reply,
            } => {
                let resolved = self.book.amend(call, &outcome, now);
                replies.push(Reply::Settle(reply, resolved));
            }
            Letter::Void { call, status } => {
                self.cuts.remove(&call);
                self.book.void(call, status, now);
            }
            Letter::Act(act) => replies.push(Reply::Act(act(&mut self.book, now))),
            Letter::Look(look) => replies.push(Reply::Look(look)),
        }
    }

    /// Takes what the book decided: to be written, to be answered; what ends calls is done now.
    fn gather(&mut self, outside: &Outside, replies: &mut Vec<Reply>) {
        let outbox = self.book.take_outbox();
        for entry in outbox.entries {
            if self.closed
                && let Entry::Happened(event) = &entry
                && event.kind == EventKind::Ledger
            {
                // No watcher is no fault.
                drop(outside.alarms.send(event.clone()));
            }
            self.unwritten.entries.push((self.next_entry, entry));
            self.next_entry += 1;
        }
        self.unwritten.balances.extend(self.book.take_dirty());
        for effect in outbox.effects {
            match effect {
                Effect::Cut(call, reason) => self.cut(call, reason, outside),
                Effect::Admit(admitted) => {
                    if let Some((cut, reply)) = self.waiting.remove(&admitted.call) {
                        self.cuts.insert(admitted.call, cut);
                        replies.push(Reply::Reserve(reply, admitted));
                    }
                }
                Effect::Refuse(call, refusal) => {
                    if let Some((_, reply)) = self.waiting.remove(&call) {
                        replies.push(Reply::Refuse(reply, NotAdmitted::Refused(refusal)));
                    }
                }
                Effect::TokenIssued { token, bottle } => {
                    if let Some(bottle) = self.book.bottles().get(&bottle) {
                        let identity = Identity {
                            bottle: bottle.name.clone(),
                            run: bottle.run,
                            provider: bottle.provider.clone(),
                        };
                        outside.identities.issue(token, identity);
                    }
                }
                Effect::TokenRevoked(token) => outside.identities.revoke(&token),
            }
        }
    }

    fn cut(&mut self, call: CallId, reason: CutReason, outside: &Outside) {
        if let Some(cut) = self.cuts.remove(&call) {
            // The call may have ended by itself in this very moment.
            drop(cut.send(reason));
            outside.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Writes what waits to be written. Returns whether it is on disk.
    fn write(&mut self, now: Timestamp, outside: &Outside) -> bool {
        if self.closed {
            self.reopen(now, outside);
        }
        if self.closed {
            return false;
        }
        if self.unwritten.is_empty() {
            return true;
        }
        if let Err(error) = self.store.write(&self.unwritten) {
            self.close(&error, now, outside);
            return false;
        }
        self.publish(outside);
        true
    }

    /// Lets go of what was written, and tells the watchers.
    fn publish(&mut self, outside: &Outside) {
        for (_, entry) in std::mem::take(&mut self.unwritten).entries {
            self.untidy += 1;
            if let Entry::Happened(event) = entry {
                // No watcher is no fault.
                drop(outside.events.send(event));
            }
        }
    }

    /// Closes the ledger: what was decided stays in memory, calls in flight end.
    fn close(&mut self, error: &StoreError, now: Timestamp, outside: &Outside) {
        tracing::error!(%error, "the ledger is closed: new calls are refused");
        self.closed = true;
        outside.closed_since.store(now.0.max(1), Ordering::Relaxed);
        self.book.note(
            now,
            EventKind::Ledger,
            format!("the ledger is closed: {error}"),
        );
        for (_, cut) in self.cuts.drain() {
            // The call may have ended by itself in this very moment.
            drop(cut.send(CutReason::LedgerClosed));
            outside.cuts.send_modify(|cuts| *cuts += 1);
        }
        for (call, (_, reply)) in self.waiting.drain() {
            tracing::debug!(%call, "refused: the ledger is closed");
            drop(reply.send(Err(NotAdmitted::Closed)));
        }
    }

    /// Tries to open a closed ledger anew, with all that could not be written.
    fn reopen(&mut self, now: Timestamp, outside: &Outside) {
        if !self.path.exists() {
            tracing::error!(path = %self.path.display(), "the ledger's database is gone");
            return;
        }
        let text = "the ledger is open again: all that happened meanwhile is written".to_owned();
        let mut store = match Store::open(&self.path) {
            Ok(store) => store,
            Err(error) => {
                tracing::warn!(%error, "the ledger stays closed");
                return;
            }
        };
        if let Err(error) = store.write(&self.unwritten) {
            tracing::warn!(%error, "the ledger stays closed");
            return;
        }
        tracing::info!("the ledger is open again");
        self.publish(outside);
        self.store = store;
        self.closed = false;
        outside.closed_since.store(0, Ordering::Relaxed);
        self.book.note(now, EventKind::Ledger, text);
        let mut none = Vec::new();
        self.gather(outside, &mut none);
    }

    fn answer(&mut self, reply: Reply, written: bool, now: Timestamp) {
        match reply {
            Reply::Reserve(reply, admitted) => {
                let call = admitted.call;
                let answer = if written {
                    Ok(admitted)
                } else {
                    Err(NotAdmitted::Closed)
                };
                if !written || reply.send(answer).is_err() {
                    // Nobody forwards it.
                    self.cuts.remove(&call);
                    self.book.void(call, None, now);
                }
            }
            // Who asked may be gone; nothing is left to do for them.
            Reply::Refuse(reply, refused) => drop(reply.send(Err(refused))),
            Reply::Settle(reply, resolved) => {
                let answer = if written { Ok(resolved) } else { Err(Closed) };
                if reply.send(answer).is_err() {
                    tracing::trace!("nobody waited for a charge");
                }
            }
            Reply::Act(answer) => answer(written),
            Reply::Look(look) => look(&self.book, now),
        }
    }
}
