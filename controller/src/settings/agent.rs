//! Owns the reading of agents, which so far have nothing but budgets.

use std::collections::BTreeMap;

use bb_proto::budget::Scope;
use bb_proto::ids::AgentName;

use super::block::{Block, filled_mapping};
use super::budget::{self, Context};
use super::keys::AGENT;
use super::mistakes::{Mistakes, quote};
use super::tree::{Entry, Kind};
use super::{AgentSetting, BudgetSetting, value};

/// Reads what stands behind `agents:`.
pub(super) fn read(
    entry: &Entry,
    context: &Context<'_>,
    budgets: &mut Vec<BudgetSetting>,
    mistakes: &mut Mistakes,
) -> BTreeMap<AgentName, AgentSetting> {
    let mut agents = BTreeMap::new();
    for entry in filled_mapping(entry, "agents by name", mistakes).unwrap_or(&[]) {
        let name =
            value::key_name::<AgentName>(&entry.key, entry.at, "the name of an agent", mistakes);
        if matches!(&entry.value.kind, Kind::Nothing) {
            tell_without_budget(entry, mistakes);
            continue;
        }
        let Some(block) = Block::open(entry, &AGENT, mistakes) else {
            continue;
        };
        let Some(budget) = block.get("budget") else {
            tell_without_budget(entry, mistakes);
            continue;
        };
        let scope = name.clone().map(Scope::Agent);
        budgets.extend(budget::read(budget, scope.as_ref(), context, mistakes));
        agents.extend(name.map(|name| {
            let line = entry.at.line;
            (name, AgentSetting { line })
        }));
    }
    agents
}

fn tell_without_budget(entry: &Entry, mistakes: &mut Mistakes) {
    mistakes.add(
        entry.at,
        format!(
            "the agent {} has no budget, so listing it does nothing",
            quote(&entry.key)
        ),
        "write \"budget:\" under it, or take the agent away",
    );
}
