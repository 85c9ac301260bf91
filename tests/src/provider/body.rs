//! An answer's body: events at their time, cut into frames, and the fault where it is due.

mod cutter;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bb_proto::usage::Usage;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use self::cutter::Cutter;
use super::referee::{Ending, Record};
use super::render::{CallId, Part, Rendered};
use super::request::Form;
use super::script::{Fault, Script};

/// Time for what was handed over to reach the wire before the connection is dropped.
const DROP_AFTER: Duration = Duration::from_millis(2);

/// The connection ends here because the script says so.
#[derive(Debug, thiserror::Error)]
#[error("the script drops the connection")]
pub(super) struct Dropped;

/// What comes after the frames that are ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Events,
    /// Nothing more is to be said; the body ends when its last frame is out.
    Closing(Ending),
    Dropping,
    Stalled,
    Over,
}

/// The body of one answer.
#[derive(Debug)]
pub(super) struct AnswerBody {
    rendered: Arc<Rendered>,
    script: Arc<Script>,
    call: CallId,
    record: Record,
    cutter: Cutter,
    next: usize,
    /// Events whose frames went out whole.
    sent: usize,
    stage: Stage,
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    drop_timer: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
}

impl AnswerBody {
    pub(super) fn new(
        rendered: Arc<Rendered>,
        script: Arc<Script>,
        call: CallId,
        record: Record,
        gzip: bool,
    ) -> Self {
        record.billed(billed_at_first(&rendered));
        let trailers = trailers(&script);
        let plain = !gzip && trailers.is_none() && script.fault.is_none();
        let whole = rendered.form == Form::Json && plain;
        let length: usize = rendered.events.iter().map(super::render::Event::len).sum();
        Self {
            length: whole.then(|| u64::try_from(length).unwrap_or(u64::MAX)),
            cutter: Cutter::new(script.chunking, gzip),
            rendered,
            script,
            call,
            record,
            next: 0,
            sent: 0,
            stage: Stage::Events,
            due: None,
            timer: None,
            drop_timer: None,
            trailers,
        }
    }

    /// Puts the next event into the cutter, or moves to what comes after the events.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(stage) = self.fault_here() {
            self.stage = stage;
            match stage {
                Stage::Closing(_) => self.cutter.close(),
                _ => self.cutter.flush(),
            }
            return Poll::Ready(());
        }
        let rendered = Arc::clone(&self.rendered);
        if let Some(event) = rendered.events.get(self.next) {
            if event.part == Part::Delta && !self.script.delay.is_zero() {
                ready!(self.wait(context));
            }
            self.cutter.push(&event.bytes(&self.call));
            self.next += 1;
        }
        // Closed with the last event, since a connection that has all bytes of a stated length
        // does not ask for more.
        if self.next >= rendered.events.len() && self.script.fault.is_none() {
            self.stage = Stage::Closing(Ending::Finished);
            self.cutter.close();
        }
        Poll::Ready(())
    }

    /// Waits until the next delta is due: the first is at once, each other a delay after the one
    /// before it was due, so that a late one does not shift the rest.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            self.due = Some(Instant::now() + self.script.delay);
            return Poll::Ready(());
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(context));
        self.due = Some(due + self.script.delay);
        Poll::Ready(())
    }

    fn wait_to_drop(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .drop_timer
            .get_or_insert_with(|| Box::pin(sleep(DROP_AFTER)));
        timer.as_mut().poll(context)
    }

    fn fault_here(&mut self) -> Option<Stage> {
        let streamed = self.rendered.form != Form::Json;
        let (after, stage) = match self.script.fault.as_ref()? {
            Fault::Status { .. } | Fault::DropBeforeHeaders => return None,
            Fault::Drop { after } => (*after, Stage::Dropping),
            Fault::Stall { after } => (*after, Stage::Stalled),
            Fault::ErrorEvent { after } => (*after, Stage::Closing(Ending::Faulted)),
            Fault::Truncate { after } => {
                let events = &self.rendered.events;
                let terminal = events.iter().position(|event| event.part == Part::Terminal);
                (
                    (*after).min(terminal.unwrap_or(0)),
                    Stage::Closing(Ending::Faulted),
                )
            }
        };
        if streamed && self.next < after.min(self.rendered.events.len()) {
            return None;
        }
        if !streamed {
            self.push_half();
        } else if matches!(self.script.fault, Some(Fault::ErrorEvent { .. })) {
            self.cutter.push(&self.rendered.error.bytes(&self.call));
        }
        Some(stage)
    }

    /// Half of an answer that is one event.
    fn push_half(&mut self) {
        if let Some(event) = self.rendered.events.first() {
            let bytes = event.bytes(&self.call);
            self.cutter.push_part(&bytes[..bytes.len() / 2]);
        }
    }

    fn hand_over(&mut self, frame: Bytes, events: usize) -> Frame<Bytes> {
        // An error event is none of the answer's own.
        let before = self.sent.min(self.next);
        self.sent += events;
        let whole = &self.rendered.events[before..self.sent.min(self.next)];
        let stated = whole.iter().rev().find_map(|event| event.stated);
        let billed = whole.last().map(|last| Usage {
            output: Some(last.generated),
            reasoning: self
                .rendered
                .usage
                .reasoning
                .map(|tokens| tokens.min(last.generated)),
            ..self.rendered.usage
        });
        self.record.sent(frame.len(), events, stated, billed);
        // Told here and not at the next poll, since the connection need not ask again.
        if let (Stage::Closing(ending), true, None) =
            (self.stage, self.cutter.is_empty(), &self.trailers)
        {
            self.record.end(ending);
            self.stage = Stage::Over;
        }
        if let Some(length) = &mut self.length {
            *length = length.saturating_sub(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        }
        Frame::data(frame)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        let this = self.get_mut();
        loop {
            if let Some((frame, events)) = this.cutter.pop() {
                return Poll::Ready(Some(Ok(this.hand_over(frame, events))));
            }
            match this.stage {
                Stage::Events => ready!(this.advance(context)),
                Stage::Closing(ending) => {
                    this.record.end(ending);
                    this.stage = Stage::Over;
                    let trailers = this.trailers.take();
                    return Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))));
                }
                Stage::Dropping => {
                    ready!(this.wait_to_drop(context));
                    this.record.end(Ending::Faulted);
                    this.stage = Stage::Over;
                    return Poll::Ready(Some(Err(Dropped)));
                }
                // The connection itself wakes the task when the client goes.
                Stage::Stalled => return Poll::Pending,
                Stage::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stage == Stage::Over
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// The prompt is read before anything is said; an answer in one piece is made before it is sent.
fn billed_at_first(rendered: &Rendered) -> Usage {
    if rendered.form == Form::Json {
        return rendered.usage;
    }
    let reasoning = rendered.usage.reasoning.map(|_| 0);
    Usage {
        output: Some(0),
        reasoning,
        ..rendered.usage
    }
}

fn trailers(script: &Script) -> Option<HeaderMap> {
    let fields: HeaderMap = script
        .trailers
        .iter()
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::try_from(value.as_str()).ok()?))
        })
        .collect();
    (!fields.is_empty()).then_some(fields)
}
