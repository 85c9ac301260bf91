//! One end of a WebSocket, with its limits.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// The longest message of a provider: the last of a response repeats all of it.
const PROVIDER_BYTES_MAX: usize = 128 << 20;
/// The room for what is read at once, and for what waits to be written.
const BUFFER_BYTES: usize = 16 << 10;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Provider,
}

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    Text(Utf8Bytes),
    Binary,
    /// It was closed, by a word or without one.
    Closed(Option<CloseFrame>),
}

/// One end of a WebSocket. Pings are answered here; each end has its own.
#[derive(Debug)]
pub(super) struct Socket<S = TokioIo<Upgraded>> {
    stream: WebSocketStream<S>,
    has_unflushed: bool,
}

/// Makes an end of a connection that was upgraded; a client's message is no longer than a body.
pub(super) async fn socket(upgraded: Upgraded, side: Side, body_max: u64) -> Socket {
    socket_on(TokioIo::new(upgraded), side, body_max).await
}

async fn socket_on<S>(io: S, side: Side, body_max: u64) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (role, longest) = match side {
        Side::Client => (
            Role::Server,
            usize::try_from(body_max).unwrap_or(usize::MAX),
        ),
        Side::Provider => (Role::Client, PROVIDER_BYTES_MAX),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(longest))
        .max_frame_size(Some(longest));
    Socket {
        stream: WebSocketStream::from_raw_socket(io, role, Some(config)).await,
        has_unflushed: false,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Waits for what comes next; nothing is lost where the waiting is given up.
    pub(super) async fn receive(&mut self) -> Received {
        loop {
            if let Some(received) = read(self.stream.next().await) {
                return received;
            }
        }
    }

    /// Returns what has come already.
    pub(super) fn received(&mut self) -> Option<Received> {
        loop {
            if let Some(received) = read(self.stream.next().now_or_never()?) {
                return Some(received);
            }
        }
    }

    /// Sends a message at once.
    pub(super) async fn send(&mut self, text: Utf8Bytes) -> Result<(), tungstenite::Error> {
        self.write(text).await?;
        self.flush().await
    }

    /// Writes a message; it leaves at the next flush, or with others.
    pub(super) async fn write(&mut self, text: Utf8Bytes) -> Result<(), tungstenite::Error> {
        self.has_unflushed = true;
        self.stream.feed(Message::Text(text)).await
    }

    /// Sends what was written.
    pub(super) async fn flush(&mut self) -> Result<(), tungstenite::Error> {
        if self.has_unflushed {
            self.stream.flush().await?;
            self.has_unflushed = false;
        }
        Ok(())
    }

    /// Says that nothing follows.
    pub(super) async fn close(mut self, why: Option<CloseFrame>) {
        if let Err(error) = self.stream.close(why).await {
            tracing::debug!(%error, "the other end of a WebSocket had left");
        }
    }
}

/// Returns what a message is to the session; `None` for what is between the two ends only.
fn read(message: Option<Result<Message, tungstenite::Error>>) -> Option<Received> {
    match message {
        Some(Ok(Message::Text(text))) => Some(Received::Text(text)),
        Some(Ok(Message::Binary(_))) => Some(Received::Binary),
        Some(Ok(Message::Close(why))) => Some(Received::Closed(why)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
        None => Some(Received::Closed(None)),
        Some(Err(error)) => {
            tracing::debug!(%error, "a WebSocket broke off");
            Some(Received::Closed(None))
        }
    }
}

#[cfg(test)]
mod tests;
