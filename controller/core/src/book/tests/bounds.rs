//! How far each gate lets a budget be crossed, at the very most.

use std::collections::BTreeMap;

use bb_proto::budget::Gate;
use bb_proto::ids::CallId;
use bb_proto::units::Tokens;
use proptest::prelude::*;

use super::stage::Stage;
use crate::book::{Entry, Terms};

const LIMIT: u64 = 1_000;
/// Every gate there is: a new one says here how far it lets a budget be crossed.
const GATES: [Gate; 3] = [Gate::Off, Gate::Estimate, Gate::Exact];

/// A call that was admitted.
#[derive(Debug, Clone, Copy, Default)]
struct Call {
    reserved: Tokens,
    terms: Terms,
    /// What it was charged, once it was.
    charged: Option<Tokens>,
}

/// One budget, and the calls that it binds.
#[derive(Debug, Default)]
struct Shop {
    stage: Stage,
    calls: BTreeMap<CallId, Call>,
    /// The calls that were open when the last one was admitted, that one included.
    in_flight_at_the_last: Vec<CallId>,
}

impl Shop {
    fn open(gate: Gate) -> Self {
        let mut shop = Self::default();
        let word = match gate {
            Gate::Off => "off",
            Gate::Estimate => "estimate",
            Gate::Exact => "exact; floor 16",
        };
        shop.play(
            &format!("settings gate {word}; host/claude {LIMIT}; wait 1000"),
            gate,
        );
        for bottle in ["a", "b", "c"] {
            shop.play(&format!("launch {bottle}"), gate);
        }
        shop
    }

    fn posted(&self) -> Tokens {
        let charged = self.calls.values().filter_map(|call| call.charged);
        charged.fold(Tokens::ZERO, Tokens::plus)
    }

    fn is_open(&self, id: CallId) -> bool {
        self.calls
            .get(&id)
            .is_some_and(|call| call.charged.is_none())
    }

    /// Plays a command, and holds every admission that comes of it against what was charged before.
    fn play(&mut self, command: &str, gate: Gate) {
        self.stage.run(command);
        for entry in &self.stage.outbox.entries {
            match entry {
                Entry::Reserved(reservation) => {
                    let id = reservation.facts.call;
                    let reserved = reservation.reserved;
                    let call = Call {
                        reserved,
                        terms: reservation.facts.terms,
                        charged: None,
                    };
                    self.calls.insert(id, call);
                    let open = self.calls.iter().filter(|(_, call)| call.charged.is_none());
                    self.in_flight_at_the_last = open.map(|(id, _)| *id).collect();
                }
                Entry::Settled {
                    facts, settlement, ..
                } => {
                    let call = self.calls.get_mut(&facts.call).expect("an admitted call");
                    call.charged = Some(settlement.charge);
                }
                Entry::Voided { facts, .. } => drop(self.calls.remove(&facts.call)),
                _ => {}
            }
        }
        let bound = self.bound(gate);
        let over = self.posted().minus(Tokens(LIMIT));
        assert!(
            over <= bound,
            "{command}: {over} over, {bound} is the bound: {self:?}"
        );
    }

    /// Returns how many tokens the budget may be crossed by, as the gate promises.
    fn bound(&self, gate: Gate) -> Tokens {
        let sum =
            |tokens: &mut dyn Iterator<Item = Tokens>| tokens.fold(Tokens::ZERO, Tokens::plus);
        match gate {
            // What was in flight when the last call was admitted, while something was left.
            Gate::Off => sum(&mut self
                .in_flight_at_the_last
                .iter()
                .filter_map(|id| self.calls.get(id)?.charged)),
            // The estimates' error: what calls used beyond what was set aside for them.
            Gate::Estimate => sum(&mut self
                .calls
                .values()
                .filter_map(|call| Some(call.charged?.minus(call.reserved)))),
            // Nothing: its provider stops a call at the cap that it was granted.
            Gate::Exact => Tokens::ZERO,
        }
    }
}

fn command() -> impl Strategy<Value = (u8, u8, u64, u64)> {
    (0_u8..10, any::<u8>(), 1_u64..120, 0_u64..250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_gate_lets_a_budget_be_crossed_further_than_it_promises(
        commands in proptest::collection::vec(command(), 1..80)
    ) {
        for gate in GATES {
            let mut shop = Shop::open(gate);
            let mut asked = 0_u128;
            for (kind, pick, input, output) in &commands {
                let bottle = ["a", "b", "c"].get(usize::from(pick % 3)).expect("one of three");
                if *kind < 5 {
                    asked = asked.saturating_add(1);
                    let most = format!("most={input}");
                    shop.play(&format!("reserve {asked} {bottle} claude {input}+{output} {most}"), gate);
                    continue;
                }
                let open: Vec<CallId> = shop.calls.keys().copied().filter(|id| shop.is_open(*id)).collect();
                let Some(id) = open.get(usize::from(*pick).checked_rem(open.len()).unwrap_or(0)) else {
                    continue;
                };
                let (mut input, mut output) = (*input, *output);
                if let Some(Terms::Exact { input: most, output: cap, .. }) = shop.calls.get(id).map(|call| call.terms) {
                    input = input.min(most);
                    output = output.min(cap);
                }
                let id = id.0.as_u128();
                shop.play(&match kind {
                    5 => format!("flow {id} {input}+{output}"),
                    6 => format!("void {id}"),
                    7 => format!("settle {id} {input}+{output} cut"),
                    _ => format!("settle {id} {input}+{output}"),
                }, gate);
            }
        }
    }
}
