//! Connections to providers: opened, kept, reused.
//!
//! An HTTP/1 connection is driven by the task that uses it, so that a burst of events costs no
//! wake-ups between tasks. HTTP/2 connections are shared and have a task of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bb_core::provider::{Scheme, Upstream};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::body::RequestBody;

mod pool;

pub(super) use pool::UpstreamBody;

use pool::{Connected, H1, Io, Pool};

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
