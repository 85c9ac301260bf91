//! Answers in gzip, of several members and blocks, cut wherever it may hurt.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use bb_core::provider::quirks_at;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::HeaderValue;
use serde_json::{Value, json};

use super::*;

/// An encoded body up to so many bytes is given byte by byte, a longer one in so many pieces.
const BYTE_BY_BYTE_MAX: usize = 20_000;
/// A member's header without a name, and a trailer, in bytes.
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;

const MESSAGE: &str = concat!(
    r#"{"type":"message","content":[{"type":"text","text":"h\u00e9llo €"}],"#,
    r#""usage":{"input_tokens":11,"output_tokens":5}}"#
);

/// A body in gzip.
struct Encoded {
    bytes: Vec<u8>,
    /// Where its members stand in it.
    members: Vec<Range<usize>>,
}

/// Encodes a body in so many members, each of several blocks.
fn gzip(body: &[u8], members: usize) -> Encoded {
    let mut bytes = Vec::new();
    let mut places = Vec::new();
    for part in body.chunks(body.len().div_ceil(members).max(1)) {
        let from = bytes.len();
        let mut encoder = GzEncoder::new(&mut bytes, Compression::fast());
        for block in part.chunks(part.len().div_ceil(3)) {
            encoder.write_all(block).expect("bytes in memory");
            encoder.flush().expect("bytes in memory");
        }
        encoder.finish().expect("bytes in memory");
        places.push(from..bytes.len());
    }
    Encoded {
        bytes,
        members: places,
    }
}

impl Encoded {
    /// Returns every place inside a header or a trailer, and where members meet.
    fn seams(&self) -> Vec<usize> {
        let around = |member: &Range<usize>| {
            let header = member.start..member.start + HEADER_BYTES + 1;
            header.chain(member.end - TRAILER_BYTES..member.end)
        };
        let all = self.members.iter().flat_map(around);
        all.filter(|at| *at > 0).collect()
    }
}

fn headers(coding: &'static str, content_type: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    if let Some(content_type) = content_type.and_then(|it| HeaderValue::from_str(it).ok()) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers
}

/// Gives bytes to a tap, cut at rising places.
fn read(tap: &mut Tap, bytes: &[u8], cuts: &[usize]) {
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        tap.read(&bytes[from..to]);
        from = to;
    }
}

fn message(coding: &'static str) -> Tap {
    let headers = headers(coding, None);
    Tap::new(Wire::AnthropicMessages, &headers, Quirks::NONE, 1, false)
}

fn check_message(coding: &'static str, bytes: &[u8], cuts: &[usize]) {
    let mut tap = message(coding);
    read(&mut tap, bytes, cuts);
    let is_read = !matches!(tap.reads, Reads::Opaque);
    tap.finish();
    let known = tap.known();
    let said = (known.stated.input, known.stated.output, known.complete);
    assert_eq!(said, (Some(11), Some(5), true), "{coding}, cut at {cuts:?}");
    assert!(is_read, "{coding}, cut at {cuts:?}: to its end");
}

#[test]
fn gzip_of_one_member_or_several_is_metered_at_every_cut() {
    for members in [1, 2, 3, 40] {
        let bytes = gzip(MESSAGE.as_bytes(), members).bytes;
        for cut in 1..bytes.len() {
            check_message("gzip", &bytes, &[cut]);
        }
        let all: Vec<usize> = (1..bytes.len()).collect();
        check_message("x-gzip", &bytes, &all);
    }
}

#[test]
fn the_name_of_a_coding_is_read_in_any_case() {
    let bytes = gzip(MESSAGE.as_bytes(), 1).bytes;
    for coding in ["gzip", "GZip", "X-GZIP"] {
        check_message(coding, &bytes, &[]);
    }
}

#[test]
fn deflate_is_metered_at_every_cut() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    for block in MESSAGE.as_bytes().chunks(20) {
        encoder.write_all(block).expect("bytes in memory");
        encoder.flush().expect("bytes in memory");
    }
    let bytes = encoder.finish().expect("bytes in memory");
    for cut in 1..bytes.len() {
        check_message("deflate", &bytes, &[cut]);
    }
}

#[test]
fn gzip_without_its_trailer_is_metered() {
    let bytes = gzip(MESSAGE.as_bytes(), 1).bytes;
    for end in bytes.len() - TRAILER_BYTES..bytes.len() {
        check_message("gzip", &bytes[..end], &[]);
    }
}

#[test]
fn recorded_answers_in_gzip_are_metered_exactly_at_any_cut() {
    let Some(folder) = std::env::var_os("BB_CORPUS") else {
        eprintln!("skipped: BB_CORPUS is not set");
        return;
    };
    let folder = Path::new(&folder);
    let index = std::fs::read_to_string(folder.join("index.jsonl")).expect("an index");
    let mut misses = Vec::new();
    let mut total = 0_usize;
    for line in index.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let Some(wire) = wire_of(&case) else { continue };
        let name = case["body"].as_str().expect("a name");
        let body = std::fs::read(folder.join(name)).expect("a body");
        total += 1;
        if let Err(miss) = check(&case, wire, &body) {
            misses.push(format!("{name}: {miss}"));
        }
    }
    eprintln!("corpus: {} of {total} right", total - misses.len());
    assert!(total > 0, "the index names no case of our dialects");
    assert!(misses.is_empty(), "missed:\n{}", misses.join("\n"));
}

/// Returns the dialect of a case that is ours to meter.
fn wire_of(case: &Value) -> Option<Wire> {
    let is_frames = case["oddities"].as_array()?.contains(&json!("websocket"));
    if is_frames || case.get("content_encoding").is_some() {
        return None;
    }
    serde_json::from_value(case["wire"].clone()).ok()
}

fn check(case: &Value, wire: Wire, body: &[u8]) -> Result<(), String> {
    let encoded = gzip(body, 3);
    let len = encoded.bytes.len();
    let apart = len.div_ceil(BYTE_BY_BYTE_MAX).max(1);
    let mut all = vec![
        Vec::new(),
        (1..len).step_by(apart).collect(),
        encoded.seams(),
    ];
    // Cuts that lie differently in every block, near each other and far apart.
    all.extend([7, 61, 997].map(|apart| (apart / 2 + 1..len).step_by(apart).collect()));
    let members = encoded.members.iter();
    let alone = members.flat_map(|it| [it.start + 5, it.start + 20, it.end - 3, it.end]);
    all.extend(alone.filter(|at| *at < len).map(|at| vec![at]));
    for cuts in &all {
        let found = metered(case, wire, &encoded.bytes, cuts);
        if !accepted(case).contains(&found) {
            let cuts = cuts.get(..8).unwrap_or(cuts);
            let expected = &case["expected"];
            return Err(format!(
                "cut at {cuts:?}: found {found}, expected {expected}"
            ));
        }
    }
    Ok(())
}

/// What a case accepts: what is expected of it, and where a recording is ambiguous the rest.
fn accepted(case: &Value) -> Vec<Value> {
    let rest = case.get("alternatives").and_then(Value::as_array);
    let mut all = vec![case["expected"].clone()];
    all.extend(rest.into_iter().flatten().cloned());
    let others = case.get("expected_other_models").cloned();
    for one in &mut all {
        let one = one.as_object_mut().expect("an object");
        one.remove("total_billed");
        let others = others.clone().unwrap_or(json!([]));
        one.insert("other_models".to_owned(), others);
    }
    all
}

fn metered(case: &Value, wire: Wire, bytes: &[u8], cuts: &[usize]) -> Value {
    let headers = headers("gzip", case["content_type"].as_str());
    let quirks = quirks_at(case["host"].as_str().unwrap_or_default());
    let choices = case["request"]["n"].as_u64().unwrap_or(1);
    let choices = u32::try_from(choices).expect("a few choices");
    let mut tap = Tap::new(wire, &headers, quirks, choices, false);
    read(&mut tap, bytes, cuts);
    tap.finish();
    let seen = tap.seen();
    let known = seen.known;
    let mut found = counts(known.stated);
    found["reasoning_tokens"] = json!(known.stated.reasoning);
    found["complete"] = json!(known.complete);
    let others = seen.others.iter().map(|(model, usage)| {
        let mut other = counts(*usage);
        other["model"] = json!(model);
        other
    });
    found["other_models"] = others.collect();
    found
}

fn counts(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
    })
}
