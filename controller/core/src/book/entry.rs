//! What the book has decided: facts to be written down, never changed.

use bb_proto::budget::BudgetKey;
use bb_proto::event::Event;
use bb_proto::ids::{AgentName, BottleName, CallId, ProviderKey, RunId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::Raise;

use super::account::{Account, Balance};
use super::resets::Reset;
use crate::bottle::Bottle;
use crate::budget::Declared;
use crate::estimate::{Called, Estimate, InputSize};

/// What is known of a call when it is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFacts {
    /// Its id: the idempotency key of everything about it.
    pub call: CallId,
    /// The bottle.
    pub bottle: BottleName,
    /// The bottle's run.
    pub run: RunId,
    /// The agent it runs.
    pub agent: Option<AgentName>,
    /// The provider.
    pub provider: ProviderKey,
    /// The model asked for; empty where the request did not say.
    pub model: String,
    /// The dialect.
    pub wire: Wire,
    /// When it was reserved.
    pub started_at: Timestamp,
    /// The accounts it counts on, in whose windows it falls.
    pub accounts: Vec<Account>,
    /// On what terms it was admitted.
    pub terms: Terms,
}

/// On what terms a call was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Terms {
    /// For what it was expected to use, or without anything set aside.
    #[default]
    Estimate,
    /// For the most that it can use.
    Exact {
        /// Tokens of input.
        input: u64,
        /// Tokens of output, of all choices.
        output: u64,
        /// What its request was made to ask for at the most, of one choice, where it asked for
        /// more or for nothing.
        cap: Option<u64>,
    },
    /// For what it was expected to use, although a budget admits by the most: nothing bounds it.
    Unbounded,
}

impl Terms {
    /// Returns what the request is made to ask for at the most, of one choice.
    pub fn cap(self) -> Option<u64> {
        match self {
            Self::Exact { cap, .. } => cap,
            Self::Estimate | Self::Unbounded => None,
        }
    }
}

impl CallFacts {
    pub(super) fn called(&self) -> Called<'_> {
        Called {
            provider: &self.provider,
            wire: self.wire,
            model: &self.model,
        }
    }
}

/// A call that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The call.
    pub facts: CallFacts,
    /// Tokens set aside for it.
    pub reserved: Tokens,
    /// What it was expected to use.
    pub estimate: Estimate,
    /// How large its input is.
    pub input: InputSize,
}

/// How a call was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// What it used.
    pub usage: Usage,
    /// What that costs its budgets.
    pub charge: Tokens,
    /// The part of the charge that is cache reads.
    pub cache_read: Tokens,
    /// Whether that is an estimate.
    pub estimated: bool,
    /// How it ended.
    pub ending: Ending,
    /// The provider's status, where it answered.
    pub status: Option<u16>,
}

impl Settlement {
    /// Returns what is posted.
    pub fn balance(&self) -> Balance {
        Balance {
            posted: self.charge,
            cache_read: self.cache_read,
        }
    }
}

/// Who corrected a charge, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// The user id of the peer that ordered it.
    pub uid: u32,
    /// Why, as that peer gave it.
    pub why: Option<String>,
}

/// One decision, to be written in the transaction in which it takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Tokens were set aside for a call.
    Reserved(Reservation),
    /// What is known of an open call so far.
    Marked {
        /// The call.
        call: CallId,
        /// What has flowed of it.
        flowed: Tokens,
        /// What the provider stated last.
        usage: Usage,
    },
    /// A call was charged.
    Settled {
        /// The call.
        facts: CallFacts,
        /// When.
        at: Timestamp,
        /// How.
        settlement: Settlement,
        /// How far the charge is above what was set aside.
        overrun: Tokens,
    },
    /// A settled call's charge was corrected by a later word of the provider, or by the operator.
    Amended {
        /// The call.
        facts: CallFacts,
        /// When.
        at: Timestamp,
        /// What was settled before.
        before: Settlement,
        /// What holds now.
        after: Settlement,
        /// Who said so, where it was not the provider.
        by: Option<Corrected>,
    },
    /// A call was taken back: surely not billed.
    Voided {
        /// The call.
        facts: CallFacts,
        /// When.
        at: Timestamp,
        /// The provider's status, where it answered.
        status: Option<u16>,
    },
    /// A bottle is now so.
    Bottle(Box<Bottle>),
    /// A bottle was forgotten; its calls are kept.
    BottleRemoved {
        /// The bottle.
        name: BottleName,
        /// Its last run.
        run: RunId,
    },
    /// A budget was set by command.
    BudgetSet(Declared),
    /// What commands said of a budget was taken back.
    BudgetUnset(BudgetKey),
    /// A budget was raised.
    Raised(BudgetKey, Raise),
    /// A raise is over.
    RaiseEnded(BudgetKey, Raise),
    /// A budget's count began anew.
    Reset(BudgetKey, Reset),
    /// A reset takes another sum off: what was charged before it was corrected.
    ResetAmended(BudgetKey, Reset),
    /// A budget's block began: with its first call.
    BlockBegan(BudgetKey, Timestamp),
    /// The clock went back: windows go by this instant until it is over.
    Seen(Timestamp),
    /// Something happened.
    Happened(Event),
}

impl Entry {
    /// Returns whether this entry must be on disk before anybody hears of it, through power loss.
    pub fn needs_sync(&self) -> bool {
        match self {
            Self::Reserved(_)
            | Self::Marked { .. }
            | Self::Voided { .. }
            | Self::BlockBegan(..)
            | Self::RaiseEnded(..)
            | Self::Seen(_)
            | Self::Happened(_) => false,
            Self::Settled { .. }
            | Self::Amended { .. }
            | Self::Bottle(_)
            | Self::BottleRemoved { .. }
            | Self::BudgetSet(_)
            | Self::BudgetUnset(_)
            | Self::Raised(..)
            | Self::Reset(..)
            | Self::ResetAmended(..) => true,
        }
    }
}
