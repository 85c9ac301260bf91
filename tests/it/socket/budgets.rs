//! Budgets that cannot be, and what commands say of them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::raw::Raw;
use super::system_with;

const SETTINGS: &str =
    "budget:\n  claude: 1000\nbottles:\n  web:\n    budget:\n      claude:\n        run: 500\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_cannot_be_is_refused_and_named() -> Result<()> {
    let (_system, mut raw) = system_with(SETTINGS).await?;
    let over = (1_u64 << 53) + 1;
    let run = "launch:019aa0b2-6f00-7000-8000-0000000000a1/claude/run";
    for (budget, limit, needle) in [
        (
            "host/claude/total",
            json!(0),
            "a budget of zero lets nothing pass",
        ),
        (
            "host/claude/total",
            json!(-1),
            "invalid value: integer `-1`",
        ),
        ("host/claude/total", json!(1.5), "floating point"),
        ("host/claude/total", json!("5M"), "string"),
        (
            "host/claude/total",
            json!(over),
            "more tokens than a budget can hold",
        ),
        (
            "host/claude/total",
            json!(u64::MAX),
            "more tokens than a budget can hold",
        ),
        ("host/claude/total", Value::Null, "null"),
        (
            "host/unknown/total",
            json!(1),
            "there is no provider unknown",
        ),
        (
            "host/claude/run",
            json!(1),
            "the window run is for launches and bottles only, not for host",
        ),
        ("agent:a/claude/run", json!(1), "not for agent:a"),
        (
            "host/claude/rolling 40d",
            json!(1),
            "\"40d\" is no span of a window",
        ),
        (
            "host/claude/day 09:07",
            json!(1),
            "\"09:07\" is no time of day",
        ),
        (
            "host/claude/fortnight",
            json!(1),
            "\"fortnight\" is no window",
        ),
        ("planet/claude/total", json!(1), "\"planet\" is no scope"),
        (
            "bottle:a b/claude/total",
            json!(1),
            "is not allowed in a name",
        ),
        ("host/claude", json!(1), "is no budget"),
        (run, json!(1), "a run's budget is given when it is launched"),
    ] {
        let params = json!({"budget": budget, "limit": limit});
        let (word, sentence) = raw.refused("budget.set", params).await?;
        assert_eq!(word, "invalid_params", "{budget} {limit}");
        assert!(sentence.contains(needle), "{budget} {limit}: {sentence}");
    }
    let both = json!({"budget": "host/claude/total", "limit": 5, "cap": "soft", "ceiling": true});
    let (word, sentence) = raw.refused("budget.set", both).await?;
    assert_eq!(word, "invalid_params");
    assert!(sentence.contains("cannot be a ceiling"), "{sentence}");
    let most = json!({"budget": "host/codex/total", "limit": 1_u64 << 53});
    let set = raw.result("budget.set", most).await?;
    assert_eq!(set["budget"]["limit"], 1_u64 << 53);
    // No raise reaches beyond it either.
    for (by, needle) in [
        (json!(1), "more tokens"),
        (json!(u64::MAX), "more tokens"),
        (json!(0), "by nothing"),
    ] {
        let raise = json!({"budget": "host/codex/total", "by": by});
        let (word, sentence) = raw.refused("budget.raise", raise).await?;
        assert_eq!(word, "invalid_params");
        assert!(sentence.contains(needle), "{sentence}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_budget_that_cannot_be_is_refused_and_no_bottle_comes_to_be() -> Result<()> {
    let (_system, mut raw) = system_with(SETTINGS).await?;
    for (budgets, needle) in [
        (json!([{"provider": "claude", "limit": 0}]), "zero"),
        (json!([{"provider": "claude", "limit": -1}]), "-1"),
        (
            json!([{"provider": "claude", "limit": (1_u64 << 53) + 1}]),
            "more tokens",
        ),
        (
            json!([{"provider": "unknown", "limit": 1}]),
            "there is no provider unknown",
        ),
        (
            json!([{"provider": "claude", "limit": 1}, {"provider": "claude", "limit": 2}]),
            "two budgets",
        ),
        (
            json!([{"provider": "claude", "limit": 1, "window": "day"}]),
            "unknown field `window`",
        ),
    ] {
        let params = json!({"name": "late", "budgets": budgets});
        let (word, sentence) = raw.refused("bottle.register", params).await?;
        assert_eq!(word, "invalid_params", "{sentence}");
        assert!(sentence.contains(needle), "{sentence}");
    }
    let (word, _) = raw.refused("bottle.show", json!({"name": "late"})).await?;
    assert_eq!(word, "not_found");
    Ok(())
}

async fn row(raw: &mut Raw, id: &str) -> Result<Option<Value>> {
    let budgets = raw.result("budget.list", json!({})).await?;
    let mut rows = budgets["budgets"].as_array().context("budgets")?.iter();
    Ok(rows.find(|row| row["id"] == id).cloned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_hides_the_settings_until_it_is_unset() -> Result<()> {
    let (system, mut raw) = system_with(SETTINGS).await?;
    let id = "host/claude/total";
    let before = row(&mut raw, id).await?.context("a budget")?;
    assert_eq!(before["source"]["from"], "settings");
    let (word, _) = raw.refused("budget.unset", json!({"budget": id})).await?;
    assert_eq!(word, "wrong_state");
    raw.result(
        "budget.raise",
        json!({"budget": id, "by": 11, "why": "a day"}),
    )
    .await?;
    raw.result("budget.set", json!({"budget": id, "limit": 2_000}))
        .await?;
    let set = row(&mut raw, id).await?.context("a budget")?;
    assert_eq!(
        (&set["limit"], &set["source"]["from"]),
        (&json!(2_000), &json!("command"))
    );
    assert_eq!(set["hides"], before["source"]);
    assert_eq!(set.get("raises"), None);
    // Neither a reload nor a restart takes it back.
    raw.result("settings.reload", json!({})).await?;
    drop(raw);
    let system = system.restart().await?;
    let mut raw = Raw::connect(system.home()).await?;
    assert_eq!(row(&mut raw, id).await?.context("a budget")?, set);
    let unset = raw.result("budget.unset", json!({"budget": id})).await?;
    assert_eq!(unset["limit_before"], 2_000);
    assert_eq!(unset["budget"]["limit"], 1_000);
    assert_eq!(row(&mut raw, id).await?.context("a budget")?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_raises_the_newest_are_shown_and_all_count() -> Result<()> {
    let (_system, mut raw) = system_with(SETTINGS).await?;
    let id = "host/claude/total";
    for number in 1..=30 {
        raw.result("budget.raise", json!({"budget": id, "by": number}))
            .await?;
    }
    let row = row(&mut raw, id).await?.context("a budget")?;
    assert_eq!(row["limit"], 1_000 + 30 * 31 / 2);
    let shown: Vec<u64> = row["raises"]
        .as_array()
        .context("raises")?
        .iter()
        .filter_map(|raise| raise["by"].as_u64())
        .collect();
    assert_eq!(shown, (11..=30).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budgets_of_one_bottle_are_those_on_its_path() -> Result<()> {
    let (_system, mut raw) = system_with(SETTINGS).await?;
    let params =
        json!({"name": "web", "agent": "a", "budgets": [{"provider": "codex", "limit": 9}]});
    let web = raw.result("bottle.register", params).await?;
    raw.result("bottle.register", json!({"name": "other"}))
        .await?;
    raw.result(
        "budget.set",
        json!({"budget": "bottle:other/claude/total", "limit": 5}),
    )
    .await?;
    let ids = |budgets: &Value| -> Vec<String> {
        let rows = budgets["budgets"].as_array().into_iter().flatten();
        rows.filter_map(|row| row["id"].as_str().map(str::to_owned))
            .collect()
    };
    let listed = raw.result("budget.list", json!({"bottle": "web"})).await?;
    let launch = format!("launch:{}/codex/run", web["run"].as_str().context("a run")?);
    let mut listed = ids(&listed);
    listed.sort();
    let mut expected = vec![
        launch,
        "bottle:web/claude/run".into(),
        "host/claude/total".into(),
    ];
    expected.sort();
    assert_eq!(listed, expected);
    let (word, _) = raw
        .refused("budget.list", json!({"bottle": "nobody"}))
        .await?;
    assert_eq!(word, "not_found");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_others_changed_meanwhile_is_left_as_it_is() -> Result<()> {
    let (system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    let web = system
        .bottle_with("web", &[("claude", 1_000)], |_| {})
        .await?;
    let seen = raw.result("budget.list", json!({})).await?["revision"].clone();
    let own = format!("launch:{}/claude/run", web.registered.run);
    let raise = |by: u64, expect: &Value| json!({"budget": own, "by": by, "if": expect});

    let other = json!({"run": "019aa0b2-6f00-7000-8000-0000000000a1"});
    assert_eq!(
        code(&raw.ask("budget.raise", raise(1, &other)).await?),
        "conflict"
    );
    let same = json!({"run": web.registered.run, "revision": seen});
    let raised = raw.result("budget.raise", raise(7, &same)).await?;
    assert_eq!(raised["budget"]["limit"], 1_007);

    // Somebody else did that; who has not seen it changes nothing.
    assert_eq!(
        code(&raw.ask("budget.raise", raise(9, &same)).await?),
        "conflict"
    );
    let set = json!({"budget": "bottle:web/claude/total", "limit": 5, "if": {"revision": seen}});
    assert_eq!(code(&raw.ask("budget.set", set).await?), "conflict");
    let listed = raw.result("budget.list", json!({"bottle": "web"})).await?;
    let limits: Vec<&Value> = listed["budgets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| row["id"] == own.as_str())
        .map(|row| &row["limit"])
        .collect();
    assert_eq!(limits, [1_007], "{listed}");
    let now = json!({"revision": listed["revision"]});
    let raised = raw.result("budget.raise", raise(1, &now)).await?;
    assert_eq!(raised["budget"]["limit"], 1_008);
    Ok(())
}

fn code(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or_default()
}
