//! Connections to one provider: kept while nobody uses them, and the answers that come on them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::egress::body::{BodyError, RequestBody};

/// How long an HTTP/1 connection is kept that nobody uses; providers close theirs after a minute.
const IDLE_KEPT: Duration = Duration::from_secs(30);
/// The most HTTP/1 connections to one provider that are kept.
const IDLE_MAX: usize = 256;

pub(super) type Io = TokioIo<Box<dyn Stream>>;
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type Driver = Pin<Box<http1::Connection<Io, RequestBody>>>;

/// An HTTP/1 connection with the half that does its work.
pub(super) struct H1 {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) driver: Driver,
}

struct Idle {
    connection: H1,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<http2::SendRequest<RequestBody>>>,
}

pub(super) enum Connected {
    One(H1),
    Shared(http2::SendRequest<RequestBody>),
}

impl Pool {
    pub(super) fn lock_shared(&self) -> MutexGuard<'_, Option<http2::SendRequest<RequestBody>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that is open.
    pub(super) fn take(&self) -> Option<Connected> {
        let mut shared = self.lock_shared();
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Some(Connected::Shared(sender.clone()));
        }
        *shared = None;
        drop(shared);
        loop {
            let mut idle = self.lock_idle().pop()?;
            if idle.since.elapsed() < IDLE_KEPT && idle.connection.is_open() {
                return Some(Connected::One(idle.connection));
            }
        }
    }

    fn keep(&self, connection: H1) {
        let mut idle = self.lock_idle();
        if idle.len() < IDLE_MAX {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}

impl H1 {
    /// Looks whether the provider closed it while nobody did.
    fn is_open(&mut self) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        self.driver.as_mut().poll(&mut context).is_pending() && self.sender.is_ready()
    }

    pub(super) async fn send(
        mut self,
        request: Request<RequestBody>,
        pool: &Arc<Pool>,
    ) -> Result<Response<UpstreamBody>, (hyper::Error, Option<Request<RequestBody>>)> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let mut driver = Some(self.driver);
        let answer = poll_fn(|cx| {
            if let Some(connection) = &mut driver
                && connection.as_mut().poll(cx).is_ready()
            {
                // Its end is told by the answer, which has its error.
                driver = None;
            }
            answer.as_mut().poll(cx)
        })
        .await;
        match answer {
            Ok(response) => Ok(response.map(|incoming| {
                UpstreamBody::Own(Box::new(Own {
                    incoming,
                    connection: driver.map(|driver| H1 {
                        sender: self.sender,
                        driver,
                    }),
                    pool: Arc::downgrade(pool),
                }))
            })),
            Err(mut error) => {
                let unsent = error.take_message();
                Err((error.into_error(), unsent))
            }
        }
    }
}

/// A provider's answer, and the connection it comes on.
#[derive(Debug)]
pub(in crate::egress) enum UpstreamBody {
    /// On a connection that this body drives, and gives back when it is whole.
    Own(Box<Own>),
    /// On a connection that others use too.
    Shared(Incoming),
    /// None any more: it was left.
    Left,
}

pub(in crate::egress) struct Own {
    incoming: Incoming,
    connection: Option<H1>,
    pool: Weak<Pool>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl Own {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.driver.as_mut().poll(cx).is_ready()
        {
            self.connection = None;
        }
    }

    fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_open()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.keep(connection);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Left => Poll::Ready(None),
            Self::Shared(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map_err(BodyError::Upstream),
            Self::Own(own) => {
                // What came before is handed over before more is read.
                let mut frame = Pin::new(&mut own.incoming).poll_frame(cx);
                if frame.is_pending() {
                    own.drive(cx);
                    frame = Pin::new(&mut own.incoming).poll_frame(cx);
                }
                if let Poll::Ready(None) = frame {
                    own.give_back();
                }
                frame.map_err(BodyError::Upstream)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Left => true,
            Self::Shared(incoming) => incoming.is_end_stream(),
            // Not before it was polled to its end: then the connection is given back.
            Self::Own(own) => own.connection.is_none() && own.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Left => SizeHint::with_exact(0),
            Self::Shared(incoming) => incoming.size_hint(),
            Self::Own(own) => own.incoming.size_hint(),
        }
    }
}
