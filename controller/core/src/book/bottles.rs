//! Orders about bottles that are known: end, cut off, restore, stop, remove.

use bb_proto::budget::ProviderSelector;
use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, CallId, RunId};
use bb_proto::request::Expect;
use bb_proto::time::Timestamp;
use bb_proto::view::{BottleState, ClosedBy};

use super::{Book, CutReason, Effect, Entry};
use crate::bottle::{Bottle, Closing, Lifecycle};

/// What an order did to a bottle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// Its run.
    pub run: RunId,
    /// Whether anything changed.
    pub changed: bool,
    /// Streams that were ended.
    pub streams_ended: u64,
    /// What it is now.
    pub observed: BottleState,
    /// What else there is to say.
    pub note: Option<String>,
}

impl Book {
    /// Puts down that a run ended; another run of that name is left alone.
    pub fn ended(
        &mut self,
        name: &BottleName,
        run: RunId,
        exit_code: Option<i32>,
        now: Timestamp,
    ) -> Result<Acted, RpcError> {
        let bottle = self
            .bottles
            .get(name)
            .ok_or_else(|| not_found(name))?
            .clone();
        if bottle.run != run {
            return Err(other_run(name));
        }
        if !bottle.is_running() {
            if bottle.exit_code.is_none() && exit_code.is_some() {
                let lifecycle = ended_as(exit_code, bottle.stop_ordered_at.is_some());
                self.commit(Entry::Bottle(Box::new(Bottle {
                    lifecycle,
                    exit_code,
                    ..bottle
                })));
            }
            return self.acted(name, false, 0, None);
        }
        let stopped = bottle.stop_ordered_at.is_some();
        let token = bottle.token.clone();
        let text = match exit_code {
            Some(code) => format!("{name} ended with exit code {code}"),
            None => format!("{name} ended"),
        };
        let mut event = self.event(now, EventKind::Ended, Actor::System, text);
        event.bottle = Some(name.clone());
        event.run = Some(run);
        self.commit(Entry::Bottle(Box::new(Bottle {
            lifecycle: ended_as(exit_code, stopped),
            ended_at: Some(now),
            exit_code,
            closings: Vec::new(),
            ..bottle
        })));
        self.happened(event);
        self.effect(Effect::TokenRevoked(token));
        self.refuse_waiting(name);
        self.admit_waiting(now);
        self.acted(name, true, 0, None)
    }

    /// Closes all egress of a bottle and ends its calls in flight.
    pub fn cutoff(
        &mut self,
        name: &BottleName,
        expect: Option<&Expect>,
        order: &Order,
        now: Timestamp,
    ) -> Result<Acted, RpcError> {
        let bottle = self.expected(name, expect)?.clone();
        if !bottle.is_running() {
            return Err(wrong_state(name, "has ended: it has no egress"));
        }
        if bottle.is_closed_by_operator() {
            return self.acted(name, false, 0, None);
        }
        let calls: Vec<CallId> = self.open.of_bottle(name).collect();
        let streams = u64::try_from(calls.len()).unwrap_or(u64::MAX);
        if order.dry_run {
            return self.acted(name, true, streams, None);
        }
        let mut closed = bottle;
        closed.closings.push(Closing {
            provider: ProviderSelector::All,
            by: ClosedBy::Operator,
            since: now,
            why: order.why.clone(),
            room: None,
        });
        self.commit(Entry::Bottle(Box::new(closed)));
        let text = format!("{name} cut off; {streams} streams ended");
        self.ordered(name, EventKind::Cutoff, text, order, now);
        for call in calls {
            self.effect(Effect::Cut(call, CutReason::Operator));
        }
        self.admit_waiting(now);
        self.acted(name, true, streams, None)
    }

    /// Lifts the operator's cutoff.
    ///
    /// Fails with `over_budget` where only a budget closes it.
    pub fn restore_egress(
        &mut self,
        name: &BottleName,
        expect: Option<&Expect>,
        order: &Order,
        now: Timestamp,
    ) -> Result<Acted, RpcError> {
        let bottle = self.expected(name, expect)?.clone();
        let spent = bottle
            .closings
            .iter()
            .find_map(|closing| match &closing.by {
                ClosedBy::Budget(key) => Some(key.clone()),
                ClosedBy::Operator => None,
            });
        let still = spent
            .as_ref()
            .map(|key| format!("{} is still spent", super::closings::plain(key)));
        if !bottle.is_closed_by_operator() {
            return match spent {
                None => self.acted(name, false, 0, None),
                Some(key) => Err(RpcError::new(
                    ErrorCode::OverBudget,
                    format!(
                        "{name} is cut off because {} is spent",
                        super::closings::plain(&key)
                    ),
                )
                .with_hint(format!("bb-ctl budget raise {key} +1M"))),
            };
        }
        if order.dry_run {
            return self.acted(name, true, 0, still);
        }
        let mut open = bottle;
        open.closings
            .retain(|closing| closing.by != ClosedBy::Operator);
        self.commit(Entry::Bottle(Box::new(open)));
        self.ordered(
            name,
            EventKind::Restored,
            format!("{name} restored"),
            order,
            now,
        );
        self.acted(name, true, 0, still)
    }

    /// Ends every call in flight, whoever it is from. Returns how many.
    pub fn cut_all(&mut self, reason: &CutReason) -> usize {
        let mut calls: Vec<_> = self
            .open
            .iter()
            .map(|open| open.reservation.facts.call)
            .collect();
        calls.sort();
        let count = calls.len();
        for call in calls {
            self.effect(Effect::Cut(call, reason.clone()));
        }
        count
    }

    /// Orders a bottle's processes to end; one without a process of ours ends here and now.
    pub fn order_stop(
        &mut self,
        name: &BottleName,
        expect: Option<&Expect>,
        order: &Order,
        now: Timestamp,
    ) -> Result<Acted, RpcError> {
        let bottle = self.expected(name, expect)?.clone();
        if !bottle.is_running() {
            return self.acted(name, false, 0, None);
        }
        let calls: Vec<CallId> = self.open.of_bottle(name).collect();
        let streams = u64::try_from(calls.len()).unwrap_or(u64::MAX);
        if bottle.stop_ordered_at.is_some() {
            return self.acted(name, false, 0, None);
        }
        if order.dry_run {
            return self.acted(name, true, streams, None);
        }
        let (run, process) = (bottle.run, bottle.process);
        self.commit(Entry::Bottle(Box::new(Bottle {
            stop_ordered_at: Some(now),
            ..bottle
        })));
        let text = format!("{name} told to stop");
        self.ordered(name, EventKind::StopOrdered, text, order, now);
        for call in calls {
            self.effect(Effect::Cut(call, CutReason::Operator));
        }
        if process.is_none() {
            self.ended(name, run, None, now)?;
            let note = format!("{name} has no process of ours: its token is no longer valid");
            return self.acted(name, true, streams, Some(note));
        }
        self.admit_waiting(now);
        self.acted(name, true, streams, None)
    }

    /// Forgets a bottle that ended.
    pub fn remove(
        &mut self,
        name: &BottleName,
        expect: Option<&Expect>,
        order: &Order,
        now: Timestamp,
    ) -> Result<Acted, RpcError> {
        let bottle = self.expected(name, expect)?.clone();
        if bottle.is_running() {
            return Err(wrong_state(name, "is running")
                .with_hint(format!("bb-ctl stop {name}, then bb-ctl remove {name}")));
        }
        let acted = self.acted(name, true, 0, None)?;
        if !order.dry_run {
            self.commit(Entry::BottleRemoved {
                name: name.clone(),
                run: bottle.run,
            });
            let text = format!("{name} removed; the ledger keeps its calls");
            self.ordered(name, EventKind::Removed, text, order, now);
            self.reopen(None, now);
            self.admit_waiting(now);
        }
        Ok(acted)
    }

    fn ordered(
        &mut self,
        name: &BottleName,
        kind: EventKind,
        text: String,
        order: &Order,
        now: Timestamp,
    ) {
        let mut event = self.event(now, kind, Actor::Operator, text);
        event.bottle = Some(name.clone());
        event.run = self.bottles.get(name).map(|bottle| bottle.run);
        event.uid = Some(order.uid);
        event.why.clone_from(&order.why);
        self.happened(event);
    }

    fn expected(&self, name: &BottleName, expect: Option<&Expect>) -> Result<&Bottle, RpcError> {
        let bottle = self.bottles.get(name).ok_or_else(|| not_found(name))?;
        let Some(expect) = expect else {
            return Ok(bottle);
        };
        if expect.run.is_some_and(|run| run != bottle.run) {
            return Err(other_run(name));
        }
        if expect
            .revision
            .is_some_and(|revision| self.record_revision(name) > revision)
        {
            return Err(RpcError::new(
                ErrorCode::Conflict,
                format!("{name} changed since it was looked at"),
            )
            .with_hint("look again, then repeat the order"));
        }
        Ok(bottle)
    }

    fn acted(
        &self,
        name: &BottleName,
        changed: bool,
        streams_ended: u64,
        note: Option<String>,
    ) -> Result<Acted, RpcError> {
        let bottle = self.bottles.get(name).ok_or_else(|| not_found(name))?;
        Ok(Acted {
            run: bottle.run,
            changed,
            streams_ended,
            observed: super::view::state_of(bottle),
            note,
        })
    }

    fn refuse_waiting(&mut self, name: &BottleName) {
        for waiter in self.queue.withdraw_all(name) {
            let refusal = super::Refusal::plain(super::RefusalReason::Ended);
            self.effect(Effect::Refuse(waiter.ask.call, refusal));
        }
    }
}

/// Who gives an order, why, and whether it is only asked for its consequence.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The user id of the peer.
    pub uid: u32,
    /// Why, as the peer said.
    pub why: Option<String>,
    /// Whether nothing is to be done.
    pub dry_run: bool,
}

fn ended_as(exit_code: Option<i32>, stopped: bool) -> Lifecycle {
    match exit_code {
        Some(code) if code != 0 && !stopped => Lifecycle::Failed,
        _ => Lifecycle::Stopped,
    }
}

pub(super) fn not_found(name: &BottleName) -> RpcError {
    RpcError::new(
        ErrorCode::NotFound,
        format!("there is no bottle named {name}"),
    )
    .with_hint("bb-ctl list shows all bottles")
}

fn other_run(name: &BottleName) -> RpcError {
    RpcError::new(
        ErrorCode::Conflict,
        format!("{name} is another run than the one meant"),
    )
    .with_hint("look again, then repeat the order")
}

fn wrong_state(name: &BottleName, is: &str) -> RpcError {
    RpcError::new(ErrorCode::WrongState, format!("{name} {is}"))
}
