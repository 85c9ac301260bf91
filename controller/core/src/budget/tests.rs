use bb_proto::ids::{AgentName, ProviderKey};
use bb_proto::time::Timestamp;
use bb_proto::view::PathRole;
use uuid::Uuid;

use super::*;

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn declared(key: &str, limit: u64) -> Declared {
    let key: BudgetKey = key.parse().expect(key);
    Declared::hard(key, Tokens(limit), Source::Settings { line: 1 })
}

fn soft(key: &str, limit: u64) -> Declared {
    Declared {
        cap: Cap::Soft,
        ..declared(key, limit)
    }
}

fn ceiling(key: &str, limit: u64) -> Declared {
    Declared {
        ceiling: true,
        ..declared(key, limit)
    }
}

/// The path of bottle `web` (parent `base`) running agent `dev`.
fn path() -> Path {
    Path {
        run: Some(run(1)),
        agent: AgentName::new("dev").ok(),
        lineage: ["web", "base"]
            .map(|name| (BottleName::new(name).expect(name), None))
            .to_vec(),
    }
}

/// Checks which budgets bind a call to `provider`, written as `key role` in path order.
fn check(settings: Vec<Declared>, launch: &[(&str, u64)], provider: &str, expected: &[&str]) {
    let mut budgets = Budgets::default();
    budgets.take_settings(settings);
    let web = BottleName::new("web").expect("a name");
    let launched = launch
        .iter()
        .map(|(selector, limit)| {
            of_launch(
                run(1),
                &web,
                selector.parse().expect("a selector"),
                Tokens(*limit),
            )
        })
        .collect();
    budgets.take_launch(run(1), None, launched);
    let provider = ProviderKey::new(provider).expect("a provider");
    let roles: Vec<String> = path()
        .roles(&budgets, &provider)
        .into_iter()
        .map(|(budget, role)| {
            let scope = match &budget.key().scope {
                Scope::Launch(_) => "launch".to_owned(),
                other => other.to_string(),
            };
            let role = match role {
                PathRole::Binds => "binds",
                PathRole::Ceiling => "ceiling",
                PathRole::Soft => "soft",
                PathRole::Counted => "counted",
            };
            format!("{scope}/{} {role}", budget.key().provider)
        })
        .collect();
    assert_eq!(roles, expected);
}

#[test]
fn the_nearest_scope_with_a_hard_budget_governs() {
    let all = || {
        vec![
            declared("host/claude/total", 100),
            declared("bottle:base/claude/total", 90),
            declared("bottle:web/claude/total", 80),
            declared("agent:dev/claude/total", 70),
        ]
    };
    check(
        all(),
        &[("claude", 10)],
        "claude",
        &[
            "launch/claude binds",
            "agent:dev/claude counted",
            "bottle:web/claude counted",
            "bottle:base/claude counted",
            "host/claude counted",
        ],
    );
    check(
        all(),
        &[],
        "claude",
        &[
            "agent:dev/claude binds",
            "bottle:web/claude counted",
            "bottle:base/claude counted",
            "host/claude counted",
        ],
    );
    check(all(), &[("claude", 10)], "codex", &[]);
}

#[test]
fn a_budget_for_all_governs_as_one_for_the_provider_does_and_both_bind_in_one_scope() {
    check(
        vec![
            declared("host/claude/total", 100),
            declared("bottle:web/all/total", 80),
            declared("bottle:web/claude/total", 70),
        ],
        &[],
        "claude",
        &[
            "bottle:web/all binds",
            "bottle:web/claude binds",
            "host/claude counted",
        ],
    );
    check(
        vec![
            declared("host/codex/total", 100),
            declared("bottle:base/all/total", 80),
        ],
        &[],
        "codex",
        &["bottle:base/all binds", "host/codex counted"],
    );
}

#[test]
fn a_soft_budget_never_hides_a_hard_one() {
    check(
        vec![
            soft("bottle:web/claude/total", 10),
            declared("host/claude/total", 100),
        ],
        &[],
        "claude",
        &["bottle:web/claude soft", "host/claude binds"],
    );
}

#[test]
fn a_ceiling_of_a_wider_scope_binds_whatever_governs() {
    check(
        vec![
            declared("bottle:web/claude/total", 10),
            ceiling("bottle:base/all/total", 50),
            ceiling("host/claude/total", 100),
            declared("host/all/total", 100),
        ],
        &[],
        "claude",
        &[
            "bottle:web/claude binds",
            "bottle:base/all ceiling",
            "host/all counted",
            "host/claude ceiling",
        ],
    );
}

#[test]
fn a_command_hides_the_settings_and_outlives_their_reload() {
    let mut budgets = Budgets::default();
    let key: BudgetKey = "host/claude/total".parse().expect("a key");
    budgets.take_settings(vec![declared("host/claude/total", 100)]);
    budgets.set(Declared {
        source: Source::Command { uid: 7 },
        ..declared("host/claude/total", 50)
    });
    budgets.take_settings(vec![declared("host/claude/total", 999)]);
    let budget = budgets.get(&key).expect("in force");
    assert_eq!(budget.limit(), Tokens(50));
    assert_eq!(budget.hides, Some(Source::Settings { line: 1 }));
    budgets.unset(&key);
    assert_eq!(budgets.get(&key).expect("in force").limit(), Tokens(999));
}

#[test]
fn a_raise_counts_on_what_stands_under_its_key() {
    let mut budgets = Budgets::default();
    let key: BudgetKey = "host/claude/total".parse().expect("a key");
    budgets.take_settings(vec![declared("host/claude/total", 100)]);
    budgets.raise(
        &key,
        Raise {
            until: None,
            by: Tokens(20),
            at: Timestamp(0),
            uid: 7,
            why: None,
        },
    );
    assert_eq!(budgets.get(&key).expect("in force").limit(), Tokens(120));
    budgets.take_settings(vec![declared("host/claude/total", 200)]);
    assert_eq!(budgets.get(&key).expect("in force").limit(), Tokens(220));
}

#[test]
fn a_new_run_has_only_its_own_launch_budgets() {
    let mut budgets = Budgets::default();
    let web = BottleName::new("web").expect("a name");
    let one = of_launch(run(1), &web, ProviderSelector::All, Tokens(5));
    budgets.take_launch(run(1), None, vec![one]);
    budgets.take_launch(run(2), Some(run(1)), Vec::new());
    assert_eq!(budgets.iter().count(), 0);
}
