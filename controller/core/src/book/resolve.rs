//! The end of calls: flowed, settled, amended, voided. A call resolves at most once.

use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::CallId;
use bb_proto::reply::Ending;
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;

use super::closings::Reach;
use super::open::Open;
use super::settled::Settled;
use super::{Book, CallFacts, CutReason, Effect, Entry, Settlement, Terms};
use crate::estimate::{Estimate, FlowRate, Known, used, used_so_far};

/// What is known of an open call is written down at its first usage and then this often.
const MARK_EVERY: Millis = Millis(1_000);
/// How a call ended, as its stream saw it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What is known of what it used.
    pub known: Known,
    /// What other models used for it, which is in no count of `known`.
    pub others: Vec<OtherModel>,
    /// How it ended.
    pub ending: Ending,
    /// The provider's status, where it answered.
    pub status: Option<u16>,
}

/// What another model used for a call: charged as a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherModel {
    /// The id that it gets.
    pub call: CallId,
    /// The model.
    pub model: String,
    /// What it used, as the provider stated it.
    pub usage: Usage,
}

/// What became of an order to resolve a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It was charged so.
    Charged(Settlement),
    /// It was taken back.
    Voided,
    /// It was resolved before; nothing changed.
    Already,
}

impl Book {
    /// Counts what has flowed of an open call, and ends it where a binding budget is crossed.
    pub fn flowed(&mut self, call: CallId, known: &Known, now: Timestamp) {
        self.turn(now);
        let Some(open) = self.open.get(call) else {
            return;
        };
        let facts = &open.reservation.facts;
        let usage = used_so_far(known, open.reservation.estimate);
        let usage = facts.terms.within(usage, &known.stated);
        let flowed = self
            .weights(&facts.provider)
            .charge(&usage)
            .max(open.flowed);
        let due = open.marked_at.is_none_or(|at| now.since(at) >= MARK_EVERY);
        if flowed == open.flowed && !due {
            return;
        }
        if due && known.stated.is_stated() {
            self.commit(Entry::Marked {
                call,
                flowed,
                usage: known.stated,
            });
            if let Some(open) = self.open.get_mut(call) {
                open.marked_at = Some(now);
            }
        }
        self.set_flowed(call, flowed, now);
        self.cut_where_crossed(call, now);
    }

    /// Charges a call.
    ///
    /// A charge above the reservation is recorded in full: the tokens are spent.
    pub fn settle(&mut self, call: CallId, outcome: &Outcome, now: Timestamp) -> Resolved {
        self.turn(now);
        let Some(open) = self.open.get(call) else {
            return Resolved::Already;
        };
        let reservation = open.reservation.clone();
        let settlement = self.settlement(&reservation.facts, outcome, reservation.estimate);
        let overrun = settlement.charge.minus(reservation.reserved);
        let has_less = settlement.charge < open.flowed;
        if !settlement.estimated {
            self.estimator.learn(
                reservation.facts.called(),
                &reservation.input,
                reservation.estimate,
                &outcome.known,
            );
        }
        self.commit(Entry::Settled {
            facts: reservation.facts.clone(),
            at: now,
            settlement,
            overrun,
        });
        for other in &outcome.others {
            self.settle_other(&reservation.facts, other, outcome, now);
        }
        self.judge(&reservation.facts, now);
        self.room_changed(&reservation.facts, has_less, now);
        Resolved::Charged(settlement)
    }

    /// Charges what another model used for a call; nothing was set aside for it.
    fn settle_other(
        &mut self,
        facts: &CallFacts,
        other: &OtherModel,
        outcome: &Outcome,
        now: Timestamp,
    ) {
        let settlement = Settlement {
            usage: other.usage,
            estimated: false,
            ..self.charged(facts, other.usage, outcome)
        };
        self.commit(Entry::Settled {
            facts: CallFacts {
                call: other.call,
                model: other.model.clone(),
                ..facts.clone()
            },
            at: now,
            settlement,
            overrun: settlement.charge,
        });
    }

    /// Corrects a settled call by a later word of the provider.
    pub fn amend(&mut self, call: CallId, outcome: &Outcome, now: Timestamp) -> Resolved {
        self.turn(now);
        let Some(settled) = self.settled.get(call).cloned() else {
            return Resolved::Already;
        };
        let (facts, before) = (settled.facts, settled.settlement);
        let charged_before = Estimate {
            input: before.usage.input.unwrap_or(0),
            output: before.usage.output.unwrap_or(0),
            flow: FlowRate::cold(facts.wire),
        };
        let after = Settlement {
            // A later look is no other answer to the call itself.
            status: outcome.status.or(before.status),
            ..self.settlement(&facts, outcome, charged_before)
        };
        if (after.usage, after.estimated) == (before.usage, before.estimated) {
            return Resolved::Already;
        }
        self.commit(Entry::Amended {
            facts: facts.clone(),
            at: now,
            before,
            after,
            by: None,
        });
        self.keep_resets(&facts, &before, &after, |reset| {
            settled.before_event <= reset.before_event
        });
        self.judge(&facts, now);
        self.room_changed(&facts, after.charge < before.charge, now);
        Resolved::Charged(after)
    }

    /// Lets no call be corrected any more that began before an instant: its entries are kept one by
    /// one no longer.
    pub fn forget_settled(&mut self, before: Timestamp) {
        self.settled.forget_before(before);
    }

    /// Takes a call back that was surely not billed.
    pub fn void(&mut self, call: CallId, status: Option<u16>, now: Timestamp) -> Resolved {
        self.turn(now);
        let Some(open) = self.open.get(call) else {
            return Resolved::Already;
        };
        let facts = open.reservation.facts.clone();
        let has_less = open.flowed > Tokens::ZERO;
        self.commit(Entry::Voided {
            facts: facts.clone(),
            at: now,
            status,
        });
        self.room_changed(&facts, has_less, now);
        Resolved::Voided
    }

    /// Lets those pass who wait for room; budgets that hold less than they seemed to open first.
    pub(super) fn room_changed(&mut self, facts: &CallFacts, have_less: bool, now: Timestamp) {
        if have_less {
            self.reopen_after(facts, now);
        }
        self.admit_waiting(now);
    }

    fn settlement(&self, facts: &CallFacts, outcome: &Outcome, estimate: Estimate) -> Settlement {
        let (mut usage, estimated) = used(&outcome.known, estimate);
        if estimated {
            usage = facts.terms.within(usage, &outcome.known.stated);
        }
        if outcome.ending == Ending::Background {
            // Most of it is still to come.
            usage.output = usage.output.max(Some(estimate.output));
        }
        Settlement {
            estimated,
            ..self.charged(facts, usage, outcome)
        }
    }

    pub(super) fn charged(&self, facts: &CallFacts, usage: Usage, outcome: &Outcome) -> Settlement {
        let weights = self.weights(&facts.provider);
        Settlement {
            usage,
            charge: weights.charge(&usage),
            cache_read: self.cache_read(facts, &usage),
            estimated: true,
            ending: outcome.ending,
            status: outcome.status,
        }
    }

    /// Returns the part of a charge that is cache reads.
    pub(super) fn cache_read(&self, facts: &CallFacts, usage: &Usage) -> Tokens {
        self.weights(&facts.provider).charge(&Usage {
            cache_read: usage.cache_read,
            ..Usage::default()
        })
    }

    fn set_flowed(&mut self, call: CallId, flowed: Tokens, now: Timestamp) {
        self.rates_move(now);
        let Some(open) = self.open.get_mut(call) else {
            return;
        };
        let before = open.aside();
        let grown = flowed.minus(open.flowed);
        open.flowed = flowed;
        let after = open.aside();
        let facts = open.reservation.facts.clone();
        for account in self.live(&facts.accounts) {
            self.accounts
                .give_back(account, &facts.provider, before, facts.started_at);
            self.accounts
                .put_aside(account, &facts.provider, after, facts.started_at);
            self.accounts.flow(account, &facts.provider, grown, now);
        }
        self.touch_call(&facts);
    }

    /// Ends a call where what has flowed, of it and of the others, fills a budget that binds it.
    fn cut_where_crossed(&mut self, call: CallId, now: Timestamp) {
        let Some(open) = self.open.get(call) else {
            return;
        };
        let facts = open.reservation.facts.clone();
        let is_exact = matches!(facts.terms, Terms::Exact { .. });
        if is_exact && open.flowed <= open.reservation.reserved {
            // Its provider ends it in time.
            return;
        }
        let path = self.bottles.path(&facts.bottle);
        let crossed = path
            .binding(&self.budgets, &facts.provider)
            .into_iter()
            .find(|budget| {
                let sum = self.sum_of(budget.key());
                sum.balance.posted.plus(sum.aside.flowed) >= budget.limit()
            });
        let Some(key) = crossed.map(|budget| budget.key().clone()) else {
            return;
        };
        if self.rules.in_flight_finish {
            return;
        }
        if let Some(refusal) = self.refusal_by(&key) {
            self.effect(Effect::Cut(call, CutReason::Budget(refusal)));
        }
        let reach = Reach {
            bottle: &facts.bottle,
            provider: &facts.provider,
        };
        self.close_by_budget(&key, &[reach], None, now);
    }

    pub(super) fn apply_settled(
        &mut self,
        facts: &CallFacts,
        settlement: &Settlement,
        at: Timestamp,
    ) {
        self.rates_move(at);
        let open = self.open.remove(facts.call);
        let flowed = open.as_ref().map_or(Tokens::ZERO, |open| open.flowed);
        for account in self.live(&facts.accounts) {
            if let Some(open) = &open {
                self.accounts
                    .give_back(account, &facts.provider, open.aside(), facts.started_at);
            }
            self.accounts.post(
                account,
                &facts.provider,
                settlement.balance(),
                facts.started_at,
            );
            self.accounts.flow(
                account,
                &facts.provider,
                settlement.charge.minus(flowed),
                at,
            );
        }
        self.settled.put(Settled {
            facts: facts.clone(),
            settlement: *settlement,
            before_event: self.next_event,
        });
        let admitted = open.as_ref().map(Open::admitted);
        self.remember_resolved(facts, admitted, Some(*settlement), at);
        self.touch_call(facts);
    }

    pub(super) fn apply_amended(
        &mut self,
        facts: &CallFacts,
        before: &Settlement,
        after: &Settlement,
    ) {
        for account in self.live(&facts.accounts) {
            self.accounts
                .post(account, &facts.provider, after.balance(), facts.started_at);
            self.accounts
                .unpost(account, &facts.provider, before.balance(), facts.started_at);
        }
        let before_event = self.settled.get(facts.call).map(|it| it.before_event);
        self.settled.put(Settled {
            facts: facts.clone(),
            settlement: *after,
            before_event: before_event.unwrap_or(0),
        });
        self.touch_call(facts);
    }

    pub(super) fn apply_voided(&mut self, facts: &CallFacts, at: Timestamp) {
        if let Some(open) = self.open.remove(facts.call) {
            self.remember_resolved(facts, Some(open.admitted()), None, at);
            for account in self.live(&facts.accounts) {
                self.accounts
                    .give_back(account, &facts.provider, open.aside(), facts.started_at);
            }
        }
        self.touch_call(facts);
    }

    /// Returns the charge of a call of which nothing more will be heard: the larger of its last
    /// mark and its reservation, and at least what was sent, as an estimate.
    pub(super) fn unheard(&self, call: &Open, ending: Ending) -> Settlement {
        let reservation = &call.reservation;
        let weights = self.weights(&reservation.facts.provider);
        let sent = weights.charge_input(reservation.estimate.input);
        let known = reservation.reserved.max(call.flowed);
        let charge = known.max(sent).max(Tokens(1));
        let input = reservation.estimate.input.min(charge.0);
        Settlement {
            usage: Usage {
                input: Some(input),
                output: Some(charge.0.saturating_sub(input)),
                ..Usage::default()
            },
            charge,
            cache_read: Tokens::ZERO,
            estimated: true,
            ending,
            status: None,
        }
    }

    /// Charges the calls that were open when the controller ended, by estimate.
    pub fn recover(&mut self, now: Timestamp) -> usize {
        self.turn(now);
        self.begin_life(now);
        let mut open: Vec<_> = self.open.iter().cloned().collect();
        open.sort_by_key(|open| open.reservation.facts.call);
        for call in &open {
            let reservation = &call.reservation;
            let settlement = self.unheard(call, Ending::Crash);
            self.commit(Entry::Settled {
                facts: reservation.facts.clone(),
                at: now,
                settlement,
                overrun: settlement.charge.minus(reservation.reserved),
            });
        }
        if !open.is_empty() {
            let text = format!(
                "{} calls were open when the controller ended; charged by estimate",
                open.len()
            );
            let event = self.event(now, EventKind::Recovered, Actor::System, text);
            self.happened(event);
        }
        for call in &open {
            self.judge(&call.reservation.facts, now);
        }
        self.find_blocks();
        self.find_windows();
        self.reopen(None, now);
        open.len()
    }
}
