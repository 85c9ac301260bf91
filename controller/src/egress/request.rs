//! A client's request body, read whole up to its limit.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is longer than the limit.
    TooLong,
    /// The client went away, or sent what is no body.
    Broken(hyper::Error),
}

/// Reads a body whole.
pub(super) async fn read_whole(mut body: Incoming, body_max: u64) -> Result<Bytes, Unread> {
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
