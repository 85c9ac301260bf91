//! A provider that says what it is told, byte for byte, when it is told.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_tests::harness::{Answer, Bottle, Streamed, System, send, stream};
use bb_tests::provider::{Provider, Script};
use bytes::{Buf as _, BytesMut};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::ways::{Way, within};

/// The head of a streamed answer.
pub(super) const SSE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// How long nothing must come; a charge takes a few milliseconds.
pub(super) const NOTHING: Duration = Duration::from_millis(120);

/// Where the connections of the proxy arrive.
#[derive(Debug)]
pub(super) struct Raw {
    listener: TcpListener,
}

/// A connection of the proxy.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    read: BytesMut,
}

/// A request as its bytes say it.
#[derive(Debug)]
pub(super) struct Received {
    /// The request line and the headers, their names in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// A system whose providers `raw-claude`, `raw-codex` and `raw-gemini` are a [`Raw`]; they take
/// the client's own login.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) system: System,
    pub(super) raw: Raw,
    pub(super) web: Bottle,
}

impl Scene {
    pub(super) async fn start(more: &str) -> Result<Self> {
        let raw = Raw {
            listener: TcpListener::bind("127.0.0.1:0").await?,
        };
        let address = raw.listener.local_addr()?;
        let row =
            |name| format!("  raw-{name}:\n    copies: {name}\n    upstream: http://{address}\n");
        let rows = ["claude", "codex", "gemini"].map(row).concat();
        let provider = Provider::start(Script::default()).await?;
        let system = System::start(&provider, &format!("{rows}{more}")).await?;
        let web = system.bottle("web").await?;
        Ok(Self { system, raw, web })
    }

    fn target(&self, way: &Way) -> String {
        format!("/b/{}/raw-{}{}", self.web.token, way.provider, way.path)
    }

    /// Asks as the bottle; returns once the answer's head is there.
    pub(super) async fn open(&self, way: &Way, headers: &[(&str, &str)]) -> Result<Streamed> {
        let target = self.target(way);
        let opened = stream(
            &self.system.egress,
            Method::POST,
            &target,
            headers,
            way.body,
        );
        within(opened).await?.context(way.name)
    }

    /// Asks as the bottle, and reads the answer to its end.
    pub(super) async fn ask(&self, way: &Way, headers: &[(&str, &str)]) -> Result<Answer> {
        let target = self.target(way);
        let sent = send(
            &self.system.egress,
            Method::POST,
            &target,
            headers,
            way.body,
        );
        within(sent).await?.context(way.name)
    }

    /// Asks as the bottle while the provider answers `bytes` to the request.
    pub(super) async fn ask_and_answer(
        &self,
        way: &Way,
        headers: &[(&str, &str)],
        bytes: &[u8],
    ) -> Result<Answer> {
        let (answer, said) = tokio::join!(self.ask(way, headers), async {
            let (mut connection, request) = self.raw.next().await?;
            assert_eq!(request.body, way.body.as_bytes());
            connection.say(bytes).await
        });
        said?;
        answer
    }
}

impl Raw {
    /// Returns the next connection and its first request.
    pub(super) async fn next(&self) -> Result<(Connection, Received)> {
        let (stream, _) = within(self.listener.accept()).await??;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            read: BytesMut::new(),
        };
        let received = connection.request().await?;
        Ok((connection, received))
    }
}

impl Connection {
    /// Reads a request.
    pub(super) async fn request(&mut self) -> Result<Received> {
        within(self.read_request()).await?
    }

    async fn read_request(&mut self) -> Result<Received> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            let read = self.stream.read_buf(&mut self.read).await?;
            anyhow::ensure!(read > 0, "the connection ended before a request");
        };
        let head = String::from_utf8(self.read.split_to(end).to_vec())?;
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(Ok(0), str::parse)?;
        while self.read.len() < length {
            let read = self.stream.read_buf(&mut self.read).await?;
            anyhow::ensure!(read > 0, "the connection ended within a body");
        }
        let body = self.read.split_to(length).to_vec();
        Ok(Received { head, body })
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(())
    }

    /// Waits for the next frame of a WebSocket, and returns what it holds.
    pub(super) async fn frame(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some((payload, length)) = unmasked(&self.read) {
                self.read.advance(length);
                return Ok(payload);
            }
            let read = within(self.stream.read_buf(&mut self.read)).await??;
            anyhow::ensure!(read > 0, "the proxy has left");
        }
    }

    /// Says a piece of a chunked body.
    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.say(&chunk).await
    }

    /// The same, or nothing where it is empty: that would end the body.
    pub(super) async fn chunk_if_any(&mut self, bytes: &[u8]) -> Result<()> {
        match bytes {
            [] => Ok(()),
            some => self.chunk(some).await,
        }
    }

    /// Ends a chunked body.
    pub(super) async fn last_chunk(&mut self) -> Result<()> {
        self.say(b"0\r\n\r\n").await
    }

    /// Waits until the proxy has left.
    pub(super) async fn left(&mut self) -> Result<()> {
        let gone = async {
            loop {
                self.read.advance(self.read.len());
                match self.stream.read_buf(&mut self.read).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        within(gone).await
    }
}

/// Reads a client's frame; returns what it holds and how long it is, where it is whole.
fn unmasked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (length, head) = match *bytes.get(1)? & 0x7F {
        126 => (
            usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
            4,
        ),
        length => (usize::from(length), 2),
    };
    let mask = bytes.get(head..head + 4)?;
    let payload = bytes.get(head + 4..head + 4 + length)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    Some((
        payload.map(|(byte, mask)| byte ^ mask).collect(),
        head + 4 + length,
    ))
}

/// Reads an answer until so many bytes of it have come.
pub(super) async fn read_bytes(answer: &mut Streamed, count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let next = within(answer.next()).await??;
        let next = next.with_context(|| format!("it ended after {} bytes", bytes.len()))?;
        bytes.extend_from_slice(&next);
    }
    Ok(bytes)
}

/// Reads what comes until nothing does.
pub(super) async fn read_while_it_comes(answer: &mut Streamed) -> Result<String> {
    let mut text = Vec::new();
    loop {
        match tokio::time::timeout(NOTHING, answer.next()).await {
            Err(_) => return Ok(String::from_utf8(text)?),
            Ok(bytes) => text.extend_from_slice(&bytes?.context("it ended")?),
        }
    }
}
