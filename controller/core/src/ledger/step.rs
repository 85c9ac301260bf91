//! What the owner of a ledger does next.

use bb_proto::event::Event;
use bb_proto::ids::{BottleName, CallId, ProviderKey, RunId};
use bb_proto::time::Timestamp;

use crate::book::{Admitted, Book, CutReason, Refusal, Resolved};
use crate::bottle::Bottle;

/// One thing to be done, before the next is asked for.
#[derive(Debug)]
pub enum Step<C, S, O> {
    /// Write what is unwritten in one transaction, and sync it where it says so; then tell the
    /// ledger what became of that.
    Write,
    /// Open the database anew and write what is unwritten; then tell whether that was done.
    Reopen,
    /// Answer somebody.
    Answer(Answer<C, S, O>),
    /// Have a call in flight ended; it may have ended by itself.
    Cut {
        /// The call.
        call: CallId,
        /// Why.
        reason: CutReason,
    },
    /// Let a token mean this run from now on.
    TokenIssued {
        /// The token.
        token: String,
        /// The bottle.
        bottle: BottleName,
        /// Its run.
        run: RunId,
        /// Its provider, where it named one.
        provider: Option<ProviderKey>,
    },
    /// Let a token mean nothing from now on.
    TokenRevoked(String),
    /// Tell the watchers what happened: it is written.
    Happened(Event),
    /// Tell the watchers what cannot be written yet.
    Alarm(Event),
    /// The ledger takes no charges from now on.
    Closed {
        /// Since when.
        since: Timestamp,
    },
    /// The ledger takes charges again.
    Opened,
}

impl<C, S, O> Step<C, S, O> {
    pub(super) fn token_issued(token: String, bottle: &Bottle) -> Self {
        Self::TokenIssued {
            token,
            bottle: bottle.name.clone(),
            run: bottle.run,
            provider: bottle.provider.clone(),
        }
    }
}

/// An answer to one who waits: `C` for a call, `S` for a charge, `O` for anything else.
#[derive(Debug)]
pub enum Answer<C, S, O> {
    /// The call may go; where nobody hears it, the ledger is told so.
    Admitted {
        /// Who asked.
        to: C,
        /// What was set aside.
        admitted: Admitted,
    },
    /// The book says no.
    Refused {
        /// Who asked.
        to: C,
        /// The call.
        call: CallId,
        /// Why.
        refusal: Refusal,
    },
    /// The ledger is closed to new calls.
    TurnedAway {
        /// Who asked.
        to: C,
        /// The call.
        call: CallId,
    },
    /// What became of a charge or a correction.
    Resolved {
        /// Who waits for it.
        to: S,
        /// What became of it.
        resolved: Resolved,
        /// Whether that is written; else it is later.
        written: bool,
    },
    /// An order was carried out, or a question can be answered.
    Done {
        /// Its answer.
        to: O,
        /// Whether what was decided is written; else it is later.
        written: bool,
    },
}

impl<C, S, O> Answer<C, S, O> {
    pub(super) fn resolved(to: S, resolved: Resolved) -> Self {
        let written = true;
        Self::Resolved {
            to,
            resolved,
            written,
        }
    }

    /// Returns the answer where what it says could not be written: no call goes on that.
    pub(super) fn unwritten(self, book: &mut Book, now: Timestamp) -> Self {
        let written = false;
        match self {
            Self::Admitted { to, admitted } => {
                let call = admitted.call;
                book.void(call, None, now);
                Self::TurnedAway { to, call }
            }
            Self::Resolved { to, resolved, .. } => Self::Resolved {
                to,
                resolved,
                written,
            },
            Self::Done { to, .. } => Self::Done { to, written },
            Self::Refused { .. } | Self::TurnedAway { .. } => self,
        }
    }
}
