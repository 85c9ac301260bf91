//! `bb-ctl list`.

use std::collections::BTreeMap;

use bb_proto::budget::BudgetKey;
use bb_proto::ids::ProviderKey;
use bb_proto::time::Timestamp;
use bb_proto::view::{Bottle, BottleState, Budget};

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::table::{self, Column};
use super::words;
use crate::format;

/// List the bottles, with the budget that will bind each first
///
/// With --json: one bottle a line.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those that run
    #[arg(long)]
    running: bool,
}

const COLUMNS: [Column; 11] = [
    Column::left("BOTTLE").down_to(16),
    Column::left("STATE").down_to(14),
    Column::left("AGENT").drops(6).down_to(8),
    Column::left("PROVIDER").drops(2),
    Column::right("USED/LIMIT"),
    Column::right("%").drops(5),
    Column::left("BY").drops(3),
    Column::right("/MIN").drops(4),
    Column::right("LEFT").drops(1),
    Column::right("CALLS").drops(7),
    Column::left("ENFORCED").drops(8),
];

impl List {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let snapshot = connection.snapshot()?;
        let now = snapshot.head.now;
        let mut bottles = snapshot.bottles;
        if self.running {
            bottles.retain(|bottle| {
                matches!(bottle.state, BottleState::Running | BottleState::Cutoff)
            });
        }
        bottles.sort_by(|a, b| a.name.cmp(&b.name));
        let budgets: BTreeMap<&BudgetKey, &Budget> = snapshot
            .budgets
            .iter()
            .map(|budget| (&budget.id, budget))
            .collect();
        output.show_each(&bottles, |bottles| {
            if bottles.is_empty() {
                return "no bottles".to_owned();
            }
            let rows: Vec<Vec<String>> = bottles
                .iter()
                .map(|bottle| row(bottle, &budgets, now))
                .collect();
            table::draw(&COLUMNS, &rows, Output::width())
        })?;
        Ok(Exit::DONE)
    }
}

fn row(bottle: &Bottle, budgets: &BTreeMap<&BudgetKey, &Budget>, now: Timestamp) -> Vec<String> {
    let binding = binding(bottle, budgets);
    let budget = binding.map(|(_, budget)| budget);
    let provider = binding.map(|(provider, _)| provider);
    let of_budget = |text: &dyn Fn(&Budget) -> String| budget.map_or("-".to_owned(), text);
    vec![
        bottle.name.to_string(),
        words::state_of(bottle),
        bottle
            .agent
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        provider
            .or(bottle.last_provider.as_ref())
            .map_or("-".to_owned(), ToString::to_string),
        budget.map_or_else(
            || format::tokens(bottle.used_total.0),
            |budget| format::used_of(budget.used, budget.limit),
        ),
        of_budget(&|budget| format::percent(budget.used, budget.limit)),
        of_budget(&|budget| words::scope(&budget.id, bottle).to_owned()),
        format::tokens(bottle.rate_per_minute),
        of_budget(&left),
        calls(bottle, now),
        words::enforcement(bottle.enforcement).to_owned(),
    ]
}

/// Returns the budget that will bind first: for the provider of the newest call, else the one
/// that is spent furthest.
fn binding<'a>(
    bottle: &'a Bottle,
    budgets: &BTreeMap<&BudgetKey, &'a Budget>,
) -> Option<(&'a ProviderKey, &'a Budget)> {
    let mut all: Vec<(&ProviderKey, &Budget)> = bottle
        .binding
        .iter()
        .filter_map(|(provider, key)| budgets.get(key).map(|budget| (provider, *budget)))
        .collect();
    all.sort_by_key(|(provider, budget)| {
        let newest = bottle.last_provider.as_ref() == Some(*provider);
        (newest, budget.used.percent_of(budget.limit))
    });
    all.pop()
}

/// Returns how long a budget lasts at its rate.
pub(super) fn left(budget: &Budget) -> String {
    if budget.exhausted_since.is_some() || budget.used >= budget.limit {
        return "spent".to_owned();
    }
    match budget.left_ms {
        _ if budget.resets_first => "resets".to_owned(),
        Some(ms) => format::duration_ms(ms),
        None => "-".to_owned(),
    }
}

/// Returns calls in flight, and those that wait, with how long the first has: `3+2 12s`.
fn calls(bottle: &Bottle, now: Timestamp) -> String {
    if bottle.waiting == 0 {
        return bottle.in_flight.to_string();
    }
    let since = bottle
        .waiting_since
        .map(|since| format!(" {}", format::duration_ms(now.since(since).0)))
        .unwrap_or_default();
    format!("{}+{}{since}", bottle.in_flight, bottle.waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_wait_stand_beside_those_in_flight_with_how_long_the_first_has() {
        let json = serde_json::json!({"name": "web", "state": "running", "enforcement": "advisory", "in_flight": 3,
            "waiting": 2, "waiting_since": 1_000, "waits_until": 31_000, "refusals": 0, "path": [],
            "binding": {}, "used_run": 0, "used_total": 0, "rate_per_minute": 0});
        let mut bottle: Bottle = serde_json::from_value(json).expect("a bottle");
        assert_eq!(calls(&bottle, Timestamp(13_000)), "3+2 12s");
        bottle.waiting_since = None;
        assert_eq!(calls(&bottle, Timestamp(13_000)), "3+2");
        bottle.waiting = 0;
        assert_eq!(calls(&bottle, Timestamp(13_000)), "3");
    }
}
