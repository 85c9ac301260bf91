//! Urgency: what needs a person first is on top, and nothing jumps.
//!
//! The order is looked at once a second. Two neighbours change places when the difference is
//! clear, or when it held for two looks.

use std::cmp::{Ordering, Reverse};
use std::collections::{HashMap, HashSet};

use bb_proto::ids::BottleName;

use super::fleet::{Fleet, Left, SOON_MS, Sign};
use crate::dashboard::rows::Bottle;

/// Why a bottle stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: Class,
    left_ms: u64,
    rate: Reverse<u64>,
}

/// From what runs out first to what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    SpentSoon,
    NeedsAPerson,
    Running,
    CutOff,
    Idle,
    Declared,
    Stopped,
}

/// All bottles by urgency.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    names: Vec<BottleName>,
    /// Neighbours that stood the wrong way round at the last look, though not clearly.
    doubtful: HashSet<(BottleName, BottleName)>,
}

impl Order {
    /// Returns the bottles, most urgent first.
    pub(crate) fn names(&self) -> &[BottleName] {
        &self.names
    }

    /// Returns whether neighbours stand the wrong way round, so that another look is due.
    pub(crate) fn is_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Takes in who came and drops who went; moves the others only if they may move.
    pub(crate) fn look(&mut self, fleet: &Fleet, may_move: bool) {
        let ranks: HashMap<&BottleName, Rank> = fleet
            .bottles()
            .map(|bottle| (&bottle.told.name, rank(fleet, bottle)))
            .collect();
        let mut known: HashSet<&BottleName> = HashSet::with_capacity(ranks.len());
        let mut standing: Vec<(&BottleName, Rank)> = Vec::with_capacity(ranks.len());
        for name in &self.names {
            if let Some((name, rank)) = ranks.get_key_value(name)
                && known.insert(name)
            {
                standing.push((name, *rank));
            }
        }
        let mut newcomers: Vec<(&BottleName, Rank)> = ranks
            .iter()
            .filter(|(name, _)| !known.contains(*name))
            .map(|(name, rank)| (*name, *rank))
            .collect();
        newcomers.sort_by(strictly);
        if standing.is_empty() {
            standing = newcomers;
        } else {
            for newcomer in newcomers {
                let place = standing.partition_point(|other| strictly(other, &newcomer).is_lt());
                standing.insert(place, newcomer);
            }
            if may_move {
                self.settle(&mut standing);
            }
        }
        if !may_move {
            self.names = standing.into_iter().map(|(name, _)| name.clone()).collect();
            return;
        }
        let doubtful = standing
            .windows(2)
            .filter_map(|pair| match pair {
                [first, second] if strictly(second, first).is_lt() => {
                    Some((first.0.clone(), second.0.clone()))
                }
                _ => None,
            })
            .collect();
        self.names = standing.into_iter().map(|(name, _)| name.clone()).collect();
        self.doubtful = doubtful;
    }

    /// Moves each bottle up past those it is clearly before.
    fn settle(&self, standing: &mut [(&BottleName, Rank)]) {
        for at in 1..standing.len() {
            let mut place = at;
            while let Some(before) = place.checked_sub(1) {
                let (Some(upper), Some(lower)) = (standing.get(before), standing.get(place)) else {
                    break;
                };
                if !self.moves(upper, lower) {
                    break;
                }
                standing.swap(before, place);
                place = before;
            }
        }
    }

    fn moves(&self, upper: &(&BottleName, Rank), lower: &(&BottleName, Rank)) -> bool {
        clearly_before(&lower.1, &upper.1)
            || (strictly(lower, upper).is_lt()
                && !self.doubtful.is_empty()
                && self.doubtful.contains(&(upper.0.clone(), lower.0.clone())))
    }
}

fn strictly(one: &(&BottleName, Rank), two: &(&BottleName, Rank)) -> Ordering {
    one.1.cmp(&two.1).then_with(|| one.0.cmp(two.0))
}

/// Whether `one` is before `two` by more than a twentieth.
fn clearly_before(one: &Rank, two: &Rank) -> bool {
    let by_a_twentieth = |small: u64, large: u64| u128::from(small) * 20 < u128::from(large) * 19;
    match one.class.cmp(&two.class) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal if one.left_ms == two.left_ms => by_a_twentieth(two.rate.0, one.rate.0),
        Ordering::Equal => by_a_twentieth(one.left_ms, two.left_ms),
    }
}

fn rank(fleet: &Fleet, bottle: &Bottle) -> Rank {
    let left = fleet.left(bottle);
    let left_ms = match left {
        Left::Spent => 0,
        Left::Time(ms) => ms,
        _ => u64::MAX,
    };
    let class = match fleet.sign(bottle) {
        Sign::Wanted | Sign::Failed => Class::NeedsAPerson,
        Sign::Stopped => Class::Stopped,
        Sign::Declared => Class::Declared,
        Sign::CutOff => Class::CutOff,
        Sign::Idle | Sign::Running | Sign::Warned => match left {
            Left::Idle => Class::Idle,
            Left::Spent => Class::SpentSoon,
            Left::Time(ms) if ms < SOON_MS => Class::SpentSoon,
            _ => Class::Running,
        },
    };
    let left_ms = match class {
        Class::SpentSoon | Class::Running => left_ms,
        _ => 0,
    };
    Rank {
        class,
        left_ms,
        rate: Reverse(bottle.told.rate_per_minute),
    }
}
