//! Letters to the ledger, in the order they came, with a limit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bb_core::book::{Admitted, Ask, Book, CutReason, Outcome, Resolved};
use bb_core::estimate::Known;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::time::Timestamp;
use tokio::sync::oneshot;

use super::{Closed, NotAdmitted};

/// So many letters that nobody waits for are left before the ledger is woken for them.
const LEFT_MAX: usize = 1_024;

/// What an order answers, once it is known whether it was written.
pub(super) type Answer = Box<dyn FnOnce(bool) + Send>;

/// An order, which decides and gives its answer.
type Act = Box<dyn FnOnce(&mut Book, Timestamp) -> Answer + Send>;
/// A question, which answers by itself: nothing is written for it.
pub(super) type Look = Box<dyn FnOnce(&Book, Timestamp) + Send>;

pub(super) enum Letter {
    Reserve {
        ask: Ask,
        cut: oneshot::Sender<CutReason>,
        reply: oneshot::Sender<Result<Admitted, NotAdmitted>>,
    },
    Withdraw {
        bottle: BottleName,
        call: CallId,
    },
    Flowed {
        call: CallId,
        known: Known,
    },
    Settle {
        call: CallId,
        outcome: Outcome,
        reply: oneshot::Sender<Result<Resolved, Closed>>,
    },
    Amend {
        call: CallId,
        outcome: Outcome,
        reply: oneshot::Sender<Result<Resolved, Closed>>,
    },
    Void {
        call: CallId,
        status: Option<u16>,
    },
    Act(Act),
    Look(Look),
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserve { .. } => "Reserve",
            Self::Withdraw { .. } => "Withdraw",
            Self::Flowed { .. } => "Flowed",
            Self::Settle { .. } => "Settle",
            Self::Amend { .. } => "Amend",
            Self::Void { .. } => "Void",
            Self::Act(_) => "Act",
            Self::Look(_) => "Look",
        })
    }
}

impl Inside {
    /// Returns whether letters that nobody waits for are to be read now.
    fn has_left(&self) -> bool {
        let is_due = self.deadline.is_none_or(|at| at <= Instant::now());
        self.letters.len() >= LEFT_MAX || (is_due && !self.letters.is_empty())
    }
}

/// No room for another letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug, Default)]
struct Inside {
    letters: VecDeque<Letter>,
    /// Whether the ledger's thread sleeps and must be woken.
    is_asleep: bool,
    /// When the ledger wants to be woken without a letter.
    deadline: Option<Instant>,
    closed: bool,
}

/// The letters that wait.
///
/// New calls and marks are limited. What ends an open call is always taken: there are no more of
/// those than calls that were admitted.
#[derive(Debug)]
pub(super) struct Mailbox {
    inside: Mutex<Inside>,
    arrived: Condvar,
    /// Letters that somebody waits for.
    urgent: AtomicUsize,
    letters_max: usize,
}

impl Mailbox {
    pub(super) fn new(letters_max: usize) -> Self {
        Self {
            inside: Mutex::default(),
            arrived: Condvar::new(),
            urgent: AtomicUsize::new(0),
            letters_max,
        }
    }

    /// Returns whether nobody waits for a letter that is here.
    pub(super) fn is_quiet(&self) -> bool {
        self.urgent.load(Ordering::Relaxed) == 0
    }

    pub(super) fn try_send(&self, letter: Letter) -> Result<(), Full> {
        let mut inside = self.lock();
        if inside.letters.len() >= self.letters_max || inside.closed {
            return Err(Full);
        }
        self.push(&mut inside, letter);
        Ok(())
    }

    pub(super) fn send(&self, letter: Letter) {
        self.push(&mut self.lock(), letter);
    }

    /// Leaves a letter that nobody waits for: it is read with the next one, or at the next tick.
    pub(super) fn leave(&self, letter: Letter) -> Result<(), Full> {
        let mut inside = self.lock();
        if inside.letters.len() >= self.letters_max || inside.closed {
            return Err(Full);
        }
        inside.letters.push_back(letter);
        if inside.letters.len() >= LEFT_MAX || inside.deadline.is_none() {
            self.wake(&mut inside);
        }
        Ok(())
    }

    fn push(&self, inside: &mut Inside, letter: Letter) {
        inside.letters.push_back(letter);
        self.urgent.fetch_add(1, Ordering::Relaxed);
        self.wake(inside);
    }

    fn wake(&self, inside: &mut Inside) {
        if std::mem::take(&mut inside.is_asleep) {
            self.arrived.notify_one();
        }
    }

    /// Has the ledger woken at `after` from now, where it would sleep longer.
    pub(super) fn wake_for(&self, after: Option<Duration>) {
        let Some(after) = after else { return };
        let at = Instant::now() + after;
        let mut inside = self.lock();
        if inside.deadline.is_none_or(|deadline| at < deadline) {
            inside.deadline = Some(at);
            self.wake(&mut inside);
        }
    }

    /// Waits until somebody waits for a letter, or for `after`; takes all letters that are there.
    ///
    /// Returns `None` once the mailbox is closed and empty.
    pub(super) fn take(&self, after: Option<Duration>) -> Option<Vec<Letter>> {
        let mut inside = self.lock();
        inside.deadline = after.map(|after| Instant::now() + after);
        while self.is_quiet() && !inside.has_left() {
            if inside.closed && inside.letters.is_empty() {
                return None;
            }
            if inside.closed {
                break;
            }
            let left = inside
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            inside.is_asleep = true;
            inside = match left {
                None => self
                    .arrived
                    .wait(inside)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.arrived.wait_timeout(inside, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            inside.is_asleep = false;
        }
        let letters = std::mem::take(&mut inside.letters);
        self.urgent.store(0, Ordering::Relaxed);
        Some(letters.into())
    }

    pub(super) fn close(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        self.wake(&mut inside);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
