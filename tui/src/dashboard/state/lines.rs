//! The lines of the table: the order put under its parents, folded, or filtered.

use std::collections::{HashMap, HashSet};

use bb_proto::ids::BottleName;
use bb_proto::view::BottleState;

use super::filter::Filter;
use super::fleet::{Fleet, Sign};

/// How deep a tree is drawn; what is deeper stands at this depth.
const DEPTH_MAX: u8 = 8;
/// How many ancestors are asked when groups are put in order.
const ANCESTORS_MAX: usize = 64;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: BottleName,
    pub(crate) depth: u8,
    /// Bit `n`: whether the branch at depth `n` goes on below this line.
    pub(crate) branches: u16,
    pub(crate) fold: Option<Fold>,
    /// What it spends, and for one that is only named, what all below it spend.
    pub(crate) rate_per_minute: u64,
}

/// A line that others stand under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) open: bool,
    /// How many stand below.
    pub(crate) below: usize,
    /// The worst look among them.
    pub(crate) worst: Sign,
}

/// How lines are made of the order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) folded: HashSet<BottleName>,
    pub(crate) flat: bool,
}

/// Makes the lines.
pub(crate) fn lines(
    fleet: &Fleet,
    order: &[BottleName],
    shape: &Shape,
    filter: &Filter,
) -> Vec<Line> {
    let flat = |name: &BottleName| Line {
        name: name.clone(),
        depth: 0,
        branches: 0,
        fold: None,
        rate_per_minute: fleet.bottle(name).map_or(0, |b| b.told.rate_per_minute),
    };
    if !filter.is_empty() {
        return order
            .iter()
            .filter(|name| fleet.bottle(name).is_some_and(|b| filter.takes(fleet, b)))
            .map(flat)
            .collect();
    }
    if shape.flat {
        return order.iter().map(flat).collect();
    }
    Tree::new(fleet, order).lines(shape)
}

struct Tree<'a> {
    fleet: &'a Fleet,
    children: HashMap<&'a BottleName, Vec<&'a BottleName>>,
    roots: Vec<&'a BottleName>,
    /// The place of the most urgent member of each one's group.
    group: HashMap<&'a BottleName, usize>,
}

impl<'a> Tree<'a> {
    fn new(fleet: &'a Fleet, order: &'a [BottleName]) -> Self {
        let parent_of: HashMap<&BottleName, &BottleName> = order
            .iter()
            .filter_map(|name| {
                // Ancestry is walked with the last-listed parent first.
                let parent = fleet.bottle(name)?.told.parents.last()?;
                fleet.bottle(parent).map(|_| (name, parent))
            })
            .collect();
        let mut group: HashMap<&BottleName, usize> = HashMap::with_capacity(order.len());
        let mut children: HashMap<&BottleName, Vec<&BottleName>> = HashMap::new();
        let mut roots = Vec::new();
        for (place, name) in order.iter().enumerate() {
            let ancestors = ancestors(name, &parent_of);
            let in_a_loop = ancestors.last() == Some(&name);
            for member in std::iter::once(&name).chain(&ancestors) {
                let best = group.entry(*member).or_insert(place);
                *best = (*best).min(place);
            }
            match parent_of.get(name) {
                Some(parent) if !in_a_loop => children.entry(*parent).or_default().push(name),
                _ => roots.push(name),
            }
        }
        let by_group = |names: &mut Vec<&BottleName>| {
            names.sort_by_key(|name| group.get(*name).copied().unwrap_or(usize::MAX));
        };
        by_group(&mut roots);
        children.values_mut().for_each(by_group);
        Self {
            fleet,
            children,
            roots,
            group,
        }
    }

    fn lines(&self, shape: &Shape) -> Vec<Line> {
        let mut lines = Vec::with_capacity(self.group.len());
        for root in &self.roots {
            self.put(root, 0, 0, shape, &mut lines);
        }
        lines
    }

    fn put(
        &self,
        name: &BottleName,
        depth: u8,
        branches: u16,
        shape: &Shape,
        lines: &mut Vec<Line>,
    ) {
        let Some(bottle) = self.fleet.bottle(name) else {
            return;
        };
        let children = self.children.get(name).map_or(&[][..], Vec::as_slice);
        let below = self.below(name);
        let fold = (!children.is_empty()).then(|| Fold {
            open: !shape.folded.contains(name),
            below: below.count,
            worst: below.worst,
        });
        lines.push(Line {
            name: name.clone(),
            depth,
            branches,
            fold,
            rate_per_minute: match bottle.told.state {
                BottleState::Declared => bottle.told.rate_per_minute.max(below.rate),
                _ => bottle.told.rate_per_minute,
            },
        });
        if fold.is_none_or(|fold| !fold.open) {
            return;
        }
        let deeper = (depth + 1).min(DEPTH_MAX);
        for (at, child) in children.iter().enumerate() {
            let bit = 1_u16 << deeper;
            let goes_on = if at + 1 < children.len() {
                branches | bit
            } else {
                branches & !bit
            };
            self.put(child, deeper, goes_on, shape, lines);
        }
    }

    fn below(&self, name: &BottleName) -> Below {
        let mut sum = Below {
            count: 0,
            rate: 0,
            worst: Sign::Declared,
        };
        for child in self.children.get(name).into_iter().flatten() {
            let Some(bottle) = self.fleet.bottle(child) else {
                continue;
            };
            let deeper = self.below(child);
            sum.count += 1 + deeper.count;
            sum.rate = sum
                .rate
                .saturating_add(bottle.told.rate_per_minute)
                .saturating_add(deeper.rate);
            sum.worst = sum.worst.max(self.fleet.sign(bottle)).max(deeper.worst);
        }
        sum
    }
}

struct Below {
    count: usize,
    rate: u64,
    worst: Sign,
}

/// Returns the nearest ancestors; in a loop it ends where it began.
fn ancestors<'a>(
    name: &'a BottleName,
    parent_of: &HashMap<&'a BottleName, &'a BottleName>,
) -> Vec<&'a BottleName> {
    let mut found = Vec::new();
    let mut at = name;
    while let Some(parent) = parent_of.get(at) {
        if found.len() == ANCESTORS_MAX || found.contains(parent) {
            break;
        }
        found.push(*parent);
        if *parent == name {
            break;
        }
        at = parent;
    }
    found
}
