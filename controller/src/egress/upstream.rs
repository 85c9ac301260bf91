//! Connections to providers: opened, kept, reused.
//!
//! An HTTP/1 connection is driven by the task that uses it, so that a burst of events costs no
//! wake-ups between tasks. HTTP/2 connections are shared and have a task of their own.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bb_core::provider::{Scheme, Upstream};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::body::{BodyError, RequestBody};

/// How long an HTTP/1 connection is kept that nobody uses; providers close theirs after a minute.
const IDLE_KEPT: Duration = Duration::from_secs(30);
/// The most HTTP/1 connections to one provider that are kept.
const IDLE_MAX: usize = 256;

/// Why a provider could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// No connection; nothing was sent.
    #[error("connecting to {host}: {source}")]
    Connect {
        host: String,
        source: std::io::Error,
    },
    /// No connection in time; nothing was sent.
    #[error("connecting to {host} took too long")]
    ConnectTimeout { host: String },
    /// The connection could not be used; nothing was sent.
    #[error("opening HTTP to {host}: {source}")]
    Handshake { host: String, source: hyper::Error },
    /// The request was under way when the connection broke.
    #[error("asking {host}: {source}")]
    Exchange { host: String, source: hyper::Error },
    /// The request is not one that can be sent.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] http::Error),
}

impl UpstreamError {
    /// Returns whether the provider surely never saw the request.
    pub(super) fn is_unsent(&self) -> bool {
        !matches!(self, Self::Exchange { .. })
    }
}

type Io = TokioIo<Box<dyn Stream>>;
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Driver = Pin<Box<http1::Connection<Io, RequestBody>>>;

/// An HTTP/1 connection with the half that does its work.
struct H1 {
    sender: http1::SendRequest<RequestBody>,
    driver: Driver,
}

struct Idle {
    connection: H1,
    since: Instant,
}

#[derive(Default)]
struct Pool {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<http2::SendRequest<RequestBody>>>,
}

/// Where connections to every provider are kept.
pub(super) struct Upstreams {
    pools: Mutex<HashMap<(Scheme2, String), Arc<Pool>>>,
    tls: TlsConnector,
    /// The same for a connection that is to become another protocol, which HTTP/2 cannot.
    tls_http1: TlsConnector,
    tracker: TaskTracker,
}

/// [`Scheme`] as a key.
type Scheme2 = bool;

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstreams").finish_non_exhaustive()
    }
}

enum Connected {
    One(H1),
    Shared(http2::SendRequest<RequestBody>),
}

impl Upstreams {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>, tracker: TaskTracker) -> Self {
        let mut http1 = (*tls).clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            pools: Mutex::default(),
            tls: TlsConnector::from(tls),
            tls_http1: TlsConnector::from(Arc::new(http1)),
            tracker,
        }
    }

    /// Sends a request; its URI is the path and query at the upstream.
    ///
    /// Returns once the answer's headers are there.
    pub(super) async fn send(
        &self,
        upstream: &Upstream,
        mut request: Request<RequestBody>,
        connect_timeout: Duration,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        let authority = authority(upstream);
        let pool = self.pool(upstream.scheme, &authority);
        loop {
            let reused = pool.take();
            let is_reused = reused.is_some();
            let connected = match reused {
                Some(connected) => connected,
                None => {
                    self.connect(upstream, &authority, &pool, connect_timeout)
                        .await?
                }
            };
            let exchange = |source| UpstreamError::Exchange {
                host: authority.clone(),
                source,
            };
            match connected {
                Connected::One(connection) => {
                    let host = authority.parse().map_err(http::Error::from)?;
                    request.headers_mut().insert(http::header::HOST, host);
                    match connection.send(request, &pool).await {
                        Ok(response) => return Ok(response),
                        // It was closed while it was kept, and the request never left.
                        Err((error, Some(unsent))) if is_reused || error.is_canceled() => {
                            request = unsent;
                        }
                        Err((error, _)) => return Err(exchange(error)),
                    }
                }
                Connected::Shared(mut sender) => {
                    let sent = whole_uri(request, upstream, &authority)?;
                    match sender.try_send_request(sent).await {
                        Ok(response) => return Ok(response.map(UpstreamBody::Shared)),
                        Err(mut error) => match error.take_message() {
                            Some(unsent) if is_reused => {
                                *pool.lock_shared() = None;
                                request = path_only(unsent)?;
                            }
                            _ => return Err(exchange(error.into_error())),
                        },
                    }
                }
            }
        }
    }

    /// Sends a request for another protocol, on a connection of its own.
    ///
    /// Returns once the answer's headers are there; the connection is that protocol's where the
    /// answer says so.
    pub(super) async fn upgrade(
        &self,
        upstream: &Upstream,
        mut request: Request<RequestBody>,
        connect_timeout: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let authority = authority(upstream);
        let host = authority.parse().map_err(http::Error::from)?;
        request.headers_mut().insert(http::header::HOST, host);
        let (io, _) = self
            .open_within(upstream, &authority, &self.tls_http1, connect_timeout)
            .await?;
        let handshake = |source| UpstreamError::Handshake {
            host: authority.clone(),
            source,
        };
        let (mut sender, connection) = http1::Builder::new()
            .handshake(io)
            .await
            .map_err(handshake)?;
        self.tracker.spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection for another protocol ended");
            }
        });
        let sent = sender.send_request(request).await;
        sent.map_err(|source| UpstreamError::Exchange {
            host: authority,
            source,
        })
    }

    fn pool(&self, scheme: Scheme, authority: &str) -> Arc<Pool> {
        let key = (scheme == Scheme::Https, authority.to_owned());
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(key).or_default())
    }

    async fn connect(
        &self,
        upstream: &Upstream,
        authority: &str,
        pool: &Pool,
        timeout: Duration,
    ) -> Result<Connected, UpstreamError> {
        let (io, is_h2) = self
            .open_within(upstream, authority, &self.tls, timeout)
            .await?;
        let handshake = |source| UpstreamError::Handshake {
            host: authority.to_owned(),
            source,
        };
        if is_h2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .adaptive_window(true)
                .keep_alive_interval(Some(Duration::from_secs(30)))
                .handshake(io)
                .await
                .map_err(handshake)?;
            self.tracker.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a shared connection to a provider ended");
                }
            });
            *pool.lock_shared() = Some(sender.clone());
            return Ok(Connected::Shared(sender));
        }
        let (sender, connection) = http1::Builder::new()
            .handshake(io)
            .await
            .map_err(handshake)?;
        Ok(Connected::One(H1 {
            sender,
            driver: Box::pin(connection),
        }))
    }

    /// Opens a connection; returns whether it speaks HTTP/2.
    async fn open_within(
        &self,
        upstream: &Upstream,
        authority: &str,
        tls: &TlsConnector,
        timeout: Duration,
    ) -> Result<(Io, bool), UpstreamError> {
        match tokio::time::timeout(timeout, open(upstream, tls)).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(source)) => Err(UpstreamError::Connect {
                host: authority.to_owned(),
                source,
            }),
            Err(_) => Err(UpstreamError::ConnectTimeout {
                host: authority.to_owned(),
            }),
        }
    }
}

async fn open(upstream: &Upstream, tls: &TlsConnector) -> std::io::Result<(Io, bool)> {
    let host = upstream.host.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, upstream.port_or_default())).await?;
    tcp.set_nodelay(true)?;
    if upstream.scheme == Scheme::Http {
        return Ok((TokioIo::new(Box::new(tcp)), false));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    let tls = tls.connect(name, tcp).await?;
    let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((TokioIo::new(Box::new(tls)), is_h2))
}

impl Pool {
    fn lock_shared(&self) -> std::sync::MutexGuard<'_, Option<http2::SendRequest<RequestBody>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that is open.
    fn take(&self) -> Option<Connected> {
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

    async fn send(
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
pub(super) enum UpstreamBody {
    /// On a connection that this body drives, and gives back when it is whole.
    Own(Box<Own>),
    /// On a connection that others use too.
    Shared(Incoming),
    /// None any more: it was left.
    Left,
}

pub(super) struct Own {
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

fn authority(upstream: &Upstream) -> String {
    match upstream.port {
        Some(port) => format!("{}:{port}", upstream.host),
        None => upstream.host.to_string(),
    }
}

fn whole_uri(
    mut request: Request<RequestBody>,
    upstream: &Upstream,
    authority: &str,
) -> Result<Request<RequestBody>, http::Error> {
    let scheme = match upstream.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path)
        .build()?;
    request.headers_mut().remove(http::header::HOST);
    *request.version_mut() = http::Version::HTTP_2;
    Ok(request)
}

fn path_only(mut request: Request<RequestBody>) -> Result<Request<RequestBody>, http::Error> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    *request.uri_mut() = Uri::builder().path_and_query(path).build()?;
    *request.version_mut() = http::Version::HTTP_11;
    Ok(request)
}
