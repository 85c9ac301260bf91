//! A call that was forwarded: whatever becomes of it, it is settled or voided once.

use bb_core::book::{Admitted, Outcome};
use bb_core::estimate::Known;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::reply::Ending;
use tokio_util::task::TaskTracker;

use crate::ledger::{LedgerHandle, Settling};

/// A call that was forwarded: it must be settled or voided, and is at the latest when dropped.
#[derive(Debug)]
pub(super) struct CallInFlight {
    pub(super) ledger: LedgerHandle,
    pub(super) call: CallId,
    pub(super) admitted: Admitted,
    pub(super) bottle: BottleName,
    pub(super) status: Option<u16>,
    pub(super) is_resolved: bool,
    pub(super) tracker: TaskTracker,
}

impl CallInFlight {
    pub(super) fn settle(&mut self, known: Known, ending: Ending) -> Settling {
        self.is_resolved = true;
        let outcome = Outcome {
            known,
            ending,
            status: self.status,
        };
        self.ledger.settle(self.call, outcome)
    }

    /// The same once the task that asks has rested: what it wrote to the client goes out first.
    pub(super) fn settle_after_rest(&mut self, known: Known, ending: Ending) -> Settling {
        self.is_resolved = true;
        let outcome = Outcome {
            known,
            ending,
            status: self.status,
        };
        let (settling, unsent) = self.ledger.settle_later(self.call, outcome);
        self.tracker.spawn(async move { drop(unsent) });
        settling
    }

    pub(super) fn void(&mut self) {
        self.is_resolved = true;
        self.ledger.void(self.call, self.status);
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        if !self.is_resolved {
            // It was forwarded and nothing is known of it: charged by estimate, never forgotten.
            drop(self.settle(Known::default(), Ending::ClientGone));
        }
    }
}
