//! Why a request is refused, and by which budget: what the ledger said, in the agents' words.

use bb_core::book::{CutReason, Refusal};
use bb_core::refusal::Reason;
use bb_proto::ids::BottleName;

use super::upstream::UpstreamError;
use crate::ledger::NotAdmitted;

/// A refusal with what is known of it: for the headers only, never for the body.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) bottle: Option<BottleName>,
    pub(super) by: Option<Box<Refusal>>,
}

impl Refused {
    pub(super) fn plain(reason: Reason) -> Self {
        Self {
            reason,
            bottle: None,
            by: None,
        }
    }

    pub(super) fn of(reason: Reason, bottle: &BottleName) -> Self {
        Self {
            reason,
            bottle: Some(bottle.clone()),
            by: None,
        }
    }

    pub(super) fn not_admitted(why: NotAdmitted, bottle: &BottleName) -> Self {
        match why {
            NotAdmitted::Closed => Self::of(Reason::LedgerClosed, bottle),
            NotAdmitted::Busy => Self::of(Reason::Busy, bottle),
            NotAdmitted::Refused(refusal) => Self {
                reason: Reason::of(&refusal, bottle),
                bottle: Some(bottle.clone()),
                by: Some(Box::new(refusal)),
            },
        }
    }

    pub(super) fn cut(why: CutReason, bottle: &BottleName) -> Self {
        match why {
            CutReason::Operator => Self::of(Reason::Operator, bottle),
            CutReason::LedgerClosed => Self::of(Reason::LedgerClosed, bottle),
            CutReason::Draining => Self::of(Reason::Draining, bottle),
            CutReason::Budget(refusal) => Self {
                reason: Reason::of(&refusal, bottle),
                bottle: Some(bottle.clone()),
                by: Some(Box::new(refusal)),
            },
        }
    }
}

/// Returns the reason that a client is given where its provider could not be asked.
pub(super) fn upstream_failed(error: &UpstreamError) -> Reason {
    match error {
        UpstreamError::ConnectTimeout { .. } => Reason::UpstreamTimeout,
        UpstreamError::Connect { .. }
        | UpstreamError::Handshake { .. }
        | UpstreamError::Exchange { .. } => Reason::UpstreamUnreachable,
        UpstreamError::Request(_) => Reason::BadRequest,
    }
}
