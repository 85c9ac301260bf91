//! Charges that the operator corrects.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::CallId;
use bb_proto::time::Timestamp;
use bb_proto::units::{TOKENS_MAX, Tokens};
use bb_proto::usage::Usage;

use super::{Book, CallFacts, Corrected, Entry, Order, Outcome, Settlement};
use crate::estimate::Known;

impl Book {
    /// Corrects a settled call by what the operator says of its counts; those not said stay.
    ///
    /// `known` is the call as it was kept, where it is longer ago than the book remembers. Fails
    /// where it is not known, and where nothing would change.
    pub fn correct(
        &mut self,
        known: Option<(CallFacts, Settlement, Timestamp)>,
        call: CallId,
        counts: &Usage,
        order: &Order,
        now: Timestamp,
    ) -> Result<(Settlement, Settlement), RpcError> {
        self.turn(now);
        let remembered = self.settled.get(call).cloned();
        let before_event = remembered.as_ref().map(|it| it.before_event);
        let settled_at = known.as_ref().map(|(_, _, at)| *at);
        let known = known.map(|(facts, before, _)| {
            let cache_read = self.cache_read(&facts, &before.usage);
            (
                facts,
                Settlement {
                    cache_read,
                    ..before
                },
            )
        });
        let remembered = remembered.map(|it| (it.facts, it.settlement));
        let Some((facts, before)) = remembered.or(known) else {
            let text = format!("no call {call} was charged");
            return Err(RpcError::new(ErrorCode::NotFound, text)
                .with_hint("bb-ctl ledger tail --json shows the ids of calls"));
        };
        let usage = Usage {
            input: counts.input.or(before.usage.input),
            cache_read: counts.cache_read.or(before.usage.cache_read),
            cache_write: counts.cache_write.or(before.usage.cache_write),
            output: counts.output.or(before.usage.output),
            reasoning: before.usage.reasoning.map(|it| {
                // It is a part of the output.
                counts.output.map_or(it, |output| it.min(output))
            }),
        };
        let outcome = Outcome {
            known: Known::default(),
            others: Vec::new(),
            ending: before.ending,
            status: before.status,
        };
        let after = Settlement {
            estimated: false,
            ..self.charged(&facts, usage, &outcome)
        };
        if (after.usage, after.estimated) == (before.usage, before.estimated) {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                "that is what the call was charged already",
            )
            .with_hint("give the counts that were wrong, such as --output 900"));
        }
        check_charge(after.charge)?;
        if order.dry_run {
            return Ok((before, after));
        }
        let text = format!(
            "a call of {} to {} corrected from {} to {}",
            facts.bottle, facts.provider, before.charge, after.charge
        );
        let mut event = self.event(now, EventKind::Corrected, Actor::Operator, text);
        event.bottle = Some(facts.bottle.clone());
        event.provider = Some(facts.provider.clone());
        event.uid = Some(order.uid);
        event.why.clone_from(&order.why);
        self.commit(Entry::Amended {
            facts: facts.clone(),
            at: now,
            before,
            after,
            by: Some(Corrected {
                uid: order.uid,
                why: order.why.clone(),
            }),
        });
        self.keep_resets(&facts, &before, &after, |reset| match before_event {
            Some(before_event) => before_event <= reset.before_event,
            None => settled_at.is_some_and(|at| at <= reset.reset.at),
        });
        self.happened(event);
        self.judge(&facts, now);
        self.room_changed(&facts, after.charge < before.charge, now);
        Ok((before, after))
    }
}

/// Refuses a charge that no ledger could hold.
fn check_charge(charge: Tokens) -> Result<(), RpcError> {
    if charge.0 <= TOKENS_MAX {
        return Ok(());
    }
    Err(RpcError::new(
        ErrorCode::InvalidParams,
        format!("{charge} is more tokens than a call can be charged"),
    )
    .with_hint("the most is 2^53"))
}
