//! A provider's answer on its way to the client: metered, held at its end until it is charged, cut
//! where it must be. Whatever ends it, it is settled exactly once.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bb_core::book::{CutReason, Outcome, Resolved};
use bb_core::estimate::Known;
use bb_core::meter::UsageChunkFilter;
use bb_proto::reply::Ending;
use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::body::BodyError;
use super::in_flight::CallInFlight;
use super::refuse::Refused;
use super::reporting::{REPORT_BYTES, REPORT_BYTES_IN_A_BURST, Reporting};
use super::tap::Tap;
use super::upstream::UpstreamBody;
use crate::ledger::{Cut, Settling};

/// The longest piece of an answer that is held until it is charged, where no event ends it.
pub(super) const HELD_BYTES_MAX: usize = 256 << 10;

/// How an answer's end is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// By the event that ends the message, or by the end of the body.
    Event,
    /// By the end of the body: the last frame is held.
    LastFrame,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// The answer flows.
    Flowing,
    /// It is being charged; then `then` happens.
    Settling(Settling, Then),
    /// It is charged; the rest passes.
    Passing,
    /// These trailers follow, and nothing else.
    Trailing(Frame<Bytes>),
    /// Nothing follows.
    Ended,
}

/// What a settlement is waited for with.
#[derive(Debug)]
pub(super) enum Then {
    /// These bytes pass, and what follows them.
    Release(Bytes),
    /// These bytes are the last.
    End(Option<Bytes>),
    /// These bytes are the last, and these trailers behind them.
    Trailers(Option<Bytes>, Frame<Bytes>),
    /// The body breaks off.
    Break(BodyError),
}

/// The answer itself, wherever it is read from.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) upstream: UpstreamBody,
    pub(super) tap: Tap,
    pub(super) call: CallInFlight,
    pub(super) cut: Cut,
    pub(super) filter: Option<UsageChunkFilter>,
    pub(super) hold: Hold,
    pub(super) idle_timeout: Duration,
    out: VecDeque<Bytes>,
    held: Option<Bytes>,
    pub(super) stage: Stage,
    reporting: Reporting,
    pub(super) cutting: Option<Cutting>,
    pub(super) charged: Option<Known>,
    last_frame: Instant,
    idle: Option<Pin<Box<Sleep>>>,
    /// When `idle` wakes the task that drives the answer.
    idle_at: Option<Instant>,
}

/// A cut that waits for the end of an event.
#[derive(Debug)]
pub(super) struct Cutting {
    pub(super) reason: CutReason,
    pub(super) until: Pin<Box<Sleep>>,
    pub(super) bytes: usize,
    /// What the client got ends between two events, whatever the meter has read since.
    pub(super) is_between: bool,
}

/// How the reading on without a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// All that counts was read.
    Whole,
    /// It was to be ended.
    Cut,
}

impl Flow {
    pub(super) fn new(
        upstream: UpstreamBody,
        tap: Tap,
        call: CallInFlight,
        cut: Cut,
        filter: Option<UsageChunkFilter>,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            upstream,
            tap,
            call,
            cut,
            filter,
            hold: Hold::Event,
            idle_timeout,
            out: VecDeque::new(),
            held: None,
            stage: Stage::Flowing,
            reporting: Reporting::default(),
            cutting: None,
            charged: None,
            last_frame: Instant::now(),
            idle: None,
            idle_at: None,
        }
    }

    /// Goes on as a stream after so much of a document was read already: its last frame is held.
    pub(super) fn go_on_after(&mut self, mut frames: VecDeque<Bytes>) {
        self.hold = Hold::LastFrame;
        self.held = frames.pop_back();
        self.out = frames;
    }

    pub(super) fn needs_drain(&self) -> bool {
        matches!(self.stage, Stage::Flowing) && !self.call.is_resolved
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(bytes) = self.out.pop_front() {
                if bytes.is_empty() {
                    continue;
                }
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &mut self.stage {
                Stage::Ended => return Poll::Ready(None),
                Stage::Trailing(_) => {
                    let Stage::Trailing(trailers) = mem::replace(&mut self.stage, Stage::Ended)
                    else {
                        continue;
                    };
                    return Poll::Ready(Some(Ok(trailers)));
                }
                Stage::Settling(settling, _) => {
                    let settled = ready!(Pin::new(settling).poll(cx));
                    if let Some(last) = self.settled(settled) {
                        return Poll::Ready(Some(last));
                    }
                }
                Stage::Flowing => {
                    if self.poll_cut(cx).is_ready() {
                        continue;
                    }
                    match Pin::new(&mut self.upstream).poll_frame(cx) {
                        Poll::Ready(frame) => {
                            self.took(frame);
                            self.reporting
                                .report(&self.call, &self.tap, REPORT_BYTES_IN_A_BURST);
                        }
                        Poll::Pending if self.poll_overdue(cx).is_ready() => {}
                        Poll::Pending => {
                            self.reporting.report(&self.call, &self.tap, REPORT_BYTES);
                            ready!(self.poll_idle(cx));
                        }
                    }
                }
                Stage::Passing => match ready!(Pin::new(&mut self.upstream).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            self.tap.read(&data);
                            self.pass(data);
                        }
                        Err(trailers) => {
                            self.stage = Stage::Ended;
                            return Poll::Ready(Some(Ok(trailers)));
                        }
                    },
                    Some(Err(error)) => {
                        self.stage = Stage::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                    None => self.passed(),
                },
            }
        }
    }

    /// Takes what the upstream gave while the answer flows.
    fn took(&mut self, frame: Option<Result<Frame<Bytes>, BodyError>>) {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.took_data(data),
                Err(trailers) => {
                    let last = self.last_bytes();
                    self.finish(|_| Then::Trailers(last, trailers));
                }
            },
            Some(Err(error)) => {
                tracing::info!(call = %self.call.call, %error, "the provider went away");
                self.tap.finish();
                self.settle(Ending::UpstreamGone, Then::Break(error));
            }
            None => {
                let last = self.last_bytes();
                self.finish(|_| Then::End(last));
            }
        }
    }

    fn took_data(&mut self, data: Bytes) {
        self.last_frame = Instant::now();
        let reading = self.tap.read(&data);
        if self.hold == Hold::LastFrame {
            if let Some(before) = self.held.replace(data) {
                self.out.push_back(before);
            }
            return;
        }
        if let Some(cutting) = &mut self.cutting
            && reading.hold_at.is_none()
        {
            // The event that was under way ends here: its rest passes, and no more.
            cutting.bytes += data.len();
            if let Some(boundary) = reading.boundary {
                let rest = data.slice(..boundary.min(data.len()));
                cutting.is_between = true;
                self.pass(rest);
                return;
            }
        }
        let Some(at) = reading.hold_at else {
            self.pass(data);
            return;
        };
        let mut before = data;
        let held = before.split_off(at.min(before.len()));
        self.pass(before);
        let ending = self.tap.ending_by_provider();
        self.settle(ending, Then::Release(held));
    }

    fn pass(&mut self, data: Bytes) {
        match &mut self.filter {
            None => self.out.push_back(data),
            Some(filter) => self.out.extend(filter.pass(data)),
        }
    }

    /// What is still kept back when the body ends.
    fn last_bytes(&mut self) -> Option<Bytes> {
        let filtered = self.filter.as_mut().and_then(UsageChunkFilter::finish);
        self.held.take().or(filtered)
    }

    /// The provider ended the body.
    fn finish(&mut self, then: impl FnOnce(&mut Self) -> Then) {
        self.tap.finish();
        let then = then(self);
        let ending = self.tap.ending_by_provider();
        self.settle(ending, then);
    }

    fn settle(&mut self, ending: Ending, then: Then) {
        let seen = self.tap.seen();
        self.charged = Some(seen.known);
        let settling = if self.out.is_empty() {
            self.call.settle(seen, ending)
        } else {
            self.call.settle_after_rest(seen, ending)
        };
        self.stage = Stage::Settling(settling, then);
    }

    /// Goes on after the charge is on disk, or could not be put there.
    fn settled(
        &mut self,
        settled: Result<Resolved, crate::ledger::Closed>,
    ) -> Option<Result<Frame<Bytes>, BodyError>> {
        let Stage::Settling(_, then) = mem::replace(&mut self.stage, Stage::Ended) else {
            return None;
        };
        if settled.is_err() {
            // The end may not be shown: it is not charged on disk.
            let refused = Refused::cut(CutReason::LedgerClosed, &self.call.bottle);
            let sentence = refused.reason.sentence();
            return match (self.tap.ending_before_held(sentence), then) {
                (Some(ending), Then::Release(_) | Then::End(_) | Then::Trailers(..)) => {
                    self.out.push_back(ending.into());
                    None
                }
                _ => Some(Err(BodyError::Cut)),
            };
        }
        match then {
            Then::Release(bytes) => {
                self.stage = Stage::Passing;
                self.pass(bytes);
                None
            }
            Then::End(bytes) => {
                self.out.extend(bytes);
                None
            }
            Then::Trailers(bytes, trailers) => {
                self.stage = Stage::Trailing(trailers);
                self.out.extend(bytes);
                None
            }
            Then::Break(error) => Some(Err(error)),
        }
    }

    /// The body ended after its charge: a later word of the provider corrects it.
    fn passed(&mut self) {
        self.tap.finish();
        let last = self.last_bytes();
        let known = self.tap.known();
        let stated_before = self.charged.map(|known| known.stated);
        if known.complete && stated_before.is_some_and(|before| before != known.stated) {
            let outcome = Outcome {
                known,
                others: Vec::new(),
                ending: Ending::Complete,
                status: self.call.status,
            };
            let amending = self.call.ledger.amend(self.call.call, outcome);
            self.stage = Stage::Settling(amending, Then::End(last));
            return;
        }
        self.out.extend(last);
        self.stage = Stage::Ended;
    }

    /// Ends the answer where the provider was silent for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The timer wakes this task by itself: until then it need not be asked.
        if self.idle_at.is_some_and(|at| Instant::now() < at) {
            return Poll::Pending;
        }
        let deadline = self.last_frame + self.idle_timeout;
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            self.idle_at = Some(idle.deadline());
            ready!(idle.as_mut().poll(cx));
            if deadline <= Instant::now() {
                break;
            }
            idle.as_mut().reset(deadline);
        }
        self.tap.finish();
        self.settle(Ending::UpstreamGone, Then::Break(BodyError::Idle));
        Poll::Ready(())
    }

    /// Reads on without a client, for the final usage, up to a bound; then settles.
    pub(super) async fn drain(mut self, bound: Duration) {
        let mut was_cut = self.cutting.is_some();
        if !was_cut {
            let read = std::future::poll_fn(|cx| self.poll_drain(cx));
            match tokio::time::timeout(bound, read).await {
                Ok(read) => was_cut = read == Drained::Cut,
                Err(_) => {
                    tracing::debug!(call = %self.call.call, "a client left; the rest was not read");
                }
            }
        }
        if !self.call.is_resolved {
            let seen = self.tap.seen();
            let ending = match (was_cut, seen.known.complete) {
                (_, true) => Ending::Complete,
                (true, false) => Ending::Cut,
                (false, false) => Ending::ClientGone,
            };
            if self.call.settle(seen, ending).await.is_err() {
                tracing::warn!(call = %self.call.call, "charged in memory: the ledger is closed");
            }
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Drained> {
        loop {
            if self.cut.poll_order(cx).is_ready() {
                return Poll::Ready(Drained::Cut);
            }
            let Some(Ok(frame)) = ready!(Pin::new(&mut self.upstream).poll_frame(cx)) else {
                self.tap.finish();
                return Poll::Ready(Drained::Whole);
            };
            if let Ok(data) = frame.into_data()
                && self.tap.read(&data).hold_at.is_some()
            {
                return Poll::Ready(Drained::Whole);
            }
            self.reporting.report(&self.call, &self.tap, REPORT_BYTES);
        }
    }
}
