//! How a call in flight is told to end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bb_core::book::CutReason;
use tokio::sync::oneshot;

/// The order to end a call: it comes once, or never.
#[derive(Debug)]
pub struct Cut(Option<oneshot::Receiver<CutReason>>);

impl Cut {
    pub(super) fn new(order: oneshot::Receiver<CutReason>) -> Self {
        Self(Some(order))
    }

    /// Waits for the order; ready once, and silent where it came before or cannot come any more.
    pub fn poll_order(&mut self, cx: &mut Context<'_>) -> Poll<CutReason> {
        let Some(order) = &mut self.0 else {
            return Poll::Pending;
        };
        let order = ready!(Pin::new(order).poll(cx));
        self.0 = None;
        order.map_or(Poll::Pending, Poll::Ready)
    }

    /// Returns the order if it is there; it is no more after that.
    pub fn order(&mut self) -> Option<CutReason> {
        let order = self.0.as_mut()?.try_recv().ok()?;
        self.0 = None;
        Some(order)
    }
}
