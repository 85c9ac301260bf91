//! Which events run the operator's command, and when: at a pace for each budget, bounded, the
//! newest told.
//!
//! Events, the time and the end of each run come in; what starts now, and what is left out, is
//! decided here. How a command is run is not known here.

use std::collections::{HashMap, VecDeque};

use bb_proto::budget::BudgetKey;
use bb_proto::event::{Event, EventKind};
use bb_proto::ids::BottleName;
use bb_proto::time::Millis;

/// The kinds of events that run the command, each with the word it is written as.
pub const KINDS: &[(&str, EventKind)] = &[
    ("warned", EventKind::Warned),
    ("paced", EventKind::Paced),
    ("exhausted", EventKind::Exhausted),
    ("cutoff", EventKind::Cutoff),
    ("restored", EventKind::Restored),
    ("ledger", EventKind::Ledger),
    ("recovered", EventKind::Recovered),
];
/// The most commands that run at once.
pub const RUNNING_MAX: usize = 4;
/// The most events that wait for their turn, one a subject; beyond it the oldest is left out.
pub const WAITING_MAX: usize = 256;
/// How long after a command was started for a subject the next one may be.
pub const PACE: Millis = Millis(1_000);

/// What an event is about: commands are paced for each of these by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Budget(BudgetKey),
    Bottle(BottleName),
    /// The controller itself, a subject a kind.
    Controller(EventKind),
}

impl Subject {
    fn of(event: &Event) -> Self {
        match (&event.budget, &event.bottle) {
            (Some(budget), _) => Self::Budget(budget.clone()),
            (None, Some(bottle)) => Self::Bottle(bottle.clone()),
            (None, None) => Self::Controller(event.kind),
        }
    }
}

/// An event whose command is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The newest event of its subject.
    pub event: Event,
    /// How many of the same subject came since the last one that was told, and are not told.
    pub skipped: u64,
}

/// The events that wait for their command.
#[derive(Debug, Default)]
pub struct Hooks {
    /// One a subject, the subject that waits longest first.
    waiting: VecDeque<(Subject, Due)>,
    /// Until when nothing is started for a subject.
    held: HashMap<Subject, Millis>,
    running: usize,
    dropped: u64,
}

impl Hooks {
    /// Takes an event in; where its subject waits already, it takes the place of that event.
    pub fn happened(&mut self, event: Event) {
        let subject = Subject::of(&event);
        if let Some((_, due)) = self.waiting.iter_mut().find(|(it, _)| *it == subject) {
            due.event = event;
            due.skipped = due.skipped.saturating_add(1);
            return;
        }
        let due = Due { event, skipped: 0 };
        self.waiting.push_back((subject, due));
        if self.waiting.len() > WAITING_MAX
            && let Some((_, oldest)) = self.waiting.pop_front()
        {
            self.lost(oldest.skipped.saturating_add(1));
        }
    }

    /// Counts events that never came here.
    pub fn lost(&mut self, events: u64) {
        self.dropped = self.dropped.saturating_add(events);
    }

    /// Returns an event whose command is to be started now, which counts as running from here on;
    /// `None` where there is none, or as many run as may.
    ///
    /// `now` is of a clock that never goes back.
    pub fn start(&mut self, now: Millis) -> Option<Due> {
        self.held.retain(|_, until| *until > now);
        if self.running >= RUNNING_MAX {
            return None;
        }
        let free = |(subject, _): &(Subject, Due)| !self.held.contains_key(subject);
        let at = self.waiting.iter().position(free)?;
        let (subject, due) = self.waiting.remove(at)?;
        self.held
            .insert(subject, Millis(now.0.saturating_add(PACE.0)));
        self.running = self.running.saturating_add(1);
        Some(due)
    }

    /// Returns after what time [`start`](Self::start) has something; `None` where that needs an
    /// event, or the end of a run.
    pub fn wait(&self, now: Millis) -> Option<Millis> {
        if self.running >= RUNNING_MAX {
            return None;
        }
        let until = |subject| self.held.get(subject).map_or(0, |until| until.0);
        let waits = self.waiting.iter().map(|(subject, _)| until(subject));
        waits.min().map(|until| Millis(until.saturating_sub(now.0)))
    }

    /// Notes that a command has ended.
    pub fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Lets go of what waits; returns how many events that were.
    pub fn forget(&mut self) -> u64 {
        let events = self.waiting.drain(..);
        events.fold(0, |sum, (_, due)| {
            sum.saturating_add(due.skipped).saturating_add(1)
        })
    }

    /// Returns how many commands run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns how many events were left out because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "sums of small counts")]
mod tests;
