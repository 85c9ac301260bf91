//! `bb-controller meter`: what a recorded answer would be charged, so that a fault in metering can
//! be told with one file.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use bb_core::meter::recognise;
use bb_core::provider::quirks_at;
use bb_proto::usage::{Usage, Wire};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;

use crate::egress::tap::{self, Tap};

/// Print the usage that a recorded answer states
///
/// One JSON object; a count that the provider did not state is null. FILE is the body as it came,
/// still encoded where --content-encoding says so.
#[derive(Debug, clap::Args)]
pub(crate) struct Meter {
    /// The host that answered, such as api.openai.com
    #[arg(long, value_name = "HOST", default_value = "")]
    host: String,
    /// The path that was asked, such as /v1/responses; without it the answer itself must tell
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    /// The answer's Content-Type
    #[arg(long, value_name = "TYPE")]
    content_type: Option<HeaderValue>,
    /// The answer's Content-Encoding
    #[arg(long, value_name = "CODING")]
    content_encoding: Option<HeaderValue>,
    /// The answer's status
    #[arg(long, value_name = "STATUS", default_value = "200")]
    status: http::StatusCode,
    /// How many choices the request asked for
    #[arg(long, value_name = "N", default_value_t = 1)]
    choices: u32,
    /// The body; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Why a recorded answer cannot be metered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeterError {
    /// The file cannot be read.
    #[error("reading {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing tells which dialect it speaks.
    #[error("neither the path nor the answer tells its dialect: give --path as it was asked")]
    Unknown,
    /// Nobody took what was found.
    #[error("writing what was found")]
    Write(#[source] io::Error),
}

/// The tokens of an answer, or of a part of it that another model gave.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_read_tokens")]
    cache_read: Option<u64>,
    #[serde(rename = "cache_write_tokens")]
    cache_write: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

impl Counts {
    fn of(usage: Usage) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            output: usage.output,
        }
    }
}

/// What another model than the answer's own used.
#[derive(Debug, Serialize)]
struct OtherModel {
    model: String,
    #[serde(flatten)]
    counts: Counts,
}

/// What an answer states.
#[derive(Debug, Serialize)]
struct Stated {
    wire: Wire,
    #[serde(flatten)]
    counts: Counts,
    reasoning_tokens: Option<u64>,
    complete: bool,
    other_models: Vec<OtherModel>,
}

impl Meter {
    /// Prints what the file states.
    pub(crate) fn run(self) -> Result<(), MeterError> {
        let body = read(&self.file).map_err(|source| MeterError::Read {
            file: self.file.clone(),
            source,
        })?;
        let is_coded = self.content_encoding.is_some();
        let (stated, is_opaque) = self.metered(&body)?;
        if let Some(note) = note(&stated, &body, is_coded, is_opaque) {
            // Nobody to tell is no reason not to print what was found.
            drop(writeln!(io::stderr().lock(), "note: {note}"));
        }
        let line =
            serde_json::to_string(&stated).map_err(|error| MeterError::Write(error.into()))?;
        writeln!(io::stdout().lock(), "{line}").map_err(MeterError::Write)
    }

    /// Returns what the answer states, and whether its coding hid it.
    fn metered(self, body: &[u8]) -> Result<(Stated, bool), MeterError> {
        let quirks = quirks_at(&self.host);
        let mut headers = HeaderMap::new();
        headers.extend(self.content_type.map(|value| (CONTENT_TYPE, value)));
        headers.extend(self.content_encoding.map(|value| (CONTENT_ENCODING, value)));
        let beginning = tap::beginning(&headers, body);
        let wire = recognise(&self.path, &beginning).ok_or(MeterError::Unknown)?;
        let mut tap = Tap::new(wire, &headers, quirks, self.choices, false);
        tap.read(body);
        tap.finish();
        let is_opaque = tap.is_opaque();
        let seen = tap.seen();
        let known = seen.known;
        let others = seen.others.into_iter().map(|(model, usage)| OtherModel {
            model,
            counts: Counts::of(usage),
        });
        let stated = Stated {
            wire,
            counts: Counts::of(known.stated),
            reasoning_tokens: known.stated.reasoning,
            complete: known.complete && self.status.is_success(),
            other_models: others.collect(),
        };
        Ok((stated, is_opaque))
    }
}

/// Returns why nothing, or not all, was found, for the person who asked.
fn note(stated: &Stated, body: &[u8], is_coded: bool, is_opaque: bool) -> Option<&'static str> {
    if is_opaque {
        return Some("the body cannot be decoded as --content-encoding says");
    }
    if stated.counts != Counts::default() {
        return None;
    }
    Some(match body {
        [0x1f, 0x8b, ..] if !is_coded => "the body looks like gzip: give --content-encoding gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] if !is_coded => {
            "the body looks like zstd: give --content-encoding zstd"
        }
        _ => "the answer states no usage",
    })
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut body)?;
    } else {
        File::open(file)?.read_to_end(&mut body)?;
    }
    Ok(body)
}
