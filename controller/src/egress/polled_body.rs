//! A look at an answer that was made earlier: its bytes pass, and what it states is its call's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bb_core::book::Outcome;
use bb_proto::ids::CallId;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::BodyError;
use super::tap::Tap;
use super::upstream::UpstreamBody;
use crate::ledger::LedgerHandle;

/// A look at the answer of a call that went on in the background.
#[derive(Debug)]
pub(super) struct PolledBody {
    upstream: UpstreamBody,
    tap: Tap,
    call: CallId,
    ledger: LedgerHandle,
    is_told: bool,
}

impl PolledBody {
    pub(super) fn new(
        upstream: UpstreamBody,
        tap: Tap,
        call: CallId,
        ledger: LedgerHandle,
    ) -> Self {
        Self {
            upstream,
            tap,
            call,
            ledger,
            is_told: false,
        }
    }

    /// Corrects the call's charge, where the answer has ended; the same again changes nothing.
    fn tell(&mut self) {
        let seen = self.tap.seen();
        if self.is_told || !seen.has_ended || !seen.known.stated.is_stated() {
            return;
        }
        self.is_told = true;
        let outcome = Outcome {
            known: seen.known,
            others: Vec::new(),
            ending: self.tap.ending_by_provider(),
            status: None,
        };
        // It was charged by estimate before, so nobody waits for the difference.
        drop(self.ledger.amend(self.call, outcome));
    }
}

impl Body for PolledBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.upstream).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref()
                    && this.tap.read(data).hold_at.is_some()
                {
                    this.tell();
                }
            }
            Some(Err(_)) => {}
            None => {
                this.tap.finish();
                this.tell();
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.upstream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }
}
