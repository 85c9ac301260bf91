//! The world: what happens next, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use bb_core::book::{CLOCK_BACK_MAX, Entry};
use bb_proto::budget::BudgetKey;
use bb_proto::reply::Ending;
use bb_proto::time::{Millis, Timestamp};

use super::bug::Bug;
use super::call::Call;
use super::disk::{Disk, Mood};
use super::laws::{Broken, law};
use super::operator::{SETTINGS, Said};
use super::owner::Owner;
use super::provider::Provider;
use super::random::Random;

/// Steps until what is left must have come to rest.
const REST_MAX: usize = 20_000;

/// What a run saw, so that it is seen to have seen something.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) steps: usize,
    pub(crate) calls: u64,
    pub(crate) ends: usize,
    pub(crate) refused: usize,
    pub(crate) waited: usize,
    pub(crate) cut: usize,
    pub(crate) taken_back: usize,
    pub(crate) corrected: usize,
    pub(crate) windows: usize,
    pub(crate) crashes: usize,
    pub(crate) closed: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        self.calls += other.calls;
        self.ends += other.ends;
        self.refused += other.refused;
        self.waited += other.waited;
        self.cut += other.cut;
        self.taken_back += other.taken_back;
        self.corrected += other.corrected;
        self.windows += other.windows;
        self.crashes += other.crashes;
        self.closed += other.closed;
    }
}

/// Everything that a seed decides.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now: Timestamp,
    /// By how many milliseconds the clock was set since the controller looked.
    pub(crate) jumped: i64,
    pub(crate) disk: Disk,
    pub(crate) provider: Provider,
    /// The controller, where it runs.
    pub(crate) owner: Option<Owner>,
    /// The calls that are under way, by number.
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) next_call: u64,
    pub(crate) next_order: u64,
    pub(crate) next_run: u64,
    /// Which settings are in force.
    pub(crate) settings: usize,
    pub(crate) said: BTreeMap<BudgetKey, Said>,
    /// Budgets that were reset, or that somebody tried to reset.
    pub(crate) reset: BTreeSet<BudgetKey>,
    pub(crate) bug: Option<Bug>,
    pub(crate) counts: Counts,
    /// What happened, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, aloud: bool) -> Self {
        let mut random = Random::new(seed);
        let settings = random.below(SETTINGS);
        let mut disk = Disk::new();
        disk.applies_twice = bug == Some(Bug::DoubleApply);
        Self {
            random,
            now: Timestamp(1_800_000_000_000),
            jumped: 0,
            disk,
            provider: Provider::default(),
            owner: None,
            calls: BTreeMap::new(),
            next_call: 0,
            next_order: 0,
            next_run: 0,
            settings,
            said: BTreeMap::new(),
            reset: BTreeSet::new(),
            bug,
            counts: Counts::default(),
            trace: aloud.then(Vec::new),
        }
    }

    /// Puts down what happens, where somebody wants to read it.
    pub(crate) fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace.is_none() {
            return;
        }
        let line = format!("{:>6} {} {}", self.counts.steps, self.now.0, what(self));
        if let Some(trace) = &mut self.trace {
            trace.push(line);
        }
    }

    /// Lets so many things happen, then lets all that is left come to rest.
    pub(crate) fn run(&mut self, steps: usize) -> Result<(), Broken> {
        while self.counts.steps < steps {
            self.step()?;
        }
        self.come_to_rest()
    }

    /// Returns the time as the controller reads it: it never goes back but where the clock jumps.
    pub(crate) fn clock(&mut self, jumps: bool) -> Timestamp {
        let Some(owner) = &mut self.owner else {
            return self.now;
        };
        owner.shown = if jumps {
            self.now
        } else {
            owner.shown.max(self.now)
        };
        if owner.latest.since(owner.shown) > CLOCK_BACK_MAX {
            owner.latest = owner.shown;
        }
        owner.latest = owner.latest.max(owner.shown);
        if self.bug == Some(Bug::EarlyWindow) && self.random.one_in(30) {
            return owner.shown.plus(Millis(5_400_000));
        }
        owner.shown
    }

    fn step(&mut self) -> Result<(), Broken> {
        self.counts.steps += 1;
        self.now = self.now.plus(Millis(self.random.number(20)));
        match self.random.below(1_000) {
            0..=499 => self.owner_step(),
            500..=799 => self.progress(),
            800..=899 => {
                self.ask();
                Ok(())
            }
            900..=959 => {
                self.order();
                Ok(())
            }
            960..=977 => {
                let span = self.random.pick(&[900, 4_000, 31_000, 3_600_000]);
                self.now = self.now.plus(Millis(span));
                Ok(())
            }
            978..=979 => {
                // Somebody sets the clock of the host.
                let by = self.random.pick(&[-500, -60_000, -7_200_000, 5_400_000]);
                self.now.0 += by;
                if by != -500 {
                    self.jumped += by;
                }
                self.say(|_| format!("the clock is set by {by} ms"));
                Ok(())
            }
            980..=993 => {
                self.turn_mood();
                Ok(())
            }
            994..=996 => self.crash(false),
            997..=998 => self.crash(true),
            _ => Ok(()),
        }
    }

    /// Returns the controller where it listens.
    pub(crate) fn serving(&mut self) -> Option<&mut Owner> {
        self.owner.as_mut().filter(|owner| !owner.is_starting)
    }

    /// The disk works most of the time.
    fn turn_mood(&mut self) {
        let works = [Mood::Works; 5];
        let moods = [&works[..], &[Mood::Slow, Mood::Full, Mood::SyncFails]].concat();
        self.disk.mood = self.random.pick(&moods);
        let mood = self.disk.mood;
        self.say(|_| format!("the disk: {mood:?}"));
    }

    /// Counts what was written.
    pub(crate) fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Voided { .. } => self.counts.taken_back += 1,
            Entry::Amended { .. } => self.counts.corrected += 1,
            Entry::Settled { settlement, .. } if settlement.ending == Ending::Cut => {
                self.counts.cut += 1;
            }
            _ => {}
        }
    }

    /// No more calls, no more faults: all that is open ends, and is charged.
    fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.disk.mood = Mood::Works;
        self.counts.calls = self.next_call;
        for _ in 0..REST_MAX {
            self.counts.steps += 1;
            self.now = self.now.plus(Millis(self.random.number(200)));
            self.owner_step()?;
            self.progress()?;
            let owner = self.owner.as_ref();
            let is_idle = owner.is_some_and(|owner| {
                owner.round.is_none() && owner.letters.is_empty() && self.calls.is_empty()
            });
            if is_idle && owner.is_some_and(|owner| owner.ledger.closed_since().is_none()) {
                self.at_rest()?;
                self.all_is_charged()?;
                // And once more from what was kept.
                self.crash(true)?;
                return Ok(());
            }
        }
        law(false, "all that is open ends", || {
            format!("{:?}", self.calls)
        })
    }
}
