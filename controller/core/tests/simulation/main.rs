//! The ledger in a simulated world: many bottles, a virtual clock, a disk that is a value, and
//! crashes, full disks and failing syncs between any two steps; all of it decided by one seed.
//!
//! After each round, at each crash and at each start its laws are held against what the simulated
//! provider counted. A failure prints its seed, and that seed replays it exactly. Read from the
//! environment:
//!
//! - `BB_SIM_SEEDS`: how many seeds, [`SEEDS`] where it is not set;
//! - `BB_SIM_SEED`: the first of them, zero where it is not set; where it is set and one seed is
//!   run, everything that happens is printed.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail, reads how long it shall run, and says what it did"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

mod bug;
mod call;
mod disk;
mod laws;
mod operator;
mod owner;
mod provider;
mod random;
mod world;

use bug::Bug;
use laws::Broken;
use world::{Counts, World};

/// How many seeds are run where nobody says.
const SEEDS: u64 = 1_000;
/// How many steps a seed has.
const STEPS: usize = 1_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("BB_SIM_… is a number"))
}

/// Says at a panic which seed it was.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} panicked; {}", self.0, how_to_replay(self.0));
        }
    }
}

fn how_to_replay(seed: u64) -> String {
    format!(
        "replay it: BB_SIM_SEED={seed} BB_SIM_SEEDS=1 cargo test -p bb-core --test simulation \
         the_laws_hold"
    )
}

fn play(seed: u64, bug: Option<Bug>, aloud: bool) -> (Result<(), Broken>, World) {
    let _running = Running(seed);
    let mut world = World::new(seed, bug, aloud);
    let played = world.run(STEPS);
    (played, world)
}

/// What many seeds came to.
#[derive(Default)]
struct Sum {
    counts: Counts,
    broken: Option<(u64, Broken)>,
}

/// Plays seeds on every processor, until one breaks a law.
fn play_all(first: u64, seeds: u64) -> Sum {
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Sum::default());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(seeds) {
                        return;
                    }
                    let (played, world) = play(seed, None, false);
                    let mut sum = sum.lock().expect("no other seed panicked");
                    sum.counts.add(world.counts);
                    if let Err(broken) = played {
                        let is_first = sum.broken.as_ref().is_none_or(|(known, _)| seed < *known);
                        if is_first {
                            sum.broken = Some((seed, broken));
                        }
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    sum.into_inner().expect("no seed panicked")
}

#[test]
fn the_laws_hold_whatever_happens_between_two_steps() {
    let seeds = number("BB_SIM_SEEDS").unwrap_or(SEEDS);
    let first = number("BB_SIM_SEED").unwrap_or(0);
    if seeds == 1 {
        let (played, world) = play(first, None, true);
        for line in world.trace.iter().flatten() {
            eprintln!("{line}");
        }
        if let Err(Broken { law, seen }) = played {
            panic!("seed {first} breaks a law: {law}\n{seen}");
        }
        return;
    }
    let start = Instant::now();
    let Sum { counts, broken } = play_all(first, seeds);
    let took = start.elapsed();
    eprintln!("{seeds} seeds from {first}, {took:.1?}: {counts:?}");
    if let Some((seed, Broken { law, seen })) = broken {
        panic!(
            "seed {seed} breaks a law: {law}\n{seen}\n{}",
            how_to_replay(seed)
        );
    }
    let each = usize::try_from(seeds).expect("few");
    let often = [
        counts.ends,
        counts.crashes,
        counts.cut,
        counts.taken_back,
        counts.windows,
    ];
    let seldom = [counts.closed, counts.waited, counts.corrected];
    let means_something = often.iter().all(|n| *n > each) && seldom.iter().all(|n| *n > each / 4);
    assert!(seeds < 100 || means_something, "{counts:?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..5 {
        let (_, once) = play(seed, None, true);
        let (_, again) = play(seed, None, true);
        assert_eq!(once.trace, again.trace);
        assert!(once.trace.is_some_and(|trace| trace.len() > STEPS / 2));
    }
}

/// Plays until a planted fault is found; says by which seed, and that it is by this law.
fn find(bug: Bug, law: &str) {
    let found = (0..SEEDS).find_map(|seed| Some((seed, play(seed, Some(bug), false).0.err()?)));
    let Some((seed, broken)) = found else {
        panic!("{bug:?} is not found by {SEEDS} seeds");
    };
    eprintln!("{bug:?} is found by seed {seed}: {}", broken.seen);
    assert_eq!(broken.law, law, "{bug:?}: seed {seed}: {}", broken.seen);
}

#[test]
fn a_charge_that_is_lost_is_found() {
    find(Bug::LostSettle, "a client that saw the end was charged");
}

#[test]
fn a_group_that_is_applied_twice_is_found() {
    find(Bug::DoubleApply, "nothing is charged twice");
}

#[test]
fn a_reservation_that_leaks_is_found() {
    find(Bug::LeakedReservation, "no reservation outlives its call");
}

#[test]
fn a_call_that_is_taken_back_after_bytes_flowed_is_found() {
    find(
        Bug::VoidAfterBytes,
        "only what was surely not billed is taken back",
    );
}

#[test]
fn a_window_that_turns_early_is_found() {
    find(Bug::EarlyWindow, "no window turns early");
}
