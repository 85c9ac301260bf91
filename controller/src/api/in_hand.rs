//! Ids that are being dealt with: what two clients ask under one id is done one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bb_proto::ids::CallId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The ids that are being dealt with: no more than there are clients.
#[derive(Debug, Default)]
pub(super) struct InHand {
    of: Mutex<HashMap<CallId, Arc<AsyncMutex<()>>>>,
}

/// An id that nobody else deals with until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    in_hand: &'a InHand,
    id: CallId,
    turn: Arc<AsyncMutex<()>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl InHand {
    /// Waits until nobody deals with an id.
    pub(super) async fn hold(&self, id: CallId) -> Held<'_> {
        let turn = Arc::clone(self.lock().entry(id).or_default());
        // Made before it waits: one that goes away while it waits leaves nothing behind.
        let mut held = Held {
            in_hand: self,
            id,
            turn: Arc::clone(&turn),
            guard: None,
        };
        held.guard = Some(turn.lock_owned().await);
        held
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Arc<AsyncMutex<()>>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut of = self.in_hand.lock();
        // The list's own and this one: nobody else waits for it.
        if Arc::strong_count(&self.turn) <= 2 {
            of.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_deals_with_an_id_at_a_time_and_nothing_is_left_behind() {
        let in_hand = InHand::default();
        let id = CallId(uuid::Uuid::nil());
        let first = in_hand.hold(id).await;
        {
            let mut second = std::pin::pin!(in_hand.hold(id));
            let waits = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(second.as_mut().poll(cx).is_pending())
            });
            assert!(waits.await);
            drop(first);
            let second = second.await;
            assert_eq!(in_hand.lock().len(), 1);
            drop(second);
        }
        assert!(in_hand.lock().is_empty());
        let first = in_hand.hold(id).await;
        {
            let mut gone = Box::pin(in_hand.hold(id));
            let waits = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(gone.as_mut().poll(cx).is_pending())
            });
            assert!(waits.await);
        }
        drop(first);
        assert!(in_hand.lock().is_empty());
    }
}
