//! What the book decided of a sidecar's call, in the words of the socket.

use bb_core::book::{Admitted, CutReason, Refusal, RefusalReason, Remembered};
use bb_core::refusal::Reason;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::reply::{
    CallAdmitted, CallEstimate, CallRefused, CallReserved, CallResolved, Ending, LedgerEntry,
    RefusedFor,
};
use bb_proto::units::Tokens;

use crate::ledger::NotAdmitted;

/// What an agent reads whose bottle has ended; the proxy speaks of its token then.
const ENDED: &str = "this bottle has ended";

/// One of the three answers to a call that asks.
pub(super) enum Answer<'a> {
    Admitted(&'a Admitted),
    Refused(CallRefused),
    Resolved(CallResolved),
}

pub(super) fn reserved(call: CallId, answer: Answer<'_>) -> CallReserved {
    let mut reserved = CallReserved {
        call,
        admitted: None,
        refused: None,
        resolved: None,
    };
    match answer {
        Answer::Admitted(it) => reserved.admitted = Some(admitted(it)),
        Answer::Refused(it) => reserved.refused = Some(it),
        Answer::Resolved(it) => reserved.resolved = Some(it),
    }
    reserved
}

fn admitted(admitted: &Admitted) -> CallAdmitted {
    CallAdmitted {
        reserved: admitted.reserved,
        estimate: CallEstimate {
            input: admitted.estimate.input,
            output: admitted.estimate.output,
        },
    }
}

/// Returns how the book remembers that a call was resolved.
pub(super) fn resolved(how: &Remembered) -> CallResolved {
    let settlement = how.settlement;
    CallResolved {
        ending: settlement.map_or(Ending::Voided, |it| it.ending),
        charge: settlement.map_or(Tokens::ZERO, |it| it.charge),
        overrun: how.overrun,
        estimated: settlement.is_some_and(|it| it.estimated),
        admitted: how.admitted.as_ref().map(admitted),
    }
}

/// Returns how an entry of the ledger says that a call was resolved.
pub(super) fn resolved_by(entry: &LedgerEntry) -> CallResolved {
    CallResolved {
        ending: entry.ending,
        charge: Tokens(u64::try_from(entry.charge).unwrap_or(0)),
        overrun: entry.overrun,
        estimated: entry.estimated,
        admitted: None,
    }
}

pub(super) fn not_admitted(why: &NotAdmitted, bottle: &BottleName) -> CallRefused {
    match why {
        NotAdmitted::Closed => plain(Reason::LedgerClosed, RefusedFor::LedgerClosed),
        NotAdmitted::Busy => plain(Reason::Busy, RefusedFor::Busy),
        NotAdmitted::Refused(refusal) => refused(refusal, Some(bottle)),
    }
}

pub(super) fn cut(why: CutReason, bottle: Option<&BottleName>) -> CallRefused {
    match why {
        CutReason::Operator => plain(Reason::Operator, RefusedFor::Operator),
        CutReason::LedgerClosed => plain(Reason::LedgerClosed, RefusedFor::LedgerClosed),
        CutReason::Draining => plain(Reason::Draining, RefusedFor::Draining),
        CutReason::Budget(refusal) => refused(&refusal, bottle),
    }
}

pub(super) fn plain(reason: Reason, word: RefusedFor) -> CallRefused {
    CallRefused {
        reason: word,
        budget: None,
        limit: None,
        used: None,
        sentence: reason.sentence().to_owned(),
    }
}

fn refused(refusal: &Refusal, bottle: Option<&BottleName>) -> CallRefused {
    let reason = bottle.map_or(Reason::Budget, |bottle| Reason::of(refusal, bottle));
    let word = match (refusal.reason, reason) {
        (RefusalReason::Operator, _) => RefusedFor::Operator,
        (RefusalReason::Ended, _) => RefusedFor::Ended,
        (RefusalReason::PerCall, _) => RefusedFor::TooLarge,
        (RefusalReason::Unbounded, _) => RefusedFor::Unbounded,
        (RefusalReason::Background, _) => RefusedFor::Background,
        (RefusalReason::NoRoom, _) => RefusedFor::NoRoom,
        (RefusalReason::Budget, Reason::SharedBudget) => RefusedFor::SharedBudget,
        (RefusalReason::Budget, _) => RefusedFor::Budget,
    };
    let sentence = match word {
        RefusedFor::Ended => ENDED,
        _ => reason.sentence(),
    };
    CallRefused {
        reason: word,
        budget: refusal.budget.clone(),
        limit: refusal.limit,
        used: refusal.used,
        sentence: sentence.to_owned(),
    }
}
