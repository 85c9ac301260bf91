//! What the book decided, in the agents' words.

use bb_proto::budget::Scope;
use bb_proto::ids::BottleName;

use super::Reason;
use crate::book::{Refusal, RefusalReason};

impl Reason {
    /// Returns the reason that a bottle is given for what the book refuses it.
    pub fn of(refusal: &Refusal, bottle: &BottleName) -> Self {
        match refusal.reason {
            RefusalReason::Operator => Self::Operator,
            RefusalReason::Ended => Self::Token,
            RefusalReason::PerCall => Self::TooLarge,
            RefusalReason::Unbounded => Self::Unbounded,
            RefusalReason::Background => Self::Background,
            RefusalReason::NoRoom => Self::NoRoom,
            RefusalReason::Budget => match refusal.budget.as_ref().map(|budget| &budget.scope) {
                Some(Scope::Agent(_) | Scope::Host) => Self::SharedBudget,
                Some(Scope::Bottle(of)) if of != bottle => Self::SharedBudget,
                _ => Self::Budget,
            },
        }
    }
}
