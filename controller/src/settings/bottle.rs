//! Owns the reading of bottles, and the proof that their ancestry has an end.

mod ancestry;

use std::collections::BTreeMap;

use bb_proto::budget::Scope;
use bb_proto::ids::BottleName;

use super::block::{Block, filled_mapping};
use super::budget::{self, Context, GATES, POLICIES, UNBOUNDED};
use super::keys::BOTTLE;
use super::mistakes::{At, Mistakes, quote};
use super::tree::{Entry, Kind};
use super::{BottleSetting, BudgetSetting, value};

/// The name of a parent, and where it is written.
type Parents = Vec<(BottleName, At)>;

/// Reads what stands behind `bottles:`.
pub(super) fn read(
    entry: &Entry,
    context: &Context<'_>,
    budgets: &mut Vec<BudgetSetting>,
    mistakes: &mut Mistakes,
) -> BTreeMap<BottleName, BottleSetting> {
    let mut bottles = BTreeMap::new();
    let mut families = BTreeMap::new();
    for entry in filled_mapping(entry, "bottles by name", mistakes).unwrap_or(&[]) {
        let name = value::key_name(&entry.key, entry.at, "the name of a bottle", mistakes);
        let entries = match &entry.value.kind {
            // A bottle of which nothing is said is declared: it can be extended.
            Kind::Nothing => &[],
            _ => filled_mapping(entry, "a bottle", mistakes).unwrap_or(&[]),
        };
        let block = Block::of(entries, &BOTTLE, mistakes);
        let parents = parents(&block, mistakes);
        let bottle = BottleSetting {
            parents: parents.iter().map(|(parent, _)| parent.clone()).collect(),
            agent: block
                .get("agent")
                .and_then(|entry| value::name(entry, "the name of an agent", mistakes)),
            provider: block
                .get("provider")
                .and_then(|entry| provider(entry, context, mistakes)),
            shutdown: block
                .get("shutdown")
                .and_then(|entry| value::choice(entry, POLICIES, mistakes)),
            gate: block
                .get("gate")
                .and_then(|entry| value::choice(entry, GATES, mistakes)),
            unbounded: block
                .get("unbounded")
                .and_then(|entry| value::choice(entry, UNBOUNDED, mistakes)),
            line: entry.at.line,
        };
        let scope = name.clone().map(Scope::Bottle);
        let own = block
            .get("budget")
            .map(|entry| budget::read(entry, scope.as_ref(), context, mistakes));
        if let Some(name) = name {
            budgets.extend(own.unwrap_or_default());
            families.insert(name.clone(), (entry.at, parents));
            bottles.insert(name, bottle);
        }
    }
    ancestry::check(&families, mistakes);
    bottles
}

fn provider(
    entry: &Entry,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<bb_proto::ids::ProviderKey> {
    let word = &value::scalar(entry, "a provider", mistakes)?.text;
    budget::provider(word, entry.value.at, context.providers, mistakes)
}

fn parents(block: &Block<'_>, mistakes: &mut Mistakes) -> Parents {
    const EXPECTED: &str = "the name of a bottle";
    let (one, several) = (block.get("parent"), block.get("parents"));
    if let (Some(one), Some(_)) = (one, several) {
        mistakes.add(
            one.at,
            "\"parent\" and \"parents\" are both written",
            "write all of them as a list under \"parents\"",
        );
    }
    if let Some(entry) = several {
        return listed(entry, mistakes);
    }
    let Some(entry) = one else {
        return Vec::new();
    };
    if let Kind::List(_) = entry.value.kind {
        mistakes.add(
            entry.value.at,
            format!("expected {EXPECTED}, and found a list"),
            "write \"parents\" for several",
        );
        return Vec::new();
    }
    let parent = value::name(entry, EXPECTED, mistakes);
    parent
        .map(|parent| (parent, entry.value.at))
        .into_iter()
        .collect()
}

fn listed(entry: &Entry, mistakes: &mut Mistakes) -> Parents {
    let items = match &entry.value.kind {
        Kind::List(items) if !items.is_empty() => items,
        Kind::Refused => return Vec::new(),
        Kind::List(_) | Kind::Nothing => {
            mistakes.add(
                entry.at,
                "\"parents\" has nothing in it",
                "write the names of bottles, or take the line away",
            );
            return Vec::new();
        }
        Kind::Scalar(_) | Kind::Mapping(_) => {
            mistakes.add(
                entry.value.at,
                format!(
                    "expected a list of names, and found {}",
                    entry.value.describe()
                ),
                "write \"parent: NAME\" for one, \"parents: [NAME, NAME]\" for several",
            );
            return Vec::new();
        }
    };
    let mut parents: Parents = Vec::new();
    for item in items {
        let Some(parent) = value::name_of::<BottleName>(item, "the name of a bottle", mistakes)
        else {
            continue;
        };
        if parents.iter().any(|(before, _)| *before == parent) {
            let text = format!("the parent {} is there twice", quote(parent.as_str()));
            mistakes.add(item.at, text, "keep one of them");
        } else {
            parents.push((parent, item.at));
        }
    }
    parents
}
