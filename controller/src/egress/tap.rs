//! The meter beside the stream: reads the bytes that pass, decoded where they are encoded.

use std::io::{self, Write};

use bb_core::estimate::Known;
use bb_core::meter::{Framing, Meter, Quirks};
use bb_proto::usage::{Usage, Wire};
use brotli_decompressor::DecompressorWriter as BrotliDecoder;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{self, HeaderMap, HeaderValue};

/// The most bytes that an encoded answer is decoded to; beyond it the rest is not read.
const DECODED_BYTES_MAX: u64 = 256 << 20;
/// So many bytes may be decoded of however few.
const DECODED_BYTES_FREE: u64 = 1 << 20;
/// The most bytes that one encoded byte may become, beyond that.
const RATIO_MAX: u64 = 200;

/// The room of a decoder's output between two writes, in bytes.
const BROTLI_BUFFER_BYTES: usize = 4 << 10;

/// What the bytes just read mean for those that pass.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// From here on bytes wait for the settlement.
    pub(super) hold_at: Option<usize>,
    /// Behind the last event that these bytes complete.
    pub(super) boundary: Option<usize>,
}

/// A meter and how to reach what it reads.
pub(crate) struct Tap {
    meter: Meter,
    coding: Coding,
    raw_bytes: u64,
    decoded_bytes: u64,
}

enum Coding {
    Identity,
    Gzip(Box<GzDecoder<Decoded>>),
    Deflate(Box<ZlibDecoder<Decoded>>),
    Brotli(Box<BrotliDecoder<Decoded>>),
    /// Not read: another coding, a broken one, or one that grows too much.
    Opaque,
}

/// What a decoder gives out, as far as there is room for it: a few bytes may stand for gigabytes.
#[derive(Debug, Default)]
struct Decoded {
    bytes: Vec<u8>,
    room: usize,
}

impl Decoded {
    /// Takes what is there.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
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

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap")
            .field("raw_bytes", &self.raw_bytes)
            .finish_non_exhaustive()
    }
}

impl Tap {
    /// Makes the tap of an answer with these headers; what they call JSON is an array of chunks
    /// where the request asked for one.
    pub(crate) fn new(
        wire: Wire,
        headers: &HeaderMap,
        quirks: Quirks,
        choices: u32,
        is_array: bool,
    ) -> Self {
        let coding = headers
            .get(header::CONTENT_ENCODING)
            .map(HeaderValue::as_bytes);
        let coding = match coding {
            None | Some(b"" | b"identity") => Coding::Identity,
            Some(b"gzip" | b"x-gzip") => Coding::Gzip(Box::new(GzDecoder::new(Decoded::default()))),
            Some(b"deflate") => Coding::Deflate(Box::new(ZlibDecoder::new(Decoded::default()))),
            Some(b"br") => Coding::Brotli(Box::new(BrotliDecoder::new(
                Decoded::default(),
                BROTLI_BUFFER_BYTES,
            ))),
            Some(_) => Coding::Opaque,
        };
        let framing = match framing(headers) {
            Some(Framing::Json) if is_array => Some(Framing::JsonArray),
            framing => framing,
        };
        Self {
            meter: Meter::new(wire, framing, quirks, choices),
            coding,
            raw_bytes: 0,
            decoded_bytes: 0,
        }
    }

    /// Reads bytes as they pass.
    pub(crate) fn read(&mut self, chunk: &[u8]) -> Reading {
        self.raw_bytes += chunk.len() as u64;
        let room = self.room();
        let decoded = match &mut self.coding {
            Coding::Identity => {
                let step = self.meter.read(chunk);
                return Reading {
                    hold_at: step.hold_at,
                    boundary: step.boundary,
                };
            }
            Coding::Opaque => return Reading::default(),
            Coding::Gzip(decoder) => {
                decoder.get_mut().room = room;
                decode(decoder, chunk).map(|()| decoder.get_mut().take())
            }
            Coding::Deflate(decoder) => {
                decoder.get_mut().room = room;
                decode(decoder, chunk).map(|()| decoder.get_mut().take())
            }
            Coding::Brotli(decoder) => {
                decoder.get_mut().room = room;
                decode(decoder, chunk).map(|()| decoder.get_mut().take())
            }
        };
        let ends = match decoded {
            Ok(decoded) => self.read_decoded(&decoded),
            Err(error) => {
                tracing::warn!(%error, "an encoded answer cannot be decoded: estimated");
                self.coding = Coding::Opaque;
                false
            }
        };
        // Where in encoded bytes the last event begins cannot be said: all of them wait.
        Reading {
            hold_at: ends.then_some(0),
            boundary: None,
        }
    }

    /// Returns how much more may be decoded of what came so far.
    fn room(&self) -> usize {
        let most = self.raw_bytes.saturating_mul(RATIO_MAX);
        let most = most.clamp(DECODED_BYTES_FREE, DECODED_BYTES_MAX);
        usize::try_from(most.saturating_sub(self.decoded_bytes)).unwrap_or(usize::MAX)
    }

    /// Returns whether the event that ends the message is in it.
    fn read_decoded(&mut self, decoded: &[u8]) -> bool {
        self.decoded_bytes += decoded.len() as u64;
        self.meter.read(decoded).hold_at.is_some()
    }

    /// The answer ended.
    pub(crate) fn finish(&mut self) {
        let rest = match std::mem::replace(&mut self.coding, Coding::Opaque) {
            Coding::Gzip(decoder) => decoder.finish().unwrap_or_default().bytes,
            Coding::Deflate(decoder) => decoder.finish().unwrap_or_default().bytes,
            Coding::Brotli(decoder) => decoder.into_inner().unwrap_or_default().bytes,
            Coding::Identity => {
                self.coding = Coding::Identity;
                Vec::new()
            }
            Coding::Opaque => Vec::new(),
        };
        if !rest.is_empty() {
            self.meter.read(&rest);
        }
        self.meter.finish();
    }

    /// Returns what is known of the answer's tokens by now.
    pub(crate) fn known(&self) -> Known {
        let flowed = self.meter.flowed_bytes();
        let seen = flowed.text.saturating_add(flowed.reasoning);
        let opaque = matches!(self.coding, Coding::Opaque) && !self.meter.usage().is_stated();
        Known {
            stated: self.meter.usage(),
            complete: self.meter.is_complete(),
            flowed_bytes: if opaque {
                seen.max(self.raw_bytes)
            } else {
                seen
            },
            reasoning_bytes: flowed.reasoning,
        }
    }

    /// Returns what other models than the answer's own used.
    pub(crate) fn other_models(&self) -> &[(String, Usage)] {
        self.meter.other_models()
    }

    /// Returns whether the provider reported an error within the answer.
    pub(super) fn failed(&self) -> bool {
        self.meter.failed()
    }

    /// Returns how many bytes of generated text have passed.
    pub(super) fn flowed_bytes(&self) -> u64 {
        let flowed = self.meter.flowed_bytes();
        flowed.text.saturating_add(flowed.reasoning)
    }

    /// Returns whether the provider stated anything yet.
    pub(super) fn is_stated(&self) -> bool {
        self.meter.usage().is_stated()
    }

    /// Returns whether the bytes so far end between two events.
    pub(super) fn is_at_boundary(&self) -> bool {
        matches!(self.coding, Coding::Identity) && self.meter.at_boundary()
    }

    /// Returns whether the bytes that pass are those that the meter reads.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// Returns the bytes that end the answer in its dialect behind the last boundary.
    pub(super) fn ending(&self, sentence: &str) -> Option<Vec<u8>> {
        match self.coding {
            Coding::Identity => self.meter.ending(sentence),
            _ => None,
        }
    }

    /// The same for a client from whom the end was held back.
    pub(super) fn ending_before_held(&self, sentence: &str) -> Option<Vec<u8>> {
        match self.coding {
            Coding::Identity => self.meter.ending_before_held(sentence),
            _ => None,
        }
    }
}

/// Returns how an answer with these headers is laid out; `None` where they do not say.
pub(super) fn framing(headers: &HeaderMap) -> Option<Framing> {
    let value = headers.get(header::CONTENT_TYPE);
    Framing::from_content_type(value.and_then(|value| value.to_str().ok()))
}

/// Decodes bytes; flushed, since what was decoded is else given out with the next bytes only.
fn decode(decoder: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    decoder.write_all(chunk)?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of 11 and 5 tokens, in brotli.
    const MESSAGE: &[&str] = &[
        "1b9500288cc374a33d7f84708d2619c1f2c81f2cc8280830d846dd9a45a7abaf4e0ed8af59456f5f",
        "102612b0663ba4e586314ae4c83be6abbd44272ab6ac57a0c32b845b45003b1191a7bc581f038c56",
        "36eb131f4711ccbb06f31f",
    ];
    /// The same with 64 MiB of blanks for a text.
    const BOMB: &[&str] = &[
        "cbffff3f088cd462cd19eed422205b7b8b45c7636cec2bf9ca67edcb63ec9a72c8b5a6dc7e65861b",
        "1d2f620f485f78ff57c4ffff3ff82500e2b00840f7fe8fffff7ff04b00c4610180eefd1fffffffe0",
        "970088c30200ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e0b0074effff8ffff07bf",
        "04401c1600e8defff1ffff0f7e0980382c00d0bdff0b3200fc466ab1e64c6752b7a5befcf2b72e26",
        "8308bfe09e64a1d34668b24a542a84ccf0a0615898c0f5b1f33627ebac7c7043351912",
    ];

    fn bytes(lines: &[&str]) -> Vec<u8> {
        let digits = lines.concat();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn brotli() -> Tap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        let wire = Wire::AnthropicMessages;
        Tap::new(wire, &headers, Quirks::default(), 1, false)
    }

    #[test]
    fn brotli_is_metered_at_any_cut() {
        let encoded = bytes(MESSAGE);
        for step in 1..=encoded.len() {
            let mut tap = brotli();
            for chunk in encoded.chunks(step) {
                tap.read(chunk);
            }
            tap.finish();
            let known = tap.known();
            let stated = (known.stated.input, known.stated.output);
            assert_eq!(
                (stated, known.complete),
                ((Some(11), Some(5)), true),
                "{step}"
            );
        }
    }

    #[test]
    fn a_few_bytes_that_stand_for_megabytes_are_not_decoded() {
        let encoded = bytes(BOMB);
        assert!(encoded.len() < 200);
        let mut tap = brotli();
        tap.read(&encoded);
        tap.finish();
        assert!(matches!(tap.coding, Coding::Opaque));
        assert_eq!(tap.decoded_bytes, 0);
        let known = tap.known();
        assert_eq!((known.stated.is_stated(), known.complete), (false, false));
        assert_eq!(known.flowed_bytes, encoded.len() as u64);
    }
}
