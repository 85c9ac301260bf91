//! The egress port: accepts connections, serves HTTP on each, drains at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Egress;
use super::exchange::answer;

/// The most connections that are open at once.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to send its headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest list of headers over HTTP/2, in bytes.
const HEAD_BYTES_MAX: u32 = 64 << 10;
/// The most bytes of a connection that are buffered: a head is refused above it.
const BUFFER_BYTES_MAX: usize = 256 << 10;
/// How long accepting rests after it failed, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that is bound; several threads may serve it.
#[derive(Debug)]
pub struct Listener {
    tcp: std::net::TcpListener,
    permits: Arc<Semaphore>,
}

impl Listener {
    /// Binds the port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            tcp: TcpListener::bind(address).await?.into_std()?,
            permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Returns where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Returns the same port for another thread: a connection goes to the one that is first.
    pub(super) fn share(&self) -> io::Result<Self> {
        Ok(Self {
            tcp: self.tcp.try_clone()?,
            permits: Arc::clone(&self.permits),
        })
    }

    /// Serves until `stopping` turns true, then lets what is open end.
    ///
    /// Returns when the last connection is closed; the caller bounds how long that may take.
    pub(super) async fn serve(
        self,
        egress: Egress,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let tcp = TcpListener::from_std(self.tcp)?;
        tokio::select! {
            () = accept_all(tcp, &self.permits, &egress, stopping) => {}
            () = egress.enforce_cuts() => {}
        }
        Ok(())
    }
}

async fn accept_all(
    tcp: TcpListener,
    permits: &Arc<Semaphore>,
    egress: &Egress,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let server = server();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&tcp, permits) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Some((stream, permit)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = {
            let egress = egress.clone();
            service_fn(move |request| {
                // Boxed: a connection keeps the room of its service for as long as it lives.
                let answering = Box::pin(answer(egress.clone(), request));
                async move { Ok::<_, Infallible>(answering.await) }
            })
        };
        let connection = server
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        egress.shared.tracker.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client's connection ended");
            }
            drop(permit);
        });
    }
    drop(tcp);
    graceful.shutdown().await;
}

/// Accepts a connection once there is room for one.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a client left before it was served");
                return None;
            }
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            None
        }
    }
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX);
    server
}
