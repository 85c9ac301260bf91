//! A client's request as it was before it was encoded: to be read, never to be sent.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::header::{self, HeaderMap, HeaderValue};
use ruzstd::decoding::StreamingDecoder;

/// Returns what a body stands for, of at most `bytes_max`.
///
/// `None` where its coding is none that is known, or it is broken, or grows beyond that.
pub(super) fn decoded<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    bytes_max: u64,
) -> Option<Cow<'b, [u8]>> {
    let coding = headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes);
    match coding {
        None | Some(b"" | b"identity") => Some(Cow::Borrowed(body)),
        Some(b"gzip" | b"x-gzip") => whole(MultiGzDecoder::new(body), bytes_max),
        Some(b"zstd") => whole(StreamingDecoder::new(body).ok()?, bytes_max),
        Some(_) => None,
    }
}

fn whole(decoder: impl Read, bytes_max: u64) -> Option<Cow<'static, [u8]>> {
    let mut bytes = Vec::new();
    let mut bounded = decoder.take(bytes_max.saturating_add(1));
    bounded.read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= bytes_max).then_some(Cow::Owned(bytes))
}
