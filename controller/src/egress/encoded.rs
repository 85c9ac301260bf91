//! A client's request as it was before it was encoded: to be read, and where it had to be changed
//! to be encoded again.

use std::borrow::Cow;
use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderMap;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::decoding::{Coding, Encoded, ZSTD_WINDOW_LOG_MAX};

/// Why it is not known what a body stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// It stands for more than a body may have.
    TooLong,
    /// It is none of its coding, or its coding is none that is known.
    Unreadable,
}

/// Returns what a body stands for, of at most `bytes_max`.
pub(super) fn decoded<'b>(
    headers: &HeaderMap,
    body: &'b [u8],
    bytes_max: u64,
) -> Result<Cow<'b, [u8]>, Undecoded> {
    let coding = match Encoded::of(headers) {
        Encoded::Not => return Ok(Cow::Borrowed(body)),
        Encoded::Unknown => return Err(Undecoded::Unreadable),
        Encoded::By(coding) => coding,
    };
    match coding {
        Coding::Gzip => whole(MultiGzDecoder::new(body), bytes_max),
        Coding::Deflate => match whole(ZlibDecoder::new(body), bytes_max) {
            Err(Undecoded::Unreadable) => whole(DeflateDecoder::new(body), bytes_max),
            read => read,
        },
        Coding::Brotli => {
            let decoder = brotli_decompressor::Decompressor::new(body, BUFFER_BYTES);
            whole(decoder, bytes_max)
        }
        Coding::Zstd => {
            let unreadable = |_| Undecoded::Unreadable;
            let mut decoder = ZstdDecoder::new(body).map_err(unreadable)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(unreadable)?;
            whole(decoder, bytes_max)
        }
    }
}

/// The room of a decoder's input, in bytes.
const BUFFER_BYTES: usize = 4 << 10;

fn whole(decoder: impl Read, bytes_max: u64) -> Result<Cow<'static, [u8]>, Undecoded> {
    let mut bytes = Vec::new();
    let mut bounded = decoder.take(bytes_max.saturating_add(1));
    bounded
        .read_to_end(&mut bytes)
        .map_err(|_| Undecoded::Unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Undecoded::TooLong);
    }
    Ok(Cow::Owned(bytes))
}

/// Returns whether a body that is said to be encoded so can be encoded again.
pub(super) fn can_encode(headers: &HeaderMap) -> bool {
    !matches!(
        Encoded::of(headers),
        Encoded::By(Coding::Brotli) | Encoded::Unknown
    )
}

/// Encodes a body as these headers say it is; `None` where this cannot be done.
pub(super) fn encoded(headers: &HeaderMap, body: Vec<u8>) -> Option<Vec<u8>> {
    match Encoded::of(headers) {
        Encoded::Not => Some(body),
        Encoded::By(Coding::Gzip) => gzip(&body).ok(),
        Encoded::By(Coding::Deflate) => zlib(&body).ok(),
        Encoded::By(Coding::Zstd) => zstd::encode_all(&*body, zstd::DEFAULT_COMPRESSION_LEVEL).ok(),
        // There is a decoder of it only, and no client that was tried sends it.
        Encoded::By(Coding::Brotli) | Encoded::Unknown => None,
    }
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn zlib(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_ENCODING, HeaderValue};

    use super::*;

    const BODY: &[u8] = br#"{"model":"gpt-5","stream":true,"messages":[]}"#;
    const BYTES_MAX: u64 = 1_000;

    fn headers(coding: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers
    }

    #[test]
    fn what_was_encoded_again_stands_for_the_same() {
        for coding in ["gzip", "x-gzip", "GZIP", "deflate", "zstd", "identity", ""] {
            let headers = headers(coding);
            let encoded = encoded(&headers, BODY.to_vec()).expect("a coding");
            let decoded = decoded(&headers, &encoded, BYTES_MAX).expect("a coding");
            assert_eq!(decoded, BODY, "{coding}");
        }
        for coding in ["compress", "gzip, br"] {
            assert_eq!(encoded(&headers(coding), BODY.to_vec()), None, "{coding}");
            assert_eq!(
                decoded(&headers(coding), BODY, BYTES_MAX),
                Err(Undecoded::Unreadable),
                "{coding}"
            );
        }
    }

    #[test]
    fn what_stands_for_more_than_a_body_may_have_is_not_read() {
        let blanks = vec![b' '; 1 << 20];
        for coding in ["gzip", "deflate", "zstd"] {
            let headers = headers(coding);
            let bomb = encoded(&headers, blanks.clone()).expect("a coding");
            assert!(bomb.len() < 10_000);
            let short = decoded(&headers, &bomb, BYTES_MAX);
            assert_eq!(short, Err(Undecoded::TooLong), "{coding}");
            assert!(decoded(&headers, &bomb, 1 << 20).is_ok(), "{coding}");
        }
    }

    #[test]
    fn what_is_broken_is_not_read() {
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let read = decoded(&headers(coding), BODY, BYTES_MAX);
            assert_eq!(read, Err(Undecoded::Unreadable), "{coding}");
        }
    }
}
