//! One client's connection: lines in, lines out, events between them.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Event, EventNotification};
use bb_proto::frame::{
    Id, LINE_BYTES_MAX, Line, LineBuffer, NotificationLine, RequestLine, ResponseLine, Version,
};
use bb_proto::request::Call;
use interprocess::local_socket::tokio::Stream;
use rustix::event::{PollFd, PollFlags};
use rustix::time::Timespec;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::Api;
use super::methods::reply;

/// A client that does not take its lines for so long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether a client whose call waits for room is still there.
const GONE_LOOK: Duration = Duration::from_millis(100);

pub(super) struct Session {
    api: Api,
    uid: u32,
    stopping: watch::Receiver<bool>,
    watching: Option<Watch>,
    /// The client's connection, where a call waits for as long as it is there.
    peer: Option<OwnedFd>,
}

/// The events that a client asked for.
struct Watch {
    events: broadcast::Receiver<Event>,
    /// The number of the last event that is not sent.
    after: u64,
}

/// What woke the session.
enum Woken {
    Read(std::io::Result<usize>),
    Event(Result<Event, RecvError>),
    Stopping,
}

impl Session {
    pub(super) fn new(api: Api, uid: u32, stopping: watch::Receiver<bool>) -> Self {
        Self {
            api,
            uid,
            stopping,
            watching: None,
            peer: None,
        }
    }

    pub(super) async fn run(mut self, stream: Stream) {
        let Stream::UdSocket(socket) = &stream;
        self.peer = socket.as_fd().try_clone_to_owned().ok();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = LineBuffer::default();
        let mut chunk = vec![0; 16 << 10];
        let mut lost = 0;
        loop {
            // Reading from a socket and from a broadcast are both cancel-safe.
            let woken = tokio::select! {
                read = reader.read(&mut chunk) => Woken::Read(read),
                event = next_event(&mut self.watching) => Woken::Event(event),
                _ = self.stopping.wait_for(|stopping| *stopping) => Woken::Stopping,
            };
            match woken {
                Woken::Stopping
                | Woken::Read(Err(_) | Ok(0))
                | Woken::Event(Err(RecvError::Closed)) => return,
                Woken::Event(Err(RecvError::Lagged(missed))) => lost += missed,
                Woken::Event(Ok(event)) => {
                    let notification = EventNotification {
                        event,
                        lost: std::mem::take(&mut lost),
                    };
                    if !write(&mut writer, notification_line(&notification)).await {
                        return;
                    }
                }
                Woken::Read(Ok(read)) => {
                    buffer.extend(chunk.get(..read).unwrap_or(&chunk));
                    while let Some(line) = buffer.next_line() {
                        let Some(answer) = self.answer_line(line).await else {
                            continue;
                        };
                        if !write(&mut writer, answer).await {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Answers a line; a notification and a blank line get none.
    async fn answer_line(&mut self, line: Line) -> Option<Vec<u8>> {
        let line = match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => return None,
            Line::Whole(line) => line,
            Line::TooLong => {
                let error = RpcError::new(
                    ErrorCode::LineTooLong,
                    format!("a line of more than {LINE_BYTES_MAX} bytes"),
                );
                return Some(response_line(None, Err(error)));
            }
        };
        let request: RequestLine = match parse(&line) {
            Ok(request) => request,
            Err((id, error)) => return Some(response_line(id, Err(error))),
        };
        let result = match Call::parse(&request.method, request.params.as_deref()) {
            Ok(call) => self.call(call).await,
            Err(error) => Err(error),
        };
        request.id.map(|id| response_line(Some(id), result))
    }

    async fn call(&mut self, call: Call) -> Result<Box<RawValue>, RpcError> {
        if matches!(call, Call::CallReserve(_)) {
            return self.reserve(call).await;
        }
        if !matches!(call, Call::EventsWatch(_)) {
            return self.api.call(call, self.uid).await;
        }
        // Subscribed before the number is asked for, so that no event falls between the two.
        let events = self.api.parts().ledger.events();
        let watching = self.api.events_watch().await?;
        let after = watching.after;
        self.watching = Some(Watch { events, after });
        reply(Ok(watching))
    }
}

impl Session {
    /// Asks for a call to be admitted, as long as somebody waits for the answer.
    ///
    /// Letting go of the question takes the call back.
    async fn reserve(&mut self, call: Call) -> Result<Box<RawValue>, RpcError> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            reply = self.api.call(call, self.uid) => reply,
            () = gone(self.peer.as_ref()) => {
                Err(RpcError::new(ErrorCode::Internal, "nobody waits for the answer"))
            }
            _ = stopping.wait_for(|stopping| *stopping) => {
                Err(RpcError::new(ErrorCode::ShuttingDown, "the controller is ending"))
            }
        }
    }
}

/// Waits until a client has closed its connection; one that only says no more is still there.
async fn gone(peer: Option<&OwnedFd>) {
    let Some(peer) = peer else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(GONE_LOOK).await;
        let mut looked = [PollFd::new(peer, PollFlags::empty())];
        let at_once = Timespec::default();
        let is_gone = rustix::event::poll(&mut looked, Some(&at_once)).is_ok_and(|found| found > 0);
        if is_gone {
            return;
        }
    }
}

/// Tells a client that is one too many why it is let go.
pub(super) async fn turn_away(mut stream: Stream, error: RpcError) {
    write(&mut stream, response_line(None, Err(error))).await;
}

async fn next_event(watching: &mut Option<Watch>) -> Result<Event, RecvError> {
    let Some(watch) = watching else {
        return std::future::pending().await;
    };
    loop {
        let event = watch.events.recv().await?;
        if event.seq > watch.after {
            return Ok(event);
        }
    }
}

/// Writes a line; returns whether the client took it.
async fn write(writer: &mut (impl AsyncWrite + Unpin), mut line: Vec<u8>) -> bool {
    line.push(b'\n');
    match tokio::time::timeout(WRITE_TIMEOUT, writer.write_all(&line)).await {
        Ok(Ok(())) => true,
        Ok(Err(_)) => false,
        Err(_) => {
            tracing::warn!("a client was dropped: it does not read");
            false
        }
    }
}

fn parse(line: &[u8]) -> Result<RequestLine, (Option<Id>, RpcError)> {
    serde_json::from_slice(line).map_err(|error| {
        let value: Result<serde_json::Value, _> = serde_json::from_slice(line);
        match value {
            Err(_) => (
                None,
                RpcError::new(ErrorCode::ParseError, format!("no JSON: {error}")),
            ),
            Ok(value) => {
                let id = value
                    .get("id")
                    .and_then(|id| serde_json::from_value(id.clone()).ok());
                let error = RpcError::new(
                    ErrorCode::InvalidRequest,
                    format!("no JSON-RPC request: {error}"),
                )
                .with_hint(r#"send {"jsonrpc":"2.0","id":1,"method":"hello","params":{}}"#);
                (id, error)
            }
        }
    })
}

fn response_line(id: Option<Id>, result: Result<Box<RawValue>, RpcError>) -> Vec<u8> {
    let (result, error) = match result {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let response = ResponseLine {
        jsonrpc: Version::V2,
        id: id.clone(),
        result,
        error,
    };
    let line = serialize(&response);
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let error = RpcError::new(
        ErrorCode::LineTooLong,
        "the answer is longer than a line may be",
    )
    .with_hint("ask for fewer rows with limit, or for snapshot, which comes in parts");
    serialize(&ResponseLine {
        jsonrpc: Version::V2,
        id,
        result: None,
        error: Some(error),
    })
}

fn notification_line(notification: &EventNotification) -> Vec<u8> {
    match to_raw_value(notification) {
        Ok(params) => serialize(&NotificationLine {
            jsonrpc: Version::V2,
            method: "event".to_owned(),
            params,
        }),
        Err(error) => {
            tracing::error!(%error, "an event could not be said");
            Vec::new()
        }
    }
}

fn serialize<T: Serialize>(line: &T) -> Vec<u8> {
    serde_json::to_vec(line).unwrap_or_else(|error| {
        tracing::error!(%error, "a line could not be said");
        Vec::new()
    })
}
