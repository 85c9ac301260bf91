//! The law of the gate `exact`, over random calls: posted and pending together never cross a limit,
//! and no charge is above what was set aside.

use bb_proto::ids::CallId;
use bb_proto::reply::Ending;
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::args::parse;
use super::stage::Stage;
use crate::book::{Ask, Entry, Outcome, Terms};
use crate::estimate::{InputSize, Known};
use crate::request::Bound;

/// Every budget binds every call to its provider, some with weights that round.
const SETTINGS: [&str; 3] = [
    "settings gate exact; floor 20; host/claude 3000; host/codex 900",
    "settings floor 50; host/all 4000 ceiling gate=exact; bottle:a/claude 2000 gate=exact
        ; bottle:b/claude 1500; bottle:base/codex 700 gate=estimate; bottle a parents=base
        ; bottle b parents=base; weights claude output=2333 cache=1250",
    "settings gate exact; floor 16; host/all 1500 ceiling; agent:dev/claude 800 ceiling
        ; bottle:a/claude 1000 ceiling; weights claude output=333 cache=100; weights codex output=0",
];

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        bottle: &'static str,
        provider: &'static str,
        bound: Bound,
        choices: u32,
    },
    /// Shares of what was granted, in 255ths; whether its provider states it.
    Settle(u8, u8, u8, bool),
    Flow(u8, u8),
    Void(u8),
    Withdraw(u8),
    Raise(u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let bound = (1_u64..300, 0_u64..900, any::<bool>(), 0_u64..2).prop_map(
        |(input, output, is_stated, thinking)| Bound {
            input,
            output,
            is_stated,
            thinking: thinking.saturating_mul(64),
        },
    );
    let bottle = prop_oneof![Just("a"), Just("b")];
    let provider = prop_oneof![3 => Just("claude"), 1 => Just("codex")];
    prop_oneof![
        10 => (bottle, provider, bound, 1_u32..4).prop_map(|(bottle, provider, bound, choices)| {
            Step::Reserve { bottle, provider, bound, choices }
        }),
        7 => any::<(u8, u8, u8, bool)>().prop_map(|(n, i, o, said)| Step::Settle(n, i, o, said)),
        3 => any::<(u8, u8)>().prop_map(|(n, share)| Step::Flow(n, share)),
        1 => any::<u8>().prop_map(Step::Void),
        1 => any::<u8>().prop_map(Step::Withdraw),
        1 => (1_u64..400).prop_map(Step::Raise),
        1 => (1_u64..20).prop_map(Step::Wait),
    ]
}

fn share(of: u64, share: u8) -> u64 {
    of.saturating_mul(u64::from(share)).div_euclid(255)
}

#[derive(Default)]
struct Play {
    stage: Stage,
    calls: u128,
    waiting: Vec<(CallId, &'static str)>,
    open: Vec<(CallId, Terms)>,
}

impl Play {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Reserve {
                bottle,
                provider,
                bound,
                choices,
            } => self.reserve(bottle, provider, *bound, *choices),
            Step::Settle(pick, input, output, is_stated) => {
                if let Some((call, terms)) = self.pick(*pick) {
                    let outcome = outcome(terms, *input, *output, *is_stated);
                    self.stage.book.settle(call, &outcome, self.stage.now);
                }
            }
            Step::Flow(pick, by) => {
                if let Some((call, _)) = self.pick(*pick) {
                    let known = Known {
                        flowed_bytes: u64::from(*by).saturating_mul(40),
                        ..Known::default()
                    };
                    self.stage.book.flowed(call, &known, self.stage.now);
                }
            }
            Step::Void(pick) => {
                if let Some((call, _)) = self.pick(*pick) {
                    self.stage.book.void(call, None, self.stage.now);
                }
            }
            Step::Withdraw(pick) => {
                let at = usize::from(*pick).checked_rem(self.waiting.len());
                if let Some((call, bottle)) = at.map(|at| self.waiting[at]) {
                    self.stage
                        .book
                        .withdraw(&parse(bottle), call, self.stage.now);
                    self.waiting.retain(|(waiting, _)| *waiting != call);
                }
            }
            Step::Raise(by) => {
                let budgets = self.stage.book.budgets().iter();
                let keys: Vec<_> = budgets.map(|budget| budget.key().clone()).collect();
                for key in keys {
                    self.stage.run(&format!("raise {key} {by}"));
                    self.look();
                }
            }
            Step::Wait(seconds) => {
                self.stage.run(&format!("wait {seconds}"));
            }
        }
        self.stage
            .outbox
            .entries
            .extend(self.stage.kept.write(&mut self.stage.book).entries);
        self.look();
    }

    fn reserve(&mut self, bottle: &'static str, provider: &str, bound: Bound, choices: u32) {
        self.calls = self.calls.saturating_add(1);
        let call = CallId(Uuid::from_u128(self.calls));
        let name = parse(bottle);
        let run = self.stage.book.bottles().get(&name).expect("it runs").run;
        let ask = Ask {
            call,
            bottle: name,
            run,
            provider: parse(provider),
            wire: Wire::AnthropicMessages,
            model: String::new(),
            input: InputSize::text(bound.input),
            output_max: bound.is_stated.then_some(bound.output),
            choices,
            background: false,
            bound: Some(bound),
            sidecar: None,
        };
        self.stage.book.reserve(ask, self.stage.now);
        self.waiting.push((call, bottle));
    }

    fn pick(&self, pick: u8) -> Option<(CallId, Terms)> {
        let at = usize::from(pick).checked_rem(self.open.len())?;
        self.open.get(at).copied()
    }

    /// Takes in what was decided, and holds the law against it.
    fn look(&mut self) {
        for entry in std::mem::take(&mut self.stage.outbox.entries) {
            match entry {
                Entry::Reserved(reservation) => {
                    let facts = &reservation.facts;
                    self.waiting.retain(|(call, _)| *call != facts.call);
                    self.open.push((facts.call, facts.terms));
                }
                Entry::Settled { facts, overrun, .. } => {
                    self.open.retain(|(call, _)| *call != facts.call);
                    assert_eq!(overrun, Tokens::ZERO, "{facts:?}");
                }
                Entry::Voided { facts, .. } => self.open.retain(|(call, _)| *call != facts.call),
                _ => {}
            }
        }
        let book = &self.stage.book;
        for budget in book.budgets().iter() {
            let sum = book.sum_of(budget.key());
            let both = sum.balance.posted.plus(sum.aside.pending);
            assert!(both <= budget.limit(), "{} has {both}", budget.key());
        }
    }
}

/// Returns what a provider that keeps the cap says of a call, or what is left of one of which it
/// said nothing while more flowed than it could have.
fn outcome(terms: Terms, input: u8, output: u8, is_stated: bool) -> Outcome {
    let Terms::Exact {
        input: most_input,
        output: most_output,
        ..
    } = terms
    else {
        panic!("{terms:?} under the gate exact");
    };
    let input = share(most_input, input);
    let usage = Usage {
        input: Some(input.div_euclid(2)),
        cache_read: Some(input.saturating_sub(input.div_euclid(2))),
        output: Some(share(most_output, output)),
        ..Usage::default()
    };
    Outcome {
        known: Known {
            stated: if is_stated { usage } else { Usage::default() },
            complete: is_stated,
            flowed_bytes: u64::from(output).saturating_mul(100),
            reasoning_bytes: 0,
        },
        others: Vec::new(),
        ending: if is_stated {
            Ending::Complete
        } else {
            Ending::ClientGone
        },
        status: Some(200),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_the_gate_exact_posted_and_pending_never_cross_a_limit(
        settings in prop::sample::select(&SETTINGS[..]),
        steps in vec(step(), 1..120),
    ) {
        let mut play = Play::default();
        play.stage.run(settings);
        play.stage.run("launch a agent=dev");
        play.stage.run("launch b agent=dev");
        for step in &steps {
            play.step(step);
        }
    }
}
