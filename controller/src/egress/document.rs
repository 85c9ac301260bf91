//! An answer that is one document: read whole and charged before any of it is shown.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bb_core::book::CutReason;
use bb_proto::reply::Ending;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};

use super::Egress;
use super::body::BodyError;
use super::flow::{Flow, HELD_BYTES_MAX};
use super::metered_body::MeteredBody;

/// What became of a document.
#[derive(Debug)]
pub(super) enum Document {
    /// It is whole, and charged.
    Whole(Bytes, Option<HeaderMap>),
    /// It is too long to be held: the rest flows.
    Long,
    /// The provider broke off.
    Broken,
    /// The provider was silent for too long.
    Idle,
    /// It is to be ended.
    Cut(CutReason),
    /// It cannot be charged now.
    LedgerClosed,
}

/// What comes next of a document.
enum Next {
    Frame(Option<Result<Frame<Bytes>, BodyError>>),
    Cut(CutReason),
}

/// A document on its way; a caller that goes away meanwhile leaves it to be read on without a
/// client.
pub(super) struct Reading {
    flow: Option<Flow>,
    egress: Egress,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.egress.read_on(self.flow.take());
    }
}

impl Reading {
    pub(super) fn new(flow: Flow, egress: &Egress) -> Self {
        Self {
            flow: Some(flow),
            egress: egress.clone(),
        }
    }

    /// Makes the body of a document that is too long to be held.
    pub(super) fn go_on(mut self) -> MeteredBody {
        MeteredBody::new(self.flow.take(), &self.egress)
    }

    /// Reads the answer whole, unless it is too long.
    pub(super) async fn read(&mut self) -> Document {
        let Some(flow) = &mut self.flow else {
            return Document::Broken;
        };
        let idle_timeout = flow.idle_timeout;
        let mut frames: VecDeque<Bytes> = VecDeque::new();
        let mut len = 0;
        let mut trailers = None;
        loop {
            let next = poll_fn(|cx| flow.poll_document(cx));
            let frame = match tokio::time::timeout(idle_timeout, next).await {
                Err(_) => return flow.give_up(Ending::UpstreamGone, Document::Idle).await,
                Ok(Next::Cut(reason)) => {
                    return flow.give_up(Ending::Cut, Document::Cut(reason)).await;
                }
                Ok(Next::Frame(frame)) => frame,
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        flow.tap.read(&data);
                        len += data.len();
                        frames.push_back(data);
                    }
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => {
                    tracing::info!(call = %flow.call.call, %error, "the provider broke off");
                    return flow.give_up(Ending::UpstreamGone, Document::Broken).await;
                }
                None => break,
            }
            if len > HELD_BYTES_MAX {
                flow.go_on_after(frames);
                return Document::Long;
            }
        }
        flow.tap.finish();
        let ending = flow.tap.ending_by_provider();
        match flow.call.settle(flow.tap.seen(), ending).await {
            Ok(_) => Document::Whole(join(frames, len), trailers),
            Err(_) => Document::LedgerClosed,
        }
    }
}

impl Flow {
    fn poll_document(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Poll::Ready(reason) = self.cut.poll_order(cx) {
            return Poll::Ready(Next::Cut(reason));
        }
        Pin::new(&mut self.upstream).poll_frame(cx).map(Next::Frame)
    }

    async fn give_up(&mut self, ending: Ending, document: Document) -> Document {
        self.tap.finish();
        if self.call.settle(self.tap.seen(), ending).await.is_err() {
            tracing::warn!(call = %self.call.call, "charged in memory: the ledger is closed");
        }
        document
    }
}

fn join(mut frames: VecDeque<Bytes>, len: usize) -> Bytes {
    if frames.len() == 1 {
        return frames.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(len);
    for frame in frames {
        whole.extend_from_slice(&frame);
    }
    whole.freeze()
}
