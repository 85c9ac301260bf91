//! The calls that were settled last, so that a later word of the provider can amend them.

use std::collections::{HashMap, VecDeque};

use bb_proto::ids::CallId;
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;

use super::{CallFacts, Settlement};

/// How many settled calls are remembered so that a later word of the provider can amend them.
const SETTLED_MAX: usize = 4_096;
/// The same of calls that go on in the background.
const GOING_ON_MAX: usize = 1_024;

/// A call, and how it was settled last.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) facts: CallFacts,
    pub(super) settlement: Settlement,
    /// The number of the event that came next when it was charged.
    pub(super) before_event: u64,
}

/// The calls that were settled last, to be amended.
#[derive(Debug, Default)]
pub(super) struct SettledCalls {
    of: HashMap<CallId, Settled>,
    order: VecDeque<CallId>,
    /// Those that go on in the background: amended later than others, and not pushed out by them.
    going_on: VecDeque<CallId>,
}

impl SettledCalls {
    /// Returns a call and how it was settled.
    pub(super) fn get(&self, call: CallId) -> Option<&Settled> {
        self.of.get(&call)
    }

    /// Forgets the calls that began before an instant.
    pub(super) fn forget_before(&mut self, at: Timestamp) {
        self.of.retain(|_, settled| settled.facts.started_at >= at);
        let of = &self.of;
        self.order.retain(|call| of.contains_key(call));
        self.going_on.retain(|call| of.contains_key(call));
    }

    /// Remembers how a call was settled last.
    pub(super) fn put(&mut self, settled: Settled) {
        let call = settled.facts.call;
        let goes_on = settled.settlement.ending == Ending::Background;
        let before = self.of.insert(call, settled);
        let went_on = before.map(|before| before.settlement.ending == Ending::Background);
        if went_on == Some(goes_on) {
            return;
        }
        if went_on == Some(true) {
            self.going_on.retain(|known| *known != call);
        }
        let (order, most) = if goes_on {
            (&mut self.going_on, GOING_ON_MAX)
        } else {
            (&mut self.order, SETTLED_MAX)
        };
        order.push_back(call);
        while order.len() > most {
            if let Some(oldest) = order.pop_front() {
                self.of.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bb_proto::ids::RunId;
    use bb_proto::units::Tokens;
    use bb_proto::usage::{Usage, Wire};
    use uuid::Uuid;

    use super::*;

    fn facts(number: u128) -> CallFacts {
        CallFacts {
            call: CallId(Uuid::from_u128(number)),
            bottle: "web".parse().expect("a name"),
            run: RunId(Uuid::nil()),
            agent: None,
            provider: "codex".parse().expect("a name"),
            model: String::new(),
            wire: Wire::OpenaiResponses,
            started_at: Timestamp(0),
            accounts: Vec::new(),
            terms: crate::book::Terms::default(),
        }
    }

    fn settled(number: u128, ending: Ending) -> Settled {
        let settlement = Settlement {
            usage: Usage::default(),
            charge: Tokens(1),
            cache_read: Tokens::ZERO,
            estimated: true,
            ending,
            status: None,
        };
        Settled {
            facts: facts(number),
            settlement,
            before_event: 0,
        }
    }

    #[test]
    fn calls_in_the_background_are_not_forgotten_for_others() {
        let mut calls = SettledCalls::default();
        calls.put(settled(0, Ending::Background));
        for number in 1..=10_000 {
            calls.put(settled(number, Ending::Complete));
        }
        assert!(calls.of.contains_key(&facts(0).call));
        assert!(!calls.of.contains_key(&facts(1).call));
        // Once it has ended it is one of the others.
        calls.put(settled(0, Ending::Complete));
        assert!(calls.going_on.is_empty());
        for number in 20_000..20_000 + 5_000 {
            calls.put(settled(number, Ending::Complete));
        }
        assert!(!calls.of.contains_key(&facts(0).call));
        assert_eq!(calls.of.len(), SETTLED_MAX);
    }

    #[test]
    fn calls_from_before_are_forgotten_however_they_ended() {
        let mut calls = SettledCalls::default();
        for number in 0..6 {
            let goes_on = [Ending::Complete, Ending::Background];
            let mut call = settled(number, goes_on[usize::from(number % 2 == 0)]);
            call.facts.started_at = Timestamp(i64::try_from(number).expect("an instant"));
            calls.put(call);
        }
        calls.forget_before(Timestamp(4));
        let kept = |number| calls.get(facts(number).call).is_some();
        assert_eq!(
            (0..6).map(kept).collect::<Vec<_>>(),
            [false, false, false, false, true, true]
        );
        assert_eq!((calls.order.len(), calls.going_on.len()), (1, 1));
    }
}
