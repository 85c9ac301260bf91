//! Recorded answers of providers, metered whole and in pieces, against what they are known to say.
//!
//! `BB_CORPUS` names the folder: `index.jsonl` holds a case a line, beside the bodies it names.

#![expect(
    clippy::disallowed_methods,
    reason = "the recordings lie outside the package, where the environment says"
)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may fail, and says what it did"
)]

use std::path::Path;

use bb_core::meter::{Framing, Meter};
use bb_core::provider::quirks_at;
use bb_proto::usage::{Usage, Wire};
use serde_json::{Value, json};

/// How often each body is cut at random places.
const RANDOM_ROUNDS: u64 = 8;

/// At so many seams each body is cut there and nowhere else.
const SEAMS_ALONE: usize = 64;

#[test]
fn recorded_answers_are_metered_exactly_at_any_cut() {
    let Some(folder) = std::env::var_os("BB_CORPUS") else {
        eprintln!("skipped: BB_CORPUS is not set");
        return;
    };
    let folder = Path::new(&folder);
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let mut misses = Vec::new();
    let mut total = 0_u32;
    for line in index.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let Some(wire) = wire_of(&case) else { continue };
        total += 1;
        let body = std::fs::read(folder.join(case["body"].as_str().unwrap())).unwrap();
        if let Err(miss) = check(&case, wire, &body) {
            misses.push(format!("{}: {miss}", case["id"].as_str().unwrap()));
        }
    }
    let right = usize::try_from(total).unwrap() - misses.len();
    eprintln!("corpus: {right} of {total} right");
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
    let mut cuts = vec![Vec::new(), (1..body.len()).collect::<Vec<_>>()];
    let seams = seams(body);
    let apart = seams.len().div_ceil(SEAMS_ALONE).max(1);
    cuts.extend(seams.iter().step_by(apart).map(|seam| vec![*seam]));
    cuts.push(seams);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..RANDOM_ROUNDS {
        cuts.push(random.cuts(body.len()));
    }
    let (_, whole) = metered(case, wire, body, &[]);
    for (round, cuts) in cuts.iter().enumerate() {
        let (found, rest) = metered(case, wire, body, cuts);
        if rest != whole {
            return Err(format!("round {round}: {rest}, but whole {whole}"));
        }
        let is_right = accepted(case).contains(&found);
        if !is_right {
            let expected = &accepted(case)[0];
            return Err(format!(
                "round {round}:\n  found    {found}\n  expected {expected}"
            ));
        }
    }
    Ok(())
}

/// Returns every place inside a character of several bytes, and between a CR and its LF.
fn seams(body: &[u8]) -> Vec<usize> {
    let is_seam = |at: &usize| {
        let is_inside_character = body[*at] & 0xC0 == 0x80;
        is_inside_character || body[*at - 1..].starts_with(b"\r\n")
    };
    (1..body.len()).filter(is_seam).collect()
}

/// What a case accepts: what is expected of it, and where a recording is ambiguous the rest.
fn accepted(case: &Value) -> Vec<Value> {
    let others = case
        .get("expected_other_models")
        .cloned()
        .unwrap_or(json!([]));
    let mut all = vec![case["expected"].clone()];
    all.extend(
        case.get("alternatives")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .cloned(),
    );
    for one in &mut all {
        one.as_object_mut().unwrap().remove("total_billed");
        one["other_models"] = others.clone();
    }
    all
}

/// Returns what is expected of a case, and what else a meter says.
fn metered(case: &Value, wire: Wire, body: &[u8], cuts: &[usize]) -> (Value, Value) {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let framing = Framing::from_content_type(case["content_type"].as_str());
    let quirks = quirks_at(text("host"));
    let choices = case["request"]["n"].as_u64().unwrap_or(1);
    let mut meter = Meter::new(wire, framing, quirks, u32::try_from(choices).unwrap());
    let mut from = 0;
    for to in cuts.iter().copied().chain([body.len()]) {
        meter.read(&body[from..to]);
        from = to;
    }
    meter.finish();
    let mut found = counts(meter.usage());
    found["reasoning_tokens"] = json!(meter.usage().reasoning);
    found["complete"] = json!(meter.is_complete());
    let others = meter.other_models().iter().map(|(model, usage)| {
        let mut other = counts(*usage);
        other["model"] = json!(model);
        other
    });
    found["other_models"] = others.collect();
    let flowed = meter.flowed_bytes();
    let rest = json!({
        "flowed": [flowed.text, flowed.reasoning],
        "names": [meter.model(), meter.response_id()],
        "ending": meter.ending("over"),
    });
    (found, rest)
}

fn counts(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
    })
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns rising places to cut, close together or far apart.
    fn cuts(&mut self, len: usize) -> Vec<usize> {
        let apart = [3, 17, 120, 1500][usize::try_from(self.next() % 4).unwrap()];
        let mut cuts = Vec::new();
        let mut at = 0;
        loop {
            at += 1 + usize::try_from(self.next() % apart).unwrap();
            if at >= len {
                return cuts;
            }
            cuts.push(at);
        }
    }
}
