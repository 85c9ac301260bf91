//! Whether a call would be admitted, without asking for it.

use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::units::Tokens;

use super::exact::Most;
use super::reserve::{Look, Need};
use super::{Book, Refusal, RefusalReason};
use crate::bottle::Bottle;

/// What would become of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It would go.
    Fits,
    /// It would wait for open calls to settle.
    Waits,
    /// It would be refused.
    Refused(Refusal),
}

impl Book {
    /// Returns what would become of a call of so many tokens, as budgets count them; nothing is set
    /// aside, counted or closed by that.
    pub fn check(&self, name: &BottleName, provider: &ProviderKey, tokens: Tokens) -> Check {
        let bottle = self.bottles.get(name).filter(|bottle| bottle.is_running());
        let Some(bottle) = bottle else {
            return Check::Refused(Refusal::plain(RefusalReason::Ended));
        };
        if let Some(refusal) = self.refusal_of_closed(bottle, provider) {
            return Check::Refused(refusal);
        }
        self.check_budgets(bottle, provider, tokens)
    }

    fn check_budgets(&self, bottle: &Bottle, provider: &ProviderKey, tokens: Tokens) -> Check {
        let path = self.bottles.path(&bottle.name);
        let binding = path.binding(&self.budgets, provider);
        let need = Need {
            input: tokens,
            all: tokens,
            most: Some(Most::of_tokens(tokens)),
            gate: self.gate_of_bottle(&bottle.name),
            unbounded: self.unbounded_of_bottle(&bottle.name),
        };
        match self.look(&binding, need) {
            Look::Fits(_) if !self.queue.is_behind(&bottle.name, &binding) => Check::Fits,
            Look::Fits(_) | Look::Wait => Check::Waits,
            Look::Refuse(refusal) | Look::Exhausted(_, refusal) => Check::Refused(refusal),
        }
    }
}
