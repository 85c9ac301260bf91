//! The words of a scenario's line.

use std::fmt::Debug;
use std::str::FromStr;

use bb_proto::budget::{BudgetKey, Cap, Gate, Unbounded};
use bb_proto::ids::CallId;
use bb_proto::time::Millis;
use bb_proto::units::{Thousandths, Tokens};
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::Source;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::book::{Order, Rules};
use crate::bottle::Manifest;
use crate::budget::Declared;
use crate::estimate::{FlowRate, Known};
use crate::weights::Weights;

/// The words of a command.
pub(super) struct Args<'a> {
    pub(super) text: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Args<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            text,
            words: text.split_whitespace().collect(),
        }
    }

    pub(super) fn word(&self, at: usize) -> &'a str {
        self.words
            .get(at)
            .unwrap_or_else(|| panic!("{:?} lacks a word", self.text))
    }

    pub(super) fn parse<T: FromStr<Err: Debug>>(&self, at: usize) -> T {
        parse(self.word(at))
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.words.contains(&flag)
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let mut pairs = self.words.iter().filter_map(|word| word.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(super) fn dry_run(&self) -> bool {
        self.has("dry")
    }

    pub(super) fn order(&self) -> Order {
        Order {
            uid: 7,
            why: Some("because".to_owned()),
            dry_run: self.dry_run(),
        }
    }

    pub(super) fn call(&self, at: usize) -> CallId {
        CallId(Uuid::from_u128(self.parse(at)))
    }

    /// Returns input and output; an input of `?` is not known.
    pub(super) fn pair(&self, at: usize) -> (Option<u64>, u64) {
        let (input, output) = self.word(at).split_once('+').expect("INPUT+OUTPUT");
        ((input != "?").then(|| parse(input)), parse(output))
    }

    /// Returns what is known of an answer, of which `hidden=` is reasoning that did not flow.
    pub(super) fn known(&self, at: usize, complete: bool) -> Known {
        let (input, output) = self.pair(at);
        let hidden = self.value("hidden").map(parse::<u64>);
        let rate = FlowRate::cold(Wire::AnthropicMessages).bytes_per_token;
        Known {
            stated: Usage {
                input,
                cache_read: self.value("cache").map(parse),
                // The first word of a stream about its output is a placeholder.
                output: if complete {
                    Some(output)
                } else {
                    input.map(|_| 1)
                },
                reasoning: hidden,
                ..Usage::default()
            },
            complete,
            flowed_bytes: output
                .saturating_sub(hidden.unwrap_or(0))
                .saturating_mul(rate)
                .div_euclid(1_000),
            reasoning_bytes: 0,
        }
    }
}

pub(super) fn rule(rules: &mut Rules, args: &Args<'_>) {
    match args.word(0) {
        "gate" => rules.gate = gate(args.word(1)),
        "floor" => rules.floor = args.parse(1),
        "lax" => rules.unbounded = Unbounded::Estimate,
        "wait" => rules.wait = Millis(args.parse::<u64>(1).saturating_mul(1_000)),
        "zone" => rules.zone = TimeZone::posix(args.word(1)).expect("a zone"),
        "finish" => rules.in_flight_finish = true,
        "weights" => {
            let weights = Weights {
                cache_read: Thousandths(args.value("cache").map_or(1_000, parse)),
                output: Thousandths(args.value("output").map_or(1_000, parse)),
                ..Weights::default()
            };
            rules.weights.insert(args.parse(1), weights);
        }
        "bottle" => {
            let manifest = Manifest {
                parents: args
                    .value("parents")
                    .map(|text| text.split(',').map(parse).collect())
                    .unwrap_or_default(),
                agent: args.value("agent").map(parse),
                provider: args.value("provider").map(parse),
                gate: args.value("gate").map(gate),
                unbounded: args.has("lax").then_some(Unbounded::Estimate),
            };
            rules.manifests.insert(args.parse(1), manifest);
        }
        text => {
            let source = Source::Settings { line: 1 };
            let warn = args
                .value("warn")
                .map(|text| text.split(',').map(parse).collect());
            rules.budgets.push(Declared {
                cap: if args.has("soft") {
                    Cap::Soft
                } else {
                    Cap::Hard
                },
                ceiling: args.has("ceiling"),
                warn: warn.unwrap_or_default(),
                gate: args.value("gate").map(gate),
                per_call: args.value("percall").map(|it| Tokens(parse(it))),
                unbounded: args.has("lax").then_some(Unbounded::Estimate),
                ..Declared::hard(key(text), Tokens(args.parse(1)), source)
            });
        }
    }
}

pub(super) fn seconds(count: u64) -> Millis {
    Millis(count.saturating_mul(1_000))
}

pub(super) fn gate(text: &str) -> Gate {
    match text {
        "off" => Gate::Off,
        "estimate" => Gate::Estimate,
        "exact" => Gate::Exact,
        other => panic!("{other:?} is no gate"),
    }
}

pub(super) fn parse<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

/// Reads `host/claude` as `host/claude/total`, and `rolling_5h` as a window of two words.
pub(super) fn key(text: &str) -> BudgetKey {
    let text = &text.replace('_', " ");
    match text.matches('/').count() {
        1 => parse(&format!("{text}/total")),
        _ => parse(text),
    }
}
