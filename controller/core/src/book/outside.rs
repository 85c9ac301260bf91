//! Tokens that were spent where the proxy did not see them, charged as a settled call is.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::{TOKENS_MAX, Tokens};
use bb_proto::usage::{Usage, Wire};

use super::bottles::not_found;
use super::sidecar::{Remembered, SidecarCall};
use super::{Account, Book, CallFacts, Entry, Order, Settlement, Terms};

/// Tokens that were spent outside the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentOutside {
    /// The id that they are charged under, once.
    pub id: CallId,
    /// Who spent them.
    pub bottle: BottleName,
    /// At which provider.
    pub provider: ProviderKey,
    /// The dialect.
    pub wire: Wire,
    /// The model; empty where it is not said.
    pub model: String,
    /// How many.
    pub spent: Spent,
}

/// How many tokens were spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// As a provider stated it: its weights make the charge.
    Usage(Usage),
    /// As budgets count them.
    Tokens(Tokens),
}

/// What became of tokens that were spent outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedOutside {
    /// What they cost their budgets.
    pub charge: Tokens,
    /// When they were charged.
    pub at: Timestamp,
    /// Whether that was so before.
    pub already: bool,
}

impl Book {
    /// Charges tokens that were spent outside the proxy on every account of a bottle's path.
    ///
    /// They are spent, so no budget and no order refuses them, nor does the end of the bottle.
    /// Fails where no bottle of that name ever ran, the charge is more than can be kept, or the id
    /// is that of something else.
    pub fn charge_outside(
        &mut self,
        outside: SpentOutside,
        order: &Order,
        now: Timestamp,
    ) -> Result<ChargedOutside, RpcError> {
        self.turn(now);
        match self.sidecar_call(outside.id) {
            SidecarCall::Unknown if self.settled.get(outside.id).is_none() => {}
            SidecarCall::Resolved(how) => return outside.charged_before(&how),
            SidecarCall::Unknown | SidecarCall::Open(_) | SidecarCall::Foreign => {
                return Err(outside.id_in_use());
            }
        }
        let path = self.bottles.path(&outside.bottle);
        let run = path.run.ok_or_else(|| not_found(&outside.bottle))?;
        let settlement = self.settlement_of(&outside);
        let charge = settlement.charge;
        if charge.0 > TOKENS_MAX {
            let text = format!("{charge} tokens are more than a budget can hold (2^53)");
            return Err(RpcError::new(ErrorCode::InvalidParams, text)
                .with_hint("charge them in several parts, each with an id of its own"));
        }
        if charge == Tokens::ZERO {
            return Err(
                RpcError::new(ErrorCode::InvalidParams, "these tokens cost nothing").with_hint(
                    "give at least one token; the provider's weights make usage a charge",
                ),
            );
        }
        let charged = ChargedOutside {
            charge,
            at: now,
            already: false,
        };
        if order.dry_run {
            return Ok(charged);
        }
        let facts = CallFacts {
            call: outside.id,
            bottle: outside.bottle,
            run,
            agent: path.agent.clone(),
            provider: outside.provider,
            model: outside.model,
            wire: outside.wire,
            started_at: self.windows.latest(),
            accounts: Account::of(&path),
            terms: Terms::Estimate,
        };
        let text = format!(
            "{}: {charge} tokens charged that were spent outside the proxy at {}",
            facts.bottle, facts.provider
        );
        let mut event = self.event(now, EventKind::Charged, Actor::Operator, text);
        event.bottle = Some(facts.bottle.clone());
        event.run = Some(facts.run);
        event.provider = Some(facts.provider.clone());
        event.uid = Some(order.uid);
        event.why.clone_from(&order.why);
        self.begin_blocks(&facts);
        self.commit(Entry::Settled {
            facts: facts.clone(),
            at: now,
            settlement,
            overrun: charge,
        });
        self.happened(event);
        self.judge(&facts, now);
        self.room_changed(&facts, false, now);
        Ok(charged)
    }

    fn settlement_of(&self, outside: &SpentOutside) -> Settlement {
        let weights = self.weights(&outside.provider);
        let (usage, charge) = match outside.spent {
            Spent::Usage(usage) => (usage, weights.charge(&usage)),
            Spent::Tokens(tokens) => (Usage::default(), tokens),
        };
        Settlement {
            usage,
            charge,
            cache_read: weights.charge(&Usage {
                cache_read: usage.cache_read,
                ..Usage::default()
            }),
            estimated: false,
            ending: Ending::Outside,
            status: None,
        }
    }
}

impl SpentOutside {
    /// Returns the first answer to an id that comes again.
    ///
    /// Fails where it came first with something else.
    pub fn charged_before(&self, how: &Remembered) -> Result<ChargedOutside, RpcError> {
        let settlement = how.settlement.filter(|it| it.ending == Ending::Outside);
        let is_same = how.bottle == self.bottle && how.provider == self.provider;
        match settlement {
            Some(settlement) if is_same => Ok(ChargedOutside {
                charge: settlement.charge,
                at: how.at,
                already: true,
            }),
            _ => Err(self.id_in_use()),
        }
    }

    fn id_in_use(&self) -> RpcError {
        let text = format!("the id {} came before with something else", self.id);
        RpcError::new(ErrorCode::RequestIdReused, text).with_hint("make a new id for every charge")
    }
}
