//! A blocking client of the control socket.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Stream};

use crate::error::{ErrorCode, RpcError};
use crate::event::EventNotification;
use crate::frame::{Id, Line, LineBuffer, NotificationLine, RequestLine, ResponseLine, Version};
use crate::request::Method;

/// How long a call waits for its answer unless it is told otherwise.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no controller answers at {path}")]
    NotReachable {
        /// The socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or no answer came in time.
    #[error("the controller's connection broke: {0}")]
    Broken(#[source] io::Error),
    /// What came back is no answer of ours.
    #[error("the controller answered what is no answer: {0}")]
    Malformed(String),
    /// The controller refused.
    #[error(transparent)]
    Refused(#[from] RpcError),
}

/// A connection to the controller.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    buffer: LineBuffer,
    next_id: i64,
}

impl Client {
    /// Connects to a controller's socket.
    ///
    /// Fails with [`ClientError::NotReachable`] where nobody listens.
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        let unreachable = |source| ClientError::NotReachable {
            path: socket.display().to_string(),
            source,
        };
        let name = socket
            .to_fs_name::<GenericFilePath>()
            .map_err(unreachable)?;
        let stream = ConnectOptions::new()
            .name(name)
            .connect_sync()
            .map_err(unreachable)?;
        let client = Self {
            stream,
            buffer: LineBuffer::default(),
            next_id: 1,
        };
        client.set_timeout(ANSWER_TIMEOUT)?;
        Ok(client)
    }

    /// Sets how long a call waits for its answer.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), ClientError> {
        self.stream
            .set_recv_timeout(Some(timeout))
            .map_err(ClientError::Broken)?;
        self.stream
            .set_send_timeout(Some(timeout))
            .map_err(ClientError::Broken)
    }

    /// Calls a method and waits for its reply.
    ///
    /// Notifications that come in between are dropped; use a connection of its own to watch.
    pub fn call<M: Method>(&mut self, params: &M) -> Result<M::Reply, ClientError> {
        let malformed = |error: serde_json::Error| ClientError::Malformed(error.to_string());
        let id = self.next_id;
        self.next_id += 1;
        let request = RequestLine {
            jsonrpc: Version::V2,
            id: Some(Id::Number(id)),
            method: M::NAME.to_owned(),
            params: Some(serde_json::value::to_raw_value(params).map_err(malformed)?),
        };
        let mut line = serde_json::to_vec(&request).map_err(malformed)?;
        line.push(b'\n');
        if let Err(error) = self.stream.write_all(&line) {
            return Err(self.turned_away().unwrap_or(ClientError::Broken(error)));
        }
        loop {
            let line = self.read_line()?;
            if serde_json::from_slice::<NotificationLine>(&line).is_ok() {
                continue;
            }
            let response: ResponseLine = serde_json::from_slice(&line).map_err(malformed)?;
            if response.id.is_some() && response.id != Some(Id::Number(id)) {
                continue;
            }
            return match (response.result, response.error) {
                (_, Some(error)) => Err(ClientError::Refused(error)),
                (Some(result), None) => serde_json::from_str(result.get()).map_err(malformed),
                (None, None) => Err(ClientError::Malformed(
                    "neither result nor error".to_owned(),
                )),
            };
        }
    }

    /// Returns why the controller let us go before it read anything, where it said so.
    fn turned_away(&mut self) -> Option<ClientError> {
        let line = self.read_line().ok()?;
        let response: ResponseLine = serde_json::from_slice(&line).ok()?;
        response.error.map(ClientError::Refused)
    }

    /// Waits for the next event after `events.watch` was called on this connection.
    ///
    /// Returns `None` where none came within the timeout.
    pub fn next_event(&mut self) -> Result<Option<EventNotification>, ClientError> {
        loop {
            let line = match self.read_line() {
                Ok(line) => line,
                Err(ClientError::Broken(error))
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let Ok(notification) = serde_json::from_slice::<NotificationLine>(&line) else {
                continue;
            };
            return serde_json::from_str(notification.params.get())
                .map(Some)
                .map_err(|error| ClientError::Malformed(error.to_string()));
        }
    }

    fn read_line(&mut self) -> Result<Vec<u8>, ClientError> {
        loop {
            match self.buffer.next_line() {
                Some(Line::Whole(line)) => return Ok(line),
                Some(Line::TooLong) => {
                    return Err(ClientError::Refused(RpcError::new(
                        ErrorCode::LineTooLong,
                        "the controller sent a line that is too long",
                    )));
                }
                None => {}
            }
            let mut chunk = [0; 16 * 1024];
            let read = loop {
                match self.stream.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(ClientError::Broken)?,
                }
            };
            if read == 0 {
                return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            self.buffer.extend(chunk.get(..read).unwrap_or(&chunk));
        }
    }
}
