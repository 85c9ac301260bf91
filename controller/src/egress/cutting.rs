//! The end of an answer that is cut: in its dialect behind an event, and else broken off.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bb_core::book::CutReason;
use bb_proto::reply::Ending;
use tokio::time::Instant;

use super::body::BodyError;
use super::flow::{Cutting, Flow, Hold, Stage, Then};
use super::refuse::Refused;
use super::upstream::UpstreamBody;

/// A cut that comes in the middle of an event waits so long for the event's end.
const BOUNDARY_WAIT: Duration = Duration::from_millis(250);
/// And for so many bytes.
const BOUNDARY_BYTES: usize = 64 << 10;
/// An answer that nobody reads is ended so long after it should have been.
const UNREAD_WAIT: Duration = Duration::from_millis(750);

impl Cutting {
    fn begin(reason: CutReason) -> Self {
        Self {
            reason,
            until: Box::pin(tokio::time::sleep(BOUNDARY_WAIT)),
            bytes: 0,
            is_between: false,
        }
    }
}

impl Flow {
    /// Ends the answer where it is to be cut and can be, or never could.
    pub(super) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.cutting.is_none() {
            let reason = ready!(self.cut.poll_order(cx));
            self.cutting = Some(Cutting::begin(reason));
        }
        let Some(cutting) = &self.cutting else {
            return Poll::Pending;
        };
        let can_wait = self.hold == Hold::Event && self.tap.is_plain();
        if can_wait && !self.is_between() && cutting.bytes <= BOUNDARY_BYTES {
            return Poll::Pending;
        }
        self.cut_now();
        Poll::Ready(())
    }

    /// Ends an answer that is to be cut, and whose event has not ended in time; to be asked where
    /// nothing more has come.
    pub(super) fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(cutting) = &mut self.cutting else {
            return Poll::Pending;
        };
        ready!(cutting.until.as_mut().poll(cx));
        self.cut_now();
        Poll::Ready(())
    }

    /// Ends the answer if it should have ended by now: where its client does not read, nobody else
    /// does. Returns whether it is still to end.
    pub(super) fn enforce_cut(&mut self) -> bool {
        if !matches!(self.stage, Stage::Flowing) {
            return false;
        }
        if self.cutting.is_none() {
            self.cutting = self.cut.order().map(Cutting::begin);
        }
        let Some(cutting) = &self.cutting else {
            return false;
        };
        if Instant::now() < cutting.until.deadline() + UNREAD_WAIT {
            return true;
        }
        self.cut_now();
        false
    }

    /// Returns whether what the client got ends between two events.
    fn is_between(&self) -> bool {
        let was_seen = self
            .cutting
            .as_ref()
            .is_some_and(|cutting| cutting.is_between);
        was_seen || self.tap.is_at_boundary()
    }

    fn cut_now(&mut self) {
        let Some(cutting) = &self.cutting else { return };
        let refused = Refused::cut(cutting.reason.clone(), &self.call.bottle);
        let can_end = self.is_between() && self.hold == Hold::Event;
        let ending = can_end.then(|| self.tap.ending(refused.reason.sentence()));
        let then = match ending.flatten() {
            Some(ending) => Then::End(Some(ending.into())),
            None => Then::Break(BodyError::Cut),
        };
        let seen = self.tap.seen();
        self.charged = Some(seen.known);
        self.stage = Stage::Settling(self.call.settle(seen, Ending::Cut), then);
        // The provider learns of it at once, whenever the client reads its end.
        self.upstream = UpstreamBody::Left;
    }
}
