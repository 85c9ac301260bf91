//! How far estimates are from what recorded answers state, before and after learning.
//!
//! `BB_CORPUS` names the folder: `index.jsonl` holds a case a line, beside the bodies it names. Of
//! a request it keeps its length and a few members, not its text, so that all bytes count as text.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a bench prints, reads recordings outside the package, and may fail"
)]

use std::path::Path;

use bb_core::estimate::{Called, Estimate, Estimator, FlowRate, InputSize, Known, used};
use bb_core::meter::{Framing, Meter};
use bb_core::provider::quirks_at;
use bb_proto::ids::ProviderKey;
use bb_proto::usage::{Usage, Wire};
use serde_json::{Value, json};

/// A shorter request is mostly what surrounds its text.
const LONG_BYTES: u64 = 4_000;
/// A long request of more bytes a stated token holds media; what it says of them is not kept.
const MEDIA_BYTES_PER_TOKEN: u64 = 40;
/// Answers of less text are mostly what surrounds it.
const LONG_FLOW_BYTES: u64 = 100;
const WIRES: [Wire; 4] = [
    Wire::AnthropicMessages,
    Wire::OpenaiChat,
    Wire::OpenaiResponses,
    Wire::Gemini,
];

/// A recorded call whose usage was stated in full.
struct Case {
    provider: ProviderKey,
    wire: Wire,
    model: String,
    stream: bool,
    input: Option<InputSize>,
    known: Known,
}

impl Case {
    fn called(&self) -> Called<'_> {
        Called {
            provider: &self.provider,
            wire: self.wire,
            model: &self.model,
        }
    }

    fn stated_input(&self) -> u64 {
        let usage = self.known.stated;
        let stated = [usage.input, usage.cache_read, usage.cache_write];
        stated.into_iter().flatten().sum()
    }

    fn reasoning(&self) -> Reasoning {
        match self.known.stated.reasoning {
            Some(1..) if self.known.reasoning_bytes == 0 => Reasoning::Hidden,
            _ if self.known.reasoning_bytes > 0 => Reasoning::Shown,
            _ => Reasoning::None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reasoning {
    None,
    Shown,
    Hidden,
}

fn main() {
    let Some(folder) = std::env::var_os("BB_CORPUS") else {
        println!("skipped: BB_CORPUS is not set");
        return;
    };
    let cases = read(Path::new(&folder));
    println!("{} calls whose usage is stated in full\n", cases.len());
    cold();
    inputs(&cases);
    outputs(&cases);
}

fn cold() {
    println!("cold start: bytes of text a token of input, tokens of output, bytes of flow a token");
    let provider: ProviderKey = "cold".parse().unwrap();
    for wire in WIRES {
        let called = Called {
            provider: &provider,
            wire,
            model: "",
        };
        let of = |input| Estimator::default().estimate(called, &input, None, 1);
        let text = of(InputSize::text(1_000_000));
        let structure = InputSize {
            structure_bytes: 1_000_000,
            ..InputSize::default()
        };
        let tools = InputSize {
            has_tools: true,
            ..InputSize::text(1)
        };
        let medium = InputSize {
            media: 1,
            ..InputSize::default()
        };
        println!(
            "  {:<20} text {}, structure {}, tools +{}, a medium {}, output {}, flow {}",
            wire.as_str(),
            thousandths(1_000_000_000 / text.input),
            thousandths(1_000_000_000 / of(structure).input),
            of(tools).input - 1,
            of(medium).input,
            text.output,
            thousandths(FlowRate::cold(wire).bytes_per_token),
        );
    }
}

/// Whether a call whose body has so many bytes stands in a line.
type IsIn = fn(&Case, u64) -> bool;

/// Request bytes against stated input.
fn inputs(cases: &[Case]) {
    println!(
        "\ninput: bytes of the whole request body against stated tokens (what holds the whole"
    );
    println!("prompt: no server tools, nothing stored; and as many bytes as tokens at least)");
    header("bytes/token");
    for wire in WIRES {
        let rows: [(&str, IsIn); 3] = [
            ("under 4 kB", |case, bytes| {
                bytes < LONG_BYTES && !has_media(case)
            }),
            ("4 kB and more", |case, bytes| {
                bytes >= LONG_BYTES && !has_media(case)
            }),
            ("with media", |case, _| has_media(case)),
        ];
        for (name, is_in) in rows {
            let mut table = Table::default();
            let mut estimator = Estimator::default();
            for case in cases.iter().filter(|case| case.wire == wire) {
                let Some(input) = case.input.filter(|_| case.stated_input() > 0) else {
                    continue;
                };
                let learned = estimator.estimate(case.called(), &input, None, 1);
                estimator.learn(case.called(), &input, learned, &case.known);
                if is_in(case, input.body_bytes()) {
                    let cold = Estimator::default().estimate(case.called(), &input, None, 1);
                    let stated = case.stated_input();
                    table.add(input.body_bytes(), stated, cold.input, learned.input);
                }
            }
            table.print(wire, name);
        }
    }
}

/// Flowed bytes against stated output, as if each answer had been cut before its last usage.
fn outputs(cases: &[Case]) {
    println!("\noutput: bytes of flowed text against stated tokens without reasoning, and the");
    println!("estimate of a stream that is cut right before its last usage, reasoning included");
    header("bytes/token");
    for wire in WIRES {
        for (name, reasoning, is_long) in [
            ("short", None, false),
            ("no reasoning", Some(Reasoning::None), true),
            ("reasoning shown", Some(Reasoning::Shown), true),
            ("reasoning hidden", Some(Reasoning::Hidden), true),
        ] {
            let mut table = Table::default();
            let mut estimator = Estimator::default();
            for case in cases.iter().filter(|case| case.wire == wire) {
                let input = case.input.unwrap_or_default();
                let known = case.known;
                let learned = estimator.estimate(case.called(), &input, None, 1);
                estimator.learn(case.called(), &input, learned, &known);
                let Some(stated) = known.stated.output.filter(|stated| *stated > 0) else {
                    continue;
                };
                let text = known.flowed_bytes - known.reasoning_bytes;
                let (bytes, tokens) = match known.stated.reasoning {
                    Some(reasoning) => (text, stated.saturating_sub(reasoning)),
                    None => (known.flowed_bytes, stated),
                };
                let is_in = reasoning.is_none_or(|reasoning| case.reasoning() == reasoning)
                    && (bytes >= LONG_FLOW_BYTES) == is_long;
                if case.stream && known.flowed_bytes > 0 && is_in {
                    let cold = Estimate {
                        flow: FlowRate::cold(wire),
                        ..Estimate::default()
                    };
                    let ratio = (bytes, tokens);
                    table.ratios.extend(ratio_of(ratio));
                    table.error(stated, cut_off(known, cold), cut_off(known, learned));
                }
            }
            table.print(wire, name);
        }
    }
    usual_output(cases);
}

/// The output that calls usually have against what each had.
fn usual_output(cases: &[Case]) {
    println!(
        "\noutput a call is expected to have at admission (short answers to tests, not agents)"
    );
    header("tokens");
    for wire in WIRES {
        let mut table = Table::default();
        let mut estimator = Estimator::default();
        for case in cases.iter().filter(|case| case.wire == wire) {
            let input = case.input.unwrap_or_default();
            let learned = estimator.estimate(case.called(), &input, None, 1);
            estimator.learn(case.called(), &input, learned, &case.known);
            if let Some(stated) = case.known.stated.output.filter(|stated| *stated > 0) {
                let cold = Estimator::default().estimate(case.called(), &input, None, 1);
                table.ratios.push(stated * 1_000);
                table.error(stated, cold.output, learned.output);
            }
        }
        table.print(wire, "all");
    }
}

fn cut_off(known: Known, estimate: Estimate) -> u64 {
    let known = Known {
        stated: Usage::default(),
        complete: false,
        ..known
    };
    used(&known, estimate).0.output.unwrap()
}

fn has_media(case: &Case) -> bool {
    case.input.is_some_and(|input| input.media > 0)
}

/// Figures of one line; ratios and errors in thousandths.
#[derive(Default)]
struct Table {
    ratios: Vec<u64>,
    cold: Vec<u64>,
    learned: Vec<u64>,
}

impl Table {
    fn add(&mut self, bytes: u64, stated: u64, cold: u64, learned: u64) {
        self.ratios.extend(ratio_of((bytes, stated)));
        self.error(stated, cold, learned);
    }

    fn error(&mut self, stated: u64, cold: u64, learned: u64) {
        let error = |estimated: u64| estimated.abs_diff(stated) * 1_000 / stated;
        self.cold.push(error(cold));
        self.learned.push(error(learned));
    }

    fn print(mut self, wire: Wire, name: &str) {
        if self.cold.is_empty() {
            return;
        }
        for values in [&mut self.ratios, &mut self.cold, &mut self.learned] {
            values.sort_unstable();
        }
        let percent = |values: &[u64], rank| format!("{} %", at(values, rank) / 10);
        println!(
            "{:<20} {:<18} {:>5} {:>7} {:>7} {:>7}   {:>8} {:>8}   {:>8} {:>8}",
            wire.as_str(),
            name,
            self.cold.len(),
            thousandths(at(&self.ratios, 10)),
            thousandths(at(&self.ratios, 50)),
            thousandths(at(&self.ratios, 90)),
            percent(&self.cold, 50),
            percent(&self.cold, 95),
            percent(&self.learned, 50),
            percent(&self.learned, 95),
        );
    }
}

fn header(what: &str) {
    println!(
        "{:<20} {:<18} {:>5} {:^23}   {:^17}   {:^17}",
        "", "", "", what, "cold: error", "learned: error"
    );
    println!(
        "{:<20} {:<18} {:>5} {:>7} {:>7} {:>7}   {:>8} {:>8}   {:>8} {:>8}",
        "wire", "calls", "n", "p10", "median", "p90", "median", "p95", "median", "p95"
    );
}

fn ratio_of((bytes, tokens): (u64, u64)) -> Option<u64> {
    (bytes * 1_000).checked_div(tokens)
}

/// Returns a percentile by nearest rank; zero of nothing.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn thousandths(value: u64) -> String {
    format!("{}.{:02}", value / 1_000, value % 1_000 / 10)
}

fn read(folder: &Path) -> Vec<Case> {
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let cases = index.lines().filter_map(|line| {
        let case: Value = serde_json::from_str(line).unwrap();
        case_of(folder, &case)
    });
    cases.collect()
}

/// Returns a call of our dialects, as our meter reads it.
fn case_of(folder: &Path, case: &Value) -> Option<Case> {
    let is_frames = case["oddities"].as_array()?.contains(&json!("websocket"));
    if is_frames || case.get("content_encoding").is_some() || case["derived"] == json!(true) {
        return None;
    }
    let wire: Wire = serde_json::from_value(case["wire"].clone()).ok()?;
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let body = std::fs::read(folder.join(text("body"))).unwrap();
    let framing = Framing::from_content_type(case["content_type"].as_str());
    let quirks = quirks_at(text("host"));
    let choices = case["request"]["n"].as_u64().unwrap_or(1);
    let mut meter = Meter::new(wire, framing, quirks, u32::try_from(choices).unwrap());
    meter.read(&body);
    meter.finish();
    let flowed = meter.flowed_bytes();
    let known = Known {
        stated: meter.usage(),
        complete: meter.is_complete(),
        flowed_bytes: flowed.text + flowed.reasoning,
        reasoning_bytes: flowed.reasoning,
    };
    let model = case["request"]["model"].as_str().or(meter.model());
    (known.complete && known.stated.output.is_some()).then(|| Case {
        provider: text("provider").replace('_', "-").parse().unwrap(),
        wire,
        model: model.unwrap_or_default().to_owned(),
        stream: case["stream"] == json!(true),
        input: input_of(&case["request"], wire, &known.stated),
        known,
    })
}

/// Returns the size of a request that holds its whole prompt, as far as its kept members tell.
fn input_of(request: &Value, wire: Wire, usage: &Usage) -> Option<InputSize> {
    let bytes = request["request_body_bytes"].as_u64()?;
    let elsewhere = [
        "previous_response_id",
        "cachedContent",
        "conversation",
        "prompt",
    ];
    if elsewhere.iter().any(|key| request.get(key).is_some()) {
        return None;
    }
    let client = [
        "function",
        "custom",
        "functionDeclarations",
        "name",
        "input_schema",
    ];
    let own = ["description", "cache_control"];
    let is_client = |kind: &Value| {
        let kind = kind.as_str().unwrap_or_default();
        client.contains(&kind) || (wire == Wire::AnthropicMessages && own.contains(&kind))
    };
    let tools = request["tool_types"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !tools.iter().all(is_client) {
        return None;
    }
    let stated = [usage.input, usage.cache_read, usage.cache_write];
    let stated: u64 = stated.into_iter().flatten().sum();
    // Input that is named by URL or id is not told by what is kept of a request, but by this.
    if stated > bytes {
        return None;
    }
    let is_media = bytes >= LONG_BYTES && bytes / stated.max(1) >= MEDIA_BYTES_PER_TOKEN;
    let media_bytes = if is_media { bytes } else { 0 };
    Some(InputSize {
        text_bytes: bytes - media_bytes,
        media: u32::from(is_media),
        media_bytes,
        has_tools: !tools.is_empty(),
        ..InputSize::default()
    })
}
