//! The provider, and the count that it keeps by itself: the referee.

use std::collections::BTreeMap;

use bb_proto::ids::CallId;
use bb_proto::units::Tokens;

/// What the provider did for one call, and what its client was shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// Tokens of input and output that it bills.
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Whether it ended the answer normally.
    pub(crate) complete: bool,
    /// Whether the client saw the end of the answer.
    pub(crate) end_shown: bool,
    /// What the ledger said it charged, and that it is on disk.
    pub(crate) acknowledged: Option<Tokens>,
    /// Whether its reservation was lost with the power before it was charged.
    pub(crate) lost_with_the_power: bool,
}

/// What was billed, by call: those that the provider accepted.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    pub(crate) billed: BTreeMap<CallId, Truth>,
}

impl Provider {
    /// Takes a call, which costs its input from now on.
    pub(crate) fn accept(&mut self, call: CallId, input: u64) {
        let truth = Truth {
            input,
            ..Truth::default()
        };
        let before = self.billed.insert(call, truth);
        assert!(before.is_none(), "a call is forwarded once");
    }

    /// Returns whether anything is billed for a call.
    pub(crate) fn bills(&self, call: CallId) -> bool {
        self.billed.contains_key(&call)
    }

    pub(crate) fn of(&mut self, call: CallId) -> &mut Truth {
        self.billed.entry(call).or_default()
    }
}
