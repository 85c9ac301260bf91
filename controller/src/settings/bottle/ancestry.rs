//! Owns the rules of ancestry: no bottle descends from itself, and none from too many.

use std::collections::{BTreeMap, BTreeSet};

use bb_proto::ids::BottleName;

use super::super::ANCESTORS_MAX;
use super::super::mistakes::{At, Mistakes, quote};
use super::Parents;

/// The bottles of the file: where each is written, and its parents.
type Families = BTreeMap<BottleName, (At, Parents)>;

/// Tells of every loop, each once; where there is none, of every bottle with too many ancestors.
pub(super) fn check(families: &Families, mistakes: &mut Mistakes) {
    if !loops(families, mistakes) {
        for (name, (at, _)) in families {
            if has_too_many(families, name) {
                mistakes.add(
                    *at,
                    format!(
                        "{} has more than {ANCESTORS_MAX} ancestors",
                        quote(name.as_str())
                    ),
                    "every call is counted on each of them; extend fewer bottles",
                );
            }
        }
    }
}

/// Walks every line of descent once, without recursion: a file can make it long.
fn loops(families: &Families, mistakes: &mut Mistakes) -> bool {
    let mut found = false;
    let mut done: BTreeSet<&BottleName> = BTreeSet::new();
    for start in families.keys() {
        // The way from the start to where we are, and how many parents of each are walked.
        let mut way: Vec<(&BottleName, usize)> = vec![(start, 0)];
        let mut on_way: BTreeSet<&BottleName> = BTreeSet::from([start]);
        while let Some((name, walked)) = way.last_mut() {
            let name = *name;
            let next = families
                .get(name)
                .filter(|_| !done.contains(name))
                .and_then(|(_, parents)| parents.get(*walked));
            let Some((parent, at)) = next else {
                done.insert(name);
                on_way.remove(name);
                way.pop();
                continue;
            };
            *walked += 1;
            if on_way.contains(parent) {
                found = true;
                let names = way.iter().map(|(name, _)| *name);
                tell_loop(
                    names.skip_while(|name| *name != parent),
                    parent,
                    *at,
                    mistakes,
                );
            } else if !done.contains(parent) {
                on_way.insert(parent);
                way.push((parent, 0));
            }
        }
    }
    found
}

fn tell_loop<'a>(
    names: impl Iterator<Item = &'a BottleName>,
    parent: &BottleName,
    at: At,
    mistakes: &mut Mistakes,
) {
    /// How many names of a loop are told.
    const TOLD_MAX: usize = 8;
    let mut told: Vec<&str> = names.map(BottleName::as_str).collect();
    if told.len() > TOLD_MAX {
        told.truncate(TOLD_MAX);
        told.push("…");
    }
    told.push(parent.as_str());
    mistakes.add(
        at,
        format!("a bottle cannot extend itself: {}", told.join(" -> ")),
        "take one of these parents away",
    );
}

fn has_too_many(families: &Families, name: &BottleName) -> bool {
    let mut ancestors: BTreeSet<&BottleName> = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        for (parent, _) in families.get(name).map_or(&[][..], |(_, parents)| parents) {
            if ancestors.insert(parent) {
                open.push(parent);
            }
            if ancestors.len() > ANCESTORS_MAX {
                return true;
            }
        }
    }
    false
}
