//! A client that asks only for what changed sees what there is.

use std::collections::BTreeMap;

use bb_proto::budget::BudgetKey;
use bb_proto::ids::BottleName;
use bb_proto::view;

use super::stage::Stage;

/// A client that asks only for what changed.
#[derive(Debug, Default)]
pub(super) struct Client {
    revision: Option<u64>,
    bottles: BTreeMap<BottleName, view::Bottle>,
    budgets: BTreeMap<BudgetKey, view::Budget>,
}

impl Client {
    /// Asks, and compares what it knows then with all there is.
    pub(super) fn ask(&mut self, stage: &Stage) {
        let changes = stage.book.changes(self.revision, stage.now);
        if changes.whole {
            self.bottles.clear();
            self.budgets.clear();
        }
        for name in &changes.bottles_gone {
            self.bottles.remove(name);
        }
        let bottles = changes.bottles.into_iter();
        self.bottles
            .extend(bottles.map(|bottle| (bottle.name.clone(), bottle)));
        let budgets = changes.budgets.into_iter();
        self.budgets
            .extend(budgets.map(|budget| (budget.id.clone(), budget)));
        self.revision = Some(stage.book.revision());
        let whole = stage.book.changes(None, stage.now);
        // What binds first follows the rates and what others spend; a row that is idle may lag.
        let row = |bottle: &view::Bottle| view::Bottle {
            binding: BTreeMap::new(),
            binds_next: BTreeMap::new(),
            ..bottle.clone()
        };
        assert_eq!(self.bottles.len(), whole.bottles.len());
        for bottle in &whole.bottles {
            let known = self.bottles.get(&bottle.name).map(row);
            assert_eq!(known, Some(row(bottle)), "a client sees what there is");
        }
        let known: Vec<_> = self.budgets.values().collect();
        assert_eq!(known, whole.budgets.iter().collect::<Vec<_>>());
    }
}

/// Plays lines; the client asks after each.
fn follow(script: &str) -> (Stage, Client) {
    let (mut stage, mut client) = (Stage::default(), Client::default());
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        stage.run(line);
        client.ask(&stage);
    }
    (stage, client)
}

#[test]
fn rows_follow_what_is_said_of_the_budgets_they_share() {
    follow(
        "
        settings host/claude 100 warn=50; bottle:base/claude 90 ceiling; bottle c parents=base
        launch a
        launch b provider=claude
        launch c provider=claude
        reserve 3 a claude 50+10
        settle 3 50+10
        reserve 4 a claude 50+10
        raise host/claude 10
        settle 3 50+10
        amend 3 10+10
        cutoff a
        end b
        remove b
        ",
    );
}

#[test]
fn a_rate_is_followed_until_it_comes_to_rest() {
    let waits = "wait 25\n".repeat(30);
    let (stage, client) = follow(&format!(
        "
        settings host/claude 1000
        launch a
        reserve 1 a claude 50+10
        settle 1 50+10
        {waits}
        "
    ));
    let rests = |bottle: &view::Bottle| bottle.rate_per_minute == 0 && bottle.recent.is_empty();
    assert!(client.bottles.values().all(rests));
    let changes = stage.book.changes(client.revision, stage.now);
    assert!(!changes.whole && changes.bottles.is_empty() && changes.budgets.is_empty());
}

#[test]
fn a_client_of_another_life_of_the_controller_gets_everything() {
    let (mut stage, client) = follow("launch a\ncutoff a");
    assert!(!stage.book.changes(client.revision, stage.now).whole);
    stage.run("restart");
    assert!(stage.book.changes(client.revision, stage.now).whole);
    assert!(stage.book.changes(Some(u64::MAX), stage.now).whole);
}
