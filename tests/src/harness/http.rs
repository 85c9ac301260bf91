//! A client of the egress port that sends what it is told and shows what comes, frame by frame.

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as far as it came.
    pub body: Bytes,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
    /// Whether the body ended well, and did not break off.
    pub is_whole: bool,
}

impl Answer {
    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer that is read as it comes; dropping it closes the connection.
#[derive(Debug)]
pub struct Streamed {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Streamed {
    /// Returns the next bytes, `None` at a good end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads until the text so far holds `needle`; returns that text.
    pub async fn read_until(&mut self, needle: &str) -> anyhow::Result<String> {
        let mut text = BytesMut::new();
        loop {
            let bytes = self.next().await?.with_context(|| {
                format!(
                    "the answer ended before {needle:?}: {}",
                    String::from_utf8_lossy(&text)
                )
            })?;
            text.extend_from_slice(&bytes);
            let so_far = String::from_utf8_lossy(&text);
            if so_far.contains(needle) {
                return Ok(so_far.into_owned());
            }
        }
    }

    /// Reads the rest; returns it, and whether it ended well.
    pub async fn rest(mut self) -> (String, bool) {
        let mut text = BytesMut::new();
        loop {
            match self.next().await {
                Ok(Some(bytes)) => text.extend_from_slice(&bytes),
                end => return (String::from_utf8_lossy(&text).into_owned(), end.is_ok()),
            }
        }
    }
}

/// Sends a request on a connection of its own; returns the answer's head and its body to read.
pub async fn stream(
    address: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Streamed> {
    let tcp = TcpStream::connect(address)
        .await
        .context("connecting to the egress port")?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "aborted when the answer is dropped"
    )]
    let connection = tokio::spawn(async move {
        // What breaks here is seen by who reads the body.
        drop(connection.await);
    });
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender
        .send_request(request.body(Full::new(body.into()))?)
        .await?;
    let (head, body) = response.into_parts();
    Ok(Streamed {
        status: head.status,
        headers: head.headers,
        body,
        connection,
    })
}

/// Sends a request on a connection of its own, and reads the answer to its end.
pub async fn send(
    address: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Answer> {
    let mut streamed = stream(address, method, path, headers, body).await?;
    let (mut bytes, mut trailers, mut is_whole) = (BytesMut::new(), None, true);
    while let Some(frame) = streamed.body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(_) => {
                is_whole = false;
                break;
            }
        }
    }
    Ok(Answer {
        status: streamed.status,
        headers: std::mem::take(&mut streamed.headers),
        body: bytes.freeze(),
        trailers,
        is_whole,
    })
}
