//! What a client gets: an answer of ours, or a provider's as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::body::{BodyError, Whole};
use super::metered_body::MeteredBody;
use super::polled_body::PolledBody;
use super::upstream::UpstreamBody;

/// What a client gets.
#[derive(Debug)]
pub(super) enum ClientBody {
    /// All of it is there.
    Whole(Whole),
    /// A provider's answer as it comes, not metered.
    Passed(UpstreamBody),
    /// A look at an answer that was made earlier.
    Polled(Box<PolledBody>),
    /// A provider's answer, metered.
    Metered(Box<MeteredBody>),
}

impl ClientBody {
    pub(super) fn empty() -> Self {
        Self::Whole(Whole::default())
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.next_frame().map(Ok)),
            Self::Passed(body) => Pin::new(body).poll_frame(cx),
            Self::Polled(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Self::Metered(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end(),
            Self::Passed(body) => body.is_end_stream(),
            Self::Polled(body) => body.is_end_stream(),
            Self::Metered(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Passed(body) => body.size_hint(),
            Self::Polled(body) => body.size_hint(),
            // A cut would make any promise of a length false.
            Self::Metered(_) => SizeHint::default(),
        }
    }
}
