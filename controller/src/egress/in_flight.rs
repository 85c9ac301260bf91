//! A call that was forwarded: whatever becomes of it, it is settled or voided once.

use std::sync::Arc;

use bb_core::book::{Admitted, OtherModel, Outcome};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::Ending;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Egress;
use super::background::Background;
use super::tap::Seen;
use crate::ledger::{LedgerHandle, Settling};

/// Where it is noted that an answer goes on after its request has ended.
#[derive(Debug)]
struct GoesOn {
    provider: ProviderKey,
    calls: Arc<Background>,
}

/// A call that was forwarded: it must be settled or voided, and is at the latest when dropped.
#[derive(Debug)]
pub(super) struct CallInFlight {
    pub(super) ledger: LedgerHandle,
    pub(super) call: CallId,
    pub(super) admitted: Admitted,
    pub(super) bottle: BottleName,
    pub(super) status: Option<u16>,
    pub(super) is_resolved: bool,
    goes_on: GoesOn,
    pub(super) tracker: TaskTracker,
}

impl CallInFlight {
    /// Makes what must be resolved of a call that was admitted and is about to be forwarded.
    pub(super) fn new(
        egress: &Egress,
        provider: &ProviderKey,
        bottle: &BottleName,
        admitted: Admitted,
    ) -> Self {
        Self {
            ledger: egress.shared.ledger.clone(),
            call: admitted.call,
            admitted,
            bottle: bottle.clone(),
            status: None,
            is_resolved: false,
            goes_on: GoesOn {
                provider: provider.clone(),
                calls: Arc::clone(&egress.shared.background),
            },
            tracker: egress.shared.tracker.clone(),
        }
    }

    pub(super) fn settle(&mut self, seen: Seen, ending: Ending) -> Settling {
        let outcome = self.outcome(seen, ending);
        self.ledger.settle(self.call, outcome)
    }

    /// The same once the task that asks has rested: what it wrote to the client goes out first.
    pub(super) fn settle_after_rest(&mut self, seen: Seen, ending: Ending) -> Settling {
        let outcome = self.outcome(seen, ending);
        let (settling, unsent) = self.ledger.settle_later(self.call, outcome);
        self.tracker.spawn(async move { drop(unsent) });
        settling
    }

    fn outcome(&mut self, seen: Seen, ending: Ending) -> Outcome {
        self.is_resolved = true;
        if let Some(response_id) = &seen.goes_on {
            let GoesOn { provider, calls } = &self.goes_on;
            calls.note(provider, response_id, self.call);
        }
        let has_left = matches!(ending, Ending::UpstreamGone | Ending::ClientGone);
        let others = seen.others.into_iter().map(|(model, usage)| OtherModel {
            call: CallId(Uuid::now_v7()),
            model,
            usage,
        });
        Outcome {
            known: seen.known,
            others: others.collect(),
            ending: if seen.goes_on.is_some() && has_left {
                Ending::Background
            } else {
                ending
            },
            status: self.status,
        }
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
            drop(self.settle(Seen::default(), Ending::ClientGone));
        }
    }
}
