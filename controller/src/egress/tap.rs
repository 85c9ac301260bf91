//! The meter beside the stream: reads the bytes that pass, decoded where they are encoded.

use bb_core::estimate::Known;
use bb_core::meter::{Framing, Meter, Quirks};
use bb_proto::reply::Ending;
use bb_proto::usage::{Usage, Wire};
use http::header::{self, HeaderMap};

use super::decoding::{Decoder, Encoded};

/// So much of an answer is looked at where nothing else tells its dialect, in bytes.
const BEGINNING_BYTES: usize = 16 << 10;

/// What the bytes just read mean for those that pass.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// From here on bytes wait for the settlement.
    pub(super) hold_at: Option<usize>,
    /// Behind the last event that these bytes complete.
    pub(super) boundary: Option<usize>,
}

/// What was seen of an answer.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) known: Known,
    /// What other models than the answer's own used.
    pub(crate) others: Vec<(String, Usage)>,
    /// Whether the provider said how it ended.
    pub(super) has_ended: bool,
    /// The provider's id of the answer, where it goes on after its request has ended.
    pub(super) goes_on: Option<String>,
}

/// A meter and how to reach what it reads.
pub(crate) struct Tap {
    meter: Meter,
    reads: Reads,
    raw_bytes: u64,
}

/// How the meter's bytes are had of those that pass.
enum Reads {
    /// They are the same.
    Plain,
    Decoded(Decoder),
    /// They are not had: another coding, a broken one, or one that grows too much.
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
    pub(crate) fn new(
        wire: Wire,
        headers: &HeaderMap,
        quirks: Quirks,
        choices: u32,
        is_array: bool,
    ) -> Self {
        let reads = match Encoded::of(headers) {
            Encoded::Not => Reads::Plain,
            Encoded::By(coding) => Decoder::new(coding).map_or(Reads::Opaque, Reads::Decoded),
            Encoded::Unknown => Reads::Opaque,
        };
        let framing = match framing(headers) {
            Some(Framing::Json) if is_array => Some(Framing::JsonArray),
            framing => framing,
        };
        Self {
            meter: Meter::new(wire, framing, quirks, choices),
            reads,
            raw_bytes: 0,
        }
    }

    /// Makes the tap of a response that comes in messages.
    pub(super) fn of_messages(wire: Wire) -> Self {
        Self {
            meter: Meter::new(wire, Some(Framing::JsonLines), Quirks::NONE, 1),
            reads: Reads::Plain,
            raw_bytes: 0,
        }
    }

    /// Returns whether the bytes cannot be read: coded in another way, or not as their headers say.
    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self.reads, Reads::Opaque)
    }

    /// Reads bytes as they pass.
    pub(crate) fn read(&mut self, chunk: &[u8]) -> Reading {
        self.raw_bytes += chunk.len() as u64;
        let decoder = match &mut self.reads {
            Reads::Plain => {
                let step = self.meter.read(chunk);
                return Reading {
                    hold_at: step.hold_at,
                    boundary: step.boundary,
                };
            }
            Reads::Opaque => return Reading::default(),
            Reads::Decoded(decoder) => decoder,
        };
        let (plain, fault) = decoder.decode(chunk);
        let ends = self.meter.read(&plain).hold_at.is_some();
        if let Some(error) = fault {
            tracing::warn!(%error, "an encoded answer cannot be decoded further: estimated");
            self.reads = Reads::Opaque;
        }
        // Where in encoded bytes the last event begins cannot be said: all of them wait.
        Reading {
            hold_at: ends.then_some(0),
            boundary: None,
        }
    }

    /// Reads a message; returns whether it ends the response.
    pub(super) fn read_message(&mut self, text: &str) -> bool {
        let ends = self.meter.read(text.as_bytes()).hold_at.is_some();
        self.meter.end_message();
        ends
    }

    /// The answer ended.
    pub(crate) fn finish(&mut self) {
        if matches!(self.reads, Reads::Decoded(_))
            && let Reads::Decoded(decoder) = std::mem::replace(&mut self.reads, Reads::Opaque)
        {
            self.meter.read(&decoder.finish());
        }
        self.meter.finish();
    }

    /// Returns what is known of the answer's tokens by now.
    pub(crate) fn known(&self) -> Known {
        let flowed = self.meter.flowed_bytes();
        let seen = flowed.text.saturating_add(flowed.reasoning);
        let opaque = self.is_opaque() && !self.meter.is_complete();
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

    /// Returns all that is to be charged of the answer by now.
    pub(crate) fn seen(&self) -> Seen {
        let has_ended = self.meter.is_complete() || self.meter.failed();
        let goes_on = self.meter.is_background() && !has_ended;
        let id = self.meter.response_id().filter(|_| goes_on);
        Seen {
            known: self.known(),
            others: self.meter.other_models().to_vec(),
            has_ended,
            goes_on: id.map(str::to_owned),
        }
    }

    /// Returns how an answer ended that the provider ended.
    pub(super) fn ending_by_provider(&self) -> Ending {
        if self.meter.failed() {
            Ending::ProviderError
        } else if self.meter.is_complete() {
            Ending::Complete
        } else {
            Ending::UpstreamGone
        }
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
        matches!(self.reads, Reads::Plain) && self.meter.at_boundary()
    }

    /// Returns whether the bytes that pass are those that the meter reads.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.reads, Reads::Plain)
    }

    /// Returns the bytes that end the answer in its dialect behind the last boundary.
    pub(super) fn ending(&self, sentence: &str) -> Option<Vec<u8>> {
        match self.reads {
            Reads::Plain => self.meter.ending(sentence),
            _ => None,
        }
    }

    /// The same for a client from whom the end was held back.
    pub(super) fn ending_before_held(&self, sentence: &str) -> Option<Vec<u8>> {
        match self.reads {
            Reads::Plain => self.meter.ending_before_held(sentence),
            _ => None,
        }
    }
}

/// Returns what the first bytes of an answer with these headers stand for.
pub(crate) fn beginning(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let body = body.get(..BEGINNING_BYTES).unwrap_or(body);
    match Encoded::of(headers) {
        Encoded::By(coding) => {
            Decoder::new(coding).map_or_else(Vec::new, |mut it| it.decode(body).0)
        }
        Encoded::Not | Encoded::Unknown => body.to_vec(),
    }
}

/// Returns how an answer with these headers is laid out; `None` where they do not say.
pub(super) fn framing(headers: &HeaderMap) -> Option<Framing> {
    let value = headers.get(header::CONTENT_TYPE);
    Framing::from_content_type(value.and_then(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests;
