//! The least a proxy can be: CONNECT to one host is carried to an address, others are refused.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A CONNECT that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) host: String,
    pub(super) authorization: Option<String>,
}

/// A running relay; dropping it stops it.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Ask>>>,
    _stop: DropGuard,
}

impl Relay {
    pub(super) async fn start(host: &'static str, to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Ask>>>::default();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (asked, stopped, connections) = (Arc::clone(&seen), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let (asked, stopped) = (Arc::clone(&asked), stopped.clone());
                connections.spawn(async move {
                    let carried = carry(stream, host, to, &asked);
                    let _ended = stopped.run_until_cancelled(carried).await;
                });
            }
        });
        Self {
            address,
            seen,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn seen(&self) -> Vec<Ask> {
        self.seen.lock().unwrap().clone()
    }
}

async fn carry(
    stream: TcpStream,
    known: &str,
    to: SocketAddr,
    seen: &Mutex<Vec<Ask>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await? > 2 {}
    let target = head.split(' ').nth(1).unwrap_or_default();
    let host = target.split(':').next().unwrap_or_default().to_owned();
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization")
            .then(|| value.to_owned())
    });
    let carried = host == known;
    seen.lock().unwrap().push(Ask {
        host,
        authorization,
    });
    if !carried {
        return stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            .await;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut upstream = TcpStream::connect(to).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut upstream).await?;
    Ok(())
}
