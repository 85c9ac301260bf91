//! The ledger: the one owner of the book and of the writing database connection.
//!
//! Everybody else sends it letters and gets answers after what they say is written. This module
//! knows the book and the store; it does not know who asks, or why.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bb_core::book::{Admitted, Ask, Book, CutReason, Outcome, Refusal, Resolved, Rules};
use bb_core::estimate::Known;
use bb_proto::event::Event;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::time::Timestamp;
use tokio::sync::{broadcast, oneshot, watch};

use crate::clock::Clock;
use crate::store::{Store, StoreError};

mod cut;
mod identities;
mod mailbox;
mod owner;
mod rolling;
mod thread;

pub use bb_core::ledger::Closed;
pub use cut::Cut;
pub use identities::{Identities, Identity};

use mailbox::{Letter, Mailbox};
use owner::Owner;
use rolling::Keeping;

/// The most letters that wait for the ledger; beyond it new calls are refused.
const LETTERS_MAX: usize = 4_096;
/// The most events a watcher may lag behind before it loses the oldest.
const EVENTS_MAX: usize = 1_024;
/// The most alarms a watcher may lag behind before it loses the oldest.
const ALARMS_MAX: usize = 16;

/// Why a call is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The book says no.
    Refused(Refusal),
    /// The ledger takes no charges: its disk is full or failing.
    Closed,
    /// Too much waits for the ledger.
    Busy,
}

/// A call that may go, and how it is told to end.
#[derive(Debug)]
pub struct Ticket {
    /// What was set aside.
    pub admitted: Admitted,
    /// Fires when the call is to be ended.
    pub cut: Cut,
}

/// A charge that is under way.
#[derive(Debug)]
pub struct Settling(oneshot::Receiver<Result<Resolved, Closed>>);

impl Future for Settling {
    type Output = Result<Resolved, Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap_or(Err(Closed)))
    }
}

/// An order that goes to the ledger when this is dropped.
#[derive(Debug)]
pub struct Unsent {
    handle: LedgerHandle,
    letter: Option<Letter>,
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.handle.shared.mailbox.send(letter);
        }
    }
}

/// A cheap way to reach the ledger.
#[derive(Debug, Clone)]
pub struct LedgerHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mailbox: Mailbox,
    /// Held by whoever works: the ledger's thread, or a caller that finds it idle.
    owner: Mutex<Owner>,
    outside: Outside,
}

/// What the ledger shows to everybody without being asked.
#[derive(Debug)]
struct Outside {
    identities: Identities,
    revision: watch::Sender<u64>,
    /// How many calls were told to end.
    cuts: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
    /// That the ledger is closed, told before it is written: it cannot be.
    alarms: broadcast::Sender<Event>,
    /// Since when it is closed, in milliseconds; zero where it is open.
    closed_since: AtomicI64,
    ended: AtomicBool,
    keeping: Keeping,
}

/// The thread that owns the ledger; it ends, with everything written, when this is joined.
#[derive(Debug)]
pub struct LedgerThread {
    handle: LedgerHandle,
    thread: Option<JoinHandle<()>>,
    since_opening: Option<Told>,
}

/// What a watcher of the ledger is told.
#[derive(Debug)]
pub struct Told {
    /// The events, as they are written.
    pub events: broadcast::Receiver<Event>,
    /// That the ledger is closed, at once; it is among the events too, once it is open again.
    pub alarms: broadcast::Receiver<Event>,
}

/// Opens the ledger at `path`, charges what was open when it was last closed, and starts its
/// thread.
pub fn open(path: &Path, rules: Rules) -> Result<(LedgerHandle, LedgerThread), StoreError> {
    let store = Store::open(path)?;
    let (saved, next_entry) = store.load()?;
    let mut clock = Clock::default();
    let now = clock.now();
    let outside = Outside {
        identities: Identities::default(),
        revision: watch::Sender::new(0),
        cuts: watch::Sender::new(0),
        events: broadcast::Sender::new(EVENTS_MAX),
        alarms: broadcast::Sender::new(ALARMS_MAX),
        closed_since: AtomicI64::new(0),
        ended: AtomicBool::new(false),
        keeping: Keeping::default(),
    };
    let since_opening = Told {
        events: outside.events.subscribe(),
        alarms: outside.alarms.subscribe(),
    };
    let book = Book::restore(saved, rules, now);
    let mut owner = Owner::new(book, store, next_entry, clock);
    owner.recover(&outside)?;
    let shared = Arc::new(Shared {
        mailbox: Mailbox::new(LETTERS_MAX),
        owner: Mutex::new(owner),
        outside,
    });
    let handle = LedgerHandle {
        shared: Arc::clone(&shared),
    };
    let thread = std::thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || thread::run(&shared))
        .map_err(|error| StoreError::Row {
            table: "thread",
            what: error.to_string(),
        })?;
    Ok((
        handle.clone(),
        LedgerThread {
            handle,
            thread: Some(thread),
            since_opening: Some(since_opening),
        },
    ))
}

impl LedgerThread {
    /// Returns what is told since the ledger was opened, what was recovered then included; to the
    /// first who asks.
    pub fn told_since_opening(&mut self) -> Option<Told> {
        self.since_opening.take()
    }

    /// Ends the thread after all letters are answered.
    pub fn join(mut self) {
        self.handle.shared.mailbox.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the ledger's thread panicked");
        }
    }
}

impl LedgerHandle {
    /// Asks for a call to be admitted; returns once it may go, its reservation written.
    ///
    /// A caller that goes away while it waits takes the call back.
    pub async fn reserve(&self, ask: Ask) -> Result<Ticket, NotAdmitted> {
        let (cut, cut_receiver) = oneshot::channel();
        let admitted = self.admitted(ask, cut).await?;
        Ok(Ticket {
            admitted,
            cut: Cut::new(cut_receiver),
        })
    }

    /// The same for a sidecar, which asks the book whether its call is to be ended.
    pub async fn reserve_for_sidecar(&self, ask: Ask) -> Result<Admitted, NotAdmitted> {
        let (cut, _) = oneshot::channel();
        self.admitted(ask, cut).await
    }

    async fn admitted(
        &self,
        ask: Ask,
        cut: oneshot::Sender<CutReason>,
    ) -> Result<Admitted, NotAdmitted> {
        if self.is_closed() {
            return Err(NotAdmitted::Closed);
        }
        let (reply, answer) = oneshot::channel();
        let (bottle, call) = (ask.bottle.clone(), ask.call);
        let letter = Letter::Reserve { ask, cut, reply };
        self.shared
            .send_or_work(letter)
            .map_err(|_| NotAdmitted::Busy)?;
        let mut guard = WithdrawOnDrop {
            handle: self,
            waits: Some((bottle, call)),
        };
        let answer = answer.await;
        guard.waits = None;
        answer.unwrap_or(Err(NotAdmitted::Closed))
    }

    /// Tells what has flowed of an open call. It is not answered.
    ///
    /// One that is `urgent` is read at once: the call has used more than was set aside for it, so
    /// that it may cross a limit. Any other is read soon.
    pub fn flowed(&self, call: CallId, known: Known, urgent: bool) {
        let letter = Letter::Flowed { call, known };
        let mailbox = &self.shared.mailbox;
        let left = if urgent {
            mailbox.try_send(letter)
        } else {
            mailbox.leave(letter)
        };
        // A full mailbox loses a mark, never a charge: the settlement says all of it again.
        if left.is_err() {
            tracing::debug!(%call, "a mark was left out: the ledger is busy");
        }
    }

    /// Charges a call; what is returned is ready once the charge is on disk. The order is under way
    /// whether it is waited for or not.
    pub fn settle(&self, call: CallId, outcome: Outcome) -> Settling {
        self.settle_later(call, outcome).0
    }

    /// The same, and the order is under way once the [`Unsent`] is dropped: what is done before
    /// is done before the ledger is woken.
    pub fn settle_later(&self, call: CallId, outcome: Outcome) -> (Settling, Unsent) {
        let (reply, answer) = oneshot::channel();
        let letter = Letter::Settle {
            call,
            outcome,
            reply,
        };
        let unsent = Unsent {
            handle: self.clone(),
            letter: Some(letter),
        };
        (Settling(answer), unsent)
    }

    /// Corrects a settled call; what is returned is ready once that is on disk.
    pub fn amend(&self, call: CallId, outcome: Outcome) -> Settling {
        let (reply, answer) = oneshot::channel();
        self.shared.mailbox.send(Letter::Amend {
            call,
            outcome,
            reply,
        });
        Settling(answer)
    }

    /// Takes a call back that was surely not billed. It is not answered.
    pub fn void(&self, call: CallId, status: Option<u16>) {
        self.shared.mailbox.send(Letter::Void { call, status });
    }

    /// Runs an order against the book; returns its result once what it decided is on disk.
    ///
    /// Fails with [`Closed`] where it could not be written: it holds, and is written later.
    pub async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Book, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        let act = Box::new(move |book: &mut Book, now: Timestamp| {
            let result = act(book, now);
            Box::new(move |written: bool| {
                // Who asked may be gone; the order was carried out all the same.
                drop(reply.send(if written { Ok(result) } else { Err(Closed) }));
            }) as mailbox::Answer
        });
        self.shared.mailbox.send(Letter::Act(act));
        answer.await.unwrap_or(Err(Closed))
    }

    /// Looks at the book.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Book, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |book: &Book, now: Timestamp| {
            drop(reply.send(look(book, now)));
        });
        self.shared.mailbox.send(Letter::Look(look));
        answer.await.map_err(|_| Closed)
    }

    /// Sets how long calls are kept one by one; before, none is rolled up.
    pub fn keep_calls(&self, kept: Duration) {
        self.shared.outside.keeping.keep(kept);
        // Looked at when the ledger wakes.
        let look = Box::new(|_: &Book, _: Timestamp| {});
        self.shared.mailbox.send(Letter::Look(look));
    }

    /// Has nothing rolled up for a while, so that who reads in parts reads the same.
    pub fn hold_roll_ups(&self, span: Duration) {
        self.shared.outside.keeping.hold(span);
    }

    /// Returns who a token stands for.
    pub fn identify(&self, token: &str) -> Option<Identity> {
        self.shared.outside.identities.get(token)
    }

    /// Returns a watch on the book's revision.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.shared.outside.revision.subscribe()
    }

    /// Returns a watch that changes whenever calls were told to end.
    pub fn cuts(&self) -> watch::Receiver<u64> {
        self.shared.outside.cuts.subscribe()
    }

    /// Returns the events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.outside.events.subscribe()
    }

    /// Returns since when the ledger is closed.
    pub fn closed_since(&self) -> Option<Timestamp> {
        match self.shared.outside.closed_since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Timestamp(since)),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed_since().is_some() || self.shared.outside.ended.load(Ordering::Relaxed)
    }
}

/// Takes a waiting call back when the one who asked for it goes away.
struct WithdrawOnDrop<'a> {
    handle: &'a LedgerHandle,
    waits: Option<(BottleName, CallId)>,
}

impl Drop for WithdrawOnDrop<'_> {
    fn drop(&mut self) {
        if let Some((bottle, call)) = self.waits.take() {
            self.handle
                .shared
                .mailbox
                .send(Letter::Withdraw { bottle, call });
        }
    }
}

impl Shared {
    /// Sends a letter, or does its work here where the ledger is idle: that saves two wake-ups.
    fn send_or_work(&self, letter: Letter) -> Result<(), mailbox::Full> {
        if self.mailbox.is_quiet()
            && let Ok(mut owner) = self.owner.try_lock()
        {
            owner.work(vec![letter], &self.outside);
            self.mailbox.wake_for(owner.next_expiry());
            return Ok(());
        }
        self.mailbox.try_send(letter)
    }

    fn lock_owner(&self) -> std::sync::MutexGuard<'_, Owner> {
        // A panic while the owner worked is a fault; what it wrote is whole, so go on.
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bb_proto::event::EventKind;
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn a_question_is_answered_by_what_is_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let (handle, thread) = open(&path, Rules::default()).expect("a ledger");
        let (reply, mut answer) = oneshot::channel();
        let noted = Letter::Act(Box::new(|book: &mut Book, now| {
            book.note(now, EventKind::Started, "zebra".to_owned());
            Box::new(|written: bool| assert!(written)) as mailbox::Answer
        }));
        let asked = Letter::Look(Box::new(move |_: &Book, _| {
            let count = "SELECT count(*) FROM events WHERE body LIKE '%zebra%'";
            let file = Connection::open(path).expect("the file");
            let count: i64 = file
                .query_row(count, [], |row| row.get(0))
                .expect("a count");
            reply.send(count).expect("somebody waits");
        }));
        // Both in one round of work, as under load.
        let mut owner = handle.shared.lock_owner();
        owner.work(vec![noted, asked], &handle.shared.outside);
        drop(owner);
        assert_eq!(answer.try_recv(), Ok(1));
        thread.join();
    }

    #[test]
    fn more_calls_than_may_wait_are_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (handle, thread) =
            open(&folder.path().join("ledger.db"), Rules::default()).expect("a ledger");
        let ask = || Ask {
            call: CallId(uuid::Uuid::now_v7()),
            bottle: "web".parse().expect("a name"),
            run: bb_proto::ids::RunId(uuid::Uuid::nil()),
            provider: "claude".parse().expect("a name"),
            wire: bb_proto::usage::Wire::AnthropicMessages,
            model: String::new(),
            input: bb_core::estimate::InputSize::text(1),
            output_max: None,
            choices: 1,
            background: false,
            bound: None,
            sidecar: None,
        };
        // Nothing is read meanwhile, as where the disk hangs.
        let owner = handle.shared.lock_owner();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut waiting = Vec::new();
        let mut refused = 0;
        for _ in 0..LETTERS_MAX + 2_000 {
            let mut asked = Box::pin(handle.reserve(ask()));
            match asked.as_mut().poll(&mut cx) {
                Poll::Pending => waiting.push(asked),
                Poll::Ready(answer) => {
                    assert_eq!(answer.expect_err("a refusal"), NotAdmitted::Busy);
                    refused += 1;
                }
            }
        }
        // The thread may have taken those that were there when it looked.
        assert!((1..=2_000).contains(&refused), "{refused}");
        drop(owner);
        drop(waiting);
        thread.join();
    }
}
