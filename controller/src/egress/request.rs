//! A client's request body, read whole up to its limit, or to be forgotten.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::Egress;

/// How long what a refused client still sends is read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// And how many bytes of it.
const DISCARD_BYTES_MAX: usize = 64 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is longer than the limit.
    TooLong,
    /// The client went away, or sent what is no body.
    Broken(hyper::Error),
}

/// Reads a body whole.
pub(super) async fn read_whole(body: &mut Incoming, body_max: u64) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > body_max {
        return Err(Unread::TooLong);
    }
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    let mut len: u64 = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else {
            continue;
        };
        len += data.len() as u64;
        if len > body_max {
            return Err(Unread::TooLong);
        }
        match &mut rest {
            // Most bodies come in one frame, which then needs no copy.
            None if first.is_empty() => first = data,
            None => {
                let expected = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                let mut whole = BytesMut::with_capacity(first.len() + data.len() + expected);
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&data);
                rest = Some(whole);
            }
            Some(whole) => whole.extend_from_slice(&data),
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

/// Returns whether a client waits to be told to go on: refused, it sends nothing.
pub(super) fn waits_to_send(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

impl Egress {
    /// Reads what a refused client is still sending: clients send all they have before they look
    /// for an answer, and would find the connection broken instead.
    pub(super) fn discard(&self, mut body: Incoming, waits_to_send: bool) {
        if body.is_end_stream() || waits_to_send {
            return;
        }
        self.shared.tracker.spawn(async move {
            let read = async {
                let mut left = DISCARD_BYTES_MAX;
                while let Some(Ok(frame)) = body.frame().await {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    let Some(rest) = left.checked_sub(len) else {
                        break;
                    };
                    left = rest;
                }
            };
            if tokio::time::timeout(DISCARD_TIMEOUT, read).await.is_err() {
                tracing::debug!("a refused client sends on");
            }
        });
    }
}
