//! Encoded answers, decoded on the side as their bytes pass, and only as far as they do not grow
//! without measure.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter as BrotliDecoder;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{self, HeaderValue};
use zstd::stream::write::Decoder as ZstdDecoder;

/// The most bytes that an answer is decoded to; beyond it the rest is not read.
const DECODED_BYTES_MAX: u64 = 256 << 20;
/// So many bytes may be decoded of however few.
const DECODED_BYTES_FREE: u64 = 1 << 20;
/// The most bytes that one encoded byte may become, beyond that.
const RATIO_MAX: u64 = 200;
/// The most bytes that are decoded at once, of one piece of an answer.
const AT_ONCE_MAX: usize = 8 << 20;
/// The room of a decoder's output between two writes, in bytes.
const BROTLI_BUFFER_BYTES: usize = 4 << 10;
/// The largest window of zstd, as a power of two: what RFC 9659 allows in HTTP.
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A coding of a message's bytes that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What the headers of a message say of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoded {
    /// They are as they are.
    Not,
    By(Coding),
    /// In a coding that is not known, or in more than one.
    Unknown,
}

impl Encoded {
    /// Reads a message's `content-encoding`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let first = values.next().map(HeaderValue::as_bytes).unwrap_or_default();
        if values.next().is_some() {
            return Self::Unknown;
        }
        match first.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Self::Not,
            b"gzip" | b"x-gzip" => Self::By(Coding::Gzip),
            b"deflate" => Self::By(Coding::Deflate),
            b"br" => Self::By(Coding::Brotli),
            b"zstd" => Self::By(Coding::Zstd),
            _ => Self::Unknown,
        }
    }
}

/// A decoder that is fed what comes.
pub(super) struct Decoder {
    inner: Inner,
    raw_bytes: u64,
    decoded_bytes: u64,
}

enum Inner {
    /// Deflate comes with a header of zlib, and from some without: the first byte tells.
    Deflate,
    Begun(Box<dyn Decode>),
}

/// What a decoder gives out, as far as there is room for it: a few bytes may stand for gigabytes.
#[derive(Debug, Default)]
struct Decoded {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Decoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.room.checked_sub(bytes.len());
        self.room = left.ok_or_else(|| io::Error::other("it grows too much when decoded"))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A decoder of any coding.
trait Decode: Write + Send {
    fn decoded(&mut self) -> &mut Decoded;

    /// Gives out what is left at the end.
    fn end(self: Box<Self>) -> Vec<u8>;
}

macro_rules! decodes {
    ($decoder:ty, $ended:ident => $end:expr) => {
        impl Decode for $decoder {
            fn decoded(&mut self) -> &mut Decoded {
                self.get_mut()
            }

            fn end(self: Box<Self>) -> Vec<u8> {
                let $ended = self;
                $end
            }
        }
    };
}

decodes!(MultiGzDecoder<Decoded>, it => it.finish().unwrap_or_default().bytes);
decodes!(ZlibDecoder<Decoded>, it => it.finish().unwrap_or_default().bytes);
decodes!(DeflateDecoder<Decoded>, it => it.finish().unwrap_or_default().bytes);
decodes!(BrotliDecoder<Decoded>, it => it.into_inner().unwrap_or_default().bytes);
decodes!(ZstdDecoder<'static, Decoded>, it => it.into_inner().bytes);

impl Decoder {
    /// Makes a decoder; `None` where there is no memory for one.
    pub(super) fn new(coding: Coding) -> Option<Self> {
        let out = Decoded::default();
        let inner: Box<dyn Decode> = match coding {
            Coding::Gzip => Box::new(MultiGzDecoder::new(out)),
            Coding::Deflate => return Some(Self::of(Inner::Deflate)),
            Coding::Brotli => Box::new(BrotliDecoder::new(out, BROTLI_BUFFER_BYTES)),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new(out).ok()?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).ok()?;
                Box::new(decoder)
            }
        };
        Some(Self::of(Inner::Begun(inner)))
    }

    fn of(inner: Inner) -> Self {
        Self {
            inner,
            raw_bytes: 0,
            decoded_bytes: 0,
        }
    }

    /// Returns what the next bytes stand for, as far as they are of the coding and do not stand
    /// for too much, and what was wrong with the rest.
    pub(super) fn decode(&mut self, chunk: &[u8]) -> (Vec<u8>, Option<io::Error>) {
        self.raw_bytes += chunk.len() as u64;
        let room = self.room();
        let Some(inner) = self.begun(chunk) else {
            return (Vec::new(), None);
        };
        inner.decoded().room = room;
        // Flushed, since what was decoded is else given out with the next bytes only.
        let fault = inner.write_all(chunk).and_then(|()| inner.flush()).err();
        let decoded = std::mem::take(&mut inner.decoded().bytes);
        self.decoded_bytes += decoded.len() as u64;
        (decoded, fault)
    }

    fn begun(&mut self, chunk: &[u8]) -> Option<&mut Box<dyn Decode>> {
        if matches!(self.inner, Inner::Deflate) {
            // The lower half of a zlib header's first byte is the method, of which there is one.
            let has_header = *chunk.first()? & 0x0F == 8;
            self.inner = Inner::Begun(if has_header {
                Box::new(ZlibDecoder::new(Decoded::default()))
            } else {
                Box::new(DeflateDecoder::new(Decoded::default()))
            });
        }
        match &mut self.inner {
            Inner::Begun(inner) => Some(inner),
            Inner::Deflate => None,
        }
    }

    /// Returns how much more may be decoded of what came so far.
    fn room(&self) -> usize {
        let most = self.raw_bytes.saturating_mul(RATIO_MAX);
        let most = most.clamp(DECODED_BYTES_FREE, DECODED_BYTES_MAX);
        let left = most.saturating_sub(self.decoded_bytes);
        usize::try_from(left).map_or(AT_ONCE_MAX, |left| left.min(AT_ONCE_MAX))
    }

    /// Returns what is left at the end.
    pub(super) fn finish(self) -> Vec<u8> {
        match self.inner {
            Inner::Begun(inner) => inner.end(),
            Inner::Deflate => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
