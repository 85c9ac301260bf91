//! A metered answer as the body that a client gets.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::Egress;
use super::answers::{SharedFlow, lock};
use super::body::BodyError;
use super::flow::Flow;

/// A metered answer on its way to a client.
#[derive(Debug)]
pub(super) struct MeteredBody {
    flow: SharedFlow,
    egress: Egress,
}

impl MeteredBody {
    pub(super) fn new(flow: Option<Flow>, egress: &Egress) -> Self {
        Self {
            flow: egress.shared.answers.list(flow),
            egress: egress.clone(),
        }
    }
}

impl Body for MeteredBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match lock(&self.flow).as_mut() {
            Some(flow) => flow.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        let flow = lock(&self.flow).take();
        self.egress.read_on(flow);
    }
}

impl Egress {
    /// Reads an answer on without its client, for what it states at its end.
    pub(super) fn read_on(&self, flow: Option<Flow>) {
        if let Some(flow) = flow.filter(Flow::needs_drain) {
            self.shared.tracker.spawn(flow.drain(self.limits().drain));
        }
    }
}
