//! Calls that a sidecar meters: admitted as the proxy's own, heard of while they flow, given up
//! where nothing is heard, and remembered after their end, so that a question asked twice has one
//! answer.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::Ending;
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;

use super::open::Open;
use super::resolve::{Outcome, Resolved};
use super::{Admitted, Book, CallFacts, CutReason, Entry, Settlement};
use crate::estimate::Known;

/// A call of which its sidecar says nothing for so long is charged by estimate.
pub const SILENCE_MAX: Millis = Millis(300_000);
/// How many calls are remembered after their end.
const REMEMBERED_MAX: usize = 4_096;

/// What is known of a call by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SidecarCall {
    /// It is open, admitted so.
    Open(Admitted),
    /// It was resolved so.
    Resolved(Remembered),
    /// It is open, and no call of a sidecar.
    Foreign,
    /// No such call is known here; it may have been resolved in an earlier life, or long ago.
    Unknown,
}

/// A call that was resolved, or tokens that were charged, under an id that a client made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The bottle.
    pub bottle: BottleName,
    /// The provider.
    pub provider: ProviderKey,
    /// What it was admitted with; none for what was spent outside the proxy.
    pub admitted: Option<Admitted>,
    /// How it was settled; none where it was taken back.
    pub settlement: Option<Settlement>,
    /// How far the charge is above what was set aside.
    pub overrun: Tokens,
    /// When.
    pub at: Timestamp,
}

/// What a sidecar says of a call's answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said {
    /// What the provider stated so far; none: as was said before.
    pub usage: Option<Usage>,
    /// Bytes of generated text that flowed so far; none: as was said before.
    pub output_bytes: Option<u64>,
}

/// How a sidecar says that a call ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// What it said last.
    pub said: Said,
    /// Whether what is missing is to be estimated.
    pub estimated: bool,
    /// How it ended, where it is said.
    pub ending: Option<Ending>,
    /// The provider's status, where it answered.
    pub status: Option<u16>,
}

/// What a sidecar hears of a call that it says something of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is open, and must end where there is a reason.
    Open(Option<CutReason>),
    /// It was resolved by this or before.
    Resolved {
        /// How.
        how: Remembered,
        /// Whether that was so before.
        already: bool,
    },
    /// It is no call of a sidecar.
    Foreign,
    /// No such call is known here.
    Unknown,
}

/// A call of a sidecar that is open.
#[derive(Debug)]
struct Lease {
    heard_at: Timestamp,
    known: Known,
    cut: Option<CutReason>,
}

impl Lease {
    fn take(&mut self, said: Said) {
        if let Some(usage) = said.usage {
            self.known.stated = usage;
        }
        let bytes = said.output_bytes.unwrap_or(0);
        self.known.flowed_bytes = self.known.flowed_bytes.max(bytes);
    }
}

/// The calls of sidecars.
#[derive(Debug, Default)]
pub(super) struct Sidecars {
    open: HashMap<CallId, Lease>,
    /// The same, by when each is given up.
    due: BTreeSet<(Timestamp, CallId)>,
    resolved: HashMap<CallId, Remembered>,
    order: VecDeque<CallId>,
}

impl Sidecars {
    /// Notes that a call that was admitted is a sidecar's.
    pub(super) fn begin(&mut self, call: CallId, now: Timestamp) {
        let lease = Lease {
            heard_at: now,
            known: Known::default(),
            cut: None,
        };
        self.due.insert((now.plus(SILENCE_MAX), call));
        self.open.insert(call, lease);
    }

    /// Moves the times at which calls were heard of as the clock was moved.
    pub(super) fn move_times(&mut self, by: i64) {
        let moved = |at: Timestamp| Timestamp(at.0.saturating_add(by));
        for lease in self.open.values_mut() {
            lease.heard_at = moved(lease.heard_at);
        }
        let due = std::mem::take(&mut self.due).into_iter();
        self.due = due.map(|(at, call)| (moved(at), call)).collect();
    }

    /// Notes that a call is to end, where it is a sidecar's: the first reason stands.
    pub(super) fn cut(&mut self, call: CallId, reason: &CutReason) {
        if let Some(lease) = self.open.get_mut(&call) {
            lease.cut.get_or_insert_with(|| reason.clone());
        }
    }

    /// Lets go of a call that is over, and returns whether it was a sidecar's.
    fn end(&mut self, call: CallId) -> bool {
        let Some(lease) = self.open.remove(&call) else {
            return false;
        };
        self.due.remove(&(lease.heard_at.plus(SILENCE_MAX), call));
        true
    }

    fn remember(&mut self, call: CallId, how: Remembered) {
        if self.resolved.insert(call, how).is_none() {
            self.order.push_back(call);
        }
        while self.order.len() > REMEMBERED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.resolved.remove(&oldest);
            }
        }
    }

    /// Returns when the next call is given up.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn hear(&mut self, call: CallId, said: Said, now: Timestamp) -> Option<Known> {
        let lease = self.open.get_mut(&call)?;
        self.due.remove(&(lease.heard_at.plus(SILENCE_MAX), call));
        lease.heard_at = lease.heard_at.max(now);
        self.due.insert((lease.heard_at.plus(SILENCE_MAX), call));
        lease.take(said);
        Some(lease.known)
    }
}

impl Book {
    /// Returns what is known of a call by its id.
    pub fn sidecar_call(&self, call: CallId) -> SidecarCall {
        if let Some(how) = self.sidecars.resolved.get(&call) {
            return SidecarCall::Resolved(how.clone());
        }
        let Some(open) = self.open.get(call) else {
            return SidecarCall::Unknown;
        };
        if !self.sidecars.open.contains_key(&call) {
            return SidecarCall::Foreign;
        }
        SidecarCall::Open(open.admitted())
    }

    /// Returns whose a call is that is open.
    pub fn bottle_of_call(&self, call: CallId) -> Option<&BottleName> {
        self.open.get(call).map(|open| &open.facts().bottle)
    }

    /// Counts what has flowed of a sidecar's call, and says whether it must end.
    pub fn sidecar_flowed(&mut self, call: CallId, said: Said, now: Timestamp) -> Heard {
        if let Some(known) = self.sidecars.hear(call, said, now) {
            self.flowed(call, &known, now);
        }
        self.heard_of(call, true)
    }

    /// Charges a sidecar's call; a call that was resolved before stays as it is.
    pub fn sidecar_settle(&mut self, call: CallId, ended: Ended, now: Timestamp) -> Heard {
        let Some(known) = self.sidecars.hear(call, ended.said, now) else {
            return self.heard_of(call, true);
        };
        let lease = self.sidecars.open.get(&call);
        let was_cut = lease.is_some_and(|lease| lease.cut.is_some());
        let by_default = match (ended.estimated, was_cut) {
            (false, _) => Ending::Complete,
            (true, true) => Ending::Cut,
            (true, false) => Ending::UpstreamGone,
        };
        let outcome = Outcome {
            known: Known {
                // What was said while it flowed may have been a placeholder.
                complete: !ended.estimated && ended.said.usage.is_some(),
                ..known
            },
            others: Vec::new(),
            ending: ended.ending.unwrap_or(by_default),
            status: ended.status,
        };
        let already = self.settle(call, &outcome, now) == Resolved::Already;
        self.heard_of(call, already)
    }

    /// Takes a sidecar's call back that was surely not billed.
    pub fn sidecar_void(&mut self, call: CallId, status: Option<u16>, now: Timestamp) -> Heard {
        if !self.sidecars.open.contains_key(&call) {
            return self.heard_of(call, true);
        }
        let already = self.void(call, status, now) == Resolved::Already;
        self.heard_of(call, already)
    }

    fn heard_of(&self, call: CallId, already: bool) -> Heard {
        match self.sidecar_call(call) {
            SidecarCall::Open(_) => {
                let lease = self.sidecars.open.get(&call);
                Heard::Open(lease.and_then(|lease| lease.cut.clone()))
            }
            SidecarCall::Resolved(how) => Heard::Resolved { how, already },
            SidecarCall::Foreign => Heard::Foreign,
            SidecarCall::Unknown => Heard::Unknown,
        }
    }

    /// Remembers how a call was resolved, where it is a sidecar's or was spent outside the proxy.
    pub(super) fn remember_resolved(
        &mut self,
        facts: &CallFacts,
        admitted: Option<Admitted>,
        settlement: Option<Settlement>,
        at: Timestamp,
    ) {
        let is_outside = settlement.is_some_and(|it| it.ending == Ending::Outside);
        if !self.sidecars.end(facts.call) && !is_outside {
            return;
        }
        let charge = settlement.map_or(Tokens::ZERO, |settlement| settlement.charge);
        let reserved = admitted.as_ref().map_or(Tokens::ZERO, |it| it.reserved);
        let how = Remembered {
            bottle: facts.bottle.clone(),
            provider: facts.provider.clone(),
            admitted,
            settlement,
            overrun: charge.minus(reserved),
            at,
        };
        self.sidecars.remember(facts.call, how);
    }

    /// Charges the calls whose sidecars were silent for too long, as after a crash.
    pub(super) fn give_up_silent(&mut self, now: Timestamp) {
        while let Some(&(at, call)) = self.sidecars.due.first() {
            if at > now {
                return;
            }
            self.sidecars.due.pop_first();
            if let Some(open) = self.open.get(call).cloned() {
                self.give_up(&open, now);
            }
        }
    }

    fn give_up(&mut self, open: &Open, now: Timestamp) {
        let facts = open.facts().clone();
        let settlement = self.unheard(open, Ending::ClientGone);
        let has_less = settlement.charge < open.flowed;
        let minutes = SILENCE_MAX.0.div_euclid(60_000);
        let text = format!(
            "{}: nothing was heard of a call to {} for {minutes} minutes; charged {} by estimate",
            facts.bottle, facts.provider, settlement.charge
        );
        let mut event = self.event(now, EventKind::Abandoned, Actor::System, text);
        event.bottle = Some(facts.bottle.clone());
        event.run = Some(facts.run);
        event.provider = Some(facts.provider.clone());
        self.commit(Entry::Settled {
            overrun: settlement.charge.minus(open.reservation.reserved),
            facts: facts.clone(),
            at: now,
            settlement,
        });
        self.happened(event);
        self.judge(&facts, now);
        self.room_changed(&facts, has_less, now);
    }
}
