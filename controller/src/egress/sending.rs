//! A request under way to its provider, until the answer's headers are there.
//!
//! A client that goes away meanwhile does not end the accounting: the answer is read on without it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bb_core::book::CutReason;
use bb_proto::reply::Ending;
use http::Response;
use tokio::time::Sleep;

use super::Egress;
use super::flow::Flow;
use super::in_flight::CallInFlight;
use super::tap::{Seen, Tap};
use super::upstream::{UpstreamBody, UpstreamError};
use crate::ledger::Cut;

type Answer = Result<Response<UpstreamBody>, UpstreamError>;
type Sent = Pin<Box<dyn Future<Output = Answer> + Send>>;
/// Makes the tap of an answer with these headers.
pub(super) type MakeTap = Box<dyn FnOnce(&http::HeaderMap) -> Tap + Send>;

/// A request that was sent.
pub(super) struct Sending {
    under_way: Option<UnderWay>,
    egress: Egress,
    timeout: Pin<Box<Sleep>>,
}

struct UnderWay {
    sent: Sent,
    parts: Parts,
}

/// What the call is made of besides its request.
pub(super) struct Parts {
    pub(super) call: CallInFlight,
    pub(super) cut: Cut,
    pub(super) make_tap: MakeTap,
}

/// What became of a request.
pub(super) enum Arrived {
    /// It is answered.
    Answer(Response<UpstreamBody>, Parts),
    /// It failed.
    Failed(UpstreamError, Parts),
    /// It was not answered in time.
    TimedOut(Parts),
    /// It is to be ended.
    Cut(CutReason, Parts),
}

impl Sending {
    pub(super) fn new(egress: Egress, sent: Sent, parts: Parts, timeout: Duration) -> Self {
        Self {
            under_way: Some(UnderWay { sent, parts }),
            egress,
            timeout: Box::pin(tokio::time::sleep(timeout)),
        }
    }
}

impl Future for Sending {
    type Output = Arrived;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arrived> {
        let timed_out = self.timeout.as_mut().poll(cx).is_ready();
        let Some(mut under_way) = self.under_way.take() else {
            return Poll::Pending;
        };
        if let Poll::Ready(reason) = under_way.parts.cut.poll_order(cx) {
            return Poll::Ready(Arrived::Cut(reason, under_way.parts));
        }
        match under_way.sent.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Arrived::Answer(response, under_way.parts)),
            Poll::Ready(Err(error)) => Poll::Ready(Arrived::Failed(error, under_way.parts)),
            Poll::Pending if timed_out => Poll::Ready(Arrived::TimedOut(under_way.parts)),
            Poll::Pending => {
                self.under_way = Some(under_way);
                Poll::Pending
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Some(under_way) = self.under_way.take() else {
            return;
        };
        let limits = self.egress.limits();
        self.egress
            .shared
            .tracker
            .spawn(read_on(under_way, limits.drain, limits.idle_timeout));
    }
}

/// Waits for the answer without a client, up to a bound, and settles what is known then.
async fn read_on(under_way: UnderWay, bound: Duration, idle_timeout: Duration) {
    let UnderWay { mut sent, parts } = under_way;
    let Parts {
        mut call,
        mut cut,
        make_tap,
    } = parts;
    let started = tokio::time::Instant::now();
    let answered = poll_fn(|cx| match cut.poll_order(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => sent.as_mut().poll(cx).map(Some),
    });
    let ending = match tokio::time::timeout(bound, answered).await {
        Ok(Some(Ok(response))) => {
            let (head, body) = response.into_parts();
            call.status = Some(head.status.as_u16());
            if is_unbilled(head.status) {
                call.void();
                return;
            }
            let tap = make_tap(&head.headers);
            let left = bound.saturating_sub(started.elapsed());
            Flow::new(body, tap, call, cut, None, idle_timeout)
                .drain(left)
                .await;
            return;
        }
        Ok(Some(Err(error))) if error.is_unsent() => return call.void(),
        Ok(None) => Ending::Cut,
        Ok(Some(Err(_))) | Err(_) => Ending::ClientGone,
    };
    if call.settle(Seen::default(), ending).await.is_err() {
        tracing::warn!(call = %call.call, "charged in memory: the ledger is closed");
    }
}

/// Returns whether an answer of this status is surely not billed.
///
/// A gateway between us and the provider answers 502, 504 and 52x for calls that may have been
/// served; every other error is the provider's own word that it did not serve the call.
pub(super) fn is_unbilled(status: http::StatusCode) -> bool {
    let gateway = matches!(status.as_u16(), 408 | 502 | 504 | 520..=527);
    (status.is_client_error() || status.is_server_error()) && !gateway
}
