//! The parts of bodies: bytes that are all there, what a provider gets, why a body breaks off.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the provider's answer broke off: {0}")]
    Upstream(#[source] hyper::Error),
    #[error("the client's request broke off: {0}")]
    Client(#[source] hyper::Error),
    #[error("the provider was silent for too long")]
    Idle,
    #[error("the answer was cut and cannot be ended in its dialect")]
    Cut,
}

/// Bytes that are all there, and the trailers after them.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) bytes: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Whole {
    pub(super) fn new(bytes: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            bytes: Some(bytes).filter(|bytes| !bytes.is_empty()),
            trailers,
        }
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        let data = self.bytes.take().map(Frame::data);
        data.or_else(|| self.trailers.take().map(Frame::trailers))
    }

    pub(super) fn is_end(&self) -> bool {
        self.bytes.is_none() && self.trailers.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.trailers {
            // Trailers need a body whose length is not said ahead.
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.bytes.as_ref().map_or(0, |b| b.len() as u64)),
        }
    }
}

/// What a provider gets.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// All of it is there.
    Whole(Whole),
    /// A client's body as it comes.
    Passed(Incoming),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.next_frame().map(Ok)),
            Self::Passed(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::Client),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end(),
            Self::Passed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Passed(body) => body.size_hint(),
        }
    }
}
