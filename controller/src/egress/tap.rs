//! The meter beside the stream: reads the bytes that pass, decoded where they are encoded.

use std::io::Write;

use bb_core::estimate::Known;
use bb_core::meter::{Framing, Meter, Quirks};
use bb_proto::usage::Wire;
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{self, HeaderMap, HeaderValue};

/// The most bytes that an encoded answer is decoded to; beyond it the rest is not read.
const DECODED_BYTES_MAX: u64 = 256 << 20;
/// The most bytes that one encoded byte may become.
const RATIO_MAX: u64 = 200;

/// What the bytes just read mean for those that pass.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// From here on bytes wait for the settlement.
    pub(super) hold_at: Option<usize>,
    /// Behind the last event that these bytes complete.
    pub(super) boundary: Option<usize>,
}

/// A meter and how to reach what it reads.
pub(super) struct Tap {
    meter: Meter,
    coding: Coding,
    raw_bytes: u64,
    decoded_bytes: u64,
}

enum Coding {
    Identity,
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate(Box<ZlibDecoder<Vec<u8>>>),
    /// Not read: another coding, a broken one, or one that grows too much.
    Opaque,
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
    pub(super) fn new(
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
            Some(b"gzip" | b"x-gzip") => Coding::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            Some(b"deflate") => Coding::Deflate(Box::new(ZlibDecoder::new(Vec::new()))),
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
    pub(super) fn read(&mut self, chunk: &[u8]) -> Reading {
        self.raw_bytes += chunk.len() as u64;
        let decoded = match &mut self.coding {
            Coding::Identity => {
                let step = self.meter.read(chunk);
                return Reading {
                    hold_at: step.hold_at,
                    boundary: step.boundary,
                };
            }
            Coding::Opaque => return Reading::default(),
            // Flushed, since what was decoded is else given out with the next bytes only.
            Coding::Gzip(decoder) => decoder
                .write_all(chunk)
                .and_then(|()| decoder.flush())
                .map(|()| std::mem::take(decoder.get_mut())),
            Coding::Deflate(decoder) => decoder
                .write_all(chunk)
                .and_then(|()| decoder.flush())
                .map(|()| std::mem::take(decoder.get_mut())),
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

    /// Returns whether the event that ends the message is in it.
    fn read_decoded(&mut self, decoded: &[u8]) -> bool {
        self.decoded_bytes += decoded.len() as u64;
        let grown = self.decoded_bytes > self.raw_bytes.saturating_mul(RATIO_MAX).max(1 << 20);
        if grown || self.decoded_bytes > DECODED_BYTES_MAX {
            tracing::warn!("an encoded answer grows too much when decoded: estimated");
            self.coding = Coding::Opaque;
            return false;
        }
        self.meter.read(decoded).hold_at.is_some()
    }

    /// The answer ended.
    pub(super) fn finish(&mut self) {
        let rest = match std::mem::replace(&mut self.coding, Coding::Opaque) {
            Coding::Gzip(decoder) => decoder.finish().unwrap_or_default(),
            Coding::Deflate(decoder) => decoder.finish().unwrap_or_default(),
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
    pub(super) fn known(&self) -> Known {
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
        }
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
