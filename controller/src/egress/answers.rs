//! The answers that flow, so that a cut reaches those too whose clients do not read.
//!
//! An answer is driven by the connection of its client, which rests while the client does not
//! read. What is to be ended is ended all the same: charged, and left at the provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Egress;
use super::flow::Flow;

/// How often what is to be ended is looked at until it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The list is cleared of answers that are over when it has grown to this, at least.
const CLEARED_LEAST: usize = 64;

/// An answer; taken out where its client goes away and the rest is read without it.
pub(super) type SharedFlow = Arc<Mutex<Option<Flow>>>;

/// The answers that flow.
#[derive(Debug, Default)]
pub(super) struct Answers {
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    flows: Vec<Weak<Mutex<Option<Flow>>>>,
    clear_at: usize,
}

impl Answers {
    /// Puts an answer on the list; it is on it for as long as somebody has it.
    pub(super) fn list(&self, flow: Option<Flow>) -> SharedFlow {
        let flow = Arc::new(Mutex::new(flow));
        let mut listed = self.lock();
        if listed.flows.len() >= listed.clear_at {
            listed.flows.retain(|flow| flow.strong_count() > 0);
            listed.clear_at = (2 * listed.flows.len()).max(CLEARED_LEAST);
        }
        listed.flows.push(Arc::downgrade(&flow));
        flow
    }

    /// Ends what should have ended by now; returns whether more is to end.
    fn enforce_cuts(&self) -> bool {
        let flows: Vec<SharedFlow> = self.lock().flows.iter().filter_map(Weak::upgrade).collect();
        let mut is_more = false;
        for flow in flows {
            is_more |= lock(&flow).as_mut().is_some_and(Flow::enforce_cut);
        }
        is_more
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an answer; nobody keeps it for longer than one look.
pub(super) fn lock(flow: &SharedFlow) -> MutexGuard<'_, Option<Flow>> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Egress {
    /// Sees to it that what is to be ended ends; never returns.
    pub(super) async fn enforce_cuts(&self) {
        let mut cuts = self.shared.ledger.cuts();
        while cuts.changed().await.is_ok() {
            while self.shared.answers.enforce_cuts() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        std::future::pending::<()>().await;
    }
}
